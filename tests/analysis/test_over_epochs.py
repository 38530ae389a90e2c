"""What runs from several epochs add to a summary: what is drawn in place of what, and of which runs."""

import numpy as np
import pandas as pd
import pytest

from analysis.over_epochs import figure, further, look, tables
from analysis.runs.epochs import KEY
from analysis.runs.found import Run
from analysis.runs.settings import in_order
from analysis.runs.tables import tables as over_runs

EPOCHS, FE = (1, 2, 4, 8), {1: 0.8, 2: 0.9, 4: 0.85, 8: 0.8}


def table(keys, rows, **levels):
    means = np.array(list(rows.values()), dtype=float)
    parts = [dict(zip(keys, name.split("/"), strict=True)) for name in rows]
    return pd.DataFrame(parts).assign(mean=means, low=means - 0.01, high=means + 0.01, **levels)


@pytest.fixture
def runs(tmp_path):
    """runs(tsne=(1, 2)): two seeds of each epoch, with t-SNE where it says so."""

    def make(at=EPOCHS, tsne=EPOCHS, **more):
        made = []
        for epoch in at:
            for seed in range(2):
                folder = tmp_path / f"{epoch}_{seed}"
                every = {"transfer": table(["quantity"], {"fe": FE[epoch] + seed / 100, "ft": 0.9 + epoch / 100}),
                         "spectrum": table(["model", "quantity", "component"], {"pretrain/accuracy/main": FE[epoch]}),
                         "other": table(["quantity"], {"x": 1.0})}  # fmt: skip
                if epoch in tsne:
                    every["tsne"] = table(["model", "quantity"], {"pretrain/trustworthiness": 0.9})
                    _points(folder, epoch, seed)
                seeds = {"seed": seed, **dict.fromkeys(("seeds.data", "seeds.samples", "seeds.train"), 0)}
                seeds |= {"seeds.pretrain": seed}
                made.append(Run(folder, "digits", {KEY: epoch, **more}, seeds, None, str(folder), "", every))
        return in_order(made)

    return make


def _points(folder, epoch, seed):
    file = folder / "analysis" / "samples" / "tsne.npz"
    file.parent.mkdir(parents=True, exist_ok=True)
    planes = {f"plane/{model}": np.full((3, 2), 10 * epoch + seed) for model in ("pretrain", "finetune")}
    np.savez(file, **planes, **{"about/labels": np.array([0, 1, 2])})


@pytest.fixture
def drawn(runs, tmp_path, monkeypatch):
    """The figures of runs, by name, as they are before they are saved."""
    found = {}

    def keep(made, folder, name):
        found[name] = made
        return folder / f"{name}.png", folder / f"{name}.svg"

    def make(**arguments):
        monkeypatch.setattr("analysis.over_epochs.save", keep)
        some, settings = runs(**arguments)
        shown, _ = look(some, settings)
        for each in over_runs(some, settings).values():
            figure(tmp_path, each, shown, "")
        list(further(tmp_path, shown, some, ""))
        return found

    return make


def test_these_measures_are_drawn_over_epochs_and_others_as_ever(drawn):
    assert set(drawn()) == {"transfer", "spectrum", "ranking", "planes"}, "there is no LogME, and `other` is not theirs"


def test_means_and_seeds_stand_at_their_epochs(drawn):
    (axes,) = drawn()["transfer"].axes
    (curve,) = (line for line in axes.lines if line.get_label().startswith("FE"))
    assert list(curve.get_xdata()) == list(EPOCHS)
    np.testing.assert_allclose(curve.get_ydata(), [FE[epoch] + 0.005 for epoch in EPOCHS])


@pytest.mark.parametrize(("there", "shown"), [
    (EPOCHS, [1, 2, 8]), ((2, 4), [2, 4]), ((4,), [4]), ((1, 4, 8), [1, 8])
])  # fmt: skip
def test_planes_are_of_the_first_the_best_and_the_last_epoch_that_have_one(drawn, there, shown):
    axes = drawn(tsne=there)["planes"].axes
    names = [f"epoch {epoch}, {when} fine-tuning" for when in ("before", "after") for epoch in shown]
    assert [each.get_title() for each in axes] == names
    assert {float(line.get_xdata()[0]) for line in axes[0].lines} == {10.0 * shown[0]}, "of the first seed"


def test_runs_without_planes_have_no_figure_of_them(drawn, tmp_path):
    _points(tmp_path / "1_0", 1, 0)  # of another measure of that name, whose table was left out
    assert "planes" not in drawn(tsne=())


def test_tables_have_the_best_epochs_and_the_ranking(runs, tmp_path):
    files = tables(tmp_path, look(*runs())[0])
    best, ranks = (pd.read_csv(file) for file in files)
    assert dict(zip(best["quantity"], best["best"], strict=True)) == {"fe": 2, "ft": 8}
    assert ranks["ranker"].tolist() == ["epoch", "epoch"], "there is no score"


def test_why_nothing_is_said_stands_in_a_line(runs):
    line = (
        "which epoch of pre-training transfers best: not measurable; 3 epochs or more are needed, the runs start from"
    )
    assert look(*runs(at=(1, 2))) == (None, f"{line} 2")
    assert look(*runs(at=(1,))) == (None, "")

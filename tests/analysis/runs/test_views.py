"""Several views of the same checkpoints, on tables that are made by hand: what each view is, and which agree."""

import numpy as np
import pandas as pd
import pytest

from analysis.runs.agree import agreeing, agreement, is_tested, lacks, over_epochs, trends
from analysis.runs.agree_words import caption, note, paragraph
from analysis.runs.epochs import EPOCH, KEY, epochs
from analysis.runs.settings import in_order
from analysis.runs.views import VIEWS, by_run, compared, of_name, of_run, views

EPOCHS = (1, 2, 5, 10, 20)
LAYERS = ("block1", "block2", "logits")


def table(keys: str, rows: dict[str, float]) -> pd.DataFrame:
    parts = [dict(zip(keys.split(), name.split(), strict=True)) for name in rows]
    means = np.array(list(rows.values()), dtype=float)
    return pd.DataFrame(parts).assign(mean=means, low=means - 0.01, high=means + 0.01)


def tables_of(late: float, seen: float = 0.0, noise=lambda: 0.0) -> dict[str, pd.DataFrame]:
    """late: how far pre-training has come; seen: what LogME and FT see of this run beyond it."""
    near = {f"calibrated finetune pretrain {layer}": 1 - 0.1 * at - 0.05 * late for at, layer in enumerate(LAYERS)}
    others = ("calibrated finetune initial block1", "cka finetune pretrain block1", "p finetune pretrain block1")
    cka = table("quantity model against layer", near | dict.fromkeys(others, 0.1)).assign(epoch=5)
    cka = pd.concat([cka, cka.assign(epoch=1, mean=0.99)], ignore_index=True)
    return {
        "decomposition": table("order quantity", {"1 preserved": 0.3}),
        "claims": table("measure key", {"decomposition preserved/share": 0.3 - 0.1 * late + noise(),
                                        "decomposition preserved/task": 0.1 + noise(), "accuracy accuracy/gain": 0.02}),
        "cka": cka,
        "transfer": table("quantity", {"fe": 0.8 + noise(), "fe_converged": 0.82 + noise(), "ft": 0.9 + late + seen,
                                       "source": 0.5 + late + noise()}),
        "spectrum": table("model quantity component", {
            "pretrain accuracy main": 0.8 + noise(), "pretrain accuracy random_main": 0.7,
            "finetune accuracy main": 0.9, "pretrain effective_rank all": 30 + 10 * late + noise(),
            "finetune effective_rank all": 7}),
        "logme": table("score", {"logme": 0.4 + late + seen, "h_score": 3}),
    }  # fmt: skip


@pytest.fixture
def runs_of(run_of):
    def make(seeds=5, at=EPOCHS, only=None, scale=0.01, crossed=1):
        """crossed: trainings of each pre-training."""
        draw, made = np.random.default_rng(5), []
        own = 0.2 * draw.normal(size=(seeds, len(at)))
        for place, epoch in enumerate(at):
            for seed in range(seeds):
                tables = tables_of(np.log(epoch) / 3, own[seed, place], lambda: draw.normal(scale=scale))
                tables = {name: tables[name] for name in only or tables}
                which = {"pretrain": seed // crossed, "train": seed % crossed}
                made.append(run_of({KEY: epoch}, {}, **which, tables=tables))
        return in_order(made)

    return make


def test_each_view_is_the_number_of_its_table():
    found = of_run(_Run(tables_of(0.0)))
    assert found.set_index("view")["mean"].to_dict() == pytest.approx({
        "preserved": 0.3, "beyond": 0.1, "cka": 0.95, "cka/block1": 1, "cka/block2": 0.9, "cka/logits": 0.8,
        "main": 0.1, "rank": 30, "logme": 0.4, "fe": 0.82, "ft": 0.9, "source": 0.5})  # fmt: skip
    assert of_name("cka/block2").words == "CKA of block2"
    assert set(VIEWS) == {name for name in found["view"] if "/" not in name}


class _Run:
    def __init__(self, tables):
        self.tables = tables


def test_without_a_converged_head_fe_is_the_one_of_fixed_steps():
    transfer = table("quantity", {"fe": 0.8})
    assert of_run(_Run({"transfer": transfer})).values.tolist()[0][:2] == ["fe", 0.8]
    assert of_run(_Run({"claims": pd.DataFrame({"claim": ["x"]})})).empty, "of an older version"


def test_two_of_the_tables_are_needed(runs_of):
    assert views(*runs_of(only=("logme",))) is None
    assert views(*runs_of(at=(5,))) is None, "one epoch"
    assert views(*runs_of(at=(1, 2))).lacks.startswith("3 epochs or more")
    assert set(views(*runs_of(only=("logme", "spectrum"))).curves) == {"logme", "main", "rank"}


def test_what_is_said_over_epochs_is_not_changed_by_it(runs_of):
    runs, settings = runs_of()
    assert not set(epochs(runs, settings).curves) & {"preserved", "cka", "rank"}
    runs, settings = runs_of(only=("decomposition", "claims", "cka"))
    assert epochs(runs, settings) is None
    assert views(runs, settings) is not None


def test_layers_follow_their_mean_and_a_view_of_few_runs_is_not_compared(runs_of):
    runs, settings = runs_of()
    for run in runs[:13]:
        run.tables.pop("spectrum")
    names = compared(found := views(runs, settings))
    assert names == ["preserved", "beyond", "cka", *(f"cka/{layer}" for layer in LAYERS), "logme", "fe", "ft", "source"]
    rows = by_run(found, runs)
    assert rows["rank"].notna().sum() == 12
    assert rows["benefit"].tolist() == [0.02] * 25
    assert rows[[EPOCH, "seed"]].iloc[[0, -1]].values.tolist() == [[1, "0"], [20, "4"]]


def test_views_that_see_the_same_in_each_seed_are_found_and_others_are_not(runs_of):
    runs, settings = runs_of()
    found = views(runs, settings)
    pairs = agreement(found, names := compared(found))
    assert len(pairs) == len(names) * (len(names) - 1) / 2
    assert agreeing(pairs)[["view", "other"]].values.tolist() == [["logme", "ft"]]
    row = pairs.set_index(["view", "other"]).loc[("logme", "ft")]
    assert row[["tau_within", "difference"]].tolist() == pytest.approx([1, 1 - row["tau_across"]])
    assert row["difference"] > 0
    assert row[["p", "p_shape"]].tolist() == [1 / 120, 1 / 120]
    untested = pairs[pairs["p_adjusted"].isna()]
    assert not is_tested("preserved", "beyond")
    assert {("preserved", "beyond"), ("cka", "cka/block1"), ("main", "rank")} <= {
        *untested[["view", "other"]].agg(tuple, 1)
    }
    said = paragraph(found, trends(found, names), pairs)
    assert "12 views of 25 pairs of checkpoints, pre-trained for 1 to 20 epochs and fine-tuned." in said
    assert "1 agree (LogME and accuracy, fine-tuned (FT), z " in said
    assert note(pairs) == ""


def test_seeds_that_share_a_pre_training_are_one(runs_of):
    for crossed, seeds in ((2, 3), (1, 6)):
        found = views(*runs_of(seeds=6, crossed=crossed))
        assert set(agreement(found, compared(found))["seeds"]) == {seeds}


@pytest.mark.parametrize(("at", "words"), [
    ((1, 2, 5), "With 3 epochs no trend can be shown: the smallest possible p is 0.33."),
    ((1, 2, 5, 10), "With 4 epochs no trend can be shown: the smallest possible p is 0.083."),
])  # fmt: skip
def test_with_few_epochs_no_trend_can_be_shown(runs_of, at, words):
    found = views(*runs_of(at=at))
    said = paragraph(found, trends(found, names := compared(found)), agreement(found, names))
    assert words in said
    assert "As pre-training" not in said


def test_the_caption_explains_dots_only_where_there_are_some(runs_of):
    found = views(*runs_of())
    pairs = agreement(found, compared(found))
    assert "A dot (a cross) marks" in caption(pairs)
    none = caption(pairs.assign(p_adjusted=0.5))
    few = caption(pairs.assign(seeds=2, p_adjusted=np.nan))
    assert "dot" not in none + few
    assert "No two views are shown to agree beyond the common trend." in none
    assert "Agreement beyond the trend is not tested: it takes 5 seeds or more" in few


def test_an_epoch_is_the_best_of_a_seed_only_if_no_other_is_as_good(runs_of):
    found = views(*runs_of())
    found.curves["ft"].loc[:, :] = [[0.5, 0.9, 0.7, 0.8, 0.6 + seed / 100] for seed in range(5)]
    found.curves["ft"].iloc[0] = [0.5, 0.9, 0.9, 0.8, 0.6]
    row = trends(found, ["ft"]).iloc[0]
    assert row[["best", "best_in", "seeds"]].tolist() == [2, 4, 5]


@pytest.mark.parametrize(("seeds", "why"), [(1, "one has nothing to exchange"), (4, "with 4 no p can be below 0.042")])
def test_with_few_seeds_agreement_is_not_measurable(runs_of, seeds, why):
    found = views(*runs_of(seeds=seeds))
    pairs = agreement(found, names := compared(found))
    assert pairs["p"].isna().all()
    assert agreeing(pairs).empty
    assert lacks(pairs) == f"it takes 5 seeds or more; {why}"
    said = paragraph(found, trends(found, names), pairs)
    assert f"Whether they agree beyond it is not measurable: {lacks(pairs)}." in said
    assert note(pairs).endswith(why)


def test_trends_and_means_over_seeds(runs_of):
    found = views(*runs_of())
    rows = trends(found, names := compared(found)).set_index("view")
    assert rows.loc[EPOCH, ["tau", "best"]].tolist() == [1, 20]
    assert rows.loc["source", "tau"] > 0.9
    assert rows.loc["cka", ["tau", "best", "best_in"]].tolist() == [-1, 1, 1], "equal curves are one"
    said = paragraph(found, rows.reset_index(), agreement(found, names))
    rise, _, others = said.partition("rise (")[2].partition("), ")
    fall, _, others = others.partition("fall (")[2].partition("), in ")
    assert {"effective rank of the features", "LogME", "accuracy, fine-tuned (FT)"} <= {*rise.split("; ")}
    assert {"similarity kept (CKA), mean of layers", "CKA of block1"} <= {*fall.split("; ")}
    assert others.partition(").")[0].endswith("no trend is shown (knowledge preserved beyond the task; F_m beyond a "
                                              "random subspace; accuracy, frozen features (FE)")  # fmt: skip
    over = over_epochs(found, names).set_index(["view", EPOCH])
    own = found.curves["source"][5]
    assert over.loc[("source", 5), "mean"] == pytest.approx(own.mean())
    assert over.loc[("source", 5), "high"] - own.mean() == pytest.approx(2.776445 * own.std() / np.sqrt(5))

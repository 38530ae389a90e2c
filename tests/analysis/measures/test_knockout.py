"""On a study whose outcomes are known: which samples count, what is found, and what is said of it."""

import numpy as np
import pandas as pd
import pytest

from analysis.claims import IMPOSSIBLE, MET, as_table
from analysis.formulas.accuracy import Outcomes
from analysis.formulas.knockout import knockout
from analysis.loading import load
from analysis.measured import Measured
from analysis.measures.knockout import FEWEST, QUANTITIES, of_group
from analysis.robust import doubtful, with_noise
from interactions.mobius import orders

SAMPLES, N = 40, 3


@pytest.fixture
def models():
    """Fine-tuned keeps what the pre-trained model has; scratch has nothing of it. [SAMPLES, 8] each."""
    draw = np.random.default_rng(0)
    pretrain = draw.normal(0.5, 1, size=(SAMPLES, 2**N))
    return pretrain, pretrain + 0.1 * draw.normal(size=pretrain.shape), draw.normal(size=pretrain.shape)


def outcomes(won: int, both: int) -> dict[str, Outcomes]:
    """Of as many samples fine-tuned alone is right, and of as many both are, at the last epoch; before, none."""
    right = {"finetune": won + both, "scratch": both}
    last = {name: (np.arange(SAMPLES) < count).astype(float)[::-1] for name, count in right.items()}
    return {name: Outcomes(np.stack([1 - each, each], 1), np.zeros((SAMPLES, 2))) for name, each in last.items()}


@pytest.fixture
def study(study_of, models):
    pretrain, finetune, scratch = models

    def make(won: int = 12, both: int = 20, **options):
        study = study_of(pretrain, [finetune], [scratch], **options)
        study.outcomes = outcomes(won, both)
        return study

    return make


def rows(study, **options) -> pd.DataFrame:
    measure = load("knockout", options)
    return measure.table(measure.samples(study))[0].set_index(["group", "quantity"])


def claims(study) -> pd.DataFrame:
    measure = load("knockout", {})
    return as_table("knockout", measure.claims(measure.samples(study)))[0].set_index("key")


def test_means_are_over_the_samples_of_each_group(study, models):
    found, table = knockout(*models, orders(N)), rows(study())
    won, both = np.arange(SAMPLES)[8:20], np.arange(SAMPLES)[20:32]  # as many as are won, the first of 20
    for group, which in (("won", won), ("both", both)):
        for name in ("taken", "shared", "new"):
            assert table.loc[(group, name), "mean"] == pytest.approx(getattr(found, name)[which].mean())
        for name in ("elsewhere", "placement"):
            assert table.loc[(group, "taken"), name] == pytest.approx(getattr(found, name)[which].mean())
        ahead = (models[1].sum(1) - models[2].sum(1))[which]
        assert table.loc[(group, "advantage"), "mean"] == pytest.approx(ahead.mean())
        assert table.loc[(group, "samples"), "mean"] == pytest.approx(12 / SAMPLES)
        v = models[1].sum(1)[which]
        assert table.loc[(group, "flips"), "mean"] == pytest.approx(((v > 0) & (v < found.taken[which])).mean())
    half = 2.200985 * ahead.std(ddof=1) / np.sqrt(12)  # Student's t, 11 degrees of freedom
    assert table.loc[("both", "advantage"), "high"] - ahead.mean() == pytest.approx(half, rel=1e-4)


def test_options_that_leave_interactions_out_or_scale_them_change_nothing(study):
    """Their sum is the model's answer only if all are there."""
    other = study(salient=True, tau=0.5, normalise=True, empty_set=False)
    pd.testing.assert_frame_equal(rows(study()), rows(other))


def test_at_most_as_many_samples_as_asked(study):
    assert rows(study(), most=7).loc[("won", "samples"), "mean"] == pytest.approx(7 / SAMPLES)


def test_what_is_preserved_on_purpose_carries(study):
    found = claims(study())
    assert list(found.index) == ["knockout/placement", "knockout/elsewhere",
                                 "knockout/placement/more", "knockout/elsewhere/more"]  # fmt: skip
    assert (found["verdict"][:2] == MET).all()
    assert found["verdict"].iloc[2] != MET, "where both are right it carries as much"


@pytest.mark.parametrize(("won", "both", "said"), [
    (FEWEST - 1, 20, "only fine-tuned is right in 4 of 40 samples, and 5 are needed: raise interactions.samples"),
    (12, 3, "both are right in 3 of 40 samples, and 5 are needed"),
    (0, 20, "only fine-tuned is right in 0 of 40 samples"),
])  # fmt: skip
def test_too_few_samples_are_said_and_not_judged(study, won, both, said):
    found, table = claims(study(won, both)), rows(study(won, both))
    assert (found["verdict"] == IMPOSSIBLE).all()
    assert found["why"].str.contains(said).all()
    group = "both" if both < FEWEST else "won"
    assert table.loc[group].loc[list(QUANTITIES), ["low", "high"]].isna().all(axis=None)


def test_without_predictions_of_the_test_set_no_sample_is_won(study):
    other = study()
    other.outcomes = {}
    assert (claims(other)["verdict"] == IMPOSSIBLE).all()
    other = study()
    other.about["split"] = "train"
    assert (claims(other)["verdict"] == IMPOSSIBLE).all()


def test_intervals_of_few_among_many_samples_hold_the_truth():
    """Six of 200 samples are in the group: Student's t has five degrees of freedom."""
    draw, member, inside = np.random.default_rng(0), (np.arange(200) < 6).astype(float), []
    for _ in range(1000):
        measured = Measured({"won": member, "new/won": draw.normal(1, 1, size=200) * member})
        found = of_group(measured, "new", "won").own
        inside.append(found.low < 1 < found.high)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.02)


def test_noise_that_changes_nothing_overturns_nothing(study):
    measure, shaken = load("knockout", {}), study(noise=1e-9)
    found = measure.claims(measure.samples(shaken))
    assert doubtful(with_noise(shaken), measure, found) == [False] * 4


def test_the_figure_shows_all_parts_of_both_groups(study):
    measure = load("knockout", {})
    figure = measure.module.figure(measure.table(measure.samples(study()))[0])
    assert [axes.get_title() for axes in figure.axes] == ["only fine-tuned is right", "both are right"]
    table = rows(study())
    for axes, group in zip(figure.axes, ("won", "both"), strict=True):
        heights = [bar.get_height() for bar in axes.patches]
        assert heights == pytest.approx(table.loc[group].loc[list(QUANTITIES[:-1]), "mean"].tolist())
    assert {text.get_text().partition(":")[0] for text in figure.legends[0].texts} == {"elsewhere", "placement"}


def test_a_figure_of_nothing_is_drawn(study):
    measure = load("knockout", {})
    figure = measure.module.figure(measure.table(measure.samples(study(0, 20)))[0])
    assert all(np.isfinite(axes.get_ylim()).all() for axes in figure.axes)
    assert not any(bar.get_height() > 0 for bar in figure.axes[0].patches), "none is won"

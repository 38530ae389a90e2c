"""The measures on features: what each finds, against its formulas; its table, its figure, its refusals."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from analysis.drawing.style import save
from analysis.formulas.h_score import h_score
from analysis.formulas.leep import leep
from analysis.formulas.logme import logme
from analysis.formulas.spectrum import count_of, decomposed
from analysis.loading import load
from analysis.measure import Sizes
from analysis.measured import Measured
from analysis.tables import levels_of, unusable
from checkpoints.features import file_of
from conf.errors import BadInput
from models.layers import LOGITS
from stages.files import write_archive

QUICK = {"transfer": {"epochs": 5}, "spectrum": {"epochs": 5}, "tsne": {"perplexity": 5}, "logme": {}}
SPLIT = {"logme": 40}
SIZES = Sizes(40, 30, {"penultimate": 12}, 4)


def found(study, name, **options):
    return load(name, QUICK[name] | options).samples(study)


def table(study, name, **options):
    measure = load(name, QUICK[name] | options)
    return measure.table(measure.samples(study))[0]


@pytest.mark.parametrize("name", QUICK)
def test_a_table_is_of_samples_has_levels_and_is_drawn(featured, name, tmp_path):
    measure = load(name, QUICK[name])
    measured = measure.samples(featured)
    assert {len(array) for array in measured.observed.values()} == {SPLIT.get(name, 30)}
    made, pseudo = measure.table(measured)
    assert unusable(made) == ""
    assert levels_of(list(made)) == (["shuffled"] if name == "logme" else ["chance"])
    known = made["low"].notna()
    assert (made["low"] <= made["mean"] + 1e-12)[known].all()
    assert (made["mean"] <= made["high"] + 1e-12)[known].all()
    assert pseudo["mean"].shape == (SPLIT.get(name, 30), len(made))
    np.testing.assert_allclose(pseudo["mean"].mean(0), made["mean"], rtol=1e-9)
    figure = measure.figure(made)
    save(figure, tmp_path, name)
    drawn = figure.get_tightbbox()
    assert (drawn.min >= -0.01).all()
    assert (drawn.max <= figure.get_size_inches() + 0.01).all()


@pytest.mark.parametrize("name", QUICK)
def test_what_is_kept_gives_the_same_table_and_figure(featured, name, tmp_path):
    measure = load(name, QUICK[name])
    measured = measure.samples(featured)
    measured.write(tmp_path / "kept.npz", "digits/test", np.arange(measured.samples), {})
    with np.load(tmp_path / "kept.npz") as kept:
        again = Measured.read(kept)
    first, second = (measure.table(each)[0] for each in (measured, again))
    assert first.equals(second)
    measure.figure(second)


def test_accuracies_are_those_of_the_models_and_the_gap_is_their_difference(featured):
    rows = table(featured, "transfer", epochs=300).set_index("quantity")
    train, test = (featured.representations["pretrain"].features(split) for split in ("train", "test"))
    head = LogisticRegression(C=1e6, max_iter=5000).fit(train, featured.train_labels)
    assert rows.loc["fe", "mean"] == pytest.approx(head.score(test, featured.labels), abs=0.07)
    assert rows.loc["fe_converged", "mean"] == featured.outcomes["pretrain"].correct[:, -1].mean()
    assert rows.loc["ft", "mean"] == featured.outcomes["finetune"].correct[:, -1].mean()
    gap = rows.loc["fe_converged", "mean"] - rows.loc["fe", "mean"]
    assert rows.loc["fe_gap", "mean"] == pytest.approx(gap)
    assert rows.loc["source", ["mean", "low", "high"]].tolist() == pytest.approx([0.75, 0.6857, 0.8050], abs=1e-4)
    assert rows.loc["ft", "chance"] == pytest.approx(8 / 30)


def test_too_few_steps_show_in_the_gap(featured):
    """The converged layer is given; here it is right everywhere."""
    featured.outcomes["pretrain"].correct[:] = 1
    few, many = (table(featured, "transfer", iterations=count, epochs=999, lr=0.003).set_index("quantity")["mean"]
                 for count in (1, 600))  # fmt: skip
    assert few["fe_gap"] > many["fe_gap"] + 0.1


def test_every_class_counts_the_same_in_the_macro_average(featured):
    correct = featured.outcomes["finetune"].correct[:, -1]
    expected = np.mean([correct[featured.labels == label].mean() for label in range(4)])
    rows = table(featured, "transfer", average="macro").set_index("quantity")
    assert rows.loc["ft", "mean"] == pytest.approx(expected)
    assert rows.loc["ft", "mean"] != pytest.approx(correct.mean())
    assert rows.loc["ft", "chance"] == 0.25


def test_without_predictions_or_a_pre_training_of_ours_their_rows_are_not_there(featured):
    featured.outcomes, featured.source = {}, featured.source._replace(accuracy=np.nan, inputs=0)
    assert table(featured, "transfer")["quantity"].tolist() == ["fe"]


def test_what_given_models_say_of_the_test_set_stands_for_predictions_of_a_training(featured):
    featured.outcomes = {}
    said = np.eye(4, dtype=np.float32)[featured.labels]
    said[:6] = said[:6, ::-1]
    write_archive(file_of(featured.representations["finetune"].folder, LOGITS, "test"), features=said)
    rows = table(featured, "transfer").set_index("quantity")["mean"]
    assert "fe_converged" not in rows
    assert rows["ft"] == pytest.approx(24 / 30)


@pytest.mark.parametrize("scope", ["train", "batch"])
def test_components_have_the_dimensions_of_the_spectrum(featured, scope):
    rows = table(featured, "spectrum", scope=scope, share=0.7, batch_size=8).set_index(
        ["model", "quantity", "component"]
    )["mean"]
    for model in ("pretrain", "finetune"):
        values = decomposed(featured.representations[model].features("train")).values
        if scope == "train":
            assert rows[model, "dimension", "main"] == count_of(values, 0.7)
        rank = 12 if scope == "train" else 8  # of 40 samples in batches of 8
        assert rows[model, "dimension", "main"] + rows[model, "dimension", "residual"] == rank
        assert len(values) == 12
        assert 1 < rows[model, "effective_rank", "all"] < 12
        assert rows[model, "accuracy", "all"] >= rows[model, "accuracy", "residual"]


def test_what_only_the_main_directions_know_the_residual_does_not(featured):
    """Classes on four strong axes, noise on eight weak ones."""
    draw = np.random.default_rng(3)
    kept = {}
    for split, labels in (("train", featured.train_labels), ("test", featured.labels)):
        kept[split] = np.concatenate([9 * np.eye(4)[labels], 0.5 * draw.normal(size=(len(labels), 8))], 1)
    of = type("Kept", (), {"features": lambda self, split, layer: kept[split].astype(np.float32)})()
    featured.representations = {"pretrain": of}
    rows = table(featured, "spectrum", epochs=100).set_index(["quantity", "component"])["mean"]
    assert rows["dimension", "main"] == 4
    assert rows["accuracy", "main"] == rows["accuracy", "all"] == 1
    assert rows["accuracy", "residual"] < 0.6 < rows["accuracy", "random_main"]


def test_published_numbers_stand_beside_ours_where_the_epoch_is_theirs(featured):
    paper = {3: {"pretrain": [96.47, 88.24, 55.45]}, 200: {"pretrain": [1, 2, 3]}}
    rows = table(featured, "spectrum", paper=paper).set_index(["model", "quantity", "component"])["paper"]
    assert rows["pretrain", "accuracy"].dropna().to_dict() == {"all": 0.9647, "main": 0.8824, "residual": 0.5545}
    assert rows.notna().sum() == 3
    assert "paper" not in table(featured, "spectrum", paper={200: {"pretrain": [1, 2, 3]}})


def test_scores_are_those_of_the_formulas_on_the_training_set(featured):
    kept, labels = featured.representations["pretrain"], featured.train_labels
    rows = table(featured, "logme").set_index("score")
    assert rows.loc["logme", "mean"] == logme(kept.features("train"), labels)
    assert rows.loc["h_score", "mean"] == h_score(kept.features("train"), labels)
    assert rows.loc["leep", "mean"] == pytest.approx(
        leep(softmax(kept.logits("train").astype(float), 1), labels).mean()
    )
    assert (rows["shuffled"] < rows["mean"]).all()
    assert rows.loc[["logme", "h_score"], "low"].isna().all()


def test_without_a_head_for_the_source_task_there_is_no_leep(study_of, with_features, featured):
    features = featured.representations["pretrain"].folder
    for file in features.glob("source_logits_*"):
        file.unlink()
    assert table(featured, "logme")["score"].tolist() == ["logme", "h_score", "knn"]


def test_t_sne_keeps_classes_apart_that_the_features_keep_apart(featured):
    rows = table(featured, "tsne").set_index(["model", "quantity"])
    assert rows.loc[("finetune", "neighbours_features"), "mean"] == 1
    assert rows.loc[("finetune", "neighbours_plane"), "mean"] > 0.85
    assert rows.loc[("pretrain", "neighbours_features"), "chance"] == pytest.approx(0.2511, abs=1e-4)
    few = found(featured, "tsne", points=12, perplexity=30)
    assert few.samples == len(few.about["index"]) == 12
    assert float(few.about["perplexity"]) == pytest.approx(11 / 3), "no more than a third of the points"


def constant(study, model):
    folder = study.representations[model].folder
    for split, count in (("train", 40), ("test", 30)):
        write_archive(file_of(folder, "penultimate", split), features=np.zeros((count, 12), np.float32))


def test_of_features_that_are_all_equal_there_is_no_picture_and_all_else_is_drawn(featured, tmp_path):
    constant(featured, "pretrain")
    assert next(iter(found(featured, "tsne").observed)) == "plane/finetune"
    for name in ("spectrum", "transfer", "logme"):
        made = table(featured, name)
        save(load(name, {}).figure(made), tmp_path, name)
    constant(featured, "finetune")
    assert "no model whose features differ" in load("tsne", {}).lacking(featured)


def test_one_feature_alone_can_be_drawn(featured):
    folder = featured.representations["pretrain"].folder
    write_archive(file_of(folder, "one", "test"), features=np.arange(30, dtype=np.float32)[:, None])
    featured.representations.pop("finetune")
    assert found(featured, "tsne", layer="one").observed["plane/pretrain"].shape == (30, 2)


def test_a_picture_is_drawn_of_the_chosen_epochs_alone(featured):
    assert load("tsne", {"epochs": [3]}).lacking(featured) == ""
    assert "no picture of epoch 3" in load("tsne", {"epochs": [1, 20]}).lacking(featured)


@pytest.mark.parametrize(("name", "options", "message"), [
    ("logme", {"layer": "block9"}, r"logme\.layer=block9 is not allowed: representations\.layers has penultimate"),
    ("spectrum", {"layer": "block9"}, r"analysis\.options\.spectrum\.layer=block9"),
])  # fmt: skip
def test_a_layer_that_is_not_represented_is_refused(name, options, message):
    with pytest.raises(BadInput, match=message):
        load(name, options).check(SIZES)


@pytest.mark.parametrize("name", QUICK)
def test_what_does_not_fit_into_memory_is_refused_beforehand(name):
    measure = load(name, QUICK[name])
    measure.check(SIZES)
    with pytest.raises(BadInput, match=f"analysis\\.measures={name} is not allowed: it needs .* of memory"):
        measure.check(Sizes(10**8, 10**8, {"penultimate": 10**5}, 4) if name != "tsne" else
                      SIZES._replace(test=10**8, widths={"penultimate": 10**5}))  # fmt: skip


def test_there_are_as_many_neighbours_as_others_at_most(featured):
    rows = table(featured, "logme", neighbours=1000).set_index("score")["mean"]
    assert rows["knn"] == table(featured, "logme", neighbours=39).set_index("score")["mean"]["knn"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("name", "value"), [
    *((name, value) for name in ("logme", "spectrum", "transfer") for value in (np.nan, 0.0)), ("logme", np.inf)
])  # fmt: skip
def test_numbers_that_say_nothing_are_drawn(featured, name, value, tmp_path):
    empty = table(featured, name)
    accuracies = empty.get("quantity", pd.Series("accuracy", empty.index)) == "accuracy"  # others are counts
    empty.loc[accuracies | (name == "transfer"), list(empty.select_dtypes("number"))] = value
    figure = load(name, {}).figure(empty)
    save(figure, tmp_path, name)
    assert np.isfinite([[*axes.get_xlim(), *axes.get_ylim()] for axes in figure.axes]).all()


@pytest.mark.parametrize("paper", [
    {2: {"pretrain": [96, "abc", 3]}}, {2: {"pretrain": [96, 88]}}, {2: {"pretrain": [1, 2, 3, 4]}},
    {2: {"finetun": [1, 2, 3]}}, {"late": {"pretrain": [1, 2, 3]}}, {2: [1, 2, 3]}, {2: {"pretrain": [1, 2, 101]}},
])  # fmt: skip
def test_numbers_of_a_paper_in_another_form_are_refused(paper):
    with pytest.raises(BadInput, match=r"analysis\.options\.spectrum\.paper=.* is not allowed: .*a paper's accuracies"):
        load("spectrum", {"paper": paper})


def test_a_plan_knows_what_measures_take():
    few, many = (load("spectrum", {}).check(SIZES._replace(train=count)) for count in (100, 60_000))
    assert many.least > 100 * few.least
    assert load("transfer", {"iterations": 10}).check(SIZES).most < load("transfer", {}).check(SIZES).most


def test_too_few_test_samples_for_a_picture_are_refused():
    with pytest.raises(BadInput, match="tsne needs 12 test samples, and there are 11"):
        load("tsne", {}).check(SIZES._replace(test=11))


def test_a_rate_at_which_training_diverges_is_named(featured):
    with pytest.raises(BadInput, match=r"lower analysis\.options\.transfer\.lr"):
        found(featured, "transfer", optimizer="sgd", lr=1e38, epochs=20)


@pytest.mark.parametrize("name", QUICK)
def test_without_features_it_is_left_out(study_of, name):
    study = study_of(*np.random.default_rng(0).normal(size=(1, 6, 16)), [], [])
    assert "with features" in load(name, {}).lacking(study)

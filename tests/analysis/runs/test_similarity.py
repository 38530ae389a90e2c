"""What runs of several conditions say together on the similarity of layers, on tables that are made by hand."""

import numpy as np
import pandas as pd
import pytest

from analysis.claims import MET, NOT_MET, overall
from analysis.runs import retrained as of_retrained
from analysis.runs.chosen_conditions import chosen as picked_of
from analysis.runs.conditions import Cell, Condition, Conditions, condition_of, conditions
from analysis.runs.retrained import retrained
from analysis.runs.settings import in_order
from analysis.runs.similarity_answer import answer
from analysis.runs.similarity_claims import claims, ways
from analysis.runs.similarity_table import similarity

LAYERS = ("block1", "block2", "block3", "block4", "logits")
PAIRS = (("pretrain", "initial"), ("finetune", "pretrain"), ("finetune", "initial"), ("scratch", "initial"))
RANDOM = np.array([1.0, 0.999, 0.99, 0.93, 0.6])
CIFAR, SVHN = "data.vision.cifar10", "data.vision.svhn"
# How much less than 1 the CKA of early layers is, in the paper's story: from scratch, in fine-tuning, with the initial.
STORY = {"original": (0.20, 0.02, 0.20), "d=4": (0.12, 0.10, 0.20), "d=9": (0.05, 0.30, 0.10),
         "shifted": (0.20, 0.06, 0.20), "svhn": (0.20, 0.08, 0.20), "few": (0.01, 0.30, 0.10)}  # fmt: skip
SETTINGS = {"original": {}, "d=4": {"data.labels.random": 4}, "d=9": {"data.labels.random": 9},
            "shifted": {"data.labels.shift": 1}, "svhn": {"data.target.files.files._target_": SVHN},
            "few": {"data.labels.random": 9, "data.target.train_samples": 50}}  # fmt: skip


def layered(moved, layers=LAYERS, last=0.5):
    """CKA that falls from the early layers, which move by this much, to the last one."""
    before = 1 - moved * np.linspace(0.8, 1.2, len(layers) - 1)
    return np.append(before, last)


def table(values: dict, random=None, layers=LAYERS) -> pd.DataFrame:
    """values: of each pair the CKA of each layer at the last epoch."""
    rows, level = [], RANDOM if random is None else random
    for (model, against), last in values.items():
        for epoch, each in ((0, np.ones(len(layers))), (3, last)):
            rows += [("cka", model, against, layer, epoch, value, level[at] if epoch else 1.0)
                     for at, (layer, value) in enumerate(zip(layers, each, strict=True))]  # fmt: skip
        rows += [("calibrated", model, against, layer, 3, 0.9, np.nan) for layer in layers]
    found = pd.DataFrame(rows, columns=["quantity", "model", "against", "layer", "epoch", "mean", "random"])
    found["random_excess"] = found["mean"] - found["random"]
    for name, of in (
        ("low", "mean"),
        ("high", "mean"),
        ("random_low", "random_excess"),
        ("random_high", "random_excess"),
    ):
        found[name] = found[of] + (0.01 if name.endswith("high") else -0.01)
    order = ["mean", "low", "high", "random", "random_excess", "random_low", "random_high"]
    return found[["quantity", "model", "against", "layer", "epoch", *order]]


def trained(**accuracy: float) -> pd.DataFrame:
    """How trainings went: the accuracy on the training set at the last epoch, which all are far from before."""
    rows = [(model, quantity, epoch, last if (quantity, epoch) == ("train_accuracy", 3) else 0.2)
            for model, last in accuracy.items()
            for quantity in ("train_accuracy", "test_accuracy") for epoch in (3, 1)]  # fmt: skip
    return pd.DataFrame(rows, columns=["model", "quantity", "epoch", "mean"])


def story(condition: str, noise) -> dict:
    scratch, start, initial = STORY[condition]
    each = {("pretrain", "initial"): layered(0.2), ("finetune", "pretrain"): layered(start),
            ("finetune", "initial"): layered(initial), ("scratch", "initial"): layered(scratch, last=0.4)}  # fmt: skip
    return {pair: values + noise(len(values)) for pair, values in each.items()}


@pytest.fixture
def runs_of(run_of):
    """runs_of(("original", "d=9"), seeds=5): a run of each condition and seed, that tells the paper's story."""

    def make(names=tuple(STORY), seeds=5, scale=0.003, values=story, only=PAIRS, kept=None, random=None, layers=LAYERS,
             learned=None, **settings):  # fmt: skip
        """learned: of a condition its training accuracy from scratch; of fine-tuning it is 1."""
        draw = np.random.default_rng(1)
        made = []
        for name in names:
            for seed in range(seeds):
                found = values(name, lambda count: draw.normal(scale=scale, size=count))
                tables = {"cka": table({pair: found[pair] for pair in only}, random, layers)}
                if learned:
                    tables["training"] = trained(finetune=1.0, scratch=learned.get(name, 1.0))
                given = {"data.labels.random": 0, "data.labels.shift": 0, "data.target.train_samples": 500,
                         "data.source.files._target_": CIFAR, "data.target._target_": "data.images.task",
                         "data.target.files.files._target_": CIFAR, "data.source._target_": "data.images.task",
                         "condition": name, **settings, **SETTINGS[name]}  # fmt: skip
                own = {"cka": kept(tables["cka"], name, seed)} if kept else {}
                made.append(run_of(given, {}, pretrain=seed, train=seed, tables=tables, kept=own, chosen=["condition"]))
        return in_order(made)

    return make


@pytest.fixture
def judged(runs_of):
    """judged(...): the claims of the runs that runs_of(...) makes, by key."""

    def make(*names, **arguments):
        found = claims(conditions(*runs_of(*([names] if names else []), **arguments)))
        return found.set_index(found["key"].str.removeprefix("similarity/"))

    return make


def test_the_papers_story_meets_the_papers_claims(judged):
    found = judged()
    measured = found[found.index.str.endswith("/measured")]
    assert set(measured["verdict"]) == {MET}
    assert list(measured.index) == [
        f"{key}/measured" for key in (
            "early/pretrain", "early/scratch", "early/finetune", "labels/scratch", "labels/scratch/graded",
            "labels/finetune", "labels/finetune/graded", "unlearned", "few/less", "few/only", "between/shifted/more",
            "between/shifted/less", "between/domain/more", "between/domain/less", "penultimate", "closer/original",
            "closer/shifted", "closer/domain", "closer/random")
    ]  # fmt: skip
    early = found.loc["labels/scratch/measured"]
    assert early["mean"] == pytest.approx((0.20 - 0.05) * (0.8 + 0.8 + 0.4 / 3) / 2, abs=0.005)
    assert early["runs"] == 10
    assert (
        early["quantity"]
        == "CKA of early layers (block1, block2), from scratch against initial: random - original labels"
    )
    assert (
        "as many epochs, so that the fewest are also trained for fewer steps"
        in found.loc["few/less/measured", "quantity"]
    )
    assert set(found["setting"]) == {"over conditions"}


def test_early_layers_that_a_random_move_leaves_as_well_are_no_news(judged):
    """They move less than later ones, and so they do if weights move at random: the excess comes first."""
    found = judged(
        "original", values=lambda name, noise: {pair: RANDOM - 0.01 + noise(5) for pair in PAIRS}, scale=0.001
    )
    rows = found[found["claim"] == "early layers move less than later ones, from scratch"]
    assert list(rows.index)[:2] == ["early/scratch/excess", "early/scratch/measured"]
    assert rows["verdict"].iloc[:2].tolist() == ["undecided", MET]
    assert overall(rows) == "undecided"
    turned = judged("original", values=lambda name, noise: {
        pair: RANDOM - [0.05, 0.05, 0, 0, 0] + noise(5) for pair in PAIRS}, scale=0.001)  # fmt: skip
    rows = turned[turned["claim"] == "early layers move less than later ones, from scratch"]
    assert overall(rows) == "depends on how it is counted"


def test_layers_stand_by_themselves_only_where_they_are_decided_otherwise(judged):
    assert not judged(scale=0.0005).index.str.contains("/block").any()

    def apart(name, noise):
        found = story(name, noise)
        found["scratch", "initial"][1] = 0.9 + (name == "original") * 0.05 + noise(1)[0]
        return found

    found = judged("original", "d=9", values=apart)
    rows = found[found.index.str.startswith("labels/scratch/")]
    assert rows["verdict"].to_dict() == {
        "labels/scratch/excess": MET, "labels/scratch/measured": MET, "labels/scratch/excess/block2": NOT_MET
    }  # fmt: skip
    assert rows["quantity"].iloc[2].startswith("CKA of block2, from scratch")
    assert overall(rows) == "depends on how it is counted"


@pytest.mark.parametrize(("level", "noise", "main", "verdicts", "whole"), [
    (0.0, 0.0, "excess", {MET}, MET),
    (-0.12, 0.0, "excess", {"undecided", MET}, "undecided"),
    (-0.3, 0.0, "excess", {NOT_MET, MET}, "depends on how it is counted"),
    (0.0, 0.3, "measured", {MET, "undecided"}, "undecided"),
])  # fmt: skip
def test_a_claim_is_decided_as_measured_and_beyond_a_random_move(runs_of, level, noise, main, verdicts, whole):
    """From scratch, random labels move early layers by 0.13 less, and by so much less a random move takes them, too.
    noise: what varies in both."""
    runs, draw = runs_of(("original", "d=9"))[0], np.random.default_rng(2)
    for run in runs:
        of, both = run.tables["cka"], noise * draw.normal()
        here = (of["model"] == "scratch") & (of["layer"] != "logits")
        of["mean"] += here * both
        of["random"] += here * (both + (run.settings["condition"] == "original") * level + 0.03 * draw.normal())
        of["random_excess"] = of["mean"] - of["random"]
    found = conditions(*in_order(runs))
    judged = claims(found)
    rows = judged[judged["key"].str.startswith("similarity/labels/scratch/")]
    assert rows["key"].iloc[0] == f"similarity/labels/scratch/{main}", "what is undecided comes first"
    assert set(rows["verdict"].iloc[:2]) == verdicts
    assert overall(rows) == whole
    decided = answer(found, judged).partition("Undecided: ")[0].partition("Depends on")[0]
    assert ("less early layers move from scratch (" in decided) == (whole == MET)


def test_models_that_do_not_differ_meet_neither_a_claim_nor_its_contrary(judged):
    def same(name, noise):
        return {pair: np.full(5, 0.9) for pair in PAIRS} | {PAIRS[0]: story(name, noise)[PAIRS[0]]}

    found = judged("original", "d=9", values=same)
    for key in ("labels/scratch", "labels/finetune", "closer/original"):
        rows = found[found.index.str.startswith(f"{key}/")]
        assert set(rows["verdict"]) == {"not measurable"}, key
        assert set(rows["why"]) == {"the models do not differ"}
    assert found.loc["early/pretrain/measured", "verdict"] == MET


def test_random_labels_that_were_not_learned_tell_nothing(judged, runs_of):
    why = "random labels were not learned by heart (training accuracy 0.39)"
    found = judged(learned={"d=9": 0.39})
    assert set(found.index[found["why"] == why]) == {f"{key}/measured" for key in (
        "labels/scratch", "unlearned", "few/less")}, "what is fine-tuned has learned them"  # fmt: skip
    assert set(found.loc[found["why"] != "", "why"]) == {why}
    assert set(judged(learned={"d=9": 0.91})["why"]) == {""}
    graded = judged(learned={"d=4": 0.39})
    assert graded.index[graded["why"] == why].tolist() == ["labels/scratch/graded/measured"]
    few = judged(learned={"few": 0.39})
    assert few.index[few["why"] == why].tolist() == ["few/less/measured", "few/only/measured"]
    whole = conditions(*runs_of(learned={"d=9": 0.39}))
    said = answer(whole, claims(whole))
    assert f" 3 claims are not measurable: {why}." in said
    assert "less early layers move from scratch" not in said


def test_what_is_missing_is_said_where_there_are_two_conditions(judged):
    found = judged("original", "shifted")
    lacking = found[found["verdict"] == "not measurable"]["why"].to_dict()
    assert lacking["labels/scratch/measured"].startswith("it needs runs with random labels")
    assert lacking["penultimate/measured"] == "it needs runs on another data set than that of the pre-training"
    assert lacking["few/only/measured"].startswith("it needs runs with random labels on several numbers")
    assert found.loc["between/shifted/more/measured", "verdict"] == MET
    alone = judged("original")
    assert set(alone.index.str.split("/").str[0]) == {"early", "closer"}
    assert "not measurable" not in set(alone["verdict"])


def test_models_that_no_run_has_are_not_spoken_of(judged):
    found = judged("original", "d=9", only=PAIRS[-1:])
    keys = {"early/scratch", "labels/scratch", "few/less", "few/only"}
    assert set(found.index.str.split("/").str[:2].str.join("/")) == keys
    without = judged("original", "d=9", only=(PAIRS[1], PAIRS[3]))
    assert without.loc["closer/original/measured", "why"] == "no run has finetune against initial there"


@pytest.mark.parametrize(("change", "why"), [
    ({"finetune.lr": 0.1}, "the runs differ in finetune.lr as well: summarise those of one alone"),
    ({"data.target.augment": "none"}, "the runs differ in data.target.augment as well: summarise those of one alone"),
])  # fmt: skip
def test_a_sweep_over_anything_else_makes_no_claims(run_of, runs_of, change, why):
    runs = runs_of(("original",), seeds=2)[0]
    chosen = ["condition", *change]
    more = [run_of(run.settings | change, {}, pretrain=seed, train=seed, tables=run.tables, chosen=chosen)
            for seed, run in enumerate(runs)]  # fmt: skip
    found = conditions(*in_order([*runs, *more]))
    assert found.lacks == why
    assert claims(found).empty
    assert answer(found, claims(found)) == ""


def test_runs_that_compare_no_layers_are_not_concerned(run_of):
    assert conditions(*in_order([run_of({"data.labels.random": d}, {}) for d in (0, 9)])) is None


def test_conditions_are_told_by_settings(runs_of):
    runs, settings = runs_of(seeds=1)
    named = {run.settings["condition"]: condition_of(run) for run in runs}
    assert named["few"].samples == 50
    assert [named[name].data for name in ("original", "svhn")] == [CIFAR, SVHN]
    picked = picked_of(conditions(runs, settings))
    names = {
        "original": "original",
        "random": "d=9",
        "shifted": "shifted",
        "domain": "svhn",
        "few": "few",
        "many": "d=9",
    }
    assert picked == {name: named[of] for name, of in names.items()}


def test_where_all_is_another_domain_it_is_the_data_set_that_claims_speak_of(runs_of):
    """A source of its own, as rendered characters: there is no original data set to compare another one with."""
    found = conditions(*runs_of(("original", "d=9"), **{"data.source.files._target_": "data.embedded.glyphs"}))
    assert set(picked_of(found)) == {"original", "random"}


def test_replicates_have_a_run_of_every_condition(runs_of):
    runs, _ = runs_of(("original", "d=9"))
    found = claims(conditions(*in_order(runs[:-1]))).set_index("key")
    assert found.loc["similarity/labels/scratch/measured", "runs"] == 8
    assert found.loc["similarity/early/scratch/measured", "runs"] == 5


def test_seeds_that_change_nothing_are_no_replicates(judged):
    """Five pre-trainings, one training from scratch: it is known once."""

    def same(name, noise):
        return story(name, noise) | {PAIRS[-1]: story(name, np.zeros)[PAIRS[-1]]}

    found = judged("original", "d=9", values=same)
    assert found.loc["labels/finetune/measured", "verdict"] == MET
    row = found.loc["labels/scratch/measured"]
    assert [row["verdict"], row["why"]] == [
        "undecided",
        f"{row['mean']:.3g} with one combination of seeds, no interval",
    ]


def test_seeds_that_agree_by_luck_are_known_only_as_well_as_their_inputs_tell(judged):
    draw = np.random.default_rng(5)

    def kept(table, name, seed):
        each = table["mean"].to_numpy() + 3 * draw.normal(size=(60, len(table)))
        return {"rows/mean": each, "data": np.array(name), "index": np.arange(60)}

    sure, unsure = (judged("original", "svhn", scale=1e-4, kept=of) for of in (None, kept))
    assert sure.loc["between/domain/more/measured", "verdict"] == MET
    assert unsure.loc["between/domain/more/measured", "verdict"] == "undecided"


@pytest.mark.parametrize("count", [5, 18])
def test_where_conditions_do_not_differ_claims_are_met_no_more_often_than_an_interval_allows(count):
    """CKA falls from layer to layer as a random move lets it fall, in all conditions alike."""
    layers = [*(f"block{at}" for at in range(1, count)), "logits"]
    level, draw = 1 - 0.4 * np.linspace(0, 1, count) ** 2, np.random.default_rng(3)
    worlds = [Condition(9, 0, CIFAR, 500.0), Condition(0, 1, CIFAR, 500.0), Condition(0, 0, SVHN, 500.0)]
    cells = [Cell(each, *pair) for each in (Condition(0, 0, CIFAR, 500.0), *worlds) for pair in PAIRS]
    verdicts: dict[str, list[str]] = {}
    for _ in range(400 // count):
        values = level + draw.normal(scale=0.02, size=(len(cells), 4, 1)) * (1.1 - level)
        values += draw.normal(scale=0.01, size=(len(cells), 4, count))
        both = {name: {cell: dict(zip("abcd", each, strict=True)) for cell, each in zip(cells, of, strict=True)}
                for name, of in (("mean", values), ("random_excess", values - level))}  # fmt: skip
        for way in ways(Conditions(both, layers, CIFAR, {cell.condition: 4 for cell in cells})):
            if not way.why and way.key.endswith(("/measured", "/excess")):
                verdicts.setdefault(way.key, []).append(way.judged.verdict)
    assert all(set(each) == {MET} for key, each in verdicts.items() if key.startswith("early/") and "measured" in key)
    others = [each for key, each in verdicts.items() if not (key.startswith("early/") and "measured" in key)]
    rates = [np.mean([[verdict == which for verdict in each] for each in others]) for which in (MET, NOT_MET)]
    assert len(others) == 27
    assert max(rates) < 0.04, "2.5 % on either side"
    assert min(rates) > 0.01, "it happens"


def test_the_answer_says_first_what_is_met_and_what_is_not_decided_last(runs_of):
    found = conditions(*runs_of())
    said = answer(found, claims(found))
    beyond = "in brackets how far CKA is apart beyond a random move of the weights: "
    assert said.startswith(f"Met, {beyond}early layers (block1, block2) move less than later ones, from scratch (0.")
    assert "; the more random the labels, the more early layers move in fine-tuning (0.2" in said
    assert "; the fine-tuned model is closer to the initial than to the pre-trained one (random labels) (0." in said
    assert "the last layer moves from scratch (the one before it that moves most moves 0.0" in said
    assert said.endswith("This is known over 30 runs, 5 combinations of seeds: other pre-trainings on the same data.")
    assert said.count(". ") < 6
    noisy = conditions(*runs_of(("original", "shifted"), scale=0.5))
    said = answer(noisy, claims(noisy))
    assert "Undecided: " in said
    assert "shifted labels move early layers more than the original ones" in said.partition("Undecided: ")[2]
    contrary = {"original": "d=9", "d=9": "original"}
    turned = conditions(*runs_of(tuple(contrary), values=lambda name, noise: story(contrary[name], noise)))
    said = answer(turned, claims(turned)).partition(f"The contrary is met, {beyond}")[2]
    assert "the more random the labels, the less early layers move in fine-tuning (0.2" in said
    alone = conditions(*runs_of(("original",), seeds=1))
    assert "one combination of seeds: what others would give, it does not say." in answer(alone, claims(alone))


def test_the_table_has_mean_standard_error_interval_and_levels(runs_of):
    runs, settings = runs_of(("original", "d=9"), seeds=4)
    others = {str(run.folder): {"block1": 0.9} for run in runs[:4]}
    found = similarity(runs, settings, others)
    assert list(found)[2:] == ["quantity", "model", "against", "layer", "runs", "mean", "standard_error", "low", "high",
                               "random", "another_training"]  # fmt: skip
    assert list(dict.fromkeys(found["quantity"])) == ["cka", "excess", "calibrated"]
    row = found[(found["layer"] == "block1") & (found["model"] == "finetune") & (found["against"] == "pretrain")
                & (found["#"] == 0)].set_index("quantity")  # fmt: skip
    own = [run.tables["cka"].set_index(["quantity", "model", "against", "layer", "epoch"])["mean"]
           ["cka", "finetune", "pretrain", "block1", 3] for run in runs[:4]]  # fmt: skip
    assert row.loc["cka", ["runs", "mean", "standard_error"]].tolist() == pytest.approx(
        [4, np.mean(own), np.std(own, ddof=1) / 2]
    )
    assert row.loc["cka", "high"] - row.loc["cka", "mean"] > row.loc["cka", "standard_error"]
    assert row.loc["excess", "mean"] == pytest.approx(np.mean(own) - 1)
    assert row.loc["cka", "another_training"] == 0.9
    assert found["another_training"].notna().sum() == 1


def test_fine_tunings_from_one_start_are_compared_with_each_other(runs_of, monkeypatch):
    """Runs 0 and 1 share their start, 2 has another one, 3 has the training of run 0."""
    (runs, settings), folders = runs_of(("original",), seeds=4), {}
    digests = [("a", "x"), ("a", "y"), ("b", "z"), ("a", "x")]
    for run, (start, made) in zip(runs, digests, strict=True):
        folders[run.folder] = {"pretrain": {"digest": start}, "finetune": {"digest": made}}
    monkeypatch.setattr(of_retrained, "recorded", folders.get)
    compared = []
    monkeypatch.setattr(of_retrained, "_cka", lambda one, other: compared.append((one, other)) or {"block1": 0.8})
    found, why = retrained(runs, settings)
    assert [(runs.index(one), runs.index(other)) for one, other in compared] == [(0, 1), (1, 3)]
    assert found == {str(runs[at].folder): {"block1": 0.8} for at in (0, 1, 3)}
    assert why == ""

    def gone(one, other):
        raise FileNotFoundError("last.npz is missing")

    monkeypatch.setattr(of_retrained, "_cka", gone)
    assert retrained(runs, settings) == (
        {}, "another fine-tuning from the same start is not compared: last.npz is missing"
    )  # fmt: skip

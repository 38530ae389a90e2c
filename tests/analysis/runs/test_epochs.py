"""What runs from several epochs of pre-training say together, on tables that are made by hand."""

import numpy as np
import pandas as pd
import pytest

from analysis.runs.epoch_answer import answer, best_epochs
from analysis.runs.epoch_claims import claims
from analysis.runs.epochs import KEY, epoch_of, epochs
from analysis.runs.ranking import ranking
from analysis.runs.settings import in_order

EPOCHS = (1, 2, 5, 10, 20, 40)
MODELS = ("pretrain", "finetune")
COMPONENTS = ("all", "main", "residual", "random_main", "random_residual")
FE = dict(zip(EPOCHS, (0.80, 0.85, 0.90, 0.88, 0.86, 0.84), strict=True))
FT = dict(zip(EPOCHS, (0.90, 0.91, 0.92, 0.93, 0.94, 0.95), strict=True))


def rows(keys: list[str], values: dict[str, float], **levels: float) -> pd.DataFrame:
    parts = [dict(zip(keys, name.split("/"), strict=True)) for name in values]
    means = np.array(list(values.values()), dtype=float)
    return pd.DataFrame(parts).assign(mean=means, low=means - 0.01, high=means + 0.01, **levels)


def tables_of(epoch: float, noise=lambda: 0.0, **changed: float) -> dict[str, pd.DataFrame]:
    """The paper's story at this epoch; changed: other values, of quantities with __ for /."""
    late = np.log(epoch) / np.log(40)
    transfer = {"source": 0.6 + 0.3 * late, "fe": FE[epoch], "fe_converged": FE[epoch] + 0.02, "ft": FT[epoch]}
    spectrum = {f"pretrain/accuracy/{name}": value for name, value in zip(
        COMPONENTS, (FE[epoch], 0.8 - 0.3 * late, 0.5 + 0.2 * late, 0.3, 0.3), strict=True)}  # fmt: skip
    spectrum |= {f"finetune/accuracy/{name}": value for name, value in zip(
        COMPONENTS, (FT[epoch], 0.9, 0.2 + 0.2 * late, 0.3, 0.3), strict=True)}  # fmt: skip
    scores = {"logme": FE[epoch] - 1, "h_score": late, "knn": FT[epoch]}
    every = transfer | spectrum | scores
    every = {name: value + noise() for name, value in every.items()}
    every |= {name.replace("__", "/"): value for name, value in changed.items()}
    sizes = {f"{model}/dimension/{name}": 5 + 20 * late for model in MODELS for name in ("main", "residual")}
    sizes |= {f"{model}/effective_rank/all": 30.0 for model in MODELS}

    def chosen(names):
        return {name: every[name] for name in names if np.isfinite(every[name])}

    return {
        "transfer": rows(["quantity"], chosen(transfer), chance=0.1),
        "spectrum": rows(["model", "quantity", "component"], chosen(spectrum) | sizes, chance=0.1),
        "logme": rows(["score"], chosen(scores)),
    }


@pytest.fixture
def runs_of(run_of):
    """runs_of(seeds=3, changed=lambda epoch, seed: {"ft": 0.9}): a run of each epoch and seed."""

    def make(seeds=3, at=EPOCHS, scale=0.002, changed=lambda epoch, seed: {}, leave_out=(), only=None, kept_of=None,
             **settings):  # fmt: skip
        draw = np.random.default_rng(1)
        made = []
        for epoch in at:
            for seed in range(seeds):
                tables = tables_of(epoch, lambda: draw.normal(scale=scale), **changed(epoch, seed))
                if (epoch, seed) in leave_out:
                    continue
                given = {KEY: epoch} | {key: value(epoch) for key, value in settings.items()}
                tables = {name: tables[name] for name in only or tables}
                kept = {name: kept_of(table, seed) for name, table in tables.items()} if kept_of else {}
                made.append(run_of(given, {}, pretrain=seed, tables=tables, kept=kept))
        return in_order(made)

    return make


@pytest.fixture
def judged(runs_of):
    """judged(...): the claims of the runs that runs_of(...) makes, by key."""

    def make(**arguments):
        found = claims(epochs(*runs_of(**arguments)))
        return found.set_index(found["key"].str.removeprefix("epochs/"))

    return make


def test_the_papers_story_meets_the_papers_claims(judged):
    found = judged(seeds=5)
    met = found[found["verdict"] == "met"].index
    assert {"best/fe", "best/fe_converged", "fall/fe", "fall/fe_converged", "ft_rises/source", "main/beyond",
            "main/measured", "residual/beyond", "residual/measured", "residual/falls", "residual/kept",
            "logme/ft"} <= set(met)  # fmt: skip
    assert found.loc["best/fe", "mean"] == 35
    assert found.loc["fall/fe", "mean"] == pytest.approx(0.06, abs=0.005)
    assert found.loc["residual/falls", "mean"] == pytest.approx(0.3, abs=0.01)
    assert found.loc["main/beyond", ["mean", "above", "below"]].tolist()[0] < -0.9
    assert (found["runs"] == 30).all()


def test_seeds_that_agree_by_luck_do_not_show_a_fall(judged):
    """Both fall by the same, but each is known of 50 images only."""
    story = {"scale": 0.0, "seeds": 2, "changed": lambda epoch, seed: {"fe": FE[epoch] + seed / 100,
             "finetune__accuracy__residual": 0.2 + seed / 100}}  # fmt: skip

    draw = np.random.default_rng(7)

    def kept(same):
        def of(table, seed):
            each = table["mean"].to_numpy() + 0.4 * draw.normal(size=(50, len(table)))
            return {"rows/mean": each, "data": np.array("digits"), "index": np.arange(50) + 50 * seed * (not same)}

        return of

    keys = ["fall/fe", "residual/falls"]
    sure = judged(**story)
    assert sure.loc[keys, "verdict"].tolist() == ["met", "met"]
    assert sure.loc[keys[0], "high"] - sure.loc[keys[0], "low"] < 1e-9
    for same in (True, False):
        found = judged(**story, kept_of=kept(same))
        assert found.loc[keys[0], "verdict"] == "undecided"
        assert (found.loc[keys, "high"] > found.loc[keys, "low"] + 0.1).all()
        assert (found.loc[keys, "low"] >= -1).all()


def test_where_the_last_epoch_is_best_there_is_nothing_to_fall_from(runs_of):
    found = epochs(*runs_of(changed=lambda epoch, seed: {"fe": 0.5 + epoch / 100 + seed / 1e3}))
    judged = claims(found)
    row = judged.set_index("key").loc["epochs/fall/fe"]
    assert [row["verdict"], row["why"]] == [
        "undecided",
        "the best epoch is the last one: there is nothing to fall from",
    ]
    assert "FE with a fixed number of steps has its best epoch at the end: there is nothing to fall from." in answer(
        found, best_epochs(found), judged, ranking(found)
    )


def test_intervals_stay_within_what_is_possible(judged):
    draw = np.random.default_rng(3)
    found = judged(seeds=2, at=(1, 2, 5), scale=0.0,
                   changed=lambda *_: {"fe": draw.random(), "ft": draw.random(), "logme": draw.random()})  # fmt: skip
    taus = found.filter(regex="^logme_(source|epoch)/", axis=0)
    assert taus["low"].min() == -2
    assert (taus[["low", "high"]].abs() <= 2).all(axis=None)
    assert found.loc["best/fe", ["low", "high"]].tolist() == [-4, 4]


def test_logme_that_ranks_fe_is_said_to_do_so(judged):
    found = judged(seeds=5)
    assert found.loc["logme/fe", "verdict"] == "not met", "its tau is nearly 1"
    assert found.loc["logme_inverse/fe", "verdict"] == "not met"
    assert found.loc[["logme_source/fe", "logme_epoch/fe"], "verdict"].tolist() == ["met", "met"]
    assert found.loc[["logme_source/ft", "logme_epoch/ft"], "verdict"].tolist() == ["not met", "not met"]
    against = judged(seeds=5, changed=lambda epoch, _: {"logme": -FE[epoch]})
    assert against.loc[["logme/fe", "logme_inverse/fe"], "verdict"].tolist() == ["met", "met"]


def test_four_epochs_are_too_few_for_an_order_to_be_shown(judged):
    """All seeds agree, and so would 1 of 12 orders of the epochs: 24 orders, forwards and backwards."""
    found = judged(seeds=5, at=(1, 5, 20, 40), changed=lambda epoch, _: {"fe": epoch, "logme": epoch})
    row = found.loc["ft_rises/source"]
    assert row["low"] > 0
    assert row["p_orders"] == pytest.approx(2 / 24)
    assert row["verdict"] == "undecided"
    assert np.isnan(found.loc["best/fe", "p_orders"])
    assert np.isnan(found.loc["logme/fe", "p_orders"]), "that 3 of 4 pairs are in order is no order against another"


def test_every_claim_has_a_key_of_its_own_that_does_not_change(judged):
    found = judged()
    assert not found.index.duplicated().any()
    assert list(found.index) == [
        "best/fe", "best/fe_converged", "fall/fe", "fall/fe_converged", "ft_rises/source", "main/beyond",
        "main/measured", "residual/beyond", "residual/measured", "residual/falls", "residual/kept", "logme/fe",
        "logme/fe_converged", "logme_inverse/fe", "logme_inverse/fe_converged", "logme_source/fe",
        "logme_source/fe_converged", "logme_epoch/fe", "logme_epoch/fe_converged", "logme/ft", "logme_inverse/ft",
        "logme_source/ft", "logme_epoch/ft",
    ]  # fmt: skip


def test_components_count_beyond_a_random_subspace_first(judged):
    """F_r gets better as any subspace does that has as many dimensions."""
    found = judged(seeds=5, changed=lambda epoch, _: {"pretrain__accuracy__random_residual": 0.1 + 0.01 * epoch})
    assert found.loc["residual/measured", "verdict"] == "met"
    assert found.loc["residual/beyond", "verdict"] != "met"


def test_without_a_source_accuracy_ft_goes_with_the_epoch_and_says_so(judged):
    found = judged(changed=lambda *_: {"source": np.nan})
    assert "ft_rises/source" not in found.index
    assert "no run has a source accuracy" in found.loc["ft_rises/epoch", "quantity"]
    assert found.loc["ft_rises/epoch", "verdict"] == "met"
    assert "logme_source/fe" not in found.index


def test_what_is_constant_is_not_measurable(judged):
    found = judged(changed=lambda *_: {"ft": 0.99, "logme": -1.0})
    constant = ["best/fe", "ft_rises/source", "logme/fe", "logme/ft"]
    assert found.loc[constant, "verdict"].tolist() == ["not measurable"] * 4
    assert (found.loc[constant, "why"] == "it is the same at all epochs").all()
    assert found.loc["fall/fe", "why"] == ""


def test_a_single_replicate_decides_nothing_and_says_why(judged):
    found = judged(seeds=1)
    assert found.loc["best/fe", ["mean", "verdict"]].tolist() == [35, "undecided"]
    assert found.loc["best/fe", "why"] == "35 with one combination of seeds, no interval"
    assert np.isnan(found.loc["best/fe", "low"])
    assert found.loc["fall/fe", "verdict"] == "undecided"
    assert "the luckiest noise" in found.loc["fall/fe", "why"]


def test_seeds_that_change_nothing_are_no_replicates(judged):
    """Other trainings of one pre-training have the same converged head: five of them are one."""
    found = judged(seeds=5, scale=0.0)
    assert set(found["verdict"]) == {"undecided"}
    some = judged(seeds=5, changed=lambda epoch, _: {"fe_converged": FE[epoch]})
    assert some.loc["best/fe_converged", "why"] == "", "FT differs"
    assert some.loc["fall/fe_converged", "verdict"] == "undecided"


def test_only_what_is_measured_is_claimed(judged):
    assert {key.partition("/")[0] for key in judged(only=["spectrum"]).index} == {"main", "residual"}
    assert {key.partition("/")[0] for key in judged(only=["transfer"]).index} == {"best", "fall", "ft_rises"}
    assert judged(only=["logme"]).empty


def test_epochs_and_seeds_that_are_not_complete_are_left_out(runs_of):
    few = [(2, seed) for seed in (1, 2)] + [(40, 0)]
    at, curves = epochs(*runs_of(leave_out=few)).together("fe")
    assert at.tolist() == [1, 5, 10, 20, 40]
    assert curves.shape == (2, 5), "seed 0 has no last epoch"


@pytest.mark.parametrize(("arguments", "why"), [
    ({"at": (1, 40)}, "3 epochs or more are needed, the runs start from 2"),
    ({"finetune.lr": lambda epoch: 0.1 if epoch < 5 else 0.2}, "the runs differ in finetune.lr as well: summarise "
     "those of one setting alone"),
    ({"at": (1, 2, 5), "seeds": 3, "leave_out": [(1, 0), (2, 1), (5, 2)]}, "no seed has runs of 3 epochs"),
])  # fmt: skip
def test_why_there_are_no_curves_is_said_in_a_line(runs_of, arguments, why):
    found = epochs(*runs_of(**arguments))
    assert found.lacks == why
    assert not found.curves


def test_runs_of_one_epoch_or_without_these_tables_are_not_concerned(runs_of, run_of):
    assert epochs(*runs_of(at=(40,))) is None
    assert epochs(*in_order([run_of({KEY: epoch}, {}) for epoch in EPOCHS])) is None


def test_the_last_epoch_is_that_of_our_own_pre_training(run_of):
    assert epoch_of(run_of({KEY: 5})) == 5
    assert epoch_of(run_of({KEY: "last", "pretrain.epochs": 90})) == 90
    files = run_of({KEY: "last", "pretrain.epochs": 90, "model.weights": "files/*.pt"})
    assert epoch_of(files) is None
    early = {KEY: "last", "pretrain.epochs": 90}
    assert epoch_of(run_of(early, about={"noise": {}, "transfer": {"start": 37}})) == 37, "pre-training ended early"
    assert epoch_of(run_of(early, about={"transfer": {"start": 0}})) == 0
    assert epoch_of(run_of(early, about={"transfer": {"start": None}})) == 90


def test_rankers_stand_in_the_order_of_their_tau_with_the_trivial_ones(runs_of):
    table = ranking(epochs(*runs_of(seeds=5)))
    assert list(dict.fromkeys(table["target"])) == ["fe", "fe_converged", "ft"]
    ft = table[table["target"] == "ft"]
    assert ft["tau"].is_monotonic_decreasing
    assert ft["ranker"].tolist()[-1] == "logme"
    assert {"source", "epoch"} < set(ft["ranker"])
    fe = table[table["target"] == "fe"].set_index("ranker")
    assert fe.loc["epoch", "regret"] == pytest.approx(0.06, abs=0.005), "the last epoch is not the best one"
    assert fe.loc["logme", "regret"] == pytest.approx(0, abs=0.003)
    assert fe.loc["logme", "p"] < 0.02 < fe.loc["epoch", "p"]
    assert (ft[["epochs", "seeds"]] == [6, 5]).all(axis=None)


def test_the_answer_names_the_best_epochs_and_the_best_ranker(runs_of):
    found = epochs(*runs_of(seeds=5))
    table, ranks = best_epochs(found), ranking(found)
    assert table["best"].tolist() == [5, 5, 40]
    said = answer(found, table, claims(found), ranks)
    assert said.startswith("Of 6 epochs of pre-training from 1 to 40, the best is 5 for frozen features with a "
                           "fixed number of steps (best in 5 of 5 seeds; 5.")  # fmt: skip
    assert "; 40 for fine-tuning (best in 5 of 5 seeds; the last one)." in said
    assert "After its best epoch FE with a fixed number of steps falls, by 5.7 points [" in said
    assert "steps: highest is LogME (1 [0.95, 1], p 0.0028); of those that take no score, the epoch itself" in said
    assert "The epoch that each puts first loses 0 and 5.7 points. LogME is shown to rank them better than the" in said
    ft = said.partition(" FT: highest is ")[2]
    assert ft.startswith("the epoch itself (1 [0.95, 1], p 0.0028); of the scores, H-score (1 [0.95, 1], p 0.0028). ")
    assert "first loses 0 and 0 points. No ranker is shown to be better: the intervals overlap." in ft
    assert said.endswith("This is known over 30 runs, 5 combinations of seeds: other pre-trainings on the same data.")


def test_a_ranker_that_few_epochs_put_first_by_chance_is_not_shown_to_be_better(runs_of):
    found = epochs(*runs_of(seeds=5, at=(1, 5, 20, 40)))
    said = answer(found, best_epochs(found), claims(found), ranking(found))
    assert ranking(found).iloc[0]["p"] >= 0.05
    assert "shown to rank" not in said
    assert said.count("No ranker is shown to be better: p is 0.05 or more.") == 3


def said_of(found):
    return answer(found, best_epochs(found), claims(found), ranking(found))


AT = (2, 5, 10)
CEILING = {2: 0.975, 5: 1.0, 10: 1.0}


def test_epochs_that_are_equally_good_are_the_best_alike(runs_of):
    fe = {"at": AT, "seeds": 2, "only": ["transfer"]}

    def changed(epoch, seed):
        return {"fe": CEILING[epoch] - seed * 0.01 * (epoch == 2), "fe_converged": 1.0,
                                  "ft": 0.9 + 0.005 * (epoch == 2) * (seed == 0)}  # fmt: skip

    found = epochs(*runs_of(**fe, changed=changed))
    table = best_epochs(found).set_index("quantity")
    assert table.loc["fe", ["best", "as_good", "best_in", "flat"]].tolist() == [5, "10", 2, 0]
    assert table.loc["ft", ["best", "as_good", "best_in", "flat"]].tolist() == [2, "", 1, 1]
    said = said_of(found)
    assert "the best is 5 and 10 alike for frozen features with a fixed number of steps (alike in 2 of 2 seeds; no " \
           "one is better at 100 %; one is the last)" in said  # fmt: skip
    assert "none for frozen features with a converged head, as all are equal (100 %)" in said
    assert "; 2 for fine-tuning (best in 1 of 2 seeds; in 1 all epochs are equal; 0.25 points above the last" in said


def test_a_seed_without_a_best_epoch_is_said_to_be_left_out(judged):
    flat = judged(at=AT, seeds=2, changed=lambda epoch, seed: {
        "fe": 0.9 + seed / 100 - epoch / 1e3, "ft": 0.9 + 0.01 * (epoch == 5) * seed})  # fmt: skip
    row = flat.loc["best/fe"]
    assert row["why"] == "3 with one combination of seeds, no interval"
    assert row["quantity"].endswith(
        ", without 1 of 2 combinations of seeds, where one of them is the same at all epochs"
    )
    assert "without" not in flat.loc["fall/fe", "quantity"]
    same = judged(at=AT, seeds=2, scale=0.0)
    assert same.loc["best/fe", "why"].endswith("no interval (of 2: the others are equal to it, or lack an epoch)")


def test_accuracies_that_do_not_differ_are_no_finding(runs_of):
    found = epochs(*runs_of(at=AT, seeds=2, changed=lambda epoch, seed: {
        "fe": CEILING[epoch] - seed * 0.01 * (epoch == 2),
        **{f"{model}__accuracy__residual": 0.4 + epoch / 100 + seed / 100 for model in MODELS}}))  # fmt: skip
    judged = claims(found).set_index("key")
    equal = ["not measurable", "the accuracies that are compared are equal"]
    for key in ("epochs/fall/fe", "epochs/residual/falls"):
        assert judged.loc[key, ["verdict", "why"]].tolist() == equal
    assert f"Whether FE with a fixed number of steps falls after its best epoch is not measurable: {equal[1]}." in (
        said_of(found)
    )


def test_what_ranks_the_epochs_the_other_way_round_is_no_ranker(runs_of):
    found = epochs(*runs_of(seeds=5, only=["transfer"], changed=lambda epoch, seed: {"ft": 1 - epoch / 100}))
    ft = said_of(found).partition(" FT: ")[2]
    assert ft.startswith("none ranks them so; the highest tau is that of ")
    assert "loses" not in ft
    found = epochs(*runs_of(seeds=5, changed=lambda epoch, seed: {
        "ft": epoch / 100, "logme": -epoch, "h_score": -epoch, "knn": -epoch}))  # fmt: skip
    assert "; of the scores, none: the highest is " in said_of(found).partition(" FT: ")[2]


def test_scores_alone_have_no_answer(runs_of):
    found = epochs(*runs_of(only=["logme"]))
    assert ranking(found).empty
    assert best_epochs(found).empty
    assert answer(found, best_epochs(found), claims(found), ranking(found)) == ""


def test_the_answer_of_one_seed_claims_nothing_of_others(runs_of):
    found = epochs(*runs_of(seeds=1))
    said = answer(found, best_epochs(found), claims(found), ranking(found))
    assert "falls" not in said
    assert said.endswith("This is of 6 runs with one combination of seeds: what others would give, it does not say.")

import numpy as np
import pandas as pd
import pytest
from hand_made import jaccard, ratio, row
from scipy.stats import t

from analysis.measured import Measured
from analysis.runs.settings import in_order
from analysis.runs.tables import SETTING, Rows, over_runs, tables
from analysis.statistics.between import holm, spread
from analysis.tables import expanded

BOTH = {"data": "digits", "model": "conv4"}


@pytest.fixture
def made(run_of):
    """made(levels of the first setting, levels of the second, measure): its tables over runs."""

    def of(*levels, measure=ratio, name="ratio"):
        runs = [run_of({"lr": lr}, BOTH, train=seed, tables={name: measure(level)})
                for lr, some in enumerate(levels) for seed, level in enumerate(some)]  # fmt: skip
        return tables(*in_order(runs))[name]

    return of


def students(values, least=0.0):
    """Mean, and the ends of Student's interval, of each column. least: the least variance of single values."""
    values = np.array(values, dtype=float)
    half = t.ppf(0.975, len(values) - 1) * np.sqrt(np.maximum(values.var(0, ddof=1), least) / len(values))
    return values.mean(0), values.mean(0) - half, values.mean(0) + half


def test_without_pseudo_values_the_mean_of_a_setting_has_students_interval_between_its_runs(made):
    levels = ([0.1, 0.2, 0.4, 0.3], [0.5, 0.9])
    over = made(*levels).over
    assert list(over) == [SETTING, "lr", "definition", "runs", "mean", "low", "high", "sign", "sign_excess", "sign_low",
                          "sign_high"]  # fmt: skip
    for at, some in enumerate(levels):
        found = over[(over["lr"] == at) & (over["definition"] == "paper")].squeeze()
        np.testing.assert_allclose(found[["mean", "low", "high"]].to_numpy(float), students(some))
        excess = found[["sign_excess", "sign_low", "sign_high"]].to_numpy(float)
        np.testing.assert_allclose(excess, np.array(students(some)) - 0.2)
        assert (found["runs"], found["sign"]) == (len(some), pytest.approx(0.2))
    assert len(over) == 6


def test_a_single_run_has_its_own_interval(made):
    first = made([0.1]).over.iloc[0]
    assert list(first[["runs", "mean", "low", "high", "sign_low", "sign_high"]]) == pytest.approx(
        [1, 0.1, 0.08, 0.12, -0.12, -0.08]
    )


def test_references_are_means_over_the_runs_whatever_they_are_called(run_of):
    of_run = [ratio().assign(own=level, ceiling=2 * level, remark="a word", empty=np.nan) for level in (0.1, 0.3)]
    runs = [run_of({}, BOTH, train=seed, tables={"ratio": table}) for seed, table in enumerate(of_run)]
    table = tables(*in_order(runs))["ratio"]
    assert table.references == ["sign", "own", "ceiling"], "a word is none, nor is an excess, nor an empty one"
    np.testing.assert_allclose(table.over[["own", "ceiling"]], [[0.2, 0.4]] * 3)


def test_a_row_counts_the_runs_that_have_a_number_there(run_of):
    first, second, third = jaccard(epochs=3), jaccard(epochs=2), jaccard(epochs=3)
    third.loc[2, "mean"] = np.nan
    first.loc[1, "mean"] = np.inf
    runs = [
        run_of({}, BOTH, train=seed, tables={"jaccard": table}) for seed, table in enumerate((first, second, third))
    ]
    over = tables(*in_order(runs))["jaccard"].over.set_index(["model", "epoch"])
    assert over["runs"]["finetune"].to_list() == [3, 2, 1]
    assert over["runs"]["scratch"].to_list() == [3, 3, 2]
    assert np.isfinite(over[["mean", "low", "high"]]).all(axis=None)
    means = [second["mean"][1], third["mean"][1]]
    np.testing.assert_allclose(over.loc[("finetune", 1), ["mean", "low", "high"]].to_numpy(float), students(means))
    assert over.loc[("finetune", 2), "low"] == first["low"][2], "of the only run that has it"


SAMPLES, ORDERS = 12, 4


def of_samples(arrays, log=False, index=0):
    """The table and samples of a run: strengths [samples, orders] and what they would be under `sign`."""
    strength, level = arrays
    measured = Measured({"strength": strength}, {"sign": {"strength": level}})
    found = measured.estimate("strength", (lambda mean: mean) if log else None, log=log)
    table, pseudo = expanded(pd.DataFrame({"order": range(ORDERS), "estimate": list(found.rows())}))
    kept = {"data": np.array("digits/test"), "index": np.arange(SAMPLES) + index}
    return table, kept | {f"rows/{name}": array for name, array in pseudo.items()}


def runs_of(run_of, arrays, log=False, same=True):
    made = [of_samples(each, log, 0 if same else 100 * seed) for seed, each in enumerate(arrays)]
    about = {"strength": {"family": "order"}}
    return [run_of({}, BOTH, train=seed, tables={"strength": table}, kept={"strength": kept}, about=about)
            for seed, (table, kept) in enumerate(made)]  # fmt: skip


@pytest.fixture
def arrays():
    """Of three runs: what a sample has in common is large, and the runs differ a little."""
    draw = np.random.default_rng(0)
    common = draw.lognormal(size=(SAMPLES, ORDERS))
    strength = [common * factor + draw.normal(0, 0.02, common.shape) ** 2 for factor in (1, 1.2, 1.3)]
    return [(each, 0.6 * common) for each in strength]


def test_on_the_same_samples_runs_and_samples_both_vary(run_of, arrays):
    over = tables(*in_order(runs_of(run_of, arrays)))["strength"].over
    observed = np.stack([strength for strength, _ in arrays])
    for name, values in (("mean", observed), ("sign_excess", observed - arrays[0][1])):
        expected = spread(values.mean(1), values)
        stem = name.removesuffix("mean").removesuffix("excess")
        np.testing.assert_allclose(over[name], expected.mean)
        np.testing.assert_allclose(over[f"{stem}low"], expected.mean - expected.half())
        np.testing.assert_allclose(over[f"{stem}high"], expected.mean + expected.half())
        assert (over[f"{stem}high"] - over[name] > students(values.mean(1))[2] - values.mean((0, 1)) + 0.05).all()


def of_own(values):
    """The variance that means over samples have because of these: its mean over the runs. values: [samples, ...]"""
    return np.mean([each.var(0, ddof=1) / len(each) for each in values], axis=0)


def test_on_samples_of_their_own_the_runs_vary(run_of, arrays):
    arrays = [(factor * strength, level) for factor, (strength, level) in zip((1, 3, 9), arrays, strict=True)]
    over = tables(*in_order(runs_of(run_of, arrays, same=False)))["strength"].over
    means = np.stack([strength.mean(0) for strength, _ in arrays])
    assert (means.var(0, ddof=1) > of_own([strength for strength, _ in arrays])).all()
    np.testing.assert_allclose(over[["mean", "low", "high"]].to_numpy().T, students(means))


def test_on_samples_of_their_own_runs_vary_as_their_samples_at_least(run_of, arrays):
    """Whether their numbers of samples differ, or some are unknown: two equal runs are so by luck."""
    few = np.concatenate([arrays[1][0][:6]] * 2)[:7]
    few += arrays[0][0].mean(0) - few.mean(0)
    rows = [*on_sets(arrays[:1], [b"one"]), *on_sets([(few, few)], [b"two"])]
    over = over_runs(rows, ["order"])
    means, least = [arrays[0][0].mean(0)] * 2, of_own([arrays[0][0], few])
    np.testing.assert_allclose(over[["mean", "low", "high"]].to_numpy().T, students(means, least))
    rows[1].pseudo.clear()
    one = over_runs(rows, ["order"])
    np.testing.assert_allclose(one["high"], students(means, of_own([arrays[0][0]]))[2])
    rows[0].pseudo.clear()
    np.testing.assert_allclose(over_runs(rows, ["order"])["high"], means[0])


def on_sets(arrays, sets, log=False):
    """Rows of runs, each on the set of samples of this name."""
    found = []
    for each, name in zip(arrays, sets, strict=True):
        table, kept = of_samples(each, log)
        pseudo = {key.removeprefix("rows/"): array for key, array in kept.items() if key.startswith("rows/")}
        found.append(Rows(table, pseudo, name))
    return found


def own_pseudo(strength, log):
    """Of a mean these are the samples; of its logarithm those without one of them in turn."""
    if not log:
        return strength
    n, mean = len(strength), strength.mean(0)
    return n * np.log(mean) - (n - 1) * np.log((n * mean - strength) / (n - 1))


@pytest.mark.parametrize("log", [False, True])
def test_of_two_sets_of_samples_with_two_runs_each_the_means_of_the_sets_vary(arrays, log):
    four = [*arrays, arrays[1]]
    means = np.stack([strength.mean(0) for strength, _ in four])
    scale, back = (np.log, np.exp) if log else (np.asarray, np.asarray)
    for names in ([b"one", b"one", b"two", b"two"], [b"1", b"1\0", b"1", b"1\0"]):
        of = [[at for at, name in enumerate(names) if name == each] for each in dict.fromkeys(names)]
        together = [np.mean([own_pseudo(four[run][0], log) for run in each], axis=0) for each in of]
        expected = back(students([scale(means)[each].mean(0) for each in of], of_own(together)))
        over = over_runs(on_sets(four, names, log), ["order"])
        np.testing.assert_allclose(over[["mean", "low", "high"]].to_numpy().T, expected)
        assert (over["runs"] == 4).all()


def test_runs_on_unknown_samples_count_as_on_their_own(arrays):
    means = np.stack([strength.mean(0) for strength, _ in arrays])
    for names in ([None] * 3, [b"one", b"one", None]):
        over, least = over_runs(on_sets(arrays, names), ["order"]), of_own([strength for strength, _ in arrays])
        np.testing.assert_allclose(over[["mean", "low", "high"]].to_numpy().T, students(means, least))


def test_where_only_runs_on_the_same_samples_have_a_number_both_vary(arrays):
    rows = on_sets([*arrays, arrays[0]], [b"one"] * 3 + [b"two"])
    rows[3].table.loc[1, "mean"] = np.nan
    over, alone = over_runs(rows, ["order"]), over_runs(rows[:3], ["order"])
    np.testing.assert_allclose(
        over.loc[1, ["low", "high"]].to_numpy(float), alone.loc[1, ["low", "high"]].to_numpy(float)
    )
    assert (over.loc[0, ["low", "high"]] != alone.loc[0, ["low", "high"]]).all()


def test_ratios_and_strengths_have_their_geometric_mean(run_of, arrays):
    over = tables(*in_order(runs_of(run_of, arrays, log=True, same=False)))["strength"].over
    means = np.stack([strength.mean(0) for strength, _ in arrays])
    least = of_own([own_pseudo(strength, log=True) for strength, _ in arrays])
    np.testing.assert_allclose(over[["mean", "low", "high"]].to_numpy().T, np.exp(students(np.log(means), least)))
    excess = means - arrays[0][1].mean(0)
    np.testing.assert_allclose(over["sign_excess"], excess.mean(0))


def test_equal_runs_on_the_same_samples_leave_the_samples_interval(run_of, arrays):
    over = tables(*in_order(runs_of(run_of, [arrays[0]] * 3)))["strength"].over
    table = of_samples(arrays[0])[0]
    np.testing.assert_allclose(over[["mean", "low", "high"]], table[["mean", "low", "high"]])
    nested = tables(*in_order(runs_of(run_of, [arrays[0]] * 3, same=False)))["strength"].over
    np.testing.assert_allclose(nested["low"], students([nested["mean"]] * 3, of_own([arrays[0][0]]))[1])


def test_orders_are_tested_together(run_of, arrays):
    over = tables(*in_order(runs_of(run_of, arrays)))["strength"].over
    excess = np.stack([strength - level for strength, level in arrays])
    alone = spread(excess.mean(1), excess).p_value()
    np.testing.assert_allclose(over["sign_p"], holm(alone))
    assert (over["sign_p"] > alone).any()
    assert "mean_p" not in over
    assert "sign_p" not in tables(*in_order(runs_of(run_of, arrays[:1])))["strength"].over, "one run"


def test_orders_are_tested_together_within_the_other_keys():
    draw, keys = np.random.default_rng(1), {"model": list("aaabbb"), "order": [0, 1, 2] * 2}
    excess = draw.normal(0.3, 0.1, size=(4, 6))
    rows = [Rows(pd.DataFrame(keys | row(0.5 + each, sign=0.5)), {}, None) for each in excess]
    alone = spread(excess).p_value()
    found = over_runs(rows, list(keys), "order")
    np.testing.assert_allclose(found["sign_p"], np.concatenate([holm(alone[:3]), holm(alone[3:])]))
    assert "sign_p" not in over_runs(rows, list(keys))


def test_p_values_are_no_references(run_of, arrays):
    assert tables(*in_order(runs_of(run_of, arrays)))["strength"].references == ["sign"]


def test_every_runs_own_rows_stand_beside(made):
    table = made([0.1, 0.2], [0.3])
    assert list(table.by_run)[:4] == [SETTING, "run", "lr", "seeds.train"]
    assert list(table.by_run)[4:] == list(ratio())
    pd.testing.assert_frame_equal(table.by_run.iloc[3:6, 4:].reset_index(drop=True), ratio(0.2))


def test_a_run_without_the_measure_or_with_other_keys_is_named(run_of):
    of_run = [{"ratio": ratio()}, {"ratio": ratio().rename(columns={"definition": "kind"})}, {"jaccard": jaccard()}]
    runs = [run_of({}, BOTH, train=seed, tables=one) for seed, one in enumerate(of_run)]
    found = tables(*in_order(runs))
    assert found["ratio"].absent == runs[1:]
    assert set(found["ratio"].over["runs"]) == {1}
    assert found["jaccard"].absent == runs[:2]


def test_tables_that_are_no_estimates_are_no_measures(run_of):
    other = pd.DataFrame({"model": ["a"], "noise": [1.0]})
    assert not tables(*in_order([run_of({}, BOTH, tables={"noise": other, "empty": ratio().head(0)})]))

"""The claims over runs: each setting's quantities over its runs and samples, judged as a run's own are.

What they are judged by is the interval over runs (analysis/statistics/between.py). Of a setting with one run it is
that run's, and says nothing of another training. Beside it stand the runs' own verdicts.
"""

from collections import Counter

import numpy as np
import pandas as pd

from analysis.claims import IMPOSSIBLE, KEYS, MET, NOT_MET, UNDECIDED, compared, judged
from analysis.runs.found import Run
from analysis.runs.scale import on_scale_rows
from analysis.runs.settings import Settings
from analysis.runs.tables import SETTING, Rows, before, over_runs, which_samples
from analysis.tables import compared_with
from analysis.told import without_nan

VERDICTS = "runs' verdicts"
ORDER = {MET: 0, UNDECIDED: 1, NOT_MET: 2}
RANGE = ["above", "below"]
ALPHA = 0.025  # on either side


def claims(runs: list[Run], settings: Settings) -> pd.DataFrame:
    """Columns: SETTING, setting columns, KEYS, runs, then as in a run's claims.csv, and runs' verdicts. The rows of a
    claim are together, and claims are in the order of the first run."""
    found = []
    for number, each in enumerate(settings.each):
        of = [run for run, values in zip(runs, settings.of_run, strict=True) if values == each and _has_claims(run)]
        for measure in dict.fromkeys(name for run in of for name in run.tables["claims"]["measure"]):
            table = _of_setting([run for run in of if measure in set(run.tables["claims"]["measure"])], measure)
            found.append(before(table, {SETTING: number, **dict(zip(settings.headers, each, strict=True))}))
    if not found:
        return pd.DataFrame(columns=[SETTING, *KEYS])
    table = pd.concat(found, ignore_index=True)
    order = {key: place for place, key in enumerate(dict.fromkeys(zip(table["measure"], table["key"], strict=True)))}
    place = [order[key] for key in zip(table["measure"], table["key"], strict=True)]
    return table.iloc[np.lexsort((table[SETTING], place))].reset_index(drop=True)


def _has_claims(run: Run) -> bool:
    return "claims" in run.tables and {*KEYS, "mean", "low", "high"} <= set(run.tables["claims"])


def _of_setting(runs: list[Run], measure: str) -> pd.DataFrame:
    rows = [_rows(run, measure) for run in runs]
    every = pd.concat([each.table for each in rows], ignore_index=True)
    numbers = [Rows(each.table.drop(columns=RANGE), each.pseudo, each.of) for each in rows]
    found = over_runs(numbers, KEYS)
    given = every.groupby(KEYS, sort=False)
    for name in RANGE:
        found[name] = given[name].first().to_numpy()
    impossible = given["why"].agg(lambda why: next(filter(None, why), "")).to_numpy()
    all_so = given["verdict"].agg(lambda each: set(each) == {IMPOSSIBLE}).to_numpy()
    found["verdict"] = [
        IMPOSSIBLE if without else judged(*row) for *row, without in
        zip(found["low"], found["high"], found["above"], found["below"], all_so, strict=True)
    ]  # fmt: skip
    if "p" in found:  # of an exact test: it decides
        p, less = found["p"].round(12), found["p_less"].round(12)  # the same in all runs; their mean is rounded
        exact = np.select([p <= ALPHA, less <= ALPHA], [MET, NOT_MET], UNDECIDED)
        found["verdict"] = np.where(found["p"].notna(), exact, found["verdict"])
    found["why"] = np.where(all_so, impossible, "")
    found[VERDICTS] = [counted(list(of["verdict"])) for _, of in given]
    doubtful = given["noise"].agg(lambda noise: int((noise != "").sum())).to_numpy()
    found["noise"] = [f"could overturn {count} of {len(runs)}" if count else "" for count in doubtful]
    found = pd.concat([found, on_scale_rows(rows, found)], ignore_index=True)
    for reference in compared_with(list(found)):
        parts = zip(found[f"{reference}_low"], found[f"{reference}_high"], found["mean"], strict=True)
        found[f"vs_{reference}"] = [compared(*row) for row in parts]
    return found


def _rows(run: Run, measure: str) -> Rows:
    """Returns the claims of a measure with their pseudo-values."""
    table = run.tables["claims"]
    table = without_nan(table[table["measure"] == measure].reset_index(drop=True))
    kept = run.samples.get(measure, {})
    pseudo = {name.removeprefix("claims/"): kept[name] for name in kept if name.startswith("claims/")}
    return Rows(table, pseudo, which_samples(run, measure))


def counted(verdicts: list[str]) -> str:
    """Counts the verdicts: "met in 2, not met in 1", or "met in 3 of 3"; "" if nothing is claimed."""
    counts = Counter(sorted(verdicts, key=lambda verdict: ORDER.get(verdict, 1)))
    if set(counts) == {""}:
        return ""
    if len(counts) == 1:
        return f"{verdicts[0]} in {len(verdicts)} of {len(verdicts)}"
    return ", ".join(f"{name} in {count}" for name, count in counts.items())

"""Do models that preserve more gain more? For runs that differ in what fine-tuning takes over (start.transfer).

A single run has one gain and one preserved share, which may both be there without having to do with each other. Here
the knowledge that fine-tuning starts from is changed on purpose (models/transfer.py), and the rest stays the same. If
preserved knowledge is the reason for the gain, models that preserve more of it gain more. `shuffled` is a negative
control: it may gain by the size of its weights, but hardly by knowledge. So the slope is given with it and without it,
and the claim is met only if both show it.

The preserved counts as far as it is beyond the reference `task`: what a model of the same task shares with the
pre-trained one anyway. How the slope is judged: analysis/statistics/slope.py.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.claims import IMPOSSIBLE, MET, NOT_MET, UNDECIDED
from analysis.runs.found import Run
from analysis.runs.replicates import varied
from analysis.runs.settings import Settings
from analysis.statistics.slope import slope

NAME, QUESTION = "benefit", "Do models that preserve more gain more?"
ARM, CONTROL = "start.transfer", "shuffled"
KEYS = {"gain": "accuracy/gain", "excess": "preserved/task"}  # in claims.csv
FEWEST_ARMS, FEWEST_SEEDS = 3, 2
ORDER = ("nothing", "moments", "shuffled")  # then numbers, then all


@dataclass(frozen=True)
class Benefit:
    """What the runs show. by_run: run, seed, arm, gain, excess; over: arms (all, without shuffled), count, seeds, mean
    (the slope), low, high, p, p_arms, verdict; lacks: why there is no slope, "" if there is one."""

    by_run: pd.DataFrame
    over: pd.DataFrame
    lacks: str = ""

    @property
    def verdict(self) -> str:
        """Returns the weakest verdict, so that the control can't make the claim true."""
        found = set(self.over["verdict"])
        return next((word for word in (NOT_MET, UNDECIDED, MET) if word in found), IMPOSSIBLE)


def quantities(claims: pd.DataFrame) -> dict[str, float] | None:
    """Reads gain and excess from a run's claims.csv; returns None if it lacks one of them."""
    if not {"key", "mean"} <= set(claims):
        return None
    means = claims.drop_duplicates("key").set_index("key")["mean"]
    found = {name: float(means.get(key, np.nan)) for name, key in KEYS.items()}
    return found if np.isfinite(list(found.values())).all() else None


def benefit(runs: list[Run], settings: Settings) -> Benefit | None:
    """Returns what the runs show; None unless they have three arms or more, and two seeds or more."""
    arms = {run.settings.get(ARM) for run in runs}
    seeds = {tuple(map(str, run.seeds.values())) for run in runs}
    if len(arms) < FEWEST_ARMS or len(seeds) < FEWEST_SEEDS:
        return None
    if others := [name for name in settings.columns if name != ARM]:
        return _none(f"the runs differ in {', '.join(others)} as well: summarise those of one setting alone")
    by_run = _by_run(runs)
    if by_run.empty:
        return _none(f"no run has the rows {' and '.join(KEYS.values())} in its claims.csv")
    gain, excess = _complete(by_run)
    if len(gain) < FEWEST_SEEDS or gain.shape[1] < FEWEST_ARMS:
        return _none(f"{FEWEST_SEEDS} seeds or more are needed that each have the same {FEWEST_ARMS} arms or more")
    over = [_row("all", gain, excess)]
    if CONTROL in gain and gain.shape[1] > FEWEST_ARMS:
        over.append(_row(f"without {CONTROL}", *(table.drop(columns=CONTROL) for table in (gain, excess))))
    return Benefit(by_run, pd.DataFrame(over))


def _none(why: str) -> Benefit:
    return Benefit(pd.DataFrame(), pd.DataFrame({"verdict": []}), why)


def _by_run(runs: list[Run]) -> pd.DataFrame:
    """Returns a row for each run that has both quantities, in the order of arms and seeds."""
    names = varied(runs)
    rows = [
        {"run": str(run.folder), "seed": ", ".join(str(run.seeds.get(name)) for name in names),
         "arm": str(run.settings[ARM]), **found}
        for run in runs if (found := quantities(run.tables.get("claims", pd.DataFrame())))
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["run", "seed", "arm", *KEYS])
    return table.sort_values("arm", key=lambda arms: arms.map(place), kind="stable", ignore_index=True)


def place(arm: str) -> int:
    """Returns a number that sorts the arms by how much they take over."""
    return ORDER.index(arm) if arm in ORDER else len(ORDER) + int(arm) if arm.isdigit() else 10**9


def _complete(by_run: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns gain and excess, [seeds, arms]: the arms that half of the seeds have, and the seeds that have these."""
    gain, excess = (by_run.pivot_table(index="seed", columns="arm", values=name) for name in KEYS)
    usual = gain.columns[gain.notna().mean() >= 0.5]
    seeds = gain.index[gain[usual].notna().all(axis=1)]
    return gain.loc[seeds, usual], excess.loc[seeds, usual]


def _row(arms: str, gain: pd.DataFrame, excess: pd.DataFrame) -> dict[str, object]:
    found = slope(gain.to_numpy(), excess.to_numpy())
    numbers = dict(zip(("mean", "low", "high", "p", "p_arms"), found, strict=True))
    return {"arms": arms, "count": gain.shape[1], "seeds": len(gain), **numbers, "verdict": found.verdict}


def line(found: Benefit) -> str:
    """Returns the verdict in one line, for the terminal."""
    start = f"models that preserve more gain more: {found.verdict}"
    return f"{start}; {found.lacks}" if found.lacks else f"{start}; {described(found)}"


def caption(found: Benefit) -> str:
    """Returns what the figure shows, and the verdict with its reasons."""
    return (
        "Across: how much of what a fine-tuned model preserves is beyond what "
        "any model of the task shares with the pre-trained one. Up: how much more accurate it is than the same model "
        "trained from scratch. A small mark is a run, a large one the mean of an arm: of the runs that take over the "
        "same part of the pre-trained weights. What the runs of a seed have in common is taken away. The line is the "
        "slope within seeds; its 95% interval (the band) leaves out one seed at a time, so that it speaks of other "
        "seeds with these arms. p says how often arms that exchange their gains have a slope as steep: arms may differ "
        "in both for reasons that have nothing to do with each other. Shuffled weights are a control that knows "
        f"nothing; the dashed line leaves it out. Verdict: {found.verdict} (the {described(found)}). Met: with and "
        "without the control the interval is above 0 and p is below 0.05. Undecided: these runs show neither more "
        "nor less, which is no sign that there is no connection. Met does not say why: gain and preserved knowledge "
        "may both grow with how much is taken over."
    )


def described(found: Benefit) -> str:
    """Returns the slopes in words."""
    seeds = found.over["seeds"].iloc[0]
    slopes = "; ".join(map(_slope, found.over.to_dict("records")))
    return f"slope of the accuracy gain on what is preserved beyond the task, within {seeds} seeds: {slopes}"


def _slope(row: dict[str, object]) -> str:
    interval = f"[{row['low']:.2g}, {row['high']:.2g}]" if np.isfinite(row["low"]) else "(an interval takes 3 seeds)"
    which = "" if row["arms"] == "all" else f" ({row['arms']})"
    return f"{row['mean']:.2g} {interval} over {row['count']} arms{which}, p {row['p_arms']:.2g}"

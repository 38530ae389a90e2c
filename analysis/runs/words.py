"""What the summary over runs says in words: its title, what varies, what the intervals mean, what is left out."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.runs.claims import VERDICTS
from analysis.runs.found import Run
from analysis.runs.replicates import speaks_of, varied
from analysis.runs.settings import Settings
from analysis.runs.tables import ESTIMATE, Table
from analysis.statistics.between import FEWEST

LINES = 6  # settings of a claim on the terminal
LISTED = 30  # settings, or runs, in a list that is read; all are in runs.csv
INTERVAL = (
    f"the 95 % interval between them (Student's t; none for fewer than {FEWEST} runs, or for runs that are all equal)"
)


def title(runs: list[Run], settings: Settings) -> str:
    what = ", ".join(settings.columns or varied(runs)) or "one run"
    return f"{_studies(runs)}: {count(len(runs), 'run')} side by side, by {what}"


def _studies(runs: list[Run]) -> str:
    return ", ".join(dict.fromkeys(run.name for run in runs))


def opening(
    runs: list[Run], settings: Settings, left_out: dict[Path, str], tables: dict[str, Table], other: list[str]
) -> dict[str, list[str]]:
    """Returns name -> lines, without names that have no lines. other: further lines on what was left out."""
    columns = list(zip(*settings.each, strict=True)) if settings.columns else []
    replicates = [f"{settings.label(each)}: {_replicates(runs, settings, each)}" for each in settings.each]
    lines = {
        "study": [_studies(runs)],
        "settings that differ": [
            f"{name}: {_values(column)}" for name, column in zip(settings.columns, columns, strict=True)
        ],
        "seeds that differ": _seeds(runs),
        "runs": _first(replicates),
        "the runs of a setting": [speaks_of(runs, settings)],
        "what else differs": settings.also,
        "left out": _first([f"{folder}: {why}" for folder, why in left_out.items()]) + other + _absent(runs, tables),
    }
    return {name: some for name, some in lines.items() if some}


def _replicates(runs: list[Run], settings: Settings, each: tuple[object, ...]) -> str:
    """Says how many runs a setting has, and with which seeds, if these differ between settings."""
    names = varied(runs)
    seeds = {
        setting: [tuple(run.seeds.get(name) for name in names) for run, of in zip(runs, settings.of_run, strict=True)
                  if of == setting]
        for setting in settings.each
    }  # fmt: skip
    number = count(len(seeds[each]), "run")
    if len(set(map(frozenset, seeds.values()))) == 1 or len(names) != 1:
        return number
    return f"{number} ({names[0]}: {', '.join(str(seed) for (seed,) in seeds[each])})"


def replaced(folder: Path, before: int) -> str:
    return (
        f"this takes the place of a summary of {count(before, 'run')}; of all runs of a study: "
        f"python -m analysis.summarise {folder.parent}"
    )


def _seeds(runs: list[Run]) -> list[str]:
    """Describes the seeds that vary; all that follow `seed` are in one line."""
    values = {name: [run.seeds.get(name) for run in runs] for name in varied(runs)}
    following = [name for name in values if name != "seed" and values[name] == values.get("seed")]
    lines = {name: f"{name}: {_values(each)}" for name, each in values.items() if name not in following}
    if following:
        lines["seed"] += f", and with it {', '.join(following)}"
    return list(lines.values())


def _absent(runs: list[Run], tables: dict[str, Table]) -> list[str]:
    lines = [f"{table.name} is not in {_folders(table.absent)}" for table in tables.values() if table.absent]
    if without := [run for run in runs if "claims" not in run.tables]:
        lines.append(f"claims are not in {_folders(without)}")
    others = dict.fromkeys(
        name for run in runs for name, table in run.tables.items()
        if name != "claims" and not set(ESTIMATE) <= set(table)
    )  # fmt: skip
    return lines + [f"{name}: its table has no columns {', '.join(ESTIMATE)}" for name in others]


def _folders(runs: list[Run]) -> str:
    names = [str(run.folder) for run in runs]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _first(lines: list[str]) -> list[str]:
    more = len(lines) - LISTED
    return lines[:LISTED] + ([f"and {more} more, in runs.csv"] if more > 0 else [])


def _values(values: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(map(str, values)))


def count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def how_to_read(runs: list[Run], settings: Settings) -> list[str]:
    return [
        f"A setting is what differs between runs, seeds aside. Shown is the mean over its runs, with {INTERVAL}. "
        + speaks_of(runs, settings),
        "The intervals in a run's own report are over samples: they say how sure that run's value is, and nothing of "
        "another run. Where samples are the same in all runs, the interval between runs says nothing of other samples.",
    ]


def caption(table: Table, runs: list[Run], settings: Settings) -> str:
    """Returns the caption of a measure's figure."""
    grey = f" Thin dashes: {', '.join(table.references)}, as means over runs." if table.references else ""
    return (
        f"Each line, bar, row or point along the axis is a setting: the mean over its runs, with {INTERVAL}: a band, "
        f"or a line through the point or beside the bar. Thin lines and small points are the runs. On a logarithmic "
        f"scale an interval that reaches 0 goes down to the axis.{grey}"
    )


def claim_lines(judged: pd.DataFrame) -> list[str]:
    """Returns the claims over runs for the terminal. judged: from analysis/runs/claims.py, with the column setting."""
    lines = []
    for (claim, quantity), rows in judged.groupby(["claim", "quantity"], sort=False):
        lines.append(f"{claim} ({quantity})")
        lines += _each(rows) if len(rows) <= LINES else [f"{'':13}  {_together(rows)}"]
    return lines


def _each(rows: pd.DataFrame) -> list[str]:
    width = max(map(len, rows["setting"]))
    lines = []
    for row in rows.to_dict("records"):
        interval = f" [{row['low']:.3g}, {row['high']:.3g}]" if np.isfinite(row["low"]) else ""
        interval = " (all runs are equal)" if row["runs"] >= FEWEST and not interval else interval
        chance = f", chance {row['chance']:.3g}" if np.isfinite(row["chance"]) else ""
        found = f"{row['value']:.3g}{interval}{chance}"
        lines.append(f"{row['verdict'] or '–':>13}  {row['setting']:{width}}  {found}; {row[VERDICTS]}")
    return lines


def _together(rows: pd.DataFrame) -> str:
    counts = Counter(verdict or "no verdict" for verdict in rows["verdict"])
    parts = ", ".join(f"{verdict} in {count}" for verdict, count in counts.most_common())
    values = f"{rows['value'].min():.3g} to {rows['value'].max():.3g}"
    needed = "" if rows["verdict"].any() else f" (it needs {FEWEST} runs or more of a setting)"
    return f"{len(rows)} settings, {values}: {parts}{needed}"

"""What the summary over runs says in words: its title, what varies, what the intervals mean, what is left out."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from textwrap import shorten

import pandas as pd

from analysis.answer import answer
from analysis.claims import overall
from analysis.drawing.references import levels
from analysis.drawing.references import words as in_words
from analysis.runs.claims import VERDICTS
from analysis.runs.found import Run
from analysis.runs.replicates import level_of, speaks_of, varied
from analysis.runs.settings import Settings
from analysis.runs.tables import SETTING, Table
from analysis.tables import INTERVAL as ESTIMATE
from analysis.told import INDENT, counted, how_many, without_nan

NEEDS = {
    "ceiling": "several trainings from one pre-training on the same samples, such as -m seeds.train=0,1,2",
    "other": "several pre-trainings on the same samples, such as -m seeds.pretrain=0,1,2,3,4",
}
LINES = 6  # settings of a claim on the terminal
LONGEST = 60  # characters of an option's value
LISTED = 30  # settings, or runs, in a list that is read; all are in runs.csv
INTERVAL = "the 95 % interval over runs and samples (Student's t; with one run, over its samples only)"


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
        "options of measures": _options(runs),
        "references over runs": [*filter(None, [_over_runs(runs, tables)])],
        "left out": _first([f"{folder}: {why}" for folder, why in left_out.items()]) + other + _absent(runs, tables),
    }
    return {name: some for name, some in lines.items() if some}


def _options(runs: list[Run]) -> list[str]:
    """Returns a line for the options of each measure, or for several of one where runs have other ones."""
    every = [(name, about.get("options") or {}) for run in runs for name, about in run.about.items()]
    return [
        *dict.fromkeys(
            f"{name}: {', '.join(f'{key}={shorten(str(value), LONGEST)}' for key, value in options.items())}"
            for name, options in every
            if options
        )
    ]


def _over_runs(runs: list[Run], tables: dict[str, Table]) -> str:
    """Says which references that need several runs there are, and what the others would take; "" if nothing has
    references."""
    there = {name for table in tables.values() for name in table.references}
    if "sign" not in there:
        return ""
    missing = {name: needs for name, needs in NEEDS.items() if name not in there}
    found = [name for name in NEEDS if name in there]
    lines = [", ".join(found)] if found else []
    return "; ".join(lines + [f"no {name}: it takes {needs}" for name, needs in missing.items()])


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
    without = [run for run in runs if "claims" not in run.tables]
    if without and len(without) < len(runs):  # else nothing that was measured has any
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
        f"A setting is what differs between runs, seeds aside. Shown is the mean over its runs (of strengths and their "
        f"ratios the geometric mean), with {INTERVAL}. " + speaks_of(runs, settings),
        "If all runs are measured on the same samples, the interval contains the variation of both, runs and samples. "
        "Otherwise each run has samples of its own, and their variation is contained in that of the runs. Two runs "
        "have very wide intervals (Student's t is 12.7). Excesses at several orders are tested together (Holm).",
        "The intervals in a run's own report are over samples: they say how sure that run's value is, and nothing of "
        "another run.",
    ]


def caption(table: Table, runs: list[Run], settings: Settings) -> str:
    """Returns the caption of a measure's figure."""
    references = [in_words(name) for name in levels(table.over, table.references)]
    grey = f" Grey: {', '.join(references)}, as means over runs" if references else ""
    grey += "; where settings differ in one, its marks have their colours." if references else ""
    return (
        f"Each line, bar, row or point along the axis is a setting: the mean over its runs, with {INTERVAL}: a band, "
        f"or a line through the point or beside the bar. Thin lines and small points are the runs. On a logarithmic "
        f"scale an interval that reaches 0 goes down to the axis. Arrows mark what lies beyond the end of an axis, "
        f"and words below it say how far. {speaks_of(runs, settings)}{grey}"
    )


def of_claims(runs: list[Run], settings: Settings) -> str:
    """Returns the caption of the figure of the claims over settings."""
    return (
        f"Each point is a setting: what a claim is counted by, as the mean over its runs with {INTERVAL}. Open points: "
        f"the same at equal strengths (both models' interactions scaled to L1 = 1 in each sample). Dotted lines are "
        f"the bounds of what is claimed: the claim is met where the whole interval lies within. "
        f"{speaks_of(runs, settings)}"
    )


def answers(judged: pd.DataFrame, orders: Table | None, runs: list[Run], settings: Settings) -> list[str]:
    """Returns the answer to the title's question for each setting, up to a few of these."""
    found = []
    for number, each in enumerate(settings.each[:LINES]):
        rows = judged[judged[SETTING] == number]
        of = [run for run, values in zip(runs, settings.of_run, strict=True) if values == each]
        table = orders.over[orders.over[SETTING] == number] if orders else None
        if text := answer(rows, table, _known(of, rows)):
            found.append(f"{settings.label(each)}: {text}" if len(settings.each) > 1 else text)
    return found


def _known(runs: list[Run], rows: pd.DataFrame) -> str:
    if len(runs) == 1:
        return "All of this is known of one training of each model: how far another differs, only further seeds tell."
    fewest = int(rows["runs"].min()) if len(rows) else len(runs)
    some = f", some of it over {fewest} of them" if fewest < len(runs) else ""
    return f"This is known over {len(runs)} runs{some}: {level_of(runs)}."


def claim_lines(judged: pd.DataFrame) -> Iterator[str]:
    """Yields the claims over runs for the terminal: of one setting every way to count a claim, of several the main
    one. judged: claims.csv of a summary."""
    judged = without_nan(judged)
    for claim, rows in judged.groupby("claim", sort=False):
        settings = list(rows.groupby("setting", sort=False))
        if len(settings) == 1:
            yield f"{claim}: {overall(rows)}".removesuffix(": ")
            for _, row in rows.iterrows():
                yield INDENT + counted(row) + (f"; {row[VERDICTS]}" if row[VERDICTS] else "")
        elif len(settings) <= LINES:
            yield f"{claim} ({rows['quantity'].iloc[0]})"
            for setting, of in settings:
                main = counted(of.iloc[0]).removeprefix(f"{of['quantity'].iloc[0]}: ")
                each = of[VERDICTS].iloc[0]
                parts = [overall(of), main, each if int(of["runs"].max()) > 1 else ""]
                yield f"{INDENT}{setting}: " + "; ".join(filter(None, parts))
        else:
            yield from _together(claim, rows)
    yield how_many(judged)


def _together(claim: str, rows: pd.DataFrame) -> Iterator[str]:
    verdicts = Counter(overall(of) or "no verdict" for _, of in rows.groupby("setting", sort=False))
    yield f"{claim}: " + ", ".join(f"{verdict} in {count}" for verdict, count in verdicts.most_common())
    for quantity, of in rows.groupby("quantity", sort=False):
        yield f"{INDENT}{quantity}: {of['mean'].min():.3g} to {of['mean'].max():.3g} in {len(of)} settings"

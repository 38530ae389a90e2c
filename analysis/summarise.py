"""Sets many runs side by side: python -m analysis.summarise outputs/digits

outputs/digits/summary/
  report.html            what varies, the claims over runs, every measure's figure with its data
  runs.csv               every run: its folder, settings and seeds, and whether it was used, or why not
  tables/ratio.csv       for each measure, and for the claims: mean over a setting's runs, interval between them
  tables/ratio_by_run.csv
  figures/ratio.{png,svg}
  tables/benefit.csv     where runs differ in start.transfer: do models that preserve more gain more?
  tables/ranking.csv     where they differ in start.epoch: which epoch is best? (analysis/over_epochs.py)
  tables/agreement.csv   and do several views of the same checkpoints agree? (analysis/together.py)
  tables/similarity.csv  where they compare layers: how far do these move? (analysis/over_similarity.py)
  made_from.json         which runs it was made from: for the same ones it is not made again (analysis/runs/made.py)

Runs of one setting differ only in seeds. Everything is made from the tables in the runs' folders: runs may be summed
up on any machine to which these were copied, without models and data.
"""

import argparse
import os
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path

import pandas as pd

from analysis import over_epochs, over_similarity, synthetic, together
from analysis.drawing import benefit as drawn
from analysis.drawing import claims as of_claims
from analysis.drawing.over_runs import MANY, draw
from analysis.drawing.style import NAMES, save
from analysis.report.over_runs import OverRuns, write_report, write_table
from analysis.runs import benefit, found, made, words
from analysis.runs.alike import alike
from analysis.runs.claims import claims
from analysis.runs.found import Run
from analysis.runs.mirrored import log_summary
from analysis.runs.replicates import older, speaks_of
from analysis.runs.settings import Settings, in_order
from analysis.runs.tables import SETTING, Table, described, tables
from analysis.told import told
from analysis.verdicts import FILE, show
from conf.errors import BadInput
from stages.command import errors_in_one_line
from stages.files import is_temporary, remove, write_text
from stages.locks import locked
from stages.view import folder_name

FEW = 3  # answers on the terminal; the report has more
ABOUT = """Sets the runs in these folders side by side: the settings that differ, of each the mean over its seeds, and
the interval between its runs. Writes tables, figures and a report into the folder summary/ of the study."""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m analysis.summarise", description=ABOUT)
    parser.add_argument("places", nargs="+", metavar="folder",
                        help="a folder that holds runs, such as outputs/digits, or a pattern in quotes")  # fmt: skip
    options = parser.parse_args(arguments)
    with errors_in_one_line():
        places = found.folders(options.places)
        if summarise(places, anew=True) is None:
            raise BadInput(
                f"none of the {words.count(len(places), 'run')} in {' '.join(options.places)} has a complete analysis"
            )


def summarise(places: list[Path], anew: bool = False) -> Path | None:
    """Summarises the runs in these folders, and prints what it finds. Returns the folder of the summary, or None if
    no run has a complete analysis. anew: whether an existing summary of the same runs is written again."""
    runs, left_out = found.read(places)
    runs, other = alike(runs)
    if runs:
        without = older(*in_order(runs))
        left_out |= without
        runs, settings = in_order([run for run in runs if run.folder not in without])
    for place, why in left_out.items():
        print(f"left out: {place}: {why}", flush=True)
    for line in other:
        print(f"left out: {line}", flush=True)
    if not runs:
        return None
    folder = place_of(runs)
    digest, gained = made.digest_of(runs, left_out), benefit.benefit(runs, settings)
    if anew or not made.is_made(folder, digest):
        runs, without = _with_stand_ins(runs, settings)
        for line in without:
            print(line, flush=True)
        with locked(folder):
            before = made.begin(folder)
            answers = _write(folder, runs, settings, left_out, other + without, gained)
            made.end(folder, digest, len(runs))
            if before > len(runs):
                print(words.replaced(folder, before), flush=True)
        log_summary(folder, runs, answers)
    show(folder)
    print(f"\nsummary: {folder / 'report.html'}", flush=True)
    return folder


def _with_stand_ins(runs: list[Run], settings: Settings) -> tuple[list[Run], list[str]]:
    """Adds references that need the values of several models. What reads these is imported only now, and by its name:
    it takes seconds, and runs can be summed up without it."""
    return import_module("analysis.runs.across").with_stand_ins(runs, settings) if len(runs) > 1 else (runs, [])


def place_of(runs: list[Run]) -> Path:
    """Returns outputs/<name>/summary, or outputs/summary/<names> for runs of several studies."""
    homes = {found.home_of(run) for run in runs}
    if len(homes) == 1:
        return homes.pop() / "summary"
    names = dict.fromkeys(run.name for run in runs)
    above, here = Path(os.path.commonpath([home.parent.absolute() for home in homes])), Path.cwd()
    above = above.relative_to(here) if above.is_relative_to(here) else above
    return above / "summary" / folder_name(["+".join(names)])


def _judged(runs: list[Run], settings: Settings) -> pd.DataFrame:
    """Returns the claims over runs, with the column setting."""
    judged = claims(runs, settings)
    return judged.assign(setting=[settings.label(settings.each[at]) for at in judged[SETTING]])


def _write(
    folder: Path, runs: list[Run], settings: Settings, left_out: dict[Path, str], other: list[str],
    gained: benefit.Benefit | None,
) -> list[str]:  # fmt: skip
    """Writes all files of a summary. Returns the paragraphs on top of its report."""
    judged, over = _judged(runs, settings), tables(runs, settings)
    epochs, no_epochs = over_epochs.look(runs, settings)
    views, no_views = together.look(runs, settings)
    similar, no_similar = over_similarity.look(runs, settings)
    every = epochs.with_claims(judged) if epochs else judged
    every = similar.with_claims(every) if similar else every
    kept = [write_table(folder / "runs.csv", _listed(runs, settings, left_out))]
    if len(every):
        kept.append(write_table(folder / "tables" / "claims.csv", every.drop(columns=SETTING, errors="ignore")))
    for table in over.values():
        for name, rows in ((table.name, table.over), (f"{table.name}_by_run", table.by_run)):
            kept.append(write_table(folder / "tables" / f"{name}.csv", rows.drop(columns=SETTING)))
    kept += over_epochs.tables(folder, epochs) if epochs else []
    kept += over_similarity.tables(folder, similar) if similar else []
    kept += together.tables(folder, views) if views else []
    entries = [together.figure(folder, views)] if views else []
    entries += _figures(folder, judged, over, runs, settings, gained, epochs, similar)
    kept += [file for files, _ in entries for file in files]
    answers = words.answers(judged, over.get("decomposition"), runs, settings)
    first = [each.answer for each in (epochs, similar, views) if each and each.answer]
    lines = [*words.claim_lines(every)] if len(every) else []
    also = (
        benefit.line(gained) if gained else "",
        no_epochs or no_views,
        no_similar,
    )  # one reason for epochs and views
    lines += [line for said in also if said for line in ("", said)]
    nothing = synthetic.over_runs([run.settings for run in runs])
    write_text(folder / FILE, told([nothing, *first, *(answers if len(answers) <= FEW else [])], lines))
    opening, figures = words.opening(runs, settings, left_out, over, other), [entry for _, entry in entries]
    write_report(folder / "report.html", words.title(runs, settings), opening, every, figures, folder / "runs.csv",
                 words.how_to_read(runs, settings), first + answers, nothing)  # fmt: skip
    _remove_others(folder, kept)
    return first + answers


def _figures(
    folder: Path, judged: pd.DataFrame, over: dict[str, Table], runs: list[Run], settings: Settings,
    gained: benefit.Benefit | None, epochs: over_epochs.OverEpochs | None,
    similar: over_similarity.OverSimilarity | None,
) -> Iterator[tuple[list[Path], OverRuns]]:  # fmt: skip
    """Draws every figure. Yields its files (and those of its own tables), and its entry in the report."""
    if len(judged) and 1 < len(settings.each) <= MANY:
        yield _of_claims(folder, judged, runs, settings)
    if gained and not gained.lacks:
        yield _benefit(folder, gained)
    spoken = speaks_of(runs, settings)
    for table in over.values():
        own = over_epochs.figure(folder, table, epochs, spoken) if epochs else None
        own = own or (over_similarity.figure(folder, table, similar, spoken) if similar else None)
        yield own or _figure(folder, table, runs, settings)
        if similar and table.name == over_similarity.MEASURE:
            yield from over_similarity.further(folder, table, similar, spoken)
    if epochs:
        yield from over_epochs.further(folder, epochs, runs, spoken)


def _figure(folder: Path, table: Table, runs: list[Run], settings: Settings) -> tuple[list[Path], OverRuns]:
    """Draws a measure's figure. Returns its files, and its entry in the report."""
    about = next((run.about[table.name] for run in runs if table.name in run.about), {})
    labels, name, values = _along(settings)  # the name stands above the legend
    over, by_run = (rows.rename(columns={SETTING: "setting"}) for rows in (table.over, table.by_run))
    figure = draw(over, by_run, table.keys, table.references, labels, about.get("title", table.name),
                  name, NAMES | about.get("labels", {}), values)  # fmt: skip
    png, svg = save(figure, folder / "figures", table.name)
    of_runs = folder / "tables" / f"{table.name}.csv"
    caption = words.caption(table, runs, settings)
    question = about.get("question", table.name.replace("_", " "))
    paper = {"paper": about["paper"]} if "paper" in about else {}
    return [png, svg], OverRuns(table.name, question, caption, about.get("caption", ""), png, of_runs, **paper,
                                title=about.get("title", table.name), labels=about.get("labels", {}))  # fmt: skip


def _of_claims(folder: Path, judged: pd.DataFrame, runs: list[Run], settings: Settings) -> tuple[list[Path], OverRuns]:
    """Draws what the claims are counted by, for each setting. Returns its files, and its entry in the report."""
    labels, name, values = _along(settings)
    rows = judged.drop(columns="setting").rename(columns={SETTING: "setting"})
    kept = [*save(of_claims.draw(rows, labels, name, values), folder / "figures", "claims")]
    table = folder / "tables" / "claims.csv"
    return kept, OverRuns("claims", of_claims.QUESTION, words.of_claims(runs, settings), "", kept[0], table)


def _along(settings: Settings) -> tuple[list[str], str, list[object]]:
    """Returns the names of the settings; if one key alone differs, its name and values as well."""
    alone = len(settings.columns) == 1
    labels = [str(each[0]) if alone else settings.label(each) for each in settings.each]
    return labels, settings.columns[0] if alone else "", [value for (value,) in settings.each] if alone else []


def _benefit(folder: Path, gained: benefit.Benefit) -> tuple[list[Path], OverRuns]:
    """Writes what the runs say of gain and preserved knowledge. Returns its files, and its entry in the report."""
    of_runs, by_run = (folder / "tables" / f"{benefit.NAME}{part}.csv" for part in ("", "_by_run"))
    kept = [write_table(of_runs, gained.over), write_table(by_run, gained.by_run)]
    kept += save(drawn.draw(gained.by_run, gained.over), folder / "figures", benefit.NAME)
    return kept, OverRuns(benefit.NAME, benefit.QUESTION, benefit.caption(gained), "", kept[2], of_runs)


def _listed(runs: list[Run], settings: Settings, left_out: dict[Path, str]) -> pd.DataFrame:
    """Returns the columns run, settings, seeds that differ, used, why not."""
    rows = [{**about, "used": "yes", "why not": ""} for about in described(runs, settings)]
    rows += [{"run": str(run), "used": "no", "why not": why} for run, why in left_out.items()]
    return pd.DataFrame(rows, dtype=object)  # keeps seeds whole numbers where some are missing


def _remove_others(folder: Path, kept: Iterable[Path]) -> None:
    """Removes files of measures that only an earlier summary had, and temporary files of a killed one."""
    for left in filter(is_temporary, folder.rglob(".*")):
        remove(left)
    for file in {*folder.glob("tables/*.csv"), *folder.glob("figures/*.png"), *folder.glob("figures/*.svg")} - {*kept}:
        remove(file)


if __name__ == "__main__":
    main()

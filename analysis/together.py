"""What runs from several epochs of pre-training add to their summary if they were looked at in several ways: what each
view says of every pair of checkpoints, and whether the views agree (analysis/runs/views.py, analysis/runs/agree.py).

tables/views.csv          each view at each epoch, over seeds
tables/views_by_run.csv   what each view says of every pair of checkpoints
tables/trends.csv         how each view goes with the epoch
tables/agreement.csv      every pair of views
figures/views             all of it in one picture
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.claims import IMPOSSIBLE
from analysis.drawing import views as drawn
from analysis.drawing.style import save
from analysis.report.over_runs import OverRuns, write_table
from analysis.runs import agree, agree_words
from analysis.runs.epochs import Epochs
from analysis.runs.found import Run
from analysis.runs.settings import Settings
from analysis.runs.views import NAME, by_run, compared, views

ABOUT = "whether several views of the same checkpoints agree"


@dataclass(frozen=True)
class Together:
    """The curves of all views, and tables by name (above)."""

    found: Epochs
    tables: dict[str, pd.DataFrame]

    @property
    def answer(self) -> str:
        return agree_words.paragraph(self.found, self.tables["trends"], self.tables["agreement"])


def look(runs: list[Run], settings: Settings) -> tuple[Together | None, str]:
    """Returns what several views of runs from several epochs say, or why nothing ("" if they are not such runs)."""
    found = views(runs, settings)
    if found is None or found.lacks:
        return None, f"{ABOUT}: {IMPOSSIBLE}; {found.lacks}" if found else ""
    names = compared(found)
    if len(names) < 2:
        return None, ""
    made = {"trends": agree.trends(found, names), "agreement": agree.agreement(found, names)}
    return Together(found, {NAME: agree.over_epochs(found, names), f"{NAME}_by_run": by_run(found, runs)} | made), ""


def tables(folder: Path, shown: Together) -> list[Path]:
    """Writes all tables."""
    return [write_table(folder / "tables" / f"{name}.csv", table) for name, table in shown.tables.items()]


def figure(folder: Path, shown: Together) -> tuple[list[Path], OverRuns]:
    """Draws the views side by side. Returns the figure's files, and its entry in the report."""
    over, trends, pairs = (shown.tables[name] for name in (NAME, "trends", "agreement"))
    made = drawn.draw(over, trends, pairs, agree_words.words, agree.ALPHA, agree_words.note(pairs))
    kept = [*save(made, folder / "figures", NAME)]
    table = folder / "tables" / "agreement.csv"
    return kept, OverRuns(NAME, agree_words.QUESTION, agree_words.caption(pairs), "", kept[0], table, paper="")

"""What runs that compare layers add to their summary: how far these move in each setting, and the claims on conditions.

tables/similarity.csv   CKA of each layer at the last epochs: mean, standard error, interval, levels
figures/cka             bars per layer and setting, in place of the figure that any measure has
figures/cka_epochs      lines over epochs, as far as several were measured
figures/cka_starts      the fine-tuned model against the pre-trained and the initial one
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.claims import IMPOSSIBLE
from analysis.drawing import similarity_over_runs as drawn
from analysis.drawing.over_runs import MANY
from analysis.drawing.style import save
from analysis.report.over_runs import OverRuns, write_table
from analysis.runs import similarity_words as words
from analysis.runs.conditions import MEASURE, QUANTITY, Conditions, conditions
from analysis.runs.found import Run
from analysis.runs.retrained import retrained
from analysis.runs.settings import Settings
from analysis.runs.similarity_answer import answer
from analysis.runs.similarity_claims import claims
from analysis.runs.similarity_table import ANOTHER, similarity
from analysis.runs.tables import SETTING, Table

NAME, EPOCHS, STARTS = "similarity", "cka_epochs", "cka_starts"
PAPER = "2207.09225"
Entry = tuple[list[Path], OverRuns]


@dataclass(frozen=True)
class OverSimilarity:
    """What is found over conditions. rows: of similarity.csv, with SETTING; labels: of the settings; key: which setting
    alone differs, "" if several do; no_other: why other fine-tunings are not compared."""

    found: Conditions
    claims: pd.DataFrame
    rows: pd.DataFrame
    labels: list[str]
    key: str
    no_other: str

    def with_claims(self, judged: pd.DataFrame) -> pd.DataFrame:
        """Returns the claims over conditions, and below them the others."""
        return pd.concat([table for table in (self.claims, judged) if len(table)] or [judged], ignore_index=True)

    @property
    def answer(self) -> str:
        return answer(self.found, self.claims)


def look(runs: list[Run], settings: Settings) -> tuple[OverSimilarity | None, str]:
    """Returns what runs show that compare layers, or None; and what can't be said of them ("" if all can)."""
    found = conditions(runs, settings)
    if found is None:
        return None, ""
    others, no_other = retrained(runs, settings)
    alone = len(settings.columns) == 1
    labels = [str(each[0]) if alone else settings.label(each) for each in settings.each]
    rows = similarity(runs, settings, others)
    if rows.empty:
        return None, ""
    judged = claims(found)
    shown = OverSimilarity(found, judged, rows, labels, settings.columns[0] if alone else "", no_other)
    of_conditions = found.lacks and len(found.runs) > 1
    return shown, f"how far layers move in each condition: {IMPOSSIBLE}; {found.lacks}" if of_conditions else ""


def tables(folder: Path, shown: OverSimilarity) -> list[Path]:
    """Writes similarity.csv."""
    return [write_table(folder / "tables" / f"{NAME}.csv", shown.rows.drop(columns=SETTING))]


def figure(folder: Path, table: Table, shown: OverSimilarity, spoken: str) -> Entry | None:
    """Draws bars in place of a measure's figure over runs; None for other measures, and for too many settings."""
    if table.name != MEASURE or len(shown.labels) > MANY:
        return None
    made = drawn.bars(_of_cka(shown.rows), shown.labels, shown.key)
    return _entry(folder, MEASURE, made, shown, spoken, NAME)


def further(folder: Path, table: Table, shown: OverSimilarity, spoken: str) -> Iterator[Entry]:
    """Draws what the measure has beside that: lines over epochs, and the two starts of fine-tuning."""
    of = table.over[table.over["quantity"] == QUANTITY].rename(columns={SETTING: "setting"})
    if of["epoch"].nunique() > 1:
        labels = [f"{shown.key}={label}" if shown.key else label for label in shown.labels]
        yield _entry(folder, EPOCHS, drawn.over_epochs(of, labels), shown, spoken, MEASURE)
    rows = _of_cka(shown.rows)
    if {*drawn.STARTS} <= {*rows.loc[rows["model"] == "finetune", "against"]}:
        yield _entry(folder, STARTS, drawn.two_starts(rows, shown.labels), shown, spoken, NAME)


def _of_cka(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["quantity"] == QUANTITY].rename(columns={SETTING: "setting"})


def _entry(folder: Path, name: str, made: object, shown: OverSimilarity, spoken: str, table: str) -> Entry:
    kept = [*save(made, folder / "figures", name)]
    another = bool(shown.rows[ANOTHER].notna().any())
    caption = words.caption(name, shown.found.early, another, shown.no_other, spoken)
    of_runs = folder / "tables" / f"{table}.csv"
    return kept, OverRuns(name, words.QUESTIONS[name], caption, "", kept[0], of_runs, PAPER)

"""Writes the report on many runs as one self-contained HTML file: what varies, the claims, figures with their data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from analysis.report.claims import judged
from analysis.report.page import drawn, rendered, switched
from stages.files import write_text, written


@dataclass(frozen=True)
class OverRuns:
    """A measure's figure: name, question, caption, what a run's report says of it, picture (.svg), table (.csv),
    the paper that it is from (its number on arXiv); title, labels: what is measured, words for keys and references."""

    name: str
    question: str
    caption: str
    in_a_run: str
    image: Path
    table: Path
    paper: str = "2410.08455"
    title: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


def write_report(
    path: Path,
    title: str,
    opening: dict[str, list[str]],
    claims: pd.DataFrame,
    figures: Sequence[OverRuns],
    runs: Path,
    how_to_read: Sequence[str],
    answers: Sequence[str],
    warning: str = "",
) -> None:
    """Writes the report to `path`; it opens offline.

    opening: name -> lines; claims: as in the summary's claims.csv; runs: runs.csv; how_to_read, answers: paragraphs;
    warning: the line on top.
    """
    charts = [drawn(figure) for figure in figures]
    shown = {"figures": figures, "charts": charts, "switches": switched(figures, charts), "interactive": any(charts)}
    content = shown | {"title": title, "opening": opening, "runs": runs, "how_to_read": how_to_read}
    write_text(path, rendered("over_runs.html.j2", claims=judged(claims), answers=answers, warning=warning, **content))


def write_table(path: Path, table: pd.DataFrame) -> Path:
    """Writes a table that a report shows; returns its path."""
    with written(path) as beside:
        table.to_csv(beside, index=False)
    return path

"""Writes a study's self-contained HTML file: what was claimed, what was found, every figure with its data."""

import base64
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from analysis.report.charts import chart, colours
from analysis.report.claims import judged
from stages.files import write_text

PAPERS = {
    "2410.08455": "Why pre-training is beneficial for downstream classification tasks?",
    "2203.04668": "Inadequately pre-trained models are better feature extractors",
    "2207.09225": "Similarity of pre-trained and fine-tuned representations",
}
MEDIA = {".svg": "image/svg+xml", ".png": "image/png"}


@dataclass(frozen=True)
class FigureEntry:
    """What the report shows of a measure: the question that it answers, its picture (.svg or .png) and the table
    (.csv) of its data, if any. paper: of the measure, its number on arXiv; title: what is measured; labels: words for
    names and values of keys, and for references."""

    name: str
    question: str
    caption: str
    image: Path | None = None
    table: Path | None = None
    paper: str = "2410.08455"
    title: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


def write_report(
    path: str | os.PathLike,
    title: str,
    summary: dict[str, str],
    claims: pd.DataFrame,
    figures: Sequence[FigureEntry],
    gallery: Sequence[tuple[str, Path]],
    settings: str,
    how_to_read: str = "",
    answer: str = "",
    warning: str = "",
    samples: Path | None = None,
) -> None:
    """Writes the report to `path` (as a temporary file, then renamed). It opens offline: images are inside.

    summary: what was run, name -> text; claims: as in claims.csv; gallery: (title, picture); settings: YAML
    text; how_to_read: plain text, in which blank lines separate paragraphs; answer: the paragraph on top;
    warning: the line above it; samples: what the sample picker shows (analysis/samples_shown.py).
    """
    charts = [drawn(figure) for figure in figures]
    text = rendered(
        "page.html.j2",
        title=title,
        summary=summary,
        answer=answer,
        warning=warning,
        claims=judged(claims),
        figures=figures,
        charts=charts,
        switches=switched(figures, charts),
        gallery=gallery,
        samples=samples and json.loads(samples.read_text(encoding="utf-8")),
        interactive=bool(any(charts) or samples),
        settings=settings,
        how_to_read=[part for part in how_to_read.split("\n\n") if part.strip()],
    )
    write_text(Path(path), text)


def rendered(template: str, **content: object) -> str:
    """Returns the HTML that a template of this folder makes of its content."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(papers=PAPERS, colours=colours())
    environment.filters.update(embedded=embedded, number=number, table=read_table)
    return environment.get_template(template).render(**content).lstrip()


def drawn(figure: FigureEntry) -> dict | None:
    """Returns what the script draws of a figure's table; None if there is no table of that form."""
    if not figure.table:
        return None
    return chart(pd.read_csv(figure.table), figure.title or figure.question, figure.labels)


def switched(figures: Sequence[FigureEntry], charts: Sequence[dict | None]) -> bool:
    """Tells whether any figure is there as a picture and as a chart."""
    return any(figure.image and drawing for figure, drawing in zip(figures, charts, strict=True))


def embedded(image: str | os.PathLike) -> str:
    """Returns the picture as a `data:` address. Raises ValueError if it is neither .svg nor .png."""
    image = Path(image)
    if image.suffix not in MEDIA:
        raise ValueError(f"{image}: the report shows {' and '.join(MEDIA)}, not {image.suffix or 'this'}")
    return f"data:{MEDIA[image.suffix]};base64,{base64.b64encode(image.read_bytes()).decode('ascii')}"


def read_table(path: str | os.PathLike) -> dict[str, list]:
    """Returns the columns and rows of a csv file."""
    frame = pd.read_csv(path)
    return {"columns": list(frame.columns), "rows": frame.astype(object).to_numpy().tolist()}


def number(value) -> str:
    """Formats with three significant digits; keeps whole numbers and words; a dash stands for a missing value."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if not isinstance(value, float) or value == 0:
        return str(value).removesuffix(".0")
    text = f"{value:#.3g}".rstrip(".")
    if "e" in text and 1 <= abs(value) < 1e6:  # 12300 is easier to read than 1.23e+04
        text = f"{float(text):.0f}"
    return text.replace("-", "−")

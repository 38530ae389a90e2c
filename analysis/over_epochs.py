"""What runs from several epochs of pre-training add to their summary, and the figures that they have over these epochs.

tables/epochs.csv      the best epoch of each kind of transfer
tables/ranking.csv     which score ranks the epochs as their accuracy does
figures/transfer, spectrum, logme   over epochs, in place of those with a line for each setting
figures/ranking, planes             and t-SNE of the first, the best and the last epoch
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd

from analysis.claims import IMPOSSIBLE
from analysis.drawing import epochs as drawn
from analysis.drawing import ranking as of_ranks
from analysis.drawing.planes import Panel, planes
from analysis.drawing.style import save
from analysis.report.over_runs import OverRuns, write_table
from analysis.runs import epoch_words as words
from analysis.runs import ranking
from analysis.runs.epoch_answer import answer, best_epochs
from analysis.runs.epoch_claims import claims
from analysis.runs.epochs import EPOCH, TARGETS, Epochs, epochs
from analysis.runs.found import Run
from analysis.runs.settings import Settings
from analysis.runs.tables import SETTING, Table
from stages.reading import parsed

NAMES = {"fe": "FE, fixed steps", "fe_converged": "FE, converged head", "ft": "FT"}
PAPER = "2203.04668"
Entry = tuple[list[Path], OverRuns]


@dataclass(frozen=True)
class OverEpochs:
    """What is found over epochs. of_setting: the epoch of each setting."""

    found: Epochs
    claims: pd.DataFrame
    best: pd.DataFrame
    ranks: pd.DataFrame
    of_setting: list[int]

    def with_claims(self, judged: pd.DataFrame) -> pd.DataFrame:
        """Returns the claims over epochs, and below them those of each setting."""
        return pd.concat([table for table in (self.claims, judged) if len(table)] or [judged], ignore_index=True)

    @property
    def answer(self) -> str:
        return answer(self.found, self.best, self.claims, self.ranks)


def look(runs: list[Run], settings: Settings) -> tuple[OverEpochs | None, str]:
    """Returns what runs from several epochs show, or why they show nothing ("" if they are not such runs)."""
    found = epochs(runs, settings)
    if found is None or found.lacks:
        return None, f"which epoch of pre-training transfers best: {IMPOSSIBLE}; {found.lacks}" if found else ""
    at = {values: found.places[str(run.folder)][0] for run, values in zip(runs, settings.of_run, strict=True)}
    of_setting = [at[each] for each in settings.each]
    return OverEpochs(found, claims(found), best_epochs(found), ranking.ranking(found), of_setting), ""


def tables(folder: Path, shown: OverEpochs) -> list[Path]:
    """Writes epochs.csv and ranking.csv, as far as there is anything in them."""
    both = {"epochs": shown.best, ranking.NAME: shown.ranks}
    return [write_table(folder / "tables" / f"{name}.csv", table) for name, table in both.items() if len(table)]


def figure(folder: Path, table: Table, shown: OverEpochs, spoken: str) -> Entry | None:
    """Draws a measure over epochs; None for one that has the same figure as ever. spoken: what intervals speak of."""
    over = table.over.assign(**{EPOCH: [shown.of_setting[number] for number in table.over[SETTING]]})
    rows, known = shown.found.rows.get(table.name), shown.found.has
    made = None
    if table.name == "transfer" and any(map(known, drawn.TRANSFER)):
        made = drawn.transfer(over, rows)
    if table.name == "spectrum" and any(known(f"pretrain/accuracy/{name}") for name in drawn.COMPONENTS):
        made = drawn.spectrum(over, rows)
    if table.name == "logme":
        made = _logme(shown)
    if made is None:
        return None
    return _entry(folder, table.name, made, words.QUESTIONS[table.name], f"{words.CAPTIONS[table.name]} {spoken}")


def further(folder: Path, shown: OverEpochs, runs: list[Run], spoken: str) -> Iterator[Entry]:
    """Draws what no measure has by itself: the ranking, and t-SNE at three epochs."""
    if len(shown.ranks):
        made = of_ranks.ranks(shown.ranks, NAMES, ranking.RANKERS, ranking.TRIVIAL)
        yield _entry(folder, ranking.NAME, made, ranking.QUESTION, f"{words.CAPTIONS[ranking.NAME]} {spoken}")
    if chosen := _planes(shown, runs):
        panels, classes, about = chosen
        made = planes(panels, classes, "Features of the target's samples, by t-SNE")
        yield _entry(folder, "planes", made, words.QUESTIONS["planes"], words.of_planes(*about), table="tsne")


def _entry(folder: Path, name: str, made: object, question: str, caption: str, table: str = "") -> Entry:
    kept = [*save(made, folder / "figures", name)]
    return kept, OverRuns(name, question, caption, "", kept[0], folder / "tables" / f"{table or name}.csv", PAPER)


def _logme(shown: OverEpochs) -> object | None:
    parts = []
    for target in [name for name in TARGETS if shown.found.has(name, "logme")]:
        score, accuracy = (shown.found.curves[name].stack() for name in ("logme", target))
        both = pd.concat([score, accuracy], axis=1, keys=["score", "accuracy"], join="inner").dropna()
        parts.append(both.rename_axis(["seed", EPOCH]).reset_index().assign(target=target))
    if not parts or not sum(map(len, parts)):
        return None
    taus = shown.ranks[shown.ranks["ranker"] == "logme"].set_index("target")
    return of_ranks.scatter(pd.concat(parts), NAMES, {target: words.of_tau(row) for target, row in taus.iterrows()})


def _planes(shown: OverEpochs, runs: list[Run]) -> tuple[list[list[Panel]], list[int], tuple] | None:
    """Returns the panels of the first seed's runs from the first, the best and the last epoch, the classes, and what
    the caption says: the seed of t-SNE and its perplexity."""
    places, first = shown.found.places, shown.found.seeds[0]
    files = {places[str(run.folder)][0]: run.folder / "analysis" / "samples" / "tsne.npz"
             for run in runs if places[str(run.folder)][1] == first and "tsne" in run.tables}  # fmt: skip
    there = sorted(epoch for epoch, file in files.items() if file.exists())
    if not there:
        return None
    best = [epoch for epoch in shown.best["best"] if epoch in there][:1]  # of FE, where it is measured
    arrays = {epoch: parsed(files[epoch], _arrays) for epoch in sorted({there[0], *best, there[-1]})}
    panels = [
        [(f"epoch {epoch}, {name}", of[f"plane/{model}"], of["about/labels"]) for epoch, of in arrays.items()
         if f"plane/{model}" in of]
        for model, name in drawn.MODELS.items()
    ]  # fmt: skip
    of = next(iter(arrays.values()))
    labels = max(int(each["about/labels"].max()) for each in arrays.values())
    about = tuple(of[name].item() if name in of else None for name in ("about/seed_drawn", "about/perplexity"))
    return [row for row in panels if row], list(range(labels + 1)), about


def _arrays(opened: BinaryIO) -> dict[str, np.ndarray]:
    archive = np.load(opened)
    return {name: archive[name] for name in archive if name.startswith(("plane/", "about/"))}

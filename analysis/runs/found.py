"""Finds the runs that are to be set side by side: where they are, what their analyses hold, and which are left out.

A run is left out as a whole: if one of its tables is damaged, the others are not read. The reason is given wherever
the summary is shown; it is an error only if no run is left.
"""

import glob
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from analysis.measured import PSEUDO
from conf.errors import BadInput
from conf.schema import NO_NEUTRAL, keys
from stages import inventory
from stages.canonical import WHERE
from stages.checksums import lost
from stages.differences import leaves
from stages.reading import parsed
from stages.records import read_record
from stages.results import read_done
from stages.view import recorded

SEEDS = ("seeds.data", "seeds.pretrain", "seeds.samples", "seeds.train")  # the highest level first


@dataclass(frozen=True)
class Run:
    """A run with its analysis. settings: each key that decides a result, with its value; chosen: content of
    chosen.json, None in older runs without it; tables: by name of the measure, with the claims; about: title and
    caption of each measure; samples: what each measure has kept of its samples."""

    folder: Path
    name: str
    settings: dict[str, object]
    seeds: dict[str, object]
    chosen: dict[str, dict] | None
    digest: str
    finished: str
    tables: dict[str, pd.DataFrame]
    about: dict[str, dict] = field(default_factory=dict)
    samples: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)

    def pseudo(self, table: str) -> dict[str, np.ndarray]:
        """Returns the pseudo-values of a table's rows by column: [samples, rows], and `log` [rows]."""
        found = self.samples.get(table, {})
        return {name.removeprefix("rows/"): found[name] for name in found if name.startswith("rows/")}


def folders(given: Iterable[str]) -> list[Path]:
    """Returns the folders of all runs in the given folders, or in those that match the patterns, each once.

    Raises BadInput if a folder does not exist, or if none of them holds a run.
    """
    given = list(given)
    found = {run.resolve(): run for text in given for place in _places(text) for run in inventory.runs(place)}
    if not found:
        raise BadInput(f"there is no run in {' '.join(given)}: give folders that hold runs, such as outputs/digits")
    return sorted(found.values())


def _places(text: str) -> list[Path]:
    there = [Path(text)] if Path(text).is_dir() else [Path(name) for name in sorted(glob.glob(text, recursive=True))]
    if not any(place.is_dir() for place in there):
        what = "is not a folder" if there else "was not found"
        raise BadInput(f"{text} {what}: a folder of runs, or a pattern such as 'outputs/digits/*', is expected")
    return [place for place in there if place.is_dir()]


def home_of(run: Run) -> Path:
    """Returns the folder of a run's study, outputs/<name>: its results are in outputs/results/finetune/<label>. If
    the run shows no results, it is the nearest folder of that name above the run, or the run's parent folder."""
    for name, entry in recorded(run.folder).items():
        place, depth = Path(os.path.normpath(run.folder / entry["path"])), len(Path(name).parts)
        if len(place.parents) > depth + 1 and place.parents[depth].name == "results":
            return place.parents[depth + 1] / run.name
    parts = Path(run.name).parts
    return next((up for up in run.folder.parents if up.parts[-len(parts) :] == parts), run.folder.parent)


def read(places: Iterable[Path]) -> tuple[list[Run], dict[Path, str]]:
    """Returns the runs with a complete analysis, each analysis once, and why the others are left out."""
    runs, left_out = {}, {}
    for place in places:
        try:
            run = _read(place)
        except BadInput as error:
            left_out[place] = str(error)
            continue
        same = (run.digest, run.name)
        if same in runs:
            left_out[place] = f"its analysis is that of {runs[same].folder}, made from the same results"
        else:
            runs[same] = run
    return list(runs.values()), left_out


def _read(place: Path) -> Run:
    """Reads a run. Raises BadInput for anything that makes it useless."""
    analysis = place / "analysis"
    done = read_done(analysis)
    if done is None or lost(analysis, done["files"]):
        raise BadInput("it has no complete analysis")
    chosen = read_record(place / "chosen.json")
    if chosen is None and (place / "chosen.json").exists():
        raise BadInput("its chosen.json is damaged; its command, run again, writes it anew")
    record = read_record(analysis / "measures.json") or {}
    about = {name: record["measures"][name] for name in record.get("shown", record.get("measures", {}))}
    names = [Path(name) for name in done["files"] if Path(name).match("tables/*.csv")]
    names = [name for name in names if name.stem in about or name.stem == "claims" or not about]
    names.sort(key=lambda name: [*about, name.stem].index(name.stem))  # as in a run's own report
    tables = {name.stem: parsed(analysis / name, pd.read_csv) for name in names}
    name, settings, seeds = _settings(place / "config.yaml")
    if "key" not in tables.get("claims", {"key"}):  # of an earlier version
        del tables["claims"]
    samples = {measure: _samples(analysis / "samples" / f"{measure}.npz") for measure in about}
    samples = {measure: arrays for measure, arrays in samples.items() if arrays}
    return Run(place, name, settings, seeds, chosen, done["digest"], done.get("finished", ""), tables, about, samples)


def _samples(file: Path) -> dict[str, np.ndarray]:
    """Returns the pseudo-values that are kept, and what tells the samples apart."""

    def kept(opened: BinaryIO) -> dict[str, np.ndarray]:
        archive = np.load(opened)
        return {name: archive[name] for name in archive if name in ("data", "index") or name.startswith(PSEUDO)}

    return parsed(file, kept) if file.exists() else {}


def _settings(file: Path) -> tuple[str, dict[str, object], dict[str, object]]:
    """Returns the study's name, its settings, and its seeds, with `repeat` and seeds of tasks, such as
    data.target.seed."""
    try:
        cfg = OmegaConf.load(file)
        every, name, seed = leaves(cfg), str(cfg.name), cfg.seed
    except Exception:  # YAML and OmegaConf raise many kinds of errors
        raise BadInput("its config.yaml is damaged; its command, run again, writes it anew") from None
    every |= {path: known.neutral for path, known in keys()
              if known.neutral is not NO_NEUTRAL and every.get(path) in (None, {})}  # fmt: skip
    drawn = [key for key in every if key.endswith(".seed")]
    seeds = {"seed": seed} | {key: every.get(key) for key in (*SEEDS, "repeat", *drawn)}
    where = [key for key in every if key.rpartition(".")[2] in WHERE]
    return name, {key: value for key, value in every.items() if key not in seeds and key not in where}, seeds

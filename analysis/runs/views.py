"""Views of one pair of checkpoints: what each measure says of a model that was pre-trained up to some epoch, and of the
model fine-tuned from it. Three papers look at the same trainings, each through a measure of its own:

interactions   how much knowledge fine-tuning preserves (decomposition)
layers         how little each layer moves (cka)
features       what a new head makes of them (transfer), their spectrum, scores of them that take no training (logme)

Here each view is a number for every run, and over runs from several epochs a curve. Runs are given a table of these
numbers, so that all that holds for curves over epochs (analysis/runs/epochs.py) holds for them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pandas as pd

from analysis.runs.epochs import EPOCH, FEWEST, Epochs, epochs
from analysis.runs.found import Run
from analysis.runs.settings import Settings

TABLES = ("decomposition", "cka", "transfer", "spectrum", "logme")
NAME, KEYS = "views", {"views": ["view"]}
LAYER, LOGITS = "cka/", "logits"
CLOSE = {"model": "finetune", "against": "pretrain", "quantity": "calibrated"}
USUAL = 0.5  # of all runs have a view that is compared with others
BENEFIT = "benefit"


@dataclass(frozen=True)
class View:
    """words: in figures and sentences; kind: views of one kind are made from the same numbers."""

    words: str
    kind: str


VIEWS = {
    "preserved": View("knowledge preserved", "interactions"),
    "beyond": View("knowledge preserved beyond the task", "interactions"),
    "cka": View("similarity kept (CKA), mean of layers", "layers"),
    "main": View("F_m beyond a random subspace", "spectrum"),
    "rank": View("effective rank of the features", "spectrum"),
    "logme": View("LogME", "logme"),
    "fe": View("accuracy, frozen features (FE)", "fe"),
    "ft": View("accuracy, fine-tuned (FT)", "ft"),
    "source": View("accuracy on the source task", "source"),
}


def of_name(name: str) -> View:
    """Returns a view by its name, which is cka/<layer> for a single layer."""
    return VIEWS[name] if name in VIEWS else View(f"CKA of {name.removeprefix(LAYER)}", "layers")


def views(runs: list[Run], settings: Settings) -> Epochs | None:
    """Returns the views as curves over pre-training epochs; None unless runs differ in start.epoch and have two of
    TABLES at least."""
    given = [replace(run, tables={NAME: table}) for run in runs if len(table := of_run(run))]
    if sum(any(name in run.tables for run in runs) for name in TABLES) < 2 or not given:
        return None
    return epochs(given, settings, KEYS)


def compared(found: Epochs) -> list[str]:
    """Returns the views that most runs have, layers after the mean of them: those that are set side by side."""
    usual = [name for name, table in found.curves.items() if table.notna().sum().sum() >= USUAL * len(found.places)]
    order = {name: place for place, name in enumerate(VIEWS)}
    layers = [name for name in usual if name.startswith(LAYER)]
    main = sorted((name for name in usual if name in VIEWS), key=order.__getitem__)
    at = main.index("cka") + 1 if "cka" in main else len(main)
    chosen = [*main[:at], *layers, *main[at:]]
    return chosen if chosen and len(found.together(*chosen)[0]) >= FEWEST else main


def of_run(run: Run) -> pd.DataFrame:
    """Returns what the views say of a run: view, mean, and low and high, which are NaN: what counts is how seeds
    differ."""
    rows = [(name, value) for name, value in _values(run) if pd.notna(value)]
    return pd.DataFrame(rows, columns=["view", "mean"]).assign(low=float("nan"), high=float("nan"))


def by_run(found: Epochs, runs: list[Run]) -> pd.DataFrame:
    """Returns a row for each pair of checkpoints: run, epoch, seed, then what each view says of it, and the benefit
    over training from scratch where it is known."""
    rows = found.rows[NAME].pivot_table(index=["run", EPOCH, "seed"], columns="view", values="mean", sort=False)
    table = rows[list(dict.fromkeys(found.rows[NAME]["view"]))].reset_index().rename_axis(columns=None)
    only = {str(run.folder): str(run.seeds.get("seed")) for run in runs}
    table["seed"] = [_short(seed) or only[run] for seed, run in zip(table["seed"], table["run"], strict=True)]
    gain = {str(run.folder): _one(run, "claims", key="accuracy/gain") for run in runs}
    table[BENEFIT] = table["run"].map(gain)
    return table.dropna(axis=1, how="all").sort_values([EPOCH, "seed"], kind="stable", ignore_index=True)


def _short(seed: str) -> str:
    """Returns 3 for the combination "3, 3, 3" of seeds that follow each other."""
    return seed if len(each := set(seed.split(", "))) > 1 else each.pop()


def _values(run: Run) -> Iterator[tuple[str, float | None]]:
    yield "preserved", _one(run, "claims", key="preserved/share")
    yield "beyond", _one(run, "claims", key="preserved/task")
    yield from _layers(run)
    main, random = (_one(run, "spectrum", model="pretrain", quantity="accuracy", component=name)
                    for name in ("main", "random_main"))  # fmt: skip
    yield "main", None if main is None or random is None else main - random
    yield "rank", _one(run, "spectrum", model="pretrain", quantity="effective_rank")
    yield "logme", _one(run, "logme", score="logme")
    heads = [_one(run, "transfer", quantity=name) for name in ("fe_converged", "fe")]
    yield "fe", next((value for value in heads if value is not None), None)
    yield "ft", _one(run, "transfer", quantity="ft")
    yield "source", _one(run, "transfer", quantity="source")


def _layers(run: Run) -> Iterator[tuple[str, float]]:
    """Yields how near each layer is to where fine-tuning found it, 0 being what a permutation of the images gives, and
    their mean without the logits, whose head is a new one."""
    rows = _rows(run, "cka", **CLOSE)
    if rows.empty:
        return
    last = rows[rows[EPOCH] == rows[EPOCH].max()]
    yield "cka", last.loc[last["layer"] != LOGITS, "mean"].mean()
    yield from ((f"{LAYER}{layer}", value) for layer, value in zip(last["layer"], last["mean"], strict=True))


def _one(run: Run, table: str, **keys: str) -> float | None:
    rows = _rows(run, table, **keys)
    return float(rows["mean"].iloc[0]) if len(rows) else None


def _rows(run: Run, table: str, **keys: str) -> pd.DataFrame:
    rows = run.tables.get(table, pd.DataFrame())
    if not {*keys, "mean"} <= set(rows):
        return pd.DataFrame()
    for key, value in keys.items():
        rows = rows[rows[key] == value]
    return rows

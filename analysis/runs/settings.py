"""Finds what tells the runs apart: the settings that differ among them, apart from seeds.

Runs of one setting that differ in seeds are replicates: they give a mean and an interval. For example, the sweep
`finetune.lr=1e-3,1e-2 seed=0,1,2` has two settings with three runs each. As scratch.lr follows finetune.lr unless it is
set, it differs as well, but the user did not choose it: it is not a setting, and is named beside what it follows.

So a setting consists of what was chosen (chosen.json), and of anything else that is needed to tell apart runs that
differ in more than seeds: runs without a record of what was chosen, or runs between which a configuration file was
edited. Weights of other pre-trainings, one for each seed (model.weights=pre0.pt with seed=0), are a seed as well, and
fine-tuned ones, one for each epoch of pre-training (from_5/last.pt with start.epoch=5), are that epoch.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from analysis.runs.found import Run
from conf.allowed import shown

FIRST = ("data", "model")  # groups that are always named; others only if these do not tell the runs apart
NUMBER = re.compile(r"(\d+(?:\.\d+)*)")  # in a text, whole: not the 0 of 10 or 0.5
OF_TASKS = ("data.", "model.")  # their arguments may follow a seed
OF_FILES, START = (*OF_TASKS, "interactions.checkpoints."), "start.epoch"
MOST = 5  # names in a line


@dataclass(frozen=True)
class Settings:
    """The settings of all runs. columns: what differs; headers: its names in tables; of_run: its values, one tuple
    for each run, in the order of the runs; also: what else differs, in lines."""

    columns: tuple[str, ...]
    headers: tuple[str, ...]
    of_run: list[tuple[object, ...]]
    also: list[str]

    @property
    def each(self) -> list[tuple[object, ...]]:
        """Returns the settings, each once."""
        return list(dict.fromkeys(self.of_run))

    def label(self, values: Sequence[object]) -> str:
        """Returns a label such as "model=conv4, finetune.lr=0.001"."""
        return ", ".join(f"{key}={value}" for key, value in zip(self.columns, values, strict=True)) or "all runs"


def in_order(runs: list[Run]) -> tuple[list[Run], Settings]:
    """Sorts the runs by settings, numbers upwards, then by seeds; returns them and what tells them apart."""
    named = _columns(runs)
    rows = list(zip(*named.values(), strict=True)) if named else [()] * len(runs)
    ranks = [_ranks(column) for column in named.values()]
    keys = [([rank[at] for rank in ranks], [str(seed).zfill(12) for seed in run.seeds.values()], at)
            for at, run in enumerate(runs)]  # fmt: skip
    order = [key[-1] for key in sorted(keys)]
    settings = Settings(tuple(named), _headers(runs, named), [rows[at] for at in order], _also(runs, named))
    return [runs[at] for at in order], settings


def _headers(runs: list[Run], columns: Iterable[str]) -> tuple[str, ...]:
    """Returns the names in tables: "model" becomes "chosen.model" where any run's table has a column "model"."""
    taken = {column for run in runs for table in run.tables.values() for column in table}
    return tuple(f"chosen.{name}" if name in taken else name for name in columns)


def _columns(runs: list[Run]) -> dict[str, list[object]]:
    """Returns the columns that tell the runs apart: name -> value of each run."""
    every = {key: [run.settings.get(key) for run in runs] for key in _names(run.settings for run in runs)}
    groups, keys = _chosen(runs)
    every = {
        key: values
        for key, values in every.items()
        if not (_is_numbered(key, values, runs) or (key not in keys and _is_seed(key, values, runs)))
    }
    always = {name: groups.pop(name) for name in FIRST if name in groups}
    always |= {key: values for key, values in every.items() if key in keys}
    found = {name: values for name, values in always.items() if len(set(map(shown, values))) > 1}
    every |= {"study": [run.name for run in runs]}
    together = [list(row) for row in zip(*every.values(), strict=True)]
    for name, values in (groups | every).items():
        # An option such as experiment=digits_seeds may stand for the settings of another one.
        told = name in groups and _follows(together, found.values())
        if name not in found and not told and not _follows(values, found.values()):
            found[name] = values
    return {name: [_plain(value) for value in values] for name, values in found.items()}


def _chosen(runs: list[Run]) -> tuple[dict[str, list[object]], set[str]]:
    """Returns each group's options and the keys that any run changed, both empty unless all runs record them."""
    if not all(run.chosen for run in runs):
        return {}, set()
    names = _names(run.chosen["groups"] for run in runs)
    groups = {name: [run.chosen["groups"].get(name) for run in runs] for name in names}
    return groups, {key for run in runs for key in run.chosen["keys"]}


def _names(mappings: Iterable[dict]) -> list[str]:
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))


def _is_seed(key: str, values: list[object], runs: list[Run]) -> bool:
    """Tells whether a key differs and equals a seed in all runs, as an argument of a task or model may."""
    seeds = ([run.seeds.get(name) for run in runs] for name in runs[0].seeds)
    follows = len(set(map(shown, values))) > 1 and any(values == seed for seed in seeds)
    return follows and key.startswith(OF_TASKS)


def _is_numbered(key: str, values: list[object], runs: list[Run]) -> bool:
    """Tells whether texts differ in nothing but numbers that are a seed, or the epoch that a run starts from: pre0.pt
    with seed 0, pre1.pt with seed 1. Such a text says nothing more, even if it was chosen."""
    if not key.startswith(OF_FILES) or not all(isinstance(value, str) for value in values) or len(set(values)) == 1:
        return False
    parts = [NUMBER.split(value) for value in values]
    known = [[str(run.seeds.get(name)) for run in runs] for name in runs[0].seeds]
    known.append([str(run.settings.get(START)) for run in runs])
    places = map(list, zip(*parts, strict=False))
    return len(set(map(len, parts))) == 1 and all(len(set(place)) == 1 or place in known for place in places)


def _follows(values: list[object], others: Iterable[list[object]]) -> bool:
    """Tells whether the others decide the values: no two runs agree in all of the others and differ in this one."""
    known = {}
    rows = zip(*others, strict=True) if others else [()] * len(values)
    return all(known.setdefault(tuple(map(shown, row)), shown(value)) == shown(value)
               for row, value in zip(rows, values, strict=True))  # fmt: skip


def _also(runs: list[Run], named: dict[str, list[object]]) -> list[str]:
    """Returns what differs but is not a column, in one line for each column that it follows."""
    lines: dict[str, list[str]] = {}
    for key in _names(run.settings for run in runs):
        values = [run.settings.get(key) for run in runs]
        different = list(dict.fromkeys(map(shown, values)))
        told = _is_seed(key, values, runs) or _is_numbered(key, values, runs)
        if key not in named and len(different) > 1 and not told:
            leader = next((name for name, column in named.items() if _follows(values, [column])), "the settings")
            own = key.split(".")[0] == leader  # such as model.width where models are compared
            lines.setdefault(leader, []).append(f"{leader}.*" if own else f"{key} ({', '.join(different[:MOST])})")
    return [f"{_some(list(dict.fromkeys(keys)))}: differs with {leader}" for leader, keys in lines.items()]


def _some(names: list[str]) -> str:
    return ", ".join(names[:MOST]) + (f" and {len(names) - MOST} more" if len(names) > MOST else "")


def _ranks(values: list[object]) -> list[int]:
    """Ranks numbers by size, and after them words in their order of appearance."""
    distinct = list(dict.fromkeys(values))
    distinct.sort(key=lambda value: (1, 0) if isinstance(value, str) else (0, value))
    return [distinct.index(value) for value in values]


def _plain(value: object) -> object:
    """Returns a number as it is, and anything else as a word."""
    return value if type(value) in (int, float) else shown(value)

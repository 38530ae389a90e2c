"""Runs of one setting that differ only in their seeds, and what an interval between them means.

Seeds have levels: other data lead to other pre-trainings, and these to other trainings. An interval describes the
highest level that varied. Five fine-tunings of one pre-trained model say how much fine-tuning varies, but nothing
about what another pre-training would have given. A seed may vary and change nothing: that of the data where a folder is
used whole, that of the pre-training where all runs start from the same weights.
"""

from collections.abc import Callable
from pathlib import Path

from analysis.runs.found import SEEDS, Run
from analysis.runs.settings import Settings
from stages.view import recorded

LEVELS = {
    "seeds.data": "everything made again, from the draw of the data on",
    "seeds.pretrain": "other pre-trainings on the same data",
    "seeds.samples": "other samples whose interactions are measured",
    "seeds.train": "other trainings from one pre-training, on the same samples",
}
OTHER_SOURCE = "other pre-trainings, on the same samples of the target task"
SAME_START = "everything but the pre-training made again, from the draw of the data on"


def older(runs: list[Run], settings: Settings) -> dict[Path, str]:
    """Returns runs to leave out, and why: of runs with equal settings and seeds but different results, all but the
    latest. They are not random draws: other versions of the program or other files of the user made them."""
    same: dict[tuple, list[Run]] = {}
    for run, values in zip(runs, settings.of_run, strict=True):
        same.setdefault((values, str(run.seeds)), []).append(run)
    latest = {key: max(group, key=lambda run: run.finished) for key, group in same.items()}
    return {
        run.folder: f"it has the settings and seeds of {latest[key].folder}, which was made later"
        for key, group in same.items()
        for run in group
        if run is not latest[key]
    }


def varied(runs: list[Run]) -> list[str]:
    """Returns the seeds that differ among the runs, and `repeat`, without those that follow another seed."""
    names = dict.fromkeys(name for run in runs for name in run.seeds)
    values = {name: [run.seeds.get(name) for run in runs] for name in names}
    known = [values[name] for name in SEEDS]
    return [
        name
        for name, each in values.items()
        if len(set(map(str, each))) > 1 and (name in (*SEEDS, "seed") or each not in known)
    ]


def speaks_of(runs: list[Run], settings: Settings) -> str:
    """Returns a sentence that says what the intervals mean."""
    by_setting = [[run for run, values in zip(runs, settings.of_run, strict=True) if values == each]
                  for each in settings.each]  # fmt: skip
    several = [group for group in by_setting if len(group) > 1]
    if not several:
        return "Each setting has one run: nothing is said of what other seeds would give."
    said = dict.fromkeys(_of_one(group) for group in several)
    if len(said) == 1:
        return f"What differs between the runs of a setting: {next(iter(said))}."
    return f"What differs between the runs of a setting is not the same in all settings: {'; or '.join(said)}."


def level_of(runs: list[Run]) -> str:
    """Says in a few words what differs between runs of one setting."""
    return _of_one(runs).partition(" (")[0]


def _of_one(runs: list[Run]) -> str:
    names = [name for name in varied(runs) if name != "seed"]
    if not names:
        return "nothing that is known"
    idle = _idle(runs, names)
    acting, same = [name for name in names if name not in idle], [name for name in SEEDS if name not in names]
    parts = [f"{_listed(acting)} varied"] if acting else []
    parts += [f"{_listed(idle)} varied, which changes nothing here"] if idle else []
    parts += [f"the same in all: {_listed(same)}"] if same else []
    return f"{_level(runs, acting)} ({'; '.join(parts)})"


def _level(runs: list[Run], acting: list[str]) -> str:
    """Returns what the highest of the seeds that change something makes anew."""
    level = next((name for name in SEEDS if name in acting), None)
    if level is None:
        unchanged = "the same once more" + ", with the same seeds" * (acting == ["repeat"])
        return unchanged if acting in ([], ["repeat"]) else "other draws of the data"
    if level == "seeds.data" and _same(runs, _samples):
        return OTHER_SOURCE
    if level == "seeds.data" and _same(runs, _pretrained):
        return SAME_START
    return LEVELS[level] + ", of the same models" * (acting == ["seeds.samples"])


def _idle(runs: list[Run], names: list[str]) -> list[str]:
    """Returns the seeds of these that vary but change nothing, as far as that is known."""
    same_data, same_start = _same(runs, _samples), _same(runs, _pretrained)
    idle = {"seeds.pretrain"} if same_start else set()
    if same_data and same_start is not False:  # else they may draw other data of the source task
        idle |= {name for name in names if name == "seeds.data" or name.startswith("data.target.")}
    return [name for name in names if name in idle]


def _same(runs: list[Run], of: Callable[[Run], str]) -> bool | None:
    """Tells whether something is the same in all runs; None where it is not known of all."""
    found = {of(run) for run in runs}
    return None if "" in found else len(found) == 1


def _samples(run: Run) -> str:
    """Returns what tells the samples of the target task from others (analysis/inputs.py: data_of); "" if unknown."""
    return next((str(kept["data"]).rpartition("/")[0] for kept in run.samples.values() if "data" in kept), "")


def _pretrained(run: Run) -> str:
    return recorded(run.folder).get("pretrain", {}).get("digest", "")


def _listed(names: list[str]) -> str:
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1]

"""The missing results of a study's runs as tasks: what each makes, and after which others it can begin.

    pretrain  ->  finetune          ->  interactions/finetune, 16 shards  ->  their join  ->  analysis of each run
              ->  probe             ->  interactions/probe, 16 shards     ->  their join        ->  summary of all
                  interactions/samples

Runs that need the same result share its task. What is complete is no task, and nothing waits for it.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from cluster import records
from cluster.runs import Run
from conf.errors import BadInput
from conf.schema import FEATURES, SAMPLES, SIMILAR, VALUES
from stages import table
from stages.identity import Result
from stages.results import epochs_of, is_complete
from stages.runner import left_by
from stages.view import folder_name, recorded

SHARDS, JOIN, FOLDER, SUMMARY = "shards", "join", "folder", "summary"


@dataclass(frozen=True)
class Task:
    """One job, or an array of `shards` jobs.

    key: the same whenever the same work is needed again; what: the name of the result, or FOLDER (of a run without an
    analysis) or SUMMARY; kind: "" for a whole result, SHARDS or JOIN; folder, digest: of what it makes; gets: the part
    of conf/cluster/ that says its resources; after: keys of the tasks that must have ended well; ended: of those that
    must only have ended.
    """

    key: str
    what: str
    run: Run
    folder: Path
    digest: str
    gets: str
    after: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()
    kind: str = ""
    shards: int = 1
    runs: tuple[str, ...] = field(default=(), compare=False)

    @property
    def called(self) -> str:
        return called(self.what, self.kind, self.shards)


def called(what: str, kind: str, shards: int, shard: int | None = None) -> str:
    """Returns such as "interactions/finetune, 16 shards" or, of one of its jobs, "interactions/finetune, shard 3 of
    16"."""
    some = f"{shards} shards" if shard is None else f"shard {shard} of {shards}"
    part = {SHARDS: f", {some}", JOIN: f", join of {shards} shards"}
    return f"{what}{part.get(kind, '')}"


def tasks_of(runs: list[Run]) -> list[Task]:
    """Returns the tasks of all runs, each after those that it needs. Raises BadInput if a result is needed that is not
    complete, and whose stage is not asked for."""
    found: dict[str, Task] = {}
    analyses: dict[str, tuple[Run, Result]] = {}
    for run in runs:
        stages = table.chosen(run.cfg)
        asked = [result for stage in stages for result in left_by(run.results, stage)]
        for result in asked:
            if not is_complete(result):
                _add(found, run, result, {one.name for one in asked})
        if "analysis" in {stage.name for stage in stages}:
            analyses[run.cfg.run_dir] = (run, run.results["analysis"])
        elif task := _folder(found, run, asked):
            found[task.key] = task
    if len(analyses) > 1 and (task := _summary(found, list(analyses.values()))):
        found[task.key] = task
    return list(found.values())


def _add(found: dict[str, Task], run: Run, result: Result, asked: set[str]) -> None:
    key = _key(result)
    if key in found:
        return
    for name, needed in result.inputs.items():
        if name not in asked and not is_complete(needed):
            raise BadInput(
                f"{result.name} of {run.cfg.run_dir} needs {name}, which is not complete and not among the stages "
                f"that are asked for: add {needed.stage.name} to stages=[...]"
            )
    others = [task.key for task in found.values() if (task.what, task.digest, task.folder) == _made_by(result)]
    after = tuple(dict.fromkeys(one for one in (*map(_key, _before(run, result)), *others) if one in found))
    gets = "join" if result.name in SAMPLES else result.stage.name
    whole = Task(key, result.name, run, result.folder, result.digest, gets, after)
    if (count := _shards(run, result)) > 1:
        shards = replace(whole, key=f"{key}-{SHARDS}", kind=SHARDS, shards=count)
        found[shards.key] = shards
        whole = replace(whole, gets="join", ended=(shards.key,), kind=JOIN, shards=count)
    found[key] = whole


def _made_by(result: Result) -> tuple[str, str, Path]:
    """Returns what tasks have in common that make the same result with other epochs: they come one after the other."""
    return result.name, result.digest, result.folder


def _before(run: Run, result: Result) -> list[Result]:
    """Returns what has to be made before a result: what it is made from, and for features of the pre-trained model the
    probe, which computes the same ones and would be met there."""
    meets = [run.results["probe"]] if result.name == FEATURES[0] and "probe" in run.results else []
    return [*result.inputs.values(), *meets]


def _shards(run: Run, result: Result) -> int:
    """Returns over how many jobs a result is spread: not over more than it can have units."""
    if result.name in VALUES:
        return min(run.cfg.cluster.interactions.shards, len(epochs_of(result)) * run.cfg.interactions.samples)
    if result.name in SIMILAR:
        return min(run.cfg.cluster.representations.shards, len(epochs_of(result)))
    return 1


def _folder(found: dict[str, Task], run: Run, asked: list[Result]) -> Task | None:
    """Returns the task that shows what was made in the run's folder, unless that shows it already."""
    shown = recorded(Path(run.cfg.run_dir))
    after = tuple(_key(result) for result in asked if _key(result) in found)
    if not after and all(shown.get(result.name, {}).get("digest") == result.digest for result in asked):
        return None
    digest = _hash(result.digest for result in asked)
    key = f"{FOLDER}-{_hash([run.cfg.run_dir, digest])}"
    return Task(key, FOLDER, run, Path(run.cfg.run_dir), digest, "join", after)


def _summary(found: dict[str, Task], analyses: list[tuple[Run, Result]]) -> Task | None:
    """Returns the task that sums up the analyses, unless a job has done so since they are as they are."""
    after = tuple(_key(result) for _, result in analyses if _key(result) in found)
    digest = _hash(f"{run.cfg.run_dir} {result.digest}" for run, result in analyses)
    first, folders = analyses[0][0], tuple(run.cfg.run_dir for run, _ in analyses)
    names, key = dict.fromkeys(run.cfg.name for run, _ in analyses), f"{SUMMARY}-{digest}"
    of_several = (SUMMARY, folder_name(["+".join(names)]))
    folder = Path(first.cfg.output, *(of_several if len(names) > 1 else (first.cfg.name, SUMMARY)))
    output = Path(first.cfg.output)
    before = records.read(output, key)
    there = (folder / "made_from.json").exists()
    if there and not after and before and records.ended_well(records.logs_folder(output, key), before.jobs[1]):
        return None
    return Task(key, SUMMARY, first, folder, digest, "analysis", after, runs=folders)


def _key(result: Result) -> str:
    """Returns the key of the task that makes a result, with the epochs that are asked for: another study may need
    others of the same result."""
    name = f"{result.name.replace('/', '-')}-{result.digest}"
    also = [str(result.folder)] if result.stage.in_run else [str(result.asked)] * (result.asked not in (None, "all"))
    return f"{name}-{_hash(also)}" if also else name


def _hash(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]

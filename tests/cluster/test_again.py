"""A study that is submitted again, while some of its jobs wait, run, or have failed: without a scheduler."""

from pathlib import Path

import pytest

from cluster import queue, records, submit
from cluster.queue import Queued
from cluster.runs import hydras, runs_of
from cluster.tasks import tasks_of
from conf.errors import BadInput

CONF = Path(__file__).resolve().parents[1] / "conf"


class Slurm:
    """In place of Slurm. there: what it has; cancelled: what was cancelled; after: job -> what it waits for."""

    def __init__(self) -> None:
        self.there: dict[str, Queued] = {}
        self.cancelled: list[str] = []
        self.after: dict[str, dict[str, str]] = {}
        self.last, self.refuses_after = 0, 1000

    def sbatch(self, task, numbers: list[int], waits: dict[str, str], _) -> dict[int, str]:
        if self.last >= self.refuses_after:
            raise BadInput("sbatch refuses it")
        self.last += 1
        names = [f"{self.last}_{place}" if task.kind == "shards" else f"{self.last}" for place in range(len(numbers))]
        for name in names:
            self.there[name] = Queued("PENDING", "Dependency", "", task.key)
            self.after[name] = waits
        return dict(zip(numbers, names, strict=True))

    def cancel(self, jobs: list[str]) -> None:
        self.cancelled += jobs
        for job in jobs:
            self.there.pop(job)


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch) -> Slurm:
    found = Slurm()
    monkeypatch.setattr(queue, "queued", lambda: dict(found.there))
    monkeypatch.setattr(queue, "cancel", found.cancel)
    monkeypatch.setattr(queue, "largest_array", lambda: 2)
    monkeypatch.setattr(submit, "_sbatch", found.sbatch)
    return found


@pytest.fixture
def again(tmp_path: Path):
    """again(*words): submits the fine-tuning's interactions; returns key -> jobs of each task's record."""

    def run(*words: str, code: int = 0) -> dict[str, dict[int, str]]:
        fixed = ["experiment=tiny", f"--config-dir={CONF}", f"output={tmp_path}", "interactions.roles=[finetune]"]
        arguments = [*fixed, "stages=[pretrain,finetune,interactions]", *(words or ["cluster.interactions.shards=3"])]
        if code:
            with pytest.raises(SystemExit, match=str(code)):
                submit.main(arguments)
        else:
            submit.main(arguments)
        found = records.all_of(tmp_path)
        return {"shards" if one.kind == "shards" else one.key.rpartition("-")[0]: one.jobs for one in found}

    return run


def test_what_is_queued_is_left_alone(slurm: Slurm, again) -> None:
    first = again()
    assert first["shards"] == {1: "4_0", 2: "4_1", 3: "5_0"}  # in arrays that are not too large
    assert again() == first
    assert not slurm.cancelled


def test_a_lost_shard_alone_is_submitted_and_the_join_waits_for_it(slurm: Slurm, again) -> None:
    first = again()
    slurm.there.pop("4_1")
    second = again()
    assert second["shards"] == {1: "4_0", 2: "8_0", 3: "5_0"}
    join, folder = second["interactions-finetune"][1], second["folder"][1]
    assert slurm.cancelled == [first["interactions-finetune"][1], first["folder"][1]]  # they did not wait for it
    assert set(slurm.after[join]["afterany"].split(":")) == {"4_0", "5_0", "8"}
    assert slurm.after[folder]["afterok"].split(":")[-1] == join


def test_a_join_that_runs_is_not_disturbed(slurm: Slurm, again) -> None:
    first = again()
    join = first["interactions-finetune"][1]
    slurm.there[join] = Queued("RUNNING", "None", "node", slurm.there[join].comment)
    slurm.there.pop("4_1")
    assert again()["interactions-finetune"] == first["interactions-finetune"]


def test_jobs_of_another_number_of_shards_are_replaced(slurm: Slurm, again) -> None:
    first = again()
    second = again("cluster.interactions.shards=2")
    assert set(slurm.cancelled) >= {*first["shards"].values(), first["interactions-finetune"][1]}
    assert set(second["shards"]) == {1, 2}
    assert set(slurm.there) == {job for jobs in second.values() for job in jobs.values()}  # and none is forgotten


def test_what_can_never_begin_is_cancelled_and_submitted_anew(slurm: Slurm, again) -> None:
    [job] = again()["finetune"].values()
    slurm.there[job] = Queued("PENDING", "DependencyNeverSatisfied", "", slurm.there[job].comment)
    assert again()["finetune"] != {1: job}
    assert job in slurm.cancelled


def test_a_job_of_the_same_number_that_is_not_ours_does_not_count(slurm: Slurm, again) -> None:
    [job] = again()["pretrain"].values()
    slurm.there[job] = Queued("RUNNING", "None", "node", "")
    assert again()["pretrain"] != {1: job}
    assert job not in slurm.cancelled


def test_a_submission_that_is_cut_short_goes_on(slurm: Slurm, again) -> None:
    slurm.refuses_after = 4  # in the middle of the shards
    first = again("cluster.interactions.shards=3", code=2)
    assert first["shards"] == {1: "4_0", 2: "4_1"}
    slurm.refuses_after = 1000
    assert again()["shards"] == {1: "4_0", 2: "4_1", 3: "5_0"}


def test_runs_that_need_other_epochs_of_one_result_make_it_in_turn(tmp_path: Path) -> None:
    words = ["experiment=tiny", f"--config-dir={CONF}", f"output={tmp_path}", "stages=[pretrain,finetune]"]
    with hydras():
        tasks = tasks_of(runs_of([*words, "checkpoints.epochs=[1],all"]))
    first, second = (task for task in tasks if task.what == "finetune")
    assert first.digest == second.digest
    assert first.key in second.after


def test_stages_of_one_run_are_put_together(tmp_path: Path) -> None:
    words = ["experiment=tiny", f"--config-dir={CONF}", f"output={tmp_path}"]
    with hydras():
        tasks = tasks_of(runs_of([*words, "stages=[pretrain],[pretrain,finetune]"]))
        assert [task.what for task in tasks if task.what != "folder"] == ["pretrain", "finetune"]
        with pytest.raises(BadInput, match="is the folder of two different runs"):
            runs_of([*words, f"run_dir={tmp_path / 'run'}", "seeds.train=0,1"])


@pytest.mark.parametrize("word", ["plan=true", "interactions.shard=1/2"])
def test_what_jobs_are_told_in_another_way_is_refused(slurm: Slurm, again, word: str) -> None:
    assert again(word, code=2) == {}
    assert not slurm.there

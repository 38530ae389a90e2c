"""How the jobs of a study are, from what Slurm says and what they left."""

import pickle
from pathlib import Path

import pytest

from cluster import queue, records, status
from cluster.queue import Queued
from cluster.records import Submitted
from cluster.states import states_of
from conf.errors import BadInput
from stages.records import write_record


@pytest.fixture
def slurm_says(monkeypatch: pytest.MonkeyPatch) -> dict[str, Queued]:
    there: dict[str, Queued] = {}
    monkeypatch.setattr(queue, "queued", lambda: there)
    monkeypatch.setattr(queue, "ended", lambda jobs: {"9": "TIMEOUT"} if "9" in jobs else {})
    return there


def submitted(output: Path, key: str, jobs: dict[int, str], kind: str = "") -> Submitted:
    folder = output / "results" / key.removesuffix("-shards")
    one = Submitted(key, "finetune", kind, jobs, str(folder), "abc", [], "digits",
                    "outputs/digits/seed=0", "1 CPU",
                    None, f"2026-01-01 00:00:0{len(records.all_of(output))}", len(jobs))  # fmt: skip
    records.write(output, one)
    return one


def log(output: Path, key: str, job: str, text: str) -> None:
    file = records.log_of(records.logs_folder(output, key), job)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_each_job_has_a_state(tmp_path: Path, slurm_says: dict[str, Queued], capsys) -> None:
    slurm_says |= {
        "1": Queued("RUNNING", "None", "node7", "finetune-1"),
        "2": Queued("PENDING", "Dependency", "", "finetune-2"),
    }
    slurm_says |= {"3": Queued("PENDING", "DependencyNeverSatisfied", "", "finetune-3")}
    for number in (1, 2, 3, 8, 9):
        submitted(tmp_path, f"finetune-{number}", {1: str(number)})
    log(
        tmp_path,
        "finetune-1",
        "1",
        "x: job 1\nrun finetune: epoch 2/20, test accuracy 0.7, 3:20 left\nrun finetune: a remark\n",
    )
    log(tmp_path, "finetune-8", "8", "a traceback")
    log(tmp_path, "finetune-9", "9", "")
    write_record(records.failure_file(records.logs_folder(tmp_path, "finetune-8"), "8"), {"why": "the loss is nan"})
    submitted(tmp_path, "finetune-7", {1: "7"})
    slurm_says["7"] = Queued("RUNNING", "None", "node8", "another job, of a Slurm that has begun to count anew")
    found = {key: states[0] for key, states in states_of(tmp_path, records.all_of(tmp_path)).items()}
    assert {key: (state.state, state.about) for key, state in found.items()} == {
        "finetune-1": ("running", "epoch 2/20, test accuracy 0.7, 3:20 left, node7"),
        "finetune-2": ("queued", "waits for other jobs"),
        "finetune-3": ("failed", "it can never begin (DependencyNeverSatisfied)"),
        "finetune-7": ("failed", "it never began: it was cancelled, or what it needs has failed"),
        "finetune-8": ("failed", "the loss is nan"),
        "finetune-9": ("failed", "it reached its time limit, and could not be queued again"),
    }
    status.main([f"output={tmp_path}"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "0 done, 1 running, 1 queued, 4 failed"
    assert lines[4].endswith(
        f"the loss is nan; log: {records.log_of(records.logs_folder(tmp_path, 'finetune-8'), '8')}"
    )
    with pytest.raises(SystemExit, match="2"):
        status.main([f"output={tmp_path}", "name=other"])


def test_a_result_that_is_there_is_done_whoever_made_it(tmp_path: Path, slurm_says: dict[str, Queued]) -> None:
    shards = submitted(tmp_path, "finetune-1-shards", {1: "5_0", 2: "5_1"}, "shards")
    join = submitted(tmp_path, "finetune-1", {1: "6"}, "join")
    log(tmp_path, "finetune-1-shards", "5_1", "")
    for job, outcome in (("5_0", "error"), ("5_1", "success")):
        (records.logs_folder(tmp_path, shards.key) / f"{job}_0_result.pkl").write_bytes(pickle.dumps((outcome, "...")))
    every = [shards, join]
    assert [[state.state for state in one] for one in states_of(tmp_path, every).values()] == [
        ["failed", "done"],
        ["failed"],
    ]
    write_record(Path(join.folder) / "done.json", {"digest": "abc", "files": {}})
    assert {state.state for one in states_of(tmp_path, every).values() for state in one} == {"done"}
    write_record(Path(join.folder) / "done.json", {"digest": "of other settings", "files": {}})
    assert "failed" in {state.state for one in states_of(tmp_path, every).values() for state in one}


def test_a_damaged_record_is_left_out(tmp_path: Path, slurm_says: dict[str, Queued]) -> None:
    submitted(tmp_path, "finetune-1", {1: "1"})
    (records.jobs_folder(tmp_path) / "finetune-2.json").write_text('{"key": "finetune-2", "jobs": {"x": 1}}')
    assert [one.key for one in records.all_of(tmp_path)] == ["finetune-1"]


def test_slurm_that_is_not_there_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BadInput, match="squeue is not found: Slurm's commands are needed"):
        queue.queued()


def test_what_has_failed_can_be_forgotten(tmp_path: Path, slurm_says: dict[str, Queued], capsys) -> None:
    slurm_says["1"] = Queued("RUNNING", "None", "node7", "finetune-1")
    for number in (1, 2):
        submitted(tmp_path, f"finetune-{number}", {1: str(number)})
    status.main([f"output={tmp_path}", "forget"])
    assert [one.key for one in records.all_of(tmp_path)] == ["finetune-1"]
    assert capsys.readouterr().out == "1 task forgotten; their logs stay\n"


def test_cancelled_jobs_are_no_failures(
    tmp_path: Path, slurm_says: dict[str, Queued], capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    slurm_says |= {"1": Queued("PENDING", "Priority", "", "finetune-1"), "2": Queued("RUNNING", "None", "n", "theirs")}
    for number in (1, 2):
        submitted(tmp_path, f"finetune-{number}", {1: str(number)})
    monkeypatch.setattr(queue, "cancel", lambda jobs: [slurm_says.pop(job) for job in jobs])
    status.main([f"output={tmp_path}", "cancel"])
    assert list(slurm_says) == ["2"]  # a job of the same number that is not ours
    status.main([f"output={tmp_path}"])
    assert capsys.readouterr().out.splitlines()[1] == "0 done, 0 running, 0 queued, 1 cancelled, 1 failed"

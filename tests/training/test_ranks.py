"""The processes that a scheduler has started, and those that the trainer's devices need."""

from types import SimpleNamespace

import pytest
from lightning.fabric.plugins.environments import LightningEnvironment, SLURMEnvironment

from conf.errors import BadInput
from training import ranks

SLURM = ("SLURM_NTASKS", "SLURM_STEP_ID", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_NUM_NODES", "SLURM_JOB_NAME")


@pytest.fixture(autouse=True)
def no_job(monkeypatch):
    for name in (*SLURM, "SLURM_PROCID", "TORCHELASTIC_RUN_ID", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


def step(monkeypatch, tasks, nodes=1):
    """This process is one of a step's tasks."""
    for name, value in zip(SLURM, (tasks, 0, tasks, nodes, "study"), strict=True):
        monkeypatch.setenv(name, str(value))


def trainer(devices, nodes=1):
    return SimpleNamespace(num_devices=devices, num_nodes=nodes)


@pytest.mark.parametrize(("tasks", "on", "devices", "nodes"), [(1, 1, 1, 1), (2, 1, 2, 1), (4, 2, 2, 2)])
def test_as_many_tasks_as_devices_are_right(monkeypatch, tasks, on, devices, nodes):
    step(monkeypatch, tasks, on)
    ranks.check(trainer(devices, nodes))


@pytest.mark.parametrize(("tasks", "on", "devices", "nodes", "said"), [
    (1, 1, 2, 1, "trainer.devices=2 needs 2 processes, and srun has started 1: start srun --nodes=1 "
                 "--ntasks-per-node=2 .*hydra.launcher.tasks_per_node=2"),
    (2, 1, 1, 1, "srun has started 2 processes, and with trainer.devices=1 each would train alone: set "
                 "trainer.devices=2 trainer.strategy=ddp, or start one process"),
    (3, 1, 2, 1, "trainer.devices=2 needs 2 processes, and srun has started 3"),
    (2, 2, 2, 2, "trainer.devices=2 trainer.num_nodes=2 needs 4 processes, and srun has started 2"),
    (2, 2, 2, 1, "trainer.devices=2 is for 1 machine, and srun has started its 2 processes on 2: "),
])  # fmt: skip
def test_other_numbers_are_refused(monkeypatch, tasks, on, devices, nodes, said):
    step(monkeypatch, tasks, on)
    with pytest.raises(BadInput, match=f"^{said}"):
        ranks.check(trainer(devices, nodes))


def test_torchrun_must_start_one_for_each_device(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "a")
    monkeypatch.setenv("WORLD_SIZE", "4")
    ranks.check(trainer(2, 2))
    with pytest.raises(BadInput, match="torchrun has started 4: start torchrun --nnodes=1 --nproc-per-node=2, or"):
        ranks.check(trainer(2))


def test_a_script_with_several_tasks_and_without_srun_is_refused(monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS", "2")
    with pytest.raises(BadInput, match=r"the job has 2 tasks .* started without srun"):
        ranks.check(trainer(2))
    monkeypatch.setenv("SLURM_JOB_NAME", "interactive")  # a shell that salloc gives
    ranks.check(trainer(2))


def test_without_a_scheduler_lightning_starts_what_it_needs():
    ranks.check(trainer(2))
    assert ranks.environment() == []


def test_lightning_does_not_answer_time_limits(monkeypatch):
    step(monkeypatch, 2)
    (found,) = ranks.environment()
    assert isinstance(found, SLURMEnvironment)
    assert not found.auto_requeue
    assert found.world_size() == 2
    monkeypatch.delenv("SLURM_STEP_ID")  # a job's script
    assert [type(one) for one in ranks.environment()] == [LightningEnvironment]

"""Fits the processes that a scheduler has started to the devices of Lightning's trainer.

Several devices need as many processes. Lightning starts them itself, unless something else does: the tasks of a step of
Slurm (`srun --ntasks-per-node=2`), or torchrun. Then there must be exactly as many as devices. What Lightning says of
other numbers speaks of its own options, and some numbers it accepts, and waits for processes that never come.

Who answers a time limit or pre-emption: Lightning nothing (auto_requeue=False; it would write a state from within an
epoch, which stays for ever), submitit SIGUSR2 in the jobs that it has started, and stages/signals.py SIGUSR1 elsewhere.
"""

import os

import lightning
from lightning.fabric.plugins.environments import ClusterEnvironment, LightningEnvironment, SLURMEnvironment

from conf.errors import BadInput
from stages import processes


class Tasks(SLURMEnvironment):
    """The tasks of a step of Slurm. Lightning looks at those of the job, which may have other steps."""

    def __init__(self) -> None:
        super().__init__(auto_requeue=False)

    @staticmethod
    def _validate_srun_variables() -> None:
        """Accepts --ntasks, too: `check` compares the numbers."""

    def validate_settings(self, num_devices: int, num_nodes: int) -> None:
        """Leaves it to `check`."""

    def world_size(self) -> int:
        return processes.tasks()


def environment() -> list[ClusterEnvironment]:
    """Returns where Lightning learns of the other processes, unless it finds the right place itself."""
    if processes.under_torchrun():
        return []
    if processes.in_step():
        return [Tasks()]
    return [LightningEnvironment()] if _in_script() else []  # there it starts what it needs


def check(trainer: lightning.Trainer) -> None:
    """Raises BadInput if not as many processes have been started as the trainer's devices need."""
    devices, nodes = trainer.num_devices, trainer.num_nodes
    needed, there, by = devices * nodes, processes.tasks(), "torchrun" if processes.under_torchrun() else "srun"
    asked = f"trainer.devices={devices}" + (f" trainer.num_nodes={nodes}" if nodes > 1 else "")
    if not (processes.in_step() or processes.under_torchrun()):
        _check_script()
    elif there > 1 and needed == 1:
        raise BadInput(
            f"{by} has started {there} processes, and with {asked} each would train alone: set "
            f"trainer.devices={there} trainer.strategy=ddp, or start one process"
        )
    elif there != needed:
        raise BadInput(
            f"{asked} needs {needed} processes, and {by} has started {there}: {_start(by, devices, nodes)}, or set "
            f"trainer.devices to what is there"
        )
    elif by == "srun" and (spread := int(os.environ.get("SLURM_STEP_NUM_NODES", nodes))) != nodes:
        raise BadInput(
            f"{asked} is for {nodes} machine{'s' * (nodes > 1)}, and srun has started its {there} processes on "
            f"{spread}: set trainer.num_nodes={spread} and trainer.devices to those of each, or "
            f"{_start(by, devices, nodes)}"
        )


def _start(by: str, devices: int, nodes: int) -> str:
    if by == "torchrun":
        return f"start torchrun --nnodes={nodes} --nproc-per-node={devices}"
    return (
        f"start srun --nodes={nodes} --ntasks-per-node={devices} (with hydra/launcher=slurm: "
        f"hydra.launcher.tasks_per_node={devices})"
    )


def _in_script() -> bool:
    """Tells whether Lightning would take this process for one of Slurm's tasks, which it is not."""
    return "SLURM_NTASKS" in os.environ and SLURMEnvironment.detect()


def _check_script() -> None:
    """Raises BadInput if a job has several tasks, as its script runs once all the same."""
    tasks = int(os.environ.get("SLURM_NTASKS", 1))
    if tasks > 1 and _in_script():
        raise BadInput(
            f"the job has {tasks} tasks (SLURM_NTASKS), but this program was started without srun, and so once: start "
            f"srun python run.py ..., or ask for one task, sbatch --ntasks=1"
        )

"""Tells which process of a run this is. It imports nothing heavy, so that it can be asked before anything else.

Who has started several processes has also numbered them, each in variables of its own. They are looked at in the order
in which Lightning does: torchrun, then Slurm, then Lightning itself, or a user who starts one on each machine. Slurm's
numbers count in a step of several tasks alone (`srun -n2`): the script of a job has some, too, and so has all that
the only task of a step starts.
"""

import os


def is_first_process() -> bool:
    """Tells whether this is the first of the processes that train together, one for each device. Only the first
    writes."""
    return all(_number(name) == 0 for name in _numbers())


def number() -> int:
    """Returns the number of this process among all that torchrun or Slurm have started; the first is 0."""
    return _number(_numbers()[0])


def tasks() -> int:
    """Returns how many processes torchrun or Slurm have started with this one, itself included; 1 if neither has."""
    if under_torchrun():
        return _number("WORLD_SIZE", 1)
    return _step()


def under_torchrun() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ


def in_step() -> bool:
    """Tells whether srun has started this process, and not the script of a job."""
    return "SLURM_STEP_ID" in os.environ and "SLURM_STEP_NUM_TASKS" in os.environ


def _numbers() -> tuple[str, ...]:
    """Returns the variables that number this process; all are 0 in the first."""
    if under_torchrun():
        return ("RANK",)
    return ("SLURM_PROCID",) if _step() > 1 else ("LOCAL_RANK", "NODE_RANK")


def _step() -> int:
    return _number("SLURM_STEP_NUM_TASKS", 1) if in_step() and _number("SLURM_NTASKS", 1) > 1 else 1


def _number(name: str, otherwise: int = 0) -> int:
    return int(os.environ.get(name) or otherwise)

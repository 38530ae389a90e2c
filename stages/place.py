"""Where processes that train together meet: machine and port of the first one, and a word that only they know.

The user says it by MASTER_ADDR and MASTER_PORT, as for PyTorch. Slurm names the machines of a step instead; torchrun
sets both variables, and uses the port itself.
"""

import os
import re

from conf.errors import BadInput
from stages import processes


def check_nodes(nodes: int) -> None:
    """Raises BadInput if machines can't find each other, or this one has an impossible number."""
    unset = [name for name in ("MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if unset:
        raise BadInput(
            f"trainer.num_nodes={nodes} needs {nodes} machines that can find each other, and {' and '.join(unset)} "
            f"{'are' if len(unset) > 1 else 'is'} not set: on each of them set MASTER_ADDR and MASTER_PORT (of the "
            f"first one, with a free port) and NODE_RANK=0 to {nodes - 1}, and start the same command"
        )
    if not 0 <= (mine := int(os.environ.get("NODE_RANK", 0))) < nodes:
        raise BadInput(f"NODE_RANK={mine} is not allowed: trainer.num_nodes={nodes} has 0 to {nodes - 1}")


def host() -> str:
    """Returns the first process's machine: of "n[3-5,9],m" it is n3."""
    if "MASTER_ADDR" in os.environ:
        return os.environ["MASTER_ADDR"]
    listed = os.environ.get("SLURM_STEP_NODELIST", "127.0.0.1")
    return "".join(part or "" for part in re.match(r"([^,[]*)(?:\[([^],-]+)[^]]*\])?([^,[]*)", listed).groups())


def port() -> int:
    """Returns the port at which the first process listens. Slurm gives none: the steps of a job and the jobs on a
    machine need different ones, which each process finds by itself."""
    if "MASTER_PORT" in os.environ:
        return int(os.environ["MASTER_PORT"]) + processes.under_torchrun()  # torchrun uses its port itself
    return 15_000 + (int(os.environ["SLURM_JOB_ID"]) + 997 * int(os.environ["SLURM_STEP_ID"])) % 10_000


def token() -> str:
    """Returns what only processes of this run have in common: they must not join those of another one."""
    names = ("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT") if processes.under_torchrun() else (
        "SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT")  # fmt: skip
    return "-".join(["study", *(os.environ[name].replace(" ", "_") for name in names if name in os.environ)])

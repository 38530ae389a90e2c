"""Chooses how values are computed: locally or by forward passes, lean or as the network is, compiled or not.

What is chosen follows from counts of operations and not from measured time, so that a run repeats bit for bit on a
machine of the same kind, with as many threads and the same libraries. Compiled code is the exception: what it gains is
not known before, so it is timed, where the work is long enough.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from omegaconf import DictConfig
from torch import nn

from conf.errors import BadInput
from conf.first_line import first_line
from interactions.local.forward import Local, Plan
from interactions.variables.samples import Group
from models.lean.captured import NotCaptured, captured
from models.lean.forward import compiled_for_one_shape
from models.lean.worth import is_long

# The predicted speedup from which local is used, by itself (auto) or on request (local): a prediction leaves out the
# planning, and is up to 1.3 times too high.
WORTHWHILE = {"auto": 1.5, "local": 1.05}

COMPILING = 20.0  # seconds: 5 to 20, of a small convolutional network and of BERT
GAIN, ROUNDS = 1.05, 5  # what compiled code has to gain; how often it is timed


@dataclass(frozen=True)
class Choice:
    """How values are computed, and why not locally and not lean.

    It is chosen once per store. If it were chosen again, with less work left or on a machine with other memory, it
    could differ, and change the last bits of the values.
    """

    engine: str
    batch_size: int
    compile: bool
    why_dense: str = ""
    lean: bool = False
    why_plain: str = ""

    def differs(self, options: DictConfig) -> list[str]:
        """Returns the options that ask for something else, as `key=value`."""
        mine = {"engine": self.engine, "batch_size": self.batch_size, "lean": self.lean}
        if self.engine == "dense" or self.lean:  # otherwise there is nothing to compile
            mine["compile"] = self.compile
        other = {key: options[key] for key in mine if options[key] not in ("auto", mine[key])}
        return [f"interactions.{key}={str(value).lower()}" for key, value in other.items()]


def check_lean(model: nn.Module, inputs: torch.Tensor) -> None:
    """Raises BadInput if the model can't be captured. inputs: [2, ...], on the model's device."""
    try:
        captured(model.eval(), inputs)
    except NotCaptured as error:
        way = "use interactions.lean=auto or false"
        raise BadInput(f"interactions.lean=true can't be used for this model: {error}; {way}") from error


def check_compiler(where: torch.device) -> None:
    """Raises BadInput if nothing can be compiled for this device."""
    try:
        compiled_for_one_shape(torch.sin)(torch.ones(2, device=where))
    except Exception as error:  # whatever a compiler may raise, such as that there is none
        raise not_compiled(error) from error


def not_compiled(error: Exception, earlier: bool = False) -> BadInput:
    """Returns the error that tells that a network can't be compiled. earlier: not the options ask for it, but what was
    chosen for earlier values."""
    if earlier:
        way = "use interactions.compile=false to compute the others in another way"
        return BadInput(f"earlier values were computed by compiled code, which fails here ({first_line(error)}); {way}")
    return BadInput(f"interactions.compile=true can't be used here ({first_line(error)}); use false")


def local_for(model: nn.Module, group: Group, n: int, wanted: str) -> tuple[Local | None, str]:
    """Returns the local engine if it is `wanted` (local), or worth it (auto); otherwise None and the reason.

    The first sample of the group decides. Raises BadInput if the engine was requested by name and no layer can be
    evaluated locally.
    """
    image = group.inputs.dim() == 4
    if wanted == "dense" or (wanted == "auto" and not image):
        return None, ""
    local = Local(model, tuple(group.inputs.shape[1:])) if image else None
    reason = local.reason if local else "its inputs are not images"
    if reason is None:
        plan = local.plan(group.owner[0], n)
        if plan.layers and plan.predicted_speedup >= WORTHWHILE[wanted]:
            return local, ""
        reason = ", ".join(part for part in (_prediction(plan, WORTHWHILE[wanted]), dense_from(plan)) if part)
    if wanted == "local":
        raise BadInput(f"interactions.engine=local can't be used for this model: {reason}; use auto or dense")
    return None, reason


def _prediction(plan: Plan, least: float) -> str:
    if not plan.layers:
        return "no layer of it would be faster"
    return f"predicted {plan.predicted_speedup:.2g} times as fast, and {least} is needed to be worth it"


def dense_from(plan: Plan) -> str:
    return f"dense from {plan.dense_from[0]} on ({plan.dense_from[1]})" if plan.dense_from else ""


def predicted_speedup(model: nn.Module, group: Group, n: int, wanted: str) -> float:
    """Returns the predicted speedup of the chosen engine over forward passes. Raises what `local_for` raises."""
    local, _ = local_for(model.eval(), group, n, wanted)
    return local.plan(group.owner[0], n).predicted_speedup if local else 1


def compiled_is_faster(compiled: Callable[[], object], other: Callable[[], object], seconds: float) -> bool:
    """Returns whether compiling is worth it for work that takes so many seconds: both passes are run in turn."""
    if not is_long(seconds, COMPILING):
        return False
    print("interactions: compiles the network, to see whether this is faster (up to a minute)", flush=True)
    try:
        compiled()  # the first call compiles
    except Exception:  # whatever a compiler may raise, such as that there is none
        return False
    taken = {compiled: [], other: []}
    for _ in range(ROUNDS):
        for run, times in taken.items():
            started = time.perf_counter()
            run()
            if torch.accelerator.is_available():
                torch.accelerator.synchronize()
            times.append(time.perf_counter() - started)
    return min(taken[other]) > GAIN * min(taken[compiled])

"""Compares some values of every checkpoint with plain forward passes, of one masked input at a time.

Whatever an engine does (tiles, selected tokens, batches, compiled code), its values may differ from those of plain
passes only by rounding. The program does not guess what is rounding: it computes any unusually large difference again
in float64, where rounding almost vanishes (a difference of 1e-3 in float32 becomes one of 1e-12) and a mistake stays as
large as it was. So networks that round badly pass. A network whose output depends on the rest of its batch is detected,
and so are weights that a trace has missed.
"""

import time
from dataclasses import dataclass

import numpy as np
import torch

from checkpoints.roles import Checkpoint
from conf.errors import BadInput
from interactions.engine import Engine
from training.seeds import stream

SHARE, LEAST = 0.02, 2  # the share of the time that checks take; the least number of checks per checkpoint
# Measured on networks of 4 to 121 layers, rounding makes the largest logit wrong by 1 to 80 epsilon of its type. Beyond
# 32 a value is examined again, which takes time, but decides nothing by itself.
USUAL = 32
# Allowed difference in float64, as a share of the largest logit: ten thousand times that of the worst of those
# networks, and far below what any measure could notice.
EXACT = 2.0**-30

# Allowed difference as a multiple of the rounding of plain forward passes (the largest of four): sums in another order
# are never that much worse.
WORSE = 64


@dataclass(frozen=True)
class Check:
    """A masked input that is compared."""

    sample: int
    subset: int


class Budget:
    """Decides how many inputs are checked: as many as fit in their share of the time, and at least a few per
    checkpoint."""

    def __init__(self, engine: Engine) -> None:
        self.begun, self.spent, self.each = time.monotonic(), 0.0, _seconds(engine)

    def count(self, least: int) -> int:
        # The time of a check is estimated: to measure it, the program would have to wait for the device each time.
        due = SHARE * (time.monotonic() - self.begun) - self.spent
        count = max(least, int(due / self.each))
        self.spent += count * self.each
        return count


def _seconds(engine: Engine) -> float:
    """Measures the seconds of a plain forward pass; the first one does not count."""
    engine.to(engine.dtype)
    for _ in range(2):
        started = time.monotonic()
        engine.alone(0, 0).tolist()  # waits for the device
    return max(time.monotonic() - started, 1e-6)


def drawn(checkpoint: Checkpoint, block: range, count: int, n: int) -> list[Check]:
    """Draws masked inputs of these samples, spread over samples and orders, the same ones in every run."""
    draw = np.random.default_rng(stream(0, "check", checkpoint.stage, checkpoint.epoch, block[0]))
    # Few checks have to see every order: check k of K has one from the k-th part of 0 to n, at a random place in it.
    samples = np.resize(draw.permutation(np.array(block)), count)
    orders = ((np.arange(count) + draw.random(count)) / max(count, 1) * (n + 1)).astype(int)
    kept = [sum(1 << int(variable) for variable in draw.permutation(n)[:order]) for order in orders]
    return [Check(int(sample), subset) for sample, subset in zip(samples, kept, strict=True)]


class Verifier:
    """Judges differences, and remembers how large those were that turned out to be rounding."""

    def __init__(self, precision: torch.dtype) -> None:
        self.usual = max(USUAL * torch.finfo(precision).eps, EXACT if precision == torch.float64 else 0)

    def suspects(self, v: np.ndarray, first: int, checks: list[Check], plain: np.ndarray) -> list[Check]:
        """Returns the checks whose engine values differ from plain forward passes by more than usual.

        v: [B, 2**n], values of the samples from number `first` on; plain: [K, 2], as `Engine.alone` gives them.
        """
        ours = np.array([v[check.sample - first, check.subset] for check in checks])
        unlike = ~(abs(ours - plain[:, 0]) <= self.usual * plain[:, 1])  # NaN counts as different
        return [check for check, found in zip(checks, unlike, strict=True) if found]

    def judge(self, engine: Engine, checkpoint: Checkpoint, check: Check, v: float, plain: np.ndarray) -> None:
        """Raises BadInput unless the difference is rounding.

        The engine must hold the checkpoint's weights, and needs them loaded again afterwards. v: the engine's value;
        plain: [2]; both in the store's precision.
        """
        # These causes are excluded one after the other: the value is not a number; the model is random; the engine is
        # wrong in any precision; the engine is wrong in this precision alone. The only cause left is rounding.
        name = _name(checkpoint, check)
        if not np.isfinite([v, *plain]).all():
            raise BadInput(
                f"{name} is {v:.6g} in {engine.precision}, which is not a finite number: use "
                f"interactions.precision=float32 or float64, or check the weights"
            )
        # How much a plain pass rounds depends on chance: three neighbours, one variable away, are computed too.
        near = [check, *(Check(check.sample, check.subset ^ 1 << bit) for bit in range(min(3, engine.sample_set.n)))]
        rounded = _alone(engine, near)
        engine.to(torch.float64)
        exact, again = _alone(engine, near), _alone(engine, near)
        tolerance = EXACT * max(exact[0, 1], 1e-30)
        if abs(exact - again).max() > tolerance:
            raise BadInput(
                f"{name} is {exact[0, 0]:.6g} by one forward pass and {again[0, 0]:.6g} by the next: the model is "
                f"random in evaluation mode, and must be made deterministic"
            )
        batched = engine.in_a_batch(check.sample, check.subset, torch.float64).item()
        ours = engine.locally(check.sample, torch.float64)[check.subset].item() if engine.local else batched
        told = f"{name} is {v:.6g} by the {engine.choice.engine} engine, and differs by {abs(v - plain[0]):.2g} "
        told += "from a forward pass of this input alone"
        if abs(ours - exact[0, 0]) > tolerance:
            # If batches are right, the local engine is wrong; if only lean ones are wrong, these are; otherwise
            # something makes a batch differ.
            way_out = "use interactions.engine=dense"
            if abs(batched - exact[0, 0]) > tolerance:
                plain = engine.in_a_batch(check.sample, check.subset, torch.float64, lean=False).item()
                lean = engine.choice.lean and abs(plain - exact[0, 0]) <= tolerance
                way_out = "use interactions.lean=false" if lean else _way_out_of_batches(engine)
            raise BadInput(f"{told}, which rounding does not explain: {way_out}")
        usual = max(abs(rounded - exact)[:, 0].max(), self.usual * plain[1])
        if abs(v - exact[0, 0]) > WORSE * usual:
            raise BadInput(
                f"{told}, whose own rounding is {usual:.2g}: something is wrong in {engine.precision} alone; use "
                f"interactions.engine=dense, interactions.lean=false, interactions.compile=false or "
                f"interactions.precision=float64"
            )
        # A network that rounds so much will do so again: from now on only four times as much is examined.
        self.usual = max(self.usual, 4 * abs(v - plain[0]) / max(plain[1], 1e-30))


def _alone(engine: Engine, checks: list[Check]) -> np.ndarray:
    """Returns [K, 2], what `Engine.alone` gives, in the type that the engine has now."""
    dtype = next(engine.model.parameters()).dtype
    return torch.stack([engine.alone(check.sample, check.subset, dtype) for check in checks]).cpu().numpy()


def _name(checkpoint: Checkpoint, check: Check) -> str:
    variables = ", ".join(str(i) for i in range(check.subset.bit_length()) if check.subset >> i & 1)
    of = f"{checkpoint.stage}, epoch {checkpoint.epoch}"
    return f"{of}: v of sample {check.sample} with the variables {{{variables}}} kept"


def _way_out_of_batches(engine: Engine) -> str:
    if engine.choice.compile:
        return "compiled code computes something else; use interactions.compile=false"
    if engine.batch_size == 1:
        return "this is a bug in this program; please report it with the model"
    return (
        "the model's output depends on the rest of its batch (as with batch-norm without running statistics); "
        "interactions.engine=dense interactions.batch_size=1 evaluates every input alone"
    )

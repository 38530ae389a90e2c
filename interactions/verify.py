"""Compares some values of every checkpoint with plain forward passes, of one masked input at a time.

Whatever an engine does (tiles, selected tokens, batches, compiled code), its values and those of plain passes may
differ by rounding and by nothing else. What is rounding is not guessed: a difference that is more than usual is looked
at again in float64, where rounding all but vanishes (a difference of 1e-3 in float32 becomes one of 1e-12) and a
mistake stays as large as it was. So networks that round badly pass, and a network whose output depends on the rest of
its batch is found out, as are weights that a trace has missed.
"""

import time
from dataclasses import dataclass

import numpy as np
import torch

from checkpoints.roles import Checkpoint
from conf.errors import BadInput
from interactions.engine import Engine
from training.seeds import stream

SHARE, LEAST = 0.02, 2  # of the time; of each checkpoint
# Measured on networks of 4 to 121 layers, rounding makes the largest logit wrong by 1 to 80 epsilon of its type. Beyond
# 32 a value is looked at again, which takes time, but decides nothing by itself.
USUAL = 32
# Of the largest logit, in float64: ten thousand times more than the worst of those networks, and far below what any
# measure could notice.
EXACT = 2.0**-30

# Times the rounding of plain forward passes, the largest of four: no sums in another order are so much worse.
WORSE = 64


@dataclass(frozen=True)
class Check:
    """A masked input."""

    sample: int
    subset: int


class Budget:
    """How many inputs may be checked: as many as take their share of the time, a few of each checkpoint at least."""

    def __init__(self, engine: Engine) -> None:
        self.begun, self.spent, self.each = time.monotonic(), 0.0, _seconds(engine)

    def count(self, least: int) -> int:
        # What a check takes is estimated: to measure it would mean to wait for the device each time.
        due = SHARE * (time.monotonic() - self.begun) - self.spent
        count = max(least, int(due / self.each))
        self.spent += count * self.each
        return count


def _seconds(engine: Engine) -> float:
    """Of a plain forward pass; the first does not count."""
    engine.to(engine.dtype)
    for _ in range(2):
        started = time.monotonic()
        engine.alone(0, 0).tolist()  # waits for the device
    return max(time.monotonic() - started, 1e-6)


def drawn(checkpoint: Checkpoint, block: range, count: int, n: int) -> list[Check]:
    """Masked inputs of these samples, spread over samples and orders, the same in every run."""
    draw = np.random.default_rng(stream(0, "check", checkpoint.stage, checkpoint.epoch, block[0]))
    # Few checks have to see every order: check k of K has one from the k-th part of 0 to n, at a random place in it.
    samples = np.resize(draw.permutation(np.array(block)), count)
    orders = ((np.arange(count) + draw.random(count)) / max(count, 1) * (n + 1)).astype(int)
    kept = [sum(1 << int(variable) for variable in draw.permutation(n)[:order]) for order in orders]
    return [Check(int(sample), subset) for sample, subset in zip(samples, kept, strict=True)]


class Verifier:
    """Remembers how large differences were that turned out to be rounding."""

    def __init__(self, precision: torch.dtype) -> None:
        self.usual = max(USUAL * torch.finfo(precision).eps, EXACT if precision == torch.float64 else 0)

    def suspects(self, v: np.ndarray, first: int, checks: list[Check], plain: np.ndarray) -> list[Check]:
        """Those whose values [B, 2**n], of samples from number `first` on, are not those of plain passes.

        plain: [K, 2], of `Engine.alone`.
        """
        ours = np.array([v[check.sample - first, check.subset] for check in checks])
        unlike = ~(abs(ours - plain[:, 0]) <= self.usual * plain[:, 1])  # of NaN, too
        return [check for check, found in zip(checks, unlike, strict=True) if found]

    def judge(self, engine: Engine, checkpoint: Checkpoint, check: Check, v: float, plain: np.ndarray) -> None:
        """Raises BadInput unless the difference is rounding. The engine holds the checkpoint's weights; load others
        afterwards. v: of the engine, plain: [2], both in the store's precision."""
        # Excluded, one after the other: that it is not a number; that the model differs from itself; that the engine is
        # wrong in any precision; that it is wrong in this precision alone. What is left is rounding.
        name = _name(checkpoint, check)
        if not np.isfinite([v, *plain]).all():
            raise BadInput(
                f"{name} is {v:.6g} in {engine.precision}, which is not a finite number: use "
                f"interactions.precision=float32 or float64, or check the weights"
            )
        # How much a plain pass rounds is itself a matter of chance: three neighbours, one variable away, are asked too.
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
            # The local engine is to blame if batches are right, otherwise whatever makes a batch differ.
            fine = abs(batched - exact[0, 0]) <= tolerance
            way_out = "use interactions.engine=dense" if fine else _way_out_of_batches(engine)
            raise BadInput(f"{told}, which rounding does not explain: {way_out}")
        usual = max(abs(rounded - exact)[:, 0].max(), self.usual * plain[1])
        if abs(v - exact[0, 0]) > WORSE * usual:
            raise BadInput(
                f"{told}, whose own rounding is {usual:.2g}: something is wrong in {engine.precision} alone; use "
                f"interactions.engine=dense, interactions.compile=false or interactions.precision=float64"
            )
        # A network that rounds so will do so again: from now on only four times as much is worth another look.
        self.usual = max(self.usual, 4 * abs(v - plain[0]) / max(plain[1], 1e-30))


def _alone(engine: Engine, checks: list[Check]) -> np.ndarray:
    """[K, 2], of `Engine.alone`, in the type that the engine has now."""
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

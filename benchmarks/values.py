"""Measures what the values of all masked inputs cost: python -m benchmarks.values [MODEL ...]

raw      the model's own forward passes on masked inputs that were made beforehand, in batches of the same size
dense    our values by lean forward passes, including the masks
local    our values by receptive fields, with a lean rest of the network, including the indices (convolutional networks)
limit    the multiply-adds per second of a product of large matrices: what raw could reach at most, and the shares
         that raw and dense reach, dense with the multiply-adds that are left

Batches have the size that `batch_size=auto` takes. The sides alternate in one process; the results are medians. For
large networks, raw and dense evaluate a part of the masked inputs, local all. The gain of local depends on where the
patches lie: the table has the median and the least of several draws. Where no gain is predicted, as for transformers,
local is not measured. The rows are written to benchmarks/values.csv as they come; rows of other models stay.
"""

import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import torch

from benchmarks.timing import alternate, place, record
from interactions.choice import WORTHWHILE
from interactions.dense import log_odds, values
from interactions.local.forward import Local
from interactions.passes import Passes
from interactions.variables.masking import masked, membership
from interactions.variables.patches import draw_patches, owner_map
from models.backbone import Classifier
from models.batch_size import fitting
from models.device import exact_float32
from models.lean.forward import rewritten
from models.lean.worth import multiply_adds
from models.text import bert, distilbert
from models.vision import conv4, resnet18, timm_network, torchvision_network, vit_tiny

NS, DRAWS = (10,), 3
REPEATS = 9  # short ones: the speed of a shared machine drifts


@dataclass(frozen=True)
class Case:
    """A network to measure. side: pixels, or 0 for 32 words; grid: of the patches; timed: the number of masked inputs
    that raw and dense evaluate."""

    make: Callable[[], torch.nn.Module]
    side: int
    grid: int
    timed: int


CASES = {
    "conv4": Case(lambda: conv4(10), 32, 8, 1024),
    "resnet18 (cifar)": Case(lambda: resnet18(10, "cifar"), 32, 8, 256),
    "vit_tiny": Case(lambda: vit_tiny(10), 32, 8, 1024),
    "vgg16": Case(lambda: torchvision_network("vgg16", 10), 224, 8, 16),
    "resnet50": Case(lambda: torchvision_network("resnet50", 10), 224, 8, 32),
    "vit_s": Case(lambda: timm_network("vit_small_patch16_224", 10), 224, 7, 32),
    "vit_b": Case(lambda: torchvision_network("vit_b_16", 10), 224, 7, 16),
    "bert": Case(lambda: bert(2), 0, 0, 64),
    "distilbert": Case(lambda: distilbert(2), 0, 0, 64),
}


def main() -> None:
    for name in sys.argv[1:] or CASES:
        record(pd.DataFrame([measure(name, CASES[name], n) for n in NS]), __file__, key="model")


def sample_set(case: Case) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the input [1, ...] and the baseline of one sample."""
    torch.manual_seed(0)
    if case.side == 0:
        return torch.randint(1000, 20000, (1, 32)), torch.tensor(103)
    image = torch.randn(1, 3, case.side, case.side).contiguous(memory_format=torch.channels_last)
    return image, torch.zeros(3, case.side, case.side)


def variables(case: Case, n: int, draw: int) -> torch.Tensor:
    """Returns owner, [1, ...]: every second word, or patches of the central part."""
    if case.side == 0:
        owner = torch.full((1, 32), -1)
        owner[0, 2 : 2 + 2 * n : 2] = torch.arange(n)
        return owner
    boxes = draw_patches(n, case.grid, 1, case.side, case.side, seed=0, index=draw)
    return owner_map(boxes, case.side, case.side)[None]


def measure(name: str, case: Case, n: int) -> dict[str, object]:
    where = place()
    model = Classifier(case.make()).eval().to(where, memory_format=torch.channels_last)
    inputs, baseline = (part.to(where) for part in sample_set(case))
    size, count = fitting(model, inputs, where), min(case.timed, 2**n)
    label = torch.zeros(1, dtype=torch.long, device=where)
    subset = torch.randperm(2**n, device=where)[:count]
    sample = torch.zeros_like(subset)
    passes = Passes(model, torch.channels_last, compiled=False)

    def dense(owner: torch.Tensor, block: range) -> torch.Tensor:
        return values(passes.of(inputs, baseline, membership(owner), block), label, sample, subset, size)

    with exact_float32():
        owner = variables(case, n, 0).to(where)
        matrices, multiply = product(where)
        sides = [raw(model, inputs, baseline, owner, subset, size), lambda: dense(owner, range(1)), multiply]
        raw_s, dense_s, product_s = alternate(sides, REPEATS)
        work, most = multiply_adds(model, inputs), matrices / product_s
        row = {
            "model": name,
            "n": n,
            "batch": size,
            "raw, inputs/s": round(count / raw_s, 1),
            "dense, inputs/s": round(count / dense_s, 1),
            "limit, inputs/s": round(most / work, 1),
            "raw / limit": round(work * count / raw_s / most, 2),
            "dense / limit": round(left(passes) / size * count / dense_s / most, 2),
            "dense, times faster than raw": round(raw_s / dense_s, 3),
        }
        engine = Local(model, inputs.shape[1:]) if case.side else None
        if engine is None or engine.reason or engine.plan(owner[0], n).predicted_speedup < WORTHWHILE["local"]:
            return row
        engine.lean = True

        def local(owner: torch.Tensor) -> torch.Tensor:
            plan = engine.plan(owner[0], n)
            return log_odds(engine.logits(plan, inputs[0], baseline), label.expand(2**n))

        faster, errors, predicted = [], [], []
        for draw in range(DRAWS):
            owner, found = variables(case, n, draw).to(where), {}
            sides = [raw(model, inputs, baseline, owner, subset, size), kept(found, local, owner)]
            raw_s, local_s = alternate(sides, 3 if case.side == 32 else 1)
            faster.append(raw_s * 2**n / count / local_s)
            predicted.append(engine.plan(owner[0], n).predicted_speedup)
            exact = dense(owner, range(draw, draw + 1))
            errors.append((exact - found[local][subset]).abs().max() / exact.abs().max())
    return row | {
        "local, inputs/s": round(statistics.median(faster) * count / raw_s, 1),
        "local, times faster than raw": round(statistics.median(faster), 2),
        "least": round(min(faster), 2),
        "predicted": round(statistics.median(predicted), 2),
        "largest difference": f"{max(errors):.1e}",
    }


@torch.no_grad()
def left(passes: Passes) -> float:
    """Returns the multiply-adds of a batch of lean passes."""
    (shape, _), beginning = next(iter(passes.beginnings.items()))
    found = rewritten(passes.begun(shape, beginning))
    fixed = found.evaluated(found.fixed(), found.values(passes.model))
    given = {node: torch.zeros_like(node.meta["val"], device=place()) for node in found.inputs}
    left = {node for node in found.graph.nodes if node.op != "output"}
    return multiply_adds(found.evaluated, left, fixed | given)


def product(where: torch.device) -> tuple[int, Callable[[], None]]:
    """Returns the multiply-adds of several products of two large matrices and a call that computes them."""
    side, times = (2048, 10) if where.type == "cpu" else (16384, 1)
    a, b = torch.randn(2, side, side, device=where)

    def multiply() -> None:
        for _ in range(times):
            a @ b

    return times * side**3, multiply


def raw(
    model: Classifier,
    inputs: torch.Tensor,
    baseline: torch.Tensor,
    owner: torch.Tensor,
    subset: torch.Tensor,
    size: int,
) -> Callable[[], None]:
    """Returns a call that passes all masked inputs forward, which are made in advance."""
    batches = [
        masked(inputs.expand(len(part), *inputs.shape[1:]), baseline, membership(owner), part)
        for part in subset.split(size)
    ]
    if inputs.dim() == 4:
        batches = [batch.contiguous(memory_format=torch.channels_last) for batch in batches]

    @torch.inference_mode()
    def forward() -> None:
        for batch in batches:
            model(batch)

    return forward


def kept(values: dict, side: Callable[[torch.Tensor], torch.Tensor], owner: torch.Tensor) -> Callable[[], None]:
    """Returns a call of `side` that stores its values in `values`."""
    return lambda: values.update({side: side(owner)})


if __name__ == "__main__":
    main()

"""Is it faster to train several small networks at once? python -m benchmarks.at_once

one by one   conv4 as PyTorch trains it: forward, backward, SGD; one seed after the other
at once      the same of all seeds, their weights stacked: torch.func.functional_call under vmap and grad

Five seeds, each with batches of its own, of 64 images of 32 pixels. Both sides start from the same weights and see the
same batches. Whether the results are the same: the largest difference of a weight after the steps, relative to how far
the weights have moved at most. It writes benchmarks/at_once.csv.
"""

import copy

import pandas as pd
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from benchmarks.timing import alternate, place, record
from models.vision import conv4

SEEDS, BATCH, STEPS, REPEATS = 5, 64, 4, 7
RATE = {"lr": 0.001, "momentum": 0.9}
Batches = tuple[Tensor, Tensor]  # images [STEPS, SEEDS, BATCH, 3, 32, 32], labels [STEPS, SEEDS, BATCH]


def main() -> None:
    record(pd.DataFrame([measure()]), __file__)


def measure() -> dict[str, object]:
    models, batches = drawn()
    alone, together = one_by_one(models, batches), at_once(models, batches)
    moved = max((alone[name] - start).abs().max() for name, start in stack_module_state(models)[0].items())
    differs = max((alone[name] - together[name]).abs().max() for name in alone)
    first, second = alternate([lambda: one_by_one(models, batches), lambda: at_once(models, batches)], REPEATS)
    return {
        "networks": SEEDS,
        "batch": BATCH,
        "one by one, ms a step of all": round(1000 * first / STEPS, 1),
        "at once, ms": round(1000 * second / STEPS, 1),
        "at once, times faster": round(first / second, 2),
        "largest difference of a weight": f"{(differs / moved).item():.1e}",
    }


def drawn() -> tuple[list[nn.Module], Batches]:
    models = []
    for seed in range(SEEDS):
        torch.manual_seed(seed)
        models.append(conv4(10).to(place()))
    images = torch.randn(STEPS, SEEDS, BATCH, 3, 32, 32, device=place())
    return models, (images, torch.randint(10, (STEPS, SEEDS, BATCH), device=place()))


def one_by_one(models: list[nn.Module], batches: Batches) -> dict[str, Tensor]:
    """Returns the weights after the steps, [SEEDS, ...] by name."""
    models = copy.deepcopy(models)
    for index, model in enumerate(models):
        optimizer = torch.optim.SGD(model.parameters(), **RATE)
        for images, labels in zip(*batches, strict=True):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[index]), labels[index]).backward()
            optimizer.step()
    return stack_module_state(models)[0]


def at_once(models: list[nn.Module], batches: Batches) -> dict[str, Tensor]:
    weights, buffers = stack_module_state(copy.deepcopy(models))
    shell = copy.deepcopy(models[0]).to("meta")
    optimizer = torch.optim.SGD(weights.values(), **RATE)

    def loss(weights: dict[str, Tensor], buffers: dict[str, Tensor], images: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(functional_call(shell, (weights, buffers), (images,)), labels)

    gradients = vmap(grad(loss))
    for images, labels in zip(*batches, strict=True):
        found = gradients(weights, buffers, images, labels)
        for name, weight in weights.items():
            weight.grad = found[name]
        optimizer.step()
    return weights


if __name__ == "__main__":
    main()

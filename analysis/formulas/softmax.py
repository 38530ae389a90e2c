"""Trains softmax heads on several sets of features at once: as many small problems, each step a product of batches.

This is training as papers do it, with a fixed number of steps, at whose end a head need not have converged. Of the same
samples there are several sets of features, such as their components. Every head begins with the same weights and sees
the same batches, so that only the features make a difference; and it is trained as if it were alone, since no term of
the loss has weights of two heads, and the optimisers work on each weight by itself. The gradient of the mean
cross-entropy is written out, X' (softmax - one-hot) / batch: such small steps would otherwise mostly wait for autograd.
"""

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

# In a step of fewer multiplications, threads wait for each other longer than they compute.
SMALL = 10_000_000
SCALE, MOMENTUM = 0.01, 0.9  # of the first weights; of sgd


@dataclass(frozen=True)
class Recipe:
    """optimizer: adam | sgd (with momentum 0.9). Training ends after `epochs`, or after `iterations` (steps) if these
    are fewer. schedule: constant | step (times step_factor every step_epochs epochs) | cosine (to 0 over all steps)."""

    optimizer: str
    lr: float
    epochs: int
    iterations: int | None
    batch_size: int
    schedule: str
    step_epochs: int = 30
    step_factor: float = 0.1

    def steps(self, samples: int) -> int:
        """Returns the number of steps of a training."""
        return min(self.epochs * math.ceil(samples / self.batch_size), self.iterations or sys.maxsize)

    def rate(self, step: int, samples: int) -> float:
        """Returns the learning rate of a step (from 0)."""
        if self.schedule == "step":
            epoch = step // math.ceil(samples / self.batch_size)
            return self.lr * self.step_factor ** (epoch // self.step_epochs)
        whole = self.steps(samples)
        return self.lr * (0.5 + 0.5 * math.cos(math.pi * step / whole) if self.schedule == "cosine" else 1)


@dataclass(frozen=True)
class Heads:
    """weight: [K, D, C], bias: [K, C], float32."""

    weight: torch.Tensor
    bias: torch.Tensor


def trained(
    inputs: np.ndarray | torch.Tensor,
    labels: np.ndarray,
    classes: int,
    recipe: Recipe,
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> Heads:
    """Returns a head for each of K sets of features of the same samples.

    inputs: [K, N, D]; labels: [N], 0 to classes - 1. progress is called with 1 after each of recipe.steps(N) steps.
    The same for the same arguments and number of threads. ValueError: a head diverged.
    """
    inputs, labels = torch.as_tensor(inputs, dtype=torch.float32), torch.as_tensor(labels, dtype=torch.long)
    generator = torch.Generator().manual_seed(seed)
    sets, samples, width = inputs.shape
    weight = (SCALE * torch.randn(width, classes, generator=generator)).repeat(sets, 1, 1)
    heads = Heads(weight, torch.zeros(sets, classes))
    optimizer = _optimizer(heads, recipe)
    with _threads(recipe.batch_size * weight.numel()):
        for step, batch in enumerate(_batches(samples, recipe, generator)):
            optimizer.param_groups[0]["lr"] = recipe.rate(step, samples)
            heads.weight.grad, heads.bias.grad = _gradient(heads, inputs[:, batch], labels[batch])
            optimizer.step()
            if progress:
                progress(1)
    if not all(bool(each.isfinite().all()) for each in (heads.weight, heads.bias)):
        raise ValueError(f"training a softmax head diverged: a lower learning rate than {recipe.lr:g} is needed")
    return heads


def predicted(heads: Heads, inputs: np.ndarray | torch.Tensor) -> np.ndarray:
    """Returns the class that each head finds most likely for its inputs: [K, M, D] -> [K, M]."""
    inputs = torch.as_tensor(inputs, dtype=torch.float32)
    each = zip(inputs, heads.weight, heads.bias, strict=True)
    return torch.stack([(features @ weight + bias).argmax(-1) for features, weight, bias in each]).numpy()


def _optimizer(heads: Heads, recipe: Recipe) -> torch.optim.Optimizer:
    makes = {"adam": torch.optim.Adam, "sgd": lambda weights, lr: torch.optim.SGD(weights, lr, momentum=MOMENTUM)}
    return makes[recipe.optimizer]([heads.weight, heads.bias], lr=recipe.lr)


def _batches(samples: int, recipe: Recipe, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Yields the samples of each step, in a new order every epoch."""
    left = recipe.steps(samples)
    while left > 0:
        batches = torch.randperm(samples, generator=generator).split(recipe.batch_size)[:left]
        left -= len(batches)
        yield from batches


def _gradient(heads: Heads, inputs: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the gradients of weight and bias: inputs [K, B, D], labels [B]."""
    found = torch.baddbmm(heads.bias[:, None], inputs, heads.weight).softmax(-1)
    found[:, torch.arange(len(labels)), labels] -= 1
    found /= len(labels)
    return inputs.transpose(1, 2) @ found, found.sum(1)


@contextmanager
def _threads(multiplications: int) -> Iterator[None]:
    """Lets torch compute steps of so many multiplications with one thread, if they are small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if multiplications < SMALL else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)

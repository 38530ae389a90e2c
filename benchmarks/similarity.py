"""Compares CKA of all pairs of layers with public packages: 18 x 18 layers, 512 features of 256 inputs, float32.

All sides get the same features and return the debiased CKA of all pairs. torch-cka and cka-pytorch take models and not
features: those here do nothing but hand features out. The errors are the largest differences from the published formula
in float64, with features around 0 and around 100. Nothing stands for NaN.

The packages are none of ours: put them into a folder of their own, and name it; those that are not there are left out.

    uv pip install --no-deps --target FOLDER pytorch-cka==1.1.3 torch-cka==0.21 cka-pytorch==1.1.3 ckatorch==1.0.3
    PYTHONPATH=FOLDER python -m benchmarks.similarity

It writes benchmarks/similarity.csv.
"""

import contextlib
import io
import warnings
from collections.abc import Callable
from functools import partial

import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.timing import alternate, place, record
from models.device import exact_float32
from representations.cka import Layer, matrix

LAYERS, BATCH, WIDTH = 18, 256, 512
NAMES = [f"layer{index}" for index in range(LAYERS)]
REPEATS = 7
Features = list[Tensor]


class Stored(nn.Module):
    """A model whose layers give stored features, whatever its input is."""

    def __init__(self, features: Features) -> None:
        super().__init__()
        self.features = features
        for name in NAMES:
            self.add_module(name, nn.Identity())

    def forward(self, _: Tensor) -> list[Tensor]:
        return [getattr(self, name)(values) for name, values in zip(NAMES, self.features, strict=True)]


def ours(xs: Features, ys: Features) -> Tensor:
    return matrix(Layer.all(xs), Layer.all(ys))


def pytorch_cka(xs: Features, ys: Features) -> Tensor:
    from cka import cka_from_features

    return cka_from_features(xs, ys)


def ckatorch(xs: Features, ys: Features) -> Tensor:
    from ckatorch import cka_batch

    return torch.stack([torch.stack([cka_batch(x[None], y[None]) for y in ys]) for x in xs])


def cka_pytorch(xs: Features, ys: Features) -> Tensor:
    from cka_pytorch.cka import CKACalculator

    models = (Stored(side).to(xs[0].device) for side in (xs, ys))
    found = CKACalculator(*models, NAMES, verbose=False, device=xs[0].device)
    return found.calculate_cka_matrix(inputs(), num_epochs=1)


def torch_cka(xs: Features, ys: Features) -> Tensor:
    from torch_cka import CKA

    found = CKA(Stored(xs), Stored(ys), model1_layers=NAMES, model2_layers=NAMES, device=str(xs[0].device))
    found.compare(inputs(), inputs())
    return found.hsic_matrix


def inputs() -> DataLoader:
    return DataLoader(TensorDataset(torch.zeros(BATCH, 1), torch.zeros(BATCH)), BATCH)


def main() -> None:
    with exact_float32(), torch.no_grad():
        record(pd.DataFrame(measure()), __file__)


def measure() -> list[dict[str, object]]:
    near, far = drawn(0), drawn(100)
    sides = {side.__name__: side for side in (ours, pytorch_cka, ckatorch, cka_pytorch, torch_cka) if runs(side, near)}
    times = alternate([partial(quiet, side, *near) for side in sides.values()], REPEATS)
    return [
        {
            "CKA by": name.replace("_", "-"),
            "ms": round(1000 * seconds, 1),
            "ours, times faster": round(seconds / times[0], 2),
        }
        | {f"error, mean {mean}": error(side, features) for mean, features in ((0, near), (100, far))}
        for (name, side), seconds in zip(sides.items(), times, strict=True)
    ]


def drawn(mean: float) -> tuple[Features, Features]:
    """Features of two models, which share a part, and are not negative but for their mean."""
    draw = torch.Generator().manual_seed(0)
    shared = torch.randn(BATCH, 20, generator=draw)
    sides = [
        [
            (shared @ torch.randn(20, WIDTH, generator=draw) + 4 * torch.randn(BATCH, WIDTH, generator=draw)).relu()
            + mean
            for _ in range(LAYERS)
        ]
        for _ in range(2)
    ]
    return tuple([values.to(place()) for values in side] for side in sides)


def quiet(side: Callable[..., Tensor], xs: Features, ys: Features) -> Tensor:
    """Without the bars and warnings that packages print."""
    with (
        contextlib.redirect_stderr(io.StringIO()),
        contextlib.redirect_stdout(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        return side(xs, ys)


def runs(side: Callable[..., Tensor], features: tuple[Features, Features]) -> bool:
    try:
        return quiet(side, *features).shape == (LAYERS, LAYERS)
    except ImportError:
        print(f"{side.__name__} is not installed: left out", flush=True)
        return False


def error(side: Callable[..., Tensor], features: tuple[Features, Features]) -> float:
    try:
        found = quiet(side, *features).double().cpu()
    except AssertionError:  # what torch-cka says of NaN
        return float("nan")
    flat = [torch.stack([u_centred(values.double().cpu()).flatten() for values in side]) for side in features]
    left, right = (values / values.norm(dim=1, keepdim=True) for values in flat)
    return float(f"{(found - left @ right.T).abs().max():.1e}")


def u_centred(values: Tensor) -> Tensor:
    """The Gram matrix as Szekely and Rizzo (2014) centre it."""
    n, gram = len(values), values @ values.T
    gram.fill_diagonal_(0)
    rows = gram.sum(1, keepdim=True) / (n - 2)
    return (gram - rows - rows.T + gram.sum() / ((n - 1) * (n - 2))).fill_diagonal_(0)


if __name__ == "__main__":
    main()

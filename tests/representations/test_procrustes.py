import numpy as np
import pytest
import torch
from scipy.linalg import orthogonal_procrustes

from representations.cka import Layer
from representations.procrustes import procrustes


def drawn(*widths: int, n: int = 40) -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    shared = torch.randn(n, 3, generator=draw, dtype=torch.float64)
    sides = [torch.randn(n, width, generator=draw) + 5 for width in widths]
    return [side + shared @ torch.randn(3, side.shape[1], generator=draw).double() for side in sides]


@pytest.mark.parametrize(("p", "q"), [(6, 6), (4, 6), (100, 5), (70, 100)])
def test_is_what_the_best_rotation_leaves(p: int, q: int) -> None:
    """The rotation is SciPy's; the narrower features are filled up with zeros."""
    sides = [np.pad((z - z.mean(0)).numpy(), ((0, 0), (0, max(p, q) - z.shape[1]))) for z in drawn(p, q)]
    a, b = (side / np.linalg.norm(side) for side in sides)
    expected = np.linalg.norm(a - b @ orthogonal_procrustes(b, a)[0])
    assert 0.1 < expected < 1.4
    assert procrustes(*(Layer(z) for z in drawn(p, q))) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("width", [6, 100])
def test_is_zero_after_rotation_and_scale(width: int) -> None:
    (x,) = drawn(width)
    turn = torch.linalg.qr(torch.randn(width, width, generator=torch.Generator().manual_seed(1)).double())[0]
    assert procrustes(Layer(x), Layer(3 * x @ turn + 1)) == pytest.approx(0, abs=1e-6)


def test_of_layers_that_share_nothing_is_the_root_of_two() -> None:
    x, y = torch.zeros(2, 8, 1, dtype=torch.float64)
    x[:4], y[::2] = 1, 1
    assert procrustes(Layer(x), Layer(y)) == pytest.approx(2**0.5)


def test_a_constant_layer_has_none() -> None:
    (x,) = drawn(4)
    assert np.isnan(procrustes(Layer(x), Layer(torch.full((40, 4), 0.1))))

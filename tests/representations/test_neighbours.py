import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from representations import neighbours
from representations.cka import Layer
from representations.neighbours import mutual_neighbours


def drawn(*widths: int, n: int = 60) -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    shared = torch.randn(n, 3, generator=draw, dtype=torch.float64)
    sides = [torch.randn(n, width, generator=draw) + 5 for width in widths]
    return [side + shared @ torch.randn(3, side.shape[1], generator=draw).double() for side in sides]


@pytest.mark.parametrize(("p", "q"), [(4, 6), (4, 200), (200, 100)])
def test_are_those_at_the_least_distance(monkeypatch: pytest.MonkeyPatch, p: int, q: int) -> None:
    x, y = drawn(p, q)
    sets = [[set(row) for row in NearestNeighbors(n_neighbors=7).fit(z).kneighbors()[1]] for z in (x, y)]
    expected = [len(a & b) / 7 for a, b in zip(*sets, strict=True)]
    assert 0.2 < sum(expected) / len(expected) < 0.9
    for numbers in (neighbours.PIECE, 200):
        monkeypatch.setattr(neighbours, "PIECE", numbers)
        assert mutual_neighbours(Layer(x), Layer(y), k=7).tolist() == pytest.approx(expected)


def test_are_all_the_same_after_rotation_scale_and_shift() -> None:
    (x,) = drawn(20)
    rotation = torch.linalg.qr(torch.randn(20, 20, generator=torch.Generator().manual_seed(1), dtype=torch.float64))[0]
    assert (mutual_neighbours(Layer(x), Layer(3 * x @ rotation + 1)) == 1).all()


def test_are_k_of_all_others_where_nothing_is_shared() -> None:
    draw = torch.Generator().manual_seed(0)
    x, y = (torch.randn(400, 5, generator=draw) for _ in range(2))
    assert mutual_neighbours(Layer(x), Layer(y), k=40).mean().item() == pytest.approx(40 / 399, rel=0.1)


def test_a_constant_layer_has_none() -> None:
    (x,) = drawn(4)
    assert mutual_neighbours(Layer(x), Layer(torch.full((60, 4), 0.1))).isnan().all()


@pytest.mark.parametrize("k", [0, 59, 60])
def test_refuses_more_than_there_are(k: int) -> None:
    (x,) = drawn(4)
    with pytest.raises(ValueError, match=f"k={k} neighbours of 60 inputs: expected 1 to 58"):
        mutual_neighbours(Layer(x), Layer(x), k)

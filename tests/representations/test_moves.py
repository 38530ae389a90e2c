"""A random move is as long as training's in each tensor, and leaves alone what training does not learn."""

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from data.splits import InMemory, Splits
from representations.moves import is_moved, moved
from representations.networks import Networks, drawn, state_of
from representations.norms import estimate, is_estimated

LEARNED = {"0.weight", "0.bias", "1.weight", "1.bias"}


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Dropout(0.5))


def test_a_move_has_the_length_of_trainings_and_another_direction() -> None:
    torch.manual_seed(0)
    start, end = network(), network()
    for parameter in end.parameters():
        parameter.data += torch.randn_like(parameter)
    start, end = state_of(start), state_of(end)
    found = moved(start, end, LEARNED, [0, 1])
    for name in LEARNED:
        lengths = [(state[name] - start[name]).double().norm() for state in (found, end)]
        assert torch.isclose(*lengths, rtol=1e-5)
    cosine = nn.functional.cosine_similarity((found["0.weight"] - start["0.weight"]).flatten(),
                                             (end["0.weight"] - start["0.weight"]).flatten(), dim=0)  # fmt: skip
    assert abs(cosine) < 0.6
    assert torch.equal(found["1.running_mean"], start["1.running_mean"])
    assert torch.equal(moved(start, end, LEARNED, [0, 1])["0.weight"], found["0.weight"])
    assert not torch.equal(moved(start, end, LEARNED, [0, 2])["0.weight"], found["0.weight"])


def test_what_did_not_move_is_not_moved() -> None:
    start = state_of(network())
    assert not is_moved(start, start, LEARNED)
    assert all(torch.equal(tensor, start[name]) for name, tensor in moved(start, start, LEARNED, [0]).items())
    other = {name: tensor[:1] for name, tensor in start.items() if tensor.dim()}
    assert not is_moved(start, other, LEARNED), "of other shapes nothing is compared"


def test_statistics_are_those_of_the_inputs() -> None:
    torch.manual_seed(0)
    model, inputs = network(), torch.randn(600, 6) * 3 + 2
    assert not is_estimated(model)
    estimate(model, inputs.split(100))
    assert is_estimated(model)
    assert not any(layer.training for layer in model.modules())
    out = model(inputs)
    assert torch.allclose(out.mean(0), torch.zeros(5), atol=1e-3)
    assert torch.allclose(out.std(0), torch.ones(5), atol=2e-2)


@pytest.mark.parametrize("count", [2, 33, 129, 257])
def test_no_batch_of_training_inputs_is_a_single_one(count: int) -> None:
    """An input left over would count as much as a batch, and can't be normed alone."""
    networks = Networks.__new__(Networks)
    task = InMemory(torch.arange(count).float()[:, None], np.zeros(count, int))
    networks.splits, networks.where = Splits(task, task, ("a", "b")), torch.device("cpu")
    networks.cfg = OmegaConf.create({"num_workers": 0})
    batches = list(networks._training())
    assert sorted(torch.cat(batches)[:, 0].tolist()) == list(range(count))
    sizes = [len(batch) for batch in batches]
    assert min(sizes) > 1
    assert max(sizes) - min(sizes) <= 1


def test_inputs_are_drawn_without_looking_at_their_order() -> None:
    assert sorted(drawn(50, 5000)) == list(range(50))
    assert len(drawn(50, 10)) == 10
    assert set(drawn(50, 10)) != set(range(10))
    assert (drawn(50, 10) == drawn(50, 30)[:10]).all(), "fewer inputs are the first of more"

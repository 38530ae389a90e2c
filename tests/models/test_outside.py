"""Random tensors that no checkpoint holds are refused; what follows from the weights, or is always the same, is not."""

import pytest
import torch
from torch import nn

from conf.errors import BadInput
from models.backbone import Classifier
from models.outside import check


class Network(nn.Module):
    def __init__(self, prepare):
        super().__init__()
        self.body, self.fc = nn.Linear(4, 6), nn.Linear(6, 3)
        prepare(self)

    def forward(self, x):
        return self.fc(self.body(x))


def buffer(persistent, make):
    return lambda m: m.register_buffer("projection", make(), persistent=persistent)


def attribute(name, make):
    return lambda m: setattr(m, name, make())


REFUSED = {
    "a buffer that is not saved": (buffer(False, lambda: torch.randn(4)), "projection"),
    "an attribute": (attribute("mix", lambda: torch.randn(4)), "mix"),
    "of an inner layer": (lambda m: setattr(m.body, "mix", torch.rand(4)), "body.mix"),
    "in a list": (attribute("mixes", lambda: [torch.randn(4)]), "mixes.0"),
    "an order": (attribute("order", lambda: torch.randperm(50)), "order"),
}
TAKEN = {
    "nothing": lambda m: None,
    "a buffer that is saved": buffer(True, lambda: torch.randn(4)),
    "positions": buffer(False, lambda: torch.arange(4)),
    "a constant": attribute("mean", lambda: torch.full((3,), 0.5)),
    "with a seed of its own": attribute("mix", lambda: torch.randn(4, generator=torch.Generator().manual_seed(1))),
    "what weight-norm makes": lambda m: nn.utils.weight_norm(m.body),
}


def tried(prepare):
    built = []

    def build():
        built.append(1)
        return Classifier(Network(prepare), ["fc"])

    model, state = build(), torch.get_rng_state()
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    try:
        check(model, build, torch.randn(2, 4, generator=torch.Generator().manual_seed(0)))
    finally:
        assert torch.equal(torch.get_rng_state(), state)
        assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    return len(built)


@pytest.mark.parametrize("name", REFUSED)
def test_random_tensors_that_no_checkpoint_holds_are_refused(name):
    prepare, tensor = REFUSED[name]
    with pytest.raises(BadInput, match=rf"tensor {tensor} is random and no checkpoint .*register_buffer") as refused:
        tried(prepare)
    assert "\n" not in str(refused.value)


@pytest.mark.filterwarnings("ignore:.*weight_norm")
@pytest.mark.parametrize("name", TAKEN)
def test_others_are_taken(name):
    count = tried(TAKEN[name])
    assert count == (1 if name in ("nothing", "a buffer that is saved") else 2)

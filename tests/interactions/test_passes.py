"""Lean passes give the values of the network's own, for any samples, weights and batch."""

import pytest
import torch
from torch import nn

from interactions import passes as module
from interactions.dense import masked_values, values
from interactions.passes import Passes
from interactions.variables.masking import membership
from interactions.variables.patches import draw_patches, owner_map
from models.backbone import Classifier, Probed
from models.lean.captured import NotCaptured
from models.vision import conv4, vit_tiny

N = 4
MODELS = {
    "vit_tiny": lambda: Classifier(vit_tiny(3, depth=2, dim=8)),
    "conv4": lambda: Classifier(conv4(3, width=4)),
    "with a probe": lambda: Probed(Classifier(vit_tiny(3, depth=1, dim=8)), 8, 3),
}


def network(name: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    model = MODELS[name]().train()
    model(torch.randn(16, 3, 32, 32))  # batch-norm statistics that are not those of a new network
    nn.init.normal_(model.head.weight)
    return model.double().eval()


def images() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    owner = torch.stack([owner_map(draw_patches(N, 8, 0, 32, 32, seed=0, index=i), 32, 32) for i in range(3)])
    inputs, baseline = torch.randn(3, 3, 32, 32).double(), torch.randn(3, 32, 32).double()
    return inputs, baseline, membership(owner), torch.tensor([0, 2, 1])


SAMPLE, SUBSET = torch.arange(3).repeat_interleave(2**N), torch.arange(2**N).repeat(3)


@pytest.mark.parametrize("name", MODELS)
def test_values_are_those_of_the_network(name):
    model, (inputs, baseline, member, labels) = network(name), images()
    passes = Passes(model, torch.contiguous_format, compiled=False)
    given = labels, SAMPLE, SUBSET, 7
    expected = masked_values(model, inputs, baseline, member, *given)
    found = values(passes.of(inputs, baseline, member, range(3)), *given)
    assert expected.unique().numel() > 2**N
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12 * float(expected.abs().max()))
    # other weights, and then another block of samples
    model.load_state_dict(network(name, seed=1).state_dict())
    passes.forget()
    expected = masked_values(model, inputs, baseline, member, *given)
    logits = passes.of(inputs[1:2], baseline, member[1:2], range(1, 2))
    found = values(logits, labels[1:2], SAMPLE[: 2**N], SUBSET[: 2**N], 7)
    tolerance = 1e-12 * float(expected.abs().max())
    torch.testing.assert_close(found, expected[2**N : 2 * 2**N], rtol=0, atol=tolerance)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_batches_may_be_small(size):
    model, (inputs, baseline, member, labels) = network("vit_tiny"), images()
    passes = Passes(model, torch.contiguous_format, compiled=False)
    given = labels[:1], torch.zeros(5, dtype=torch.long), torch.arange(5), size
    expected = masked_values(model, inputs[:1], baseline, member[:1], *given)
    found = values(passes.of(inputs[:1], baseline, member[:1], range(1)), *given)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


class Undecided(nn.Module):
    """Does something else with bright images."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.mean((2, 3)) * (2 if x.mean() > 0 else 1))


def test_a_network_that_can_not_be_captured_says_so():
    model, (inputs, baseline, member, _) = Undecided().double(), images()
    logits = Passes(model, torch.contiguous_format, compiled=False).of(inputs, baseline, member, range(3))
    with pytest.raises(NotCaptured, match="can't be captured"):
        logits(torch.zeros(4, dtype=torch.long), torch.arange(4))


def test_a_graph_that_computes_something_else_is_not_used(monkeypatch):
    model, (inputs, baseline, member, _) = network("conv4"), images()
    monkeypatch.setattr(module.Lean, "__call__", lambda self, *given: 1.01 * self._run(*self._weights, *given))
    logits = Passes(model, torch.contiguous_format, compiled=False).of(inputs, baseline, member, range(3))
    with pytest.raises(NotCaptured, match="something else"):
        logits(torch.zeros(4, dtype=torch.long), torch.arange(4))

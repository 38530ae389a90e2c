"""Lean passes give the values of the network's own, for any samples, weights and batch."""

import pytest
import torch
from torch import nn

from interactions import passes as module
from interactions.dense import masked_values, values
from interactions.passes import Passes
from interactions.variables.masking import masked, membership
from interactions.variables.patches import draw_patches, owner_map
from models.backbone import Classifier, Probed
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


@pytest.fixture
def lean_and_plain():
    """Compares the logits of lean passes with the network's own, for a model and its later checkpoints."""
    inputs, baseline, member, _ = images()
    which, subset = torch.tensor([0, 1, 2, 1, 0]), torch.tensor([3, 15, 9, 0, 6])
    x = masked(inputs[which], baseline, member[which], subset)

    def compare(passes: Passes) -> float:
        with torch.inference_mode():
            found, expected = passes.of(inputs, baseline, member, range(3))(which, subset), passes.model(x)
        assert expected.std() > 0
        return float((found - expected).abs().max() / expected.abs().max())

    return compare


def passes_of(model: nn.Module) -> Passes:
    torch.manual_seed(0)
    return Passes(model.double().eval(), torch.contiguous_format, compiled=False)


def test_a_network_that_can_not_be_captured_runs_as_it_is(lean_and_plain):
    passes = passes_of(Undecided())
    assert lean_and_plain(passes) == 0
    assert passes.why == "what its forward pass does depends on the values of its input"


def test_a_graph_that_computes_something_else_is_not_used(monkeypatch, lean_and_plain):
    monkeypatch.setattr(module.Lean, "__call__", lambda self, *given: 1.0001 * self._run(*self._weights, *given))
    passes = passes_of(network("conv4"))
    assert lean_and_plain(passes) == 0
    assert "something else" in passes.why


class Ordered(nn.Module):
    """Takes its tokens in an order that belongs to the checkpoint."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.mix = nn.Conv2d(3, 8, 8, stride=8), nn.Linear(16, 16)
        self.head = nn.Linear(8, 3)
        self.register_buffer("order", torch.arange(16))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.stem(x).flatten(2).transpose(1, 2)[:, self.order]
        return self.head(self.mix(tokens.relu().transpose(1, 2)).relu()[:, :, 0])


def test_owners_do_not_come_from_the_weights_of_an_earlier_checkpoint(lean_and_plain):
    passes = passes_of(Ordered())
    assert lean_and_plain(passes) < 1e-12
    passes.model.order.copy_(torch.randperm(16))
    passes.forget()
    assert lean_and_plain(passes) < 1e-12
    assert not passes.why


class Outside(nn.Module):
    """Keeps a number that is neither a parameter nor a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head, self.scale = nn.Conv2d(3, 8, 3), nn.Linear(8, 3), 1.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x).relu().mean((2, 3)) * self.scale)


def test_what_is_kept_outside_of_the_weights_is_noticed_at_the_next_checkpoint(lean_and_plain):
    passes = passes_of(Outside())
    assert lean_and_plain(passes) < 1e-12
    assert not passes.why
    passes.model.scale = 1.5
    passes.forget()
    assert lean_and_plain(passes) == 0
    assert "something else" in passes.why


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 8, 8, stride=8), nn.Linear(8, 3)


class OneByOne(Tokens):
    """Evaluates its inputs one after the other."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([self.head(self.stem(one).relu().mean((1, 2))) for one in x])


def test_a_network_may_evaluate_its_inputs_one_by_one(lean_and_plain):
    assert lean_and_plain(passes_of(OneByOne())) < 1e-12


class ByBatch(Tokens):
    """Its tokens depend on how many inputs it is given."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head((self.stem(x) * (1 + 1e-4 * len(x))).relu().amax((2, 3)))


def test_tokens_are_not_those_of_another_batch_size(lean_and_plain):
    assert lean_and_plain(passes_of(ByBatch())) < 1e-12

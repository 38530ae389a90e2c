"""Whole maps give the same logits by a lean rest of the network."""

from functools import partial

import pytest
import torch
from tiled import another_checkpoint, sample, trained
from torch import nn

from interactions.local.forward import Local
from models.backbone import Classifier

N, SHAPE = 5, (3, 32, 32)


class Staged(nn.Module):
    """Sees all variables in its last stage, whose first map it reads twice; it asks an early map for its shape."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.wide = nn.Sequential(nn.Conv2d(8, 8, 15, 2, 7), nn.BatchNorm2d(8), nn.ReLU())
        self.last = nn.Sequential(nn.Conv2d(8, 8, 7, padding=3, bias=False), nn.BatchNorm2d(8))
        self.head, self.scales = nn.Linear(8, 3), [torch.full((8, 1, 1), 1.5)]  # tensors that no checkpoint has

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        early = self.stem(x)
        late = self.wide(early)
        late = (self.last(late) + late * self.scales[0].to(late)).relu() * torch.tensor(2.0)
        return self.head(late.mean((2, 3)) * early.shape[1])


def network() -> nn.Module:
    torch.manual_seed(0)
    return trained(Classifier(Staged())).double()


def test_logits_are_those_of_the_network_with_the_weights_of_each_checkpoint():
    model = network()
    plain, lean = Local(model, SHAPE), Local(model, SHAPE)
    lean.lean = True
    image, baseline, owner = sample(SHAPE, N, 0)
    given = image.double(), baseline.double()
    plans = [engine.plan(owner, N) for engine in (plain, lean)]
    assert plans[0].layers
    assert plans[0].dense_from
    for _ in range(2):
        expected, found = (engine.logits(plan, *given) for engine, plan in zip((plain, lean), plans, strict=True))
        assert expected.std() > 0.1
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12 * float(expected.abs().max()))
        another_checkpoint(model)
        lean.forget()
    (rest,) = lean._rests.values()
    (made,) = rest.lean.values()
    assert made is not None
    norms = [node for node in made.found.graph.nodes if "batch_norm" in str(node.target) and node not in made._fixed]
    assert not norms, "they are folded"


def test_a_compiled_rest_has_the_weights_of_each_checkpoint(monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda run, **_: compiled.append(run) or run)
    model = network()
    engine = Local(model, SHAPE)
    image, baseline, owner = sample(SHAPE, N, 0)
    plan, given = engine.plan(owner, N), (image.double(), baseline.double())
    for _ in range(2):
        engine.lean = engine.compiled = False
        expected = engine.logits(plan, *given)
        engine.lean = engine.compiled = True
        torch.testing.assert_close(
            engine.logits(plan, *given), expected, rtol=0, atol=1e-12 * float(expected.abs().max())
        )
        another_checkpoint(model)
        engine.forget()
    assert len(compiled) == 1


def test_a_rest_that_can_not_be_compiled_is_an_error(monkeypatch):
    def fails(*_: object) -> None:
        raise RuntimeError("there is no compiler")

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=fails))
    engine = Local(network(), SHAPE)
    engine.lean = engine.compiled = True
    image, baseline, owner = sample(SHAPE, N, 0)
    with pytest.raises(Exception, match="there is no compiler"):
        engine.logits(engine.plan(owner, N), image.double(), baseline.double())


class Choosing(Staged):
    """What it does at the end depends on the values of a map, which fx can trace as a call and torch.export can't."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return chosen(super().forward(x))


@torch.fx.wrap
def chosen(x: torch.Tensor) -> torch.Tensor:
    return x if x.sum() > 0 else x * 1.0


def test_a_rest_that_is_not_lean_says_why():
    torch.manual_seed(0)
    model = trained(Classifier(Choosing())).double()
    engine = Local(model, SHAPE)
    engine.lean = True
    image, baseline, owner = sample(SHAPE, N, 0)
    plan, given = engine.plan(owner, N), (image.double(), baseline.double())
    assert engine.why_plain == ""
    found = engine.logits(plan, *given)
    assert "values of its input" in engine.why_plain
    engine.lean = False
    assert torch.equal(engine.logits(plan, *given), found)

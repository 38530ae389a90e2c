"""What the graphs of models/lean compute, and how much work it is."""

from collections.abc import Callable

import pytest
import torch
from torch import fx, nn

from models.lean.captured import Captured
from models.lean.worth import multiply_adds


def _value(found: Captured, model: nn.Module, *inputs: torch.Tensor) -> torch.Tensor:
    values = {**found.values(model), **dict(zip(found.inputs, inputs, strict=True))}
    given = [values[node] for node in found.graph.nodes if node.op == "placeholder"]
    return fx.Interpreter(nn.Module(), graph=found.graph).run(*given)


@pytest.fixture
def value() -> Callable[..., torch.Tensor]:
    """value(found, model, *inputs) runs a graph with the weights of a model."""
    return torch.no_grad()(_value)


@pytest.fixture
def work() -> Callable[..., float]:
    """work(function, *args) counts the multiply-adds of a call."""
    return multiply_adds

"""What is refused before any work begins, and how a choice is told from what is asked."""

from functools import partial

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from conf.errors import BadInput
from interactions.choice import Choice, check_compiler, check_lean, compiled_is_faster, not_compiled
from models.vision import conv4


class Undecided(nn.Linear):
    """Does something else with bright images."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.flatten(1)) * (2 if x.mean() > 0 else 1)


def test_lean_passes_of_a_network_that_can_not_be_captured_are_refused():
    check_lean(conv4(3, width=4), torch.randn(2, 3, 32, 32))
    with pytest.raises(BadInput, match=r"^interactions\.lean=true can't be used for this model: .*; use .*lean=auto"):
        check_lean(Undecided(12, 3), torch.randn(2, 3, 2, 2))


def test_what_is_asked_for_in_another_way_is_told_as_it_is_written():
    asked = OmegaConf.create({"engine": "auto", "batch_size": 8, "lean": False, "compile": "auto"})
    assert Choice("dense", 8, False, lean=True).differs(asked) == ["interactions.lean=false"]
    assert Choice("local", 8, True).differs(asked) == []


def test_a_choice_of_an_earlier_version_is_not_lean():
    assert not Choice(**{"engine": "dense", "batch_size": 5, "compile": False, "why_dense": ""}).lean


def test_without_a_compiler_compiled_passes_are_refused(monkeypatch):
    def fails(*_: object) -> None:
        raise RuntimeError("there is no compiler\nset CXX")

    check_compiler(torch.device("cpu"))
    torch.compiler.reset()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=fails))
    with pytest.raises(
        BadInput, match=r"^interactions\.compile=true can't be used here \(.*there is no compiler.*; use false$"
    ):
        check_compiler(torch.device("cpu"))
    assert str(not_compiled(RuntimeError("no"), earlier=True)).startswith(
        "earlier values were computed by compiled code"
    )


def test_what_can_not_be_compiled_is_not():
    def fails() -> None:
        raise RuntimeError("there is no compiler")

    assert compiled_is_faster(fails, lambda: None, 1e9) is False

"""A lean forward pass returns what the model returns, with less work."""

from functools import partial

import pytest
import timm
import torch
from torch import nn

from models.lean.forward import Lean, NotCaptured, captured, check, lean
from models.text import bert
from models.vision import conv4, resnet18, vit_tiny


def changed(model: nn.Module, seed: int) -> nn.Module:
    """Gives a model the weights of another checkpoint."""
    generator = torch.Generator().manual_seed(seed)
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point():
            tensor.data.copy_(torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype) * 0.2 + 0.05)
    return model


def images(size):
    return torch.randn(3, 3, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


SMALL = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
         "intermediate_size": 32, "max_position_embeddings": 20}  # fmt: skip
tiny = partial(timm.create_model, "vit_tiny_patch16_224", num_classes=3, img_size=32, depth=2)
MODELS = {  # and whether it needs fewer multiply-adds
    "conv4": (lambda: conv4(3, width=8), images(32), False),
    "ResNet-18": (lambda: resnet18(3, "cifar"), images(16), False),
    "torchvision's ViT": (lambda: vit_tiny(3, depth=2), images(32), True),
    "timm's ViT": (tiny, images(32), True),
    "ViT with registers": (partial(tiny, reg_tokens=3, qk_norm=True, init_values=0.1), images(32), True),
    "ViT that averages": (partial(tiny, global_pool="avg", class_token=False), images(32), False),
    "BERT": (lambda: bert(3, **SMALL), torch.randint(0, 50, (3, 7)), True),
    "BERT that averages": (lambda: bert(3, pool="mean", **SMALL), torch.randint(0, 50, (3, 7)), False),
}


@pytest.mark.parametrize(("make", "x", "fewer"), MODELS.values(), ids=MODELS)
def test_a_lean_forward_pass_returns_what_the_model_returns(make, x, fewer, work):
    model = changed(make(), 1).double().eval()
    found = lean(model, x)
    for seed in (1, 2):
        changed(model, seed)
        found.prepare()
        with torch.no_grad():
            expected = model(x)
            assert torch.allclose(found(x), expected, rtol=0, atol=1e-11 * float(expected.abs().max()))
    assert work(found, x) < 0.9 * work(model, x) if fewer else work(found, x) == work(model, x)


def test_convolutions_in_single_precision_are_packed_for_each_checkpoint():
    model, x = changed(conv4(3, width=8), 1).eval(), images(32).float()
    found = lean(model, x)
    before = found(x)
    changed(model, 2)
    found.prepare()
    with torch.no_grad():
        assert torch.allclose(found(x), model(x), rtol=1e-4)
    assert not torch.allclose(found(x), before, rtol=1e-2)


def test_half_precision_rounds_as_the_model_does():
    model, x = changed(vit_tiny(3, depth=2), 1).eval(), images(32).float()
    with torch.no_grad():
        exact = model(x)
        model.bfloat16()
        found = Lean(model, captured(model, x.bfloat16()))
        found.prepare()
        result = found(x.bfloat16())
    assert result.dtype == torch.bfloat16
    assert torch.allclose(result.float(), exact, rtol=0, atol=0.03 * float(exact.abs().max()))


def test_a_compiled_pass_gets_its_weights_as_inputs(monkeypatch):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    model, x = changed(vit_tiny(3, depth=1), 1).double().eval(), images(32)
    found = lean(model, x, compiled=True)
    changed(model, 2)
    found.prepare()
    with torch.no_grad():
        assert torch.allclose(found(x), model(x), rtol=1e-10)


class OfWeights(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight * 2


def test_a_result_that_does_not_depend_on_the_input_is_computed_once():
    model = OfWeights(3, 3).eval()
    assert torch.equal(lean(model, torch.zeros(2, 3))(torch.zeros(2, 3)), 2 * model.weight)


@pytest.mark.parametrize("wrong", [
    torch.tensor([1.0, 2.01]), torch.tensor([1.0, torch.nan]), torch.ones(3), torch.tensor([1.0, 2.0]).double()
])  # fmt: skip
def test_another_result_is_refused(wrong):
    expected = torch.tensor([1.0, 2.0])
    check(expected + 1e-4, expected)
    check(torch.tensor([1.0001, torch.nan]), torch.tensor([1.0, torch.nan]))
    with pytest.raises(NotCaptured, match="computes something else"):
        check(wrong, expected)

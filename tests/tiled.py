"""Whether a network that is evaluated on tiles gives what brute force gives."""

import numpy as np
import torch
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from interactions.local.forward import Local
from interactions.variables.masking import masked, membership
from models.backbone import Classifier

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


def trained(model: Classifier) -> Classifier:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | FrozenBatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, -1.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
    return model.eval()


def patches(height: int, width: int, n: int, seed: int) -> torch.Tensor:
    """n rectangles anywhere, some of them in several pieces because others lie on them: [1, height, width]."""
    draw = np.random.default_rng(seed)
    owner = torch.full((1, height, width), -1)
    for variable in range(n):
        y, x = draw.integers(height - 3), draw.integers(width - 3)
        owner[0, y : y + draw.integers(1, 6), x : x + draw.integers(1, 6)] = variable
    return owner


@torch.inference_mode()
def brute_force(
    model: nn.Module, image: torch.Tensor, baseline: torch.Tensor, owner: torch.Tensor, n: int
) -> torch.Tensor:
    x = masked(image[None], baseline, membership(owner)[None], torch.arange(2**n))
    return model(x)


def sample(shape: tuple[int, int, int], n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    return torch.randn(shape), torch.randn(shape), patches(*shape[1:], n, seed)


def assert_close(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    assert (found - expected).abs().max() <= TOLERANCE[found.dtype] * expected.abs().max()


@torch.no_grad()
def another_checkpoint(model: nn.Module) -> None:
    """Other parameters and buffers, all of them."""
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point():
            tensor.mul_(torch.empty_like(tensor).uniform_(0.6, 1.6))


def agrees(model: nn.Module, shape: tuple[int, int, int], n: int, seed: int = 0, **options: int) -> Local:
    """Asserts that the logits are those of brute force, for the model's weights and for those of another checkpoint
    that is loaded when the trace and the plan are there already; options: of `Local.plan`."""
    dtype = next(model.parameters()).dtype
    image, baseline, owner = sample(shape, n, seed)
    image, baseline = image.to(dtype), baseline.to(dtype)
    engine = Local(model, shape)
    assert engine.reason is None
    plan = engine.plan(owner, n, **options)
    first = engine.logits(plan, image, baseline)
    assert_close(first, brute_force(model, image, baseline, owner, n))
    another_checkpoint(model)
    second = engine.logits(plan, image, baseline)
    assert_close(second, brute_force(model, image, baseline, owner, n))
    assert not torch.allclose(first, second, rtol=1e-3)
    return engine

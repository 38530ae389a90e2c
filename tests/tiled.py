"""Whether a network that is evaluated on tiles gives what brute force gives."""

import numpy as np
import torch
from torch import nn

from interactions.local import Local
from interactions.masking import masked, membership
from models.backbone import Classifier

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


def trained(model: Classifier) -> Classifier:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
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


def agrees(model: nn.Module, shape: tuple[int, int, int], n: int, seed: int = 0, **options: int) -> Local:
    """Asserts that the logits are those of brute force; options: of `Local.plan`."""
    dtype = next(model.parameters()).dtype
    image, baseline, owner = sample(shape, n, seed)
    image, baseline = image.to(dtype), baseline.to(dtype)
    engine = Local(model, shape)
    assert engine.reason is None
    found = engine.logits(engine.plan(owner, n, **options), image, baseline)
    assert_close(found, brute_force(model, image, baseline, owner, n))
    return engine

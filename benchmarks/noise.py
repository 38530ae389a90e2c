"""Measures how precision affects v and the interactions: the error of v against float64, and of I by order. Lean
passes (models/lean) are measured beside the network's own.

The networks have random weights, with values that spread as those of trained networks do. python -m benchmarks.noise
writes benchmarks/noise.csv.
"""

import numpy as np
import pandas as pd
import torch

from benchmarks.timing import place, record
from interactions.dense import masked_values, values
from interactions.mobius import interactions, orders
from interactions.passes import Passes
from interactions.variables.masking import membership
from interactions.variables.patches import draw_patches, owner_map
from models.backbone import Classifier
from models.device import exact_float32
from models.vision import conv4, resnet18, timm_network, torchvision_network, vit_tiny

N, SIDE, BATCH = 10, 32, 32
MODELS = {
    "conv4": lambda: conv4(10),
    "resnet18 (cifar)": lambda: resnet18(10, "cifar"),
    "vit_tiny": lambda: vit_tiny(10),
    "vit_s, smaller images": lambda: timm_network("vit_small_patch16_224", 10, img_size=SIDE, patch_size=4),
    "resnet50, smaller images": lambda: torchvision_network("resnet50", 10),
}
PRECISIONS = {
    "float64": (torch.float64, False),
    "float64, lean": (torch.float64, True),
    "float32": (torch.float32, False),
    "float32, lean": (torch.float32, True),
    "bfloat16": (torch.bfloat16, False),
    "float16": (torch.float16, False),
}
SLOW = ("vit_s, smaller images", "resnet50, smaller images")  # half precision takes hours on CPUs without it


def main() -> None:
    for name, make in MODELS.items():
        torch.manual_seed(0)
        record(pd.DataFrame(measure(name, make())), __file__, key="model")


def measure(name: str, network: torch.nn.Module) -> list[dict]:
    torch.manual_seed(0)
    where, model = place(), Classifier(network)
    torch.nn.init.normal_(model.head.weight, std=0.3)
    image, baseline = torch.randn(1, 3, SIDE, SIDE), torch.zeros(3, SIDE, SIDE)
    model.train()(torch.randn(64, 3, SIDE, SIDE))  # batch-norm statistics that are not those of a new network
    model.eval().to(where)
    member = membership(owner_map(draw_patches(N, 4, 0, SIDE, SIDE, 0, 0), SIDE, SIDE)[None]).to(where)

    def found(dtype: torch.dtype, lean: bool = False) -> np.ndarray:
        subset, label = torch.arange(2**N, device=where), torch.zeros(1, dtype=torch.long, device=where)
        samples, given = (image.to(where, dtype), baseline.to(where, dtype), member), (label, 0 * subset, subset, BATCH)
        with exact_float32():
            if not lean:
                return masked_values(model.to(dtype), *samples, *given).cpu().numpy()
            logits = Passes(model.to(dtype), torch.channels_last, compiled=False).of(*samples, range(1))
            return values(logits, *given).cpu().numpy()

    exact, state = found(torch.float64), {key: tensor.clone() for key, tensor in model.state_dict().items()}
    rows = []
    for precision, (dtype, lean) in PRECISIONS.items():
        if name in SLOW and dtype.itemsize == 2 and where.type == "cpu":
            continue
        model.double().load_state_dict(state)
        v = found(dtype, lean)
        error, strength = abs(interactions(v) - interactions(exact)), abs(interactions(exact))
        by_order = {f"order {i}": share(error, strength, i) for i in (1, 3, 5, 7, 10)}
        rows.append({"model": name, "precision": precision, "error of v": f"{(v - exact).std():.1e}"} | by_order)
    return rows


def share(error: np.ndarray, strength: np.ndarray, order: int) -> str:
    """Returns the mean error of the interactions of an order over their mean strength."""
    mine = orders(N) == order
    return f"{error[mine].mean() / strength[mine].mean():.1e}"


if __name__ == "__main__":
    main()

"""Measures how precision affects v and the interactions: the error of v against float64, and of I by order.

The networks have random weights, with values that spread as those of trained networks do. python -m benchmarks.noise
writes benchmarks/noise.csv.
"""

import numpy as np
import pandas as pd
import torch

from benchmarks.timing import place, record
from interactions.dense import masked_values
from interactions.mobius import interactions, orders
from interactions.variables.masking import membership
from interactions.variables.patches import draw_patches, owner_map
from models.backbone import Classifier
from models.device import exact_float32
from models.vision import conv4, resnet18, vit_tiny

N, SIDE, BATCH = 10, 32, 32
MODELS = {
    "conv4": lambda: conv4(10),
    "resnet18 (cifar)": lambda: resnet18(10, "cifar"),
    "vit_tiny": lambda: vit_tiny(10),
}
PRECISIONS = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def main() -> None:
    record(pd.DataFrame([row for name, make in MODELS.items() for row in measure(name, make())]), __file__)


def measure(name: str, network: torch.nn.Module) -> list[dict]:
    torch.manual_seed(0)
    where, model = place(), Classifier(network)
    torch.nn.init.normal_(model.head.weight, std=0.3)
    image, baseline = torch.randn(1, 3, SIDE, SIDE), torch.zeros(3, SIDE, SIDE)
    model.train()(torch.randn(64, 3, SIDE, SIDE))  # batch-norm statistics that are not those of a new network
    model.eval().to(where)
    member = membership(owner_map(draw_patches(N, 4, 0, SIDE, SIDE, 0, 0), SIDE, SIDE)[None]).to(where)

    def values(dtype: torch.dtype) -> np.ndarray:
        subset = torch.arange(2**N, device=where)
        with exact_float32():
            given = (
                image.to(where, dtype),
                baseline.to(where, dtype),
                member,
                torch.zeros(1, dtype=torch.long, device=where),
            )
            return masked_values(model.to(dtype), *given, torch.zeros_like(subset), subset, BATCH).cpu().numpy()

    exact, state = values(torch.float64), {key: tensor.clone() for key, tensor in model.state_dict().items()}
    rows = []
    for precision, dtype in PRECISIONS.items():
        model.double().load_state_dict(state)
        v = values(dtype)
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

"""What evaluating all masked inputs costs beyond the model's own forward passes: make bench

Both sides run on the same masked inputs in the same batches, alternating in one process; medians over repetitions.
The raw side has its inputs made beforehand and does nothing but call the model. Writes benchmarks/values.csv.
"""

import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import torch

from interactions.masking import masked, membership
from interactions.patches import draw_patches, owner_map
from interactions.values import masked_values
from models.backbone import Classifier
from models.vision import conv4, vit_tiny
from training.device import exact_float32

N, SAMPLES, BATCH, REPEATS = 10, 4, 512, 7
MODELS = {"conv4 (default)": conv4, "vit_tiny": vit_tiny}


def main() -> None:
    where = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    rows = [measure(name, make, where) for name, make in MODELS.items()]
    table = pd.DataFrame(rows)
    print(table.to_string(index=False))
    about = {
        "device": torch.cuda.get_device_name() if where.type == "cuda" else processor(),
        "torch": version("torch"),
        "date": time.strftime("%Y-%m-%d"),
    }
    table.assign(**about).to_csv(Path(__file__).with_suffix(".csv"), index=False)


def measure(name: str, make: Callable, where: torch.device) -> dict[str, object]:
    """Seconds of both sides for all masked inputs of SAMPLES images."""
    torch.manual_seed(0)
    model = Classifier(make(num_classes=10)).eval().to(where, memory_format=torch.channels_last)
    inputs, baseline = torch.randn(SAMPLES, 3, 32, 32, device=where), torch.zeros(3, 32, 32, device=where)
    owner = torch.stack([owner_map(draw_patches(N, 4, 0, 32, 32, 0, i), 32, 32) for i in range(SAMPLES)])
    member, labels = membership(owner).to(where), torch.zeros(SAMPLES, dtype=torch.long, device=where)
    sample = torch.arange(SAMPLES, device=where).repeat_interleave(2**N)
    subset = torch.arange(2**N, device=where).repeat(SAMPLES)
    batches = [
        masked(inputs[s], baseline, member[s], t).contiguous(memory_format=torch.channels_last)
        for s, t in zip(sample.split(BATCH), subset.split(BATCH), strict=True)
    ]

    @torch.inference_mode()
    def raw() -> None:
        for batch in batches:
            model(batch)

    def ours() -> None:
        masked_values(model, inputs, baseline, member, labels, sample, subset, BATCH)

    with exact_float32():
        times = alternate([raw, ours], where)
    raw_s, ours_s = times
    count = SAMPLES * 2**N
    return {
        "model": name,
        "n": N,
        "masked inputs": count,
        "raw forward, ms each": round(1000 * raw_s / count, 4),
        "values, ms each": round(1000 * ours_s / count, 4),
        "overhead": f"{ours_s / raw_s - 1:.1%}",
    }


def alternate(sides: list[Callable[[], None]], where: torch.device) -> list[float]:
    """Median seconds of each side, run in turn so that both meet the same machine."""
    seconds = [[] for _ in sides]
    for repeat in range(REPEATS + 1):
        for side, taken in zip(sides, seconds, strict=True):
            started = time.perf_counter()
            side()
            if where.type != "cpu":
                torch.accelerator.synchronize()
            if repeat > 0:  # the first time warms up
                taken.append(time.perf_counter() - started)
    return [statistics.median(taken) for taken in seconds]


def processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [line.split(": ")[1] for line in info.read_text().splitlines() if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {torch.get_num_threads()} threads"


if __name__ == "__main__":
    main()

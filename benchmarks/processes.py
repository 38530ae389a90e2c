"""What several processes gain: the interactions stage of one study by one and by two processes of one thread each.

Only the evaluation is timed, from the first value to the last: processes take seconds to start, once.
python -m benchmarks.processes writes benchmarks/processes.csv.
"""

import time

import pandas as pd
import torch
from torch.multiprocessing import get_context

from benchmarks.timing import record
from interactions.masking import membership
from interactions.patches import draw_patches, owner_map
from interactions.values import masked_values
from models.backbone import Classifier
from models.vision import conv4

N, SIDE, BATCH, BLOCKS, REPEATS = 10, 32, 256, 12, 3


def main() -> None:
    rows = []
    for count in (1, 2):
        taken = min(seconds(count) for _ in range(REPEATS))
        rows.append({"processes": count, "samples per second": round(BLOCKS / taken, 2)})
    one, two = (row["samples per second"] for row in rows)
    rows[1]["times faster than one"] = round(two / one, 2)
    record(pd.DataFrame(rows), __file__)


def seconds(count: int) -> float:
    """BLOCKS samples, spread over `count` processes that have started already."""
    context = get_context("spawn")
    ready, go = context.Barrier(count + 1), context.Barrier(count + 1)
    workers = [context.Process(target=work, args=(range(rank, BLOCKS, count), ready, go)) for rank in range(count)]
    for worker in workers:
        worker.start()
    ready.wait()
    started = time.perf_counter()
    go.wait()
    for worker in workers:
        worker.join()
    return time.perf_counter() - started


def work(samples: range, ready: object, go: object) -> None:
    torch.set_num_threads(1)
    model = Classifier(conv4(10)).eval().to(memory_format=torch.channels_last)
    baseline, subset = torch.zeros(3, SIDE, SIDE), torch.arange(2**N)

    def evaluate(sample: int) -> None:
        torch.manual_seed(sample)
        member = membership(owner_map(draw_patches(N, 4, 0, SIDE, SIDE, 0, sample), SIDE, SIDE)[None])
        label = torch.zeros(1, dtype=torch.long)
        masked_values(
            model, torch.randn(1, 3, SIDE, SIDE), baseline, member, label, torch.zeros_like(subset), subset, BATCH
        )

    evaluate(0)
    ready.wait()
    go.wait()
    for sample in samples:
        evaluate(sample)


if __name__ == "__main__":
    main()

"""Measures what sharing out a large store costs beside the evaluation: 1,000 samples x 100 checkpoints x 2^12, 3.3 GB.

100 shards, four at a time, write 10,000 units of 10 samples, whose values are drawn instead of computed. Every tenth
shard is killed in the middle and started again. Then the store is joined; once more with a tenth of the checkpoints, to
see whether the memory grows. The last column is what a unit takes with a file of its own, as without shards.
python -m benchmarks.shards writes benchmarks/shards.csv. It takes a few minutes, and 7 GB of disk in TMPDIR.
"""

import os
import random
import resource
import signal
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.timing import record
from interactions.shards import Shards, Unit
from interactions.store import Samples, Store
from stages.identity import Result
from stages.results import begin_share
from stages.shares import Share
from stages.table import STAGES

SAMPLES, N, BLOCK, SHARES, AT_ONCE = 1000, 12, 10, 100, 4
CHOICES = {"network": {"engine": "dense", "batch_size": BLOCK * 2**N, "compile": False, "why_dense": ""}}
BLOCKS = [range(first, first + BLOCK) for first in range(0, SAMPLES, BLOCK)]
FORKS = get_context("forkserver")  # new processes, which begin at once
FORKS.set_forkserver_preload(["benchmarks.timing", "interactions.shards"])


def main() -> None:
    record(pd.DataFrame([measured(checkpoints) for checkpoints in (10, 100)]), __file__)


def measured(checkpoints: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        result, samples = study(Path(folder))
        began = time.perf_counter()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            spent = list(pool.map(lambda number: attempts(result, samples, checkpoints, number), range(1, SHARES + 1)))
        wall, files = time.perf_counter() - began, [file for file in result.folder.rglob("*") if file.is_file()]
        size = sum(file.stat().st_size for file in files)
        reading, joining, before, peak = in_a_process(join, result, samples, checkpoints)
        units = checkpoints * len(BLOCKS)
        return {
            "checkpoints": checkpoints,
            "units": units,
            "GB": round(size / 1e9, 3),
            "files": len(files),
            "files after": sum(file.is_file() for file in result.folder.rglob("*")),
            "attempts": SHARES + SHARES // 10,
            "s, all shards": round(wall, 1),
            "ms per unit, list": round(1e3 * sum(listing for listing, _ in spent) / units, 3),
            "ms per unit, write": round(1e3 * sum(writing for _, writing in spent) / units, 3),
            "s, read all": round(reading, 2),
            "s, join": round(joining, 2),
            "join, MB/s": round(size / 1e6 / joining),
            "join, peak MB": round(peak - before),
            "ms per unit, file of its own": round(1e3 * in_a_process(own_files, Path(folder)), 3),
        }


def study(folder: Path) -> tuple[Result, Samples]:
    stage = next(stage for stage in STAGES if stage.name == "interactions")
    result, samples = Result("interactions/finetune", stage, folder / "finetune", "0", {}, {}), Samples(folder / "s")
    samples.write({"split": "test", "n": N, "kind": "image", "samples": [{"index": at} for at in range(SAMPLES)]})
    return result, samples


def attempts(result: Result, samples: Samples, checkpoints: int, number: int) -> np.ndarray:
    """Makes one shard, every tenth in two attempts. Returns seconds for finding what is done, and for writing."""
    if number % 10 == 0:
        in_a_process(shard, result, samples, checkpoints, number, True)
    return in_a_process(shard, result, samples, checkpoints, number, False)


def shard(result: Result, samples: Samples, checkpoints: int, number: int, killed: bool) -> np.ndarray:
    began = time.perf_counter()
    begin_share(result)
    shards = Shards(result, samples, Share("interactions.shard", number, SHARES))
    if not shards.record():
        shards.decide(CHOICES, BLOCKS)
    mine = shards.share.part(every(checkpoints))
    done = shards.done(mine)
    listed, writing = time.perf_counter() - began, 0.0
    for epoch, block in [unit for unit in mine if unit not in done]:
        v = values(epoch, block)
        if killed and shards._file and random.random() < 0.2:
            shards._file.write(b"1a2b3c4d {")
            shards._file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        began = time.perf_counter()
        shards.write_part(epoch, block, v)
        writing += time.perf_counter() - began
    return np.array([listed, writing])


def join(result: Result, samples: Samples, checkpoints: int) -> tuple[float, float, float, float]:
    """Returns seconds for finding all values and for the whole join, MB before it and at its peak."""
    before, began = _peak(), time.perf_counter()
    shards, store = Shards(result, samples), Store(result.folder, samples)
    store.shared = shards.found(every(checkpoints))
    reading = time.perf_counter() - began
    for epoch in range(checkpoints):
        store.complete(epoch, BLOCKS, {"stage": "finetune", "epoch": epoch})
    shards.clean(store)
    joining, peak = time.perf_counter() - began, _peak()
    for epoch in (0, checkpoints - 1):
        assert (store.values(epoch) == np.concatenate([values(epoch, block) for block in BLOCKS])).all()
    return reading, joining, before, peak


def own_files(folder: Path) -> float:
    """Returns the seconds per unit where each is a file."""
    store, began = Store(folder / "own", Samples(folder / "s")), time.perf_counter()
    blocks = [(block, values(0, block)) for block in BLOCKS]
    began = time.perf_counter()
    for block, v in blocks:
        store.write_part(0, block, v)
    return (time.perf_counter() - began) / len(BLOCKS)


def every(checkpoints: int) -> list[Unit]:
    return [(epoch, block) for epoch in range(checkpoints) for block in BLOCKS]


def values(epoch: int, block: range) -> np.ndarray:
    return np.random.default_rng([epoch, block[0]]).standard_normal((len(block), 2**N))


def in_a_process(work: callable, *given: object) -> object:
    """Returns what `work` returns in a new process, None if that was killed."""
    answers, answer = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=_answer, args=(answer, work, given))
    process.start()
    answer.close()
    try:
        return answers.recv()
    except EOFError:
        return None
    finally:
        process.join()


def _answer(answer: object, work: callable, given: tuple) -> None:
    answer.send(work(*given))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()

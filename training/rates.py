"""How fast this machine is with a study's model and data, from a measurement of seconds."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from omegaconf import DictConfig
from torch.nn import functional as F

from models.batch_size import fitting
from models.device import device, exact_float32
from models.memory import settled
from stages.need import Need
from training.tasks import new_model

SAMPLES, MOST = 8, 64  # different samples; inputs passed through the network at once


@dataclass(frozen=True)
class Rates:
    """Seconds per input."""

    forward: float
    trained: float
    loaded: float

    @classmethod
    def measured(cls, cfg: DictConfig) -> "Rates":
        """On a few inputs of the target task; loading is shared by the workers."""
        model, splits = new_model(cfg, "probe", "target")
        where, count = device(cfg.interactions.device), min(SAMPLES, len(splits.train))
        started = time.perf_counter()
        samples = [splits.train[i] for i in range(count)]
        loaded = (time.perf_counter() - started) / count / max(cfg.num_workers, 1)
        model.to(where)

        def batch(size: int) -> list[torch.Tensor]:
            repeated = [samples[i % count] for i in range(min(size, MOST))]
            return [part.to(where) for part in splits.collate(repeated)]

        settled(model, batch(1)[0])
        wanted = cfg.interactions.batch_size
        if wanted == "auto":
            wanted = fitting(model, batch(1)[0], where)
        forward, trained = batch(wanted), batch(cfg.finetune.batch_size)

        @torch.no_grad()
        def evaluate() -> None:
            with exact_float32():
                model.eval()(forward[0])

        def train() -> None:
            F.cross_entropy(model.train()(trained[0]), trained[1]).backward()
            model.zero_grad()

        return cls(_seconds(evaluate, where) / len(forward[1]), _seconds(train, where) / len(trained[1]), loaded)

    def seconds(self, need: Need) -> float:
        return need.forward * self.forward / need.speedup + need.trained * self.trained + need.loaded * self.loaded


def _seconds(work: Callable[[], None], where: torch.device, least: float = 1.0) -> float:
    """Of one call, the fastest of as many as `least` seconds hold, after one that does not count."""
    work()
    fastest, begun = math.inf, time.perf_counter()
    while time.perf_counter() - begun < least:
        started = time.perf_counter()
        work()
        if where.type == "cuda":
            torch.cuda.synchronize(where)
        fastest = min(fastest, time.perf_counter() - started)
    return fastest

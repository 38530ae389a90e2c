"""Makes independent random streams from one seed."""

import hashlib

from omegaconf import DictConfig

PURPOSES = {"pretrain": "pretrain", "probe": "pretrain", "finetune": "train", "scratch": "train"}


def stream(seed: int, *names: object) -> int:
    """Returns a separate seed for each name, the same in every process: stream(0, "scratch") != stream(0, "pretrain").

    Scratch training must not start from the weights that pre-training started from, and dropout must not repeat every
    epoch.
    """
    text = "/".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little") % (2**31)


def seed_of(cfg: DictConfig, stage: str) -> int:
    """Returns the seed of a stage's random weights, order and dropout."""
    return cfg.seeds[PURPOSES[stage]]

"""What a configuration may hold: every key and its type, so that a mistyped key or value is an error before any
work starts. The values, and what each key means, are in `config.yaml`; the ranges in `check.py`.

`data.source`, `data.target` and `model` are open: their keys are the arguments of what their `_target_` names.
`trainer` is open to all options of Lightning's trainer.
"""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING


@dataclass
class Data:
    source: Any = MISSING
    target: Any = MISSING
    root: str = MISSING
    download: bool = MISSING
    skip_corrupt: bool = MISSING
    made: int = MISSING


@dataclass
class Training:
    epochs: int = MISSING
    batch_size: int = MISSING
    optimizer: str = MISSING
    lr: float = MISSING
    weight_decay: float = MISSING
    momentum: float = MISSING
    schedule: str = MISSING


@dataclass
class Probe:
    solver: str = MISSING
    l2: float = MISSING
    epochs: int = MISSING
    lr: float = MISSING
    batch_size: int = MISSING


@dataclass
class Checkpoints:
    epochs: Any = MISSING


@dataclass
class Files:
    pretrain: Any = None
    finetune: Any = None
    scratch: Any = None


@dataclass
class Interactions:
    n: int = MISSING
    samples: int = MISSING
    split: str = MISSING
    grid: int = MISSING
    margin: int = MISSING
    baseline: str = MISSING
    stop_words: Any = MISSING
    background: str = MISSING
    roles: list[str] = MISSING
    checkpoints: Files = field(default_factory=Files)
    precision: str = MISSING
    noise_masks: int = MISSING
    engine: str = MISSING
    batch_size: Any = MISSING
    compile: bool = MISSING
    processes: int = MISSING
    device: str = MISSING


@dataclass
class Analysis:
    name: str = MISSING
    measures: list[str] = MISSING
    salient: bool = MISSING
    tau: float = MISSING
    empty_set: bool = MISSING
    normalise: bool = MISSING
    permutations: int = MISSING
    resamples: int = MISSING
    gallery: int = MISSING


@dataclass
class Wandb:
    mode: str = MISSING
    project: str = MISSING
    entity: str | None = MISSING


@dataclass
class Config:
    name: str = MISSING
    seed: int = MISSING
    stages: list[str] = MISSING
    plan: bool = MISSING
    output: str = MISSING
    run_dir: str = MISSING
    data: Data = field(default_factory=Data)
    model: Any = field(default_factory=lambda: {"head": None})
    num_workers: int = MISSING
    trainer: dict[str, Any] = field(default_factory=dict)
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    pretrain: Training = field(default_factory=Training)
    probe: Probe = field(default_factory=Probe)
    finetune: Training = field(default_factory=Training)
    scratch: Training = field(default_factory=Training)
    interactions: Interactions = field(default_factory=Interactions)
    analysis: Analysis = field(default_factory=Analysis)
    wandb: Wandb = field(default_factory=Wandb)


def register() -> None:
    ConfigStore.instance().store(name="schema", node=Config)

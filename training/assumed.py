"""Replaces files that are not on this machine for a plan: data by their sizes, weights by random ones.

So a study can be planned before anything is downloaded. Nothing else changes: the stages count the same with the
replacement as with the files.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from huggingface_hub import constants
from omegaconf import DictConfig, OmegaConf

from conf.arguments import check_arguments
from conf.errors import BadInput
from data.splits import build
from models import pretrained
from models.sizes import sizes
from stages.given import weights_of
from stages.identity import task_name

NEEDED = ("train", "test", "classes")


@contextmanager
def assumed(cfg: DictConfig) -> Iterator[tuple[DictConfig, list[str]]]:
    """Yields the configuration with replacements for everything that is missing here, and lines for the user about
    these.

    While the context lasts, nothing is downloaded, and files of synthetic data lie in a folder that is removed
    afterwards. Raises BadInput for impossible sizes.
    """
    cfg = cfg.copy()
    OmegaConf.set_struct(cfg, False)
    cfg.data.download = False
    with ExitStack() as until_the_end:
        until_the_end.enter_context(_offline())
        if cfg.data.synthetic:
            cfg.data.root = until_the_end.enter_context(tempfile.TemporaryDirectory())
        remarks = [line for task, size in _sizes(cfg) for line in _data(cfg, task, size)]
        yield cfg, [*remarks, *_weights(cfg)]


@contextmanager
def _offline() -> Iterator[None]:
    """Turns the hub off, from which a tokenizer would be downloaded."""
    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _data(cfg: DictConfig, task: str, size: DictConfig | None) -> list[str]:
    """Replaces a task that can't be built, if the size of its files is known; otherwise the stages that need it raise
    the error."""
    if size is None:
        return []
    options = cfg.data[task]
    check_arguments(f"data.{task}", OmegaConf.to_container(options, resolve=True))
    try:
        build(options, f"data.{task}")
        return []
    except BadInput as refusal:
        reason, name, size = refusal, task_name(options), _drawn(options, f"data.{task}", size)
    cfg.data[task] = {"_target_": "data.stand_in.task", "input": cfg.model.input, **size}
    inputs = f"sentences of {size['tokens']} tokens" if "tokens" in size else "images"
    count = f"{size['train']:,} training and {size['test']:,} test {inputs}, {size['classes']} classes"
    return [f"data: {name} can't be read here ({reason}); assumed: {count}"]


def _drawn(options: DictConfig, where: str, size: DictConfig) -> dict[str, int]:
    """Returns the size of a task: that of the whole data set, or of the samples that are drawn from it."""
    known = OmegaConf.to_container(size, resolve=True)
    for split in ("train", "test"):
        drawn = options.get(f"{split}_samples")
        if drawn is not None and drawn > known[split]:
            raise BadInput(f"{where}.{split}_samples={drawn} is not allowed: there are {known[split]:,}")
        known[split] = drawn or known[split]
    return {key: known[key] for key in (*NEEDED, "tokens") if key in known}


def _sizes(cfg: DictConfig) -> Iterator[tuple[str, DictConfig | None]]:
    """Yields the tasks that the study needs, each with the size of its files, None if it is not known."""
    source = cfg.data.source or {}
    if weights_of(cfg) == "pretrain" and source.get("_target_") == "data.images.task":
        yield "source", source.get("size")
    yield "target", cfg.data.size


def _weights(cfg: DictConfig) -> list[str]:
    """Replaces weights that are not on this machine by random ones."""
    weights = weights_of(cfg)
    missing = "" if weights in ("pretrain", "scratch") else pretrained.absent(weights)
    if not missing:
        return []
    cfg.model = {**sizes(cfg.model), **cfg.model, "weights": "scratch"}  # config.json may be here without the weights
    return [f"weights: {missing}"]

"""Fills the store of one role: what is missing is evaluated, block by block, and the blocks of a checkpoint are joined.

A shard (stages/shares.py) evaluates its share of the blocks alone. Whoever completes the store takes over what shards
have computed, and evaluates the rest.
"""

import math
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
from omegaconf import DictConfig

from checkpoints.roles import Checkpoint
from conf.errors import BadInput
from interactions import units, workers
from interactions.choice import Choice
from interactions.engine import Engine, Engines
from interactions.shards import Shards
from interactions.store import Store
from interactions.units import Unit
from interactions.variables.sample_set import SampleSet
from models.backbone import Classifier
from stages.progress import Bar
from stages.results import is_complete
from training.seeds import stream


def decided(
    model: Classifier,
    sample_set: SampleSet,
    options: DictConfig,
    store: Store,
    shards: Shards | None = None,
    checkpoints: int = 1,
) -> Engines:
    """Returns the engines with which the first values were computed, in the store or by shards, unless the options ask
    for others. checkpoints: how many will be evaluated."""
    of_shards = shards.choices() if shards else {}
    choices = _as_choices(of_shards or store.choices())
    other = _other(choices, options)
    if other:
        print(f"interactions: what is missing is computed with {', '.join(other)}, not as before", flush=True)
        choices = {}
    if other or (of_shards and of_shards != store.choices()):
        store.remove_parts(store.folder)  # the values of a checkpoint are all computed in one way
    engines = Engines(model, sample_set, options, choices, checkpoints)
    store.write_choices(_recorded(engines))
    return engines


def _agreed(model: Classifier, sample_set: SampleSet, options: DictConfig, shards: Shards, checkpoints: int) -> Engines:
    """Returns the engines of all shards, which the first one has chosen, whatever their devices.

    checkpoints: of all shards. Raises BadInput if the options ask for others.
    """
    if not shards.record():
        earlier = _as_choices(shards.choices_of_store())
        kept, mine = {} if _other(earlier, options) else earlier, checkpoints / shards.share.of
        first = Engines(model, sample_set, options, kept, mine)
        shards.decide(_recorded(first), _blocks(first))
    choices = _as_choices(shards.choices())
    if other := _other(choices, options):
        raise BadInput(
            f"{', '.join(other)} is not allowed: {shards.folder / 'engine.json'} says how all shards compute values; "
            f"leave it out, or delete that folder and run all shards again"
        )
    return Engines(model, sample_set, options, choices)


def _as_choices(recorded: dict[str, dict]) -> dict[str, Choice]:
    return {name: Choice(**choice) for name, choice in recorded.items()}


def _recorded(engines: Engines) -> dict[str, dict]:
    return {name: asdict(choice) for name, choice in engines.choices.items()}


def _other(choices: dict[str, Choice], options: DictConfig) -> list[str]:
    return sorted({option for choice in choices.values() for option in choice.differs(options)})


def _blocks(engines: Engines) -> list[range]:
    sample_set = engines.network.sample_set
    return sample_set.blocks(math.ceil(engines.network.batch_size / 2**sample_set.n))


def all_units(checkpoints: list[Checkpoint], blocks: list[range]) -> list[Unit]:
    """Returns the units in the order in which they are shared out."""
    return [(number, block) for number in range(len(checkpoints)) for block in blocks]


def fill_share(
    cfg: DictConfig, model: Classifier, sample_set: SampleSet, shards: Shards, checkpoints: list[Checkpoint]
) -> None:
    """Evaluates what is missing of one share."""
    engines, name = (
        _agreed(model, sample_set, cfg.interactions, shards, len(checkpoints)),
        f"{shards.result.name}, shard {shards.share}",
    )
    mine = shards.share.part(all_units(checkpoints, _blocks(engines)))
    done = shards.done([(checkpoints[number].epoch, block) for number, block in mine])
    wanted = [(number, block) for number, block in mine if (checkpoints[number].epoch, block) not in done]
    how = f"; {engines.of(checkpoints[0]).about()}" if wanted else ""
    print(f"{name}: {len(wanted)} of {len(mine)} units to do (a checkpoint, a block of samples){how}", flush=True)
    total = sum(len(block) for _, block in mine)
    before = total - sum(len(block) for _, block in wanted)
    with Bar(total=total, initial=before, desc=name, unit="sample") as bar:
        for number, block in _evaluated(cfg, shards, checkpoints, engines, wanted):
            bar.set_postfix_str(f"epoch {checkpoints[number].epoch}")
            bar.update(len(block))
    if is_complete(shards.result):  # by others, meanwhile
        shards.clean(Store(shards.result.folder, shards.samples))


def left(store: Store, shards: Shards, checkpoints: list[Checkpoint], engines: Engines) -> list[Unit]:
    """Returns the units that are still to be evaluated. What shards have computed is added to the store.

    Raises BadInput if there are such units and the run only joins what shards have made.
    """
    every = all_units(checkpoints, _blocks(engines))
    missing = {number for number, checkpoint in enumerate(checkpoints) if not store.has(checkpoint.epoch)}
    there = [(checkpoints[number].epoch, block) for number, block in every if number in missing]
    store.shared = shards.found(there) if shards.choices() == _recorded(engines) else {}
    wanted = [unit for unit in every if unit[0] in missing and not store.has_part(checkpoints[unit[0]].epoch, unit[1])]
    if wanted and shards.share:
        places = {unit: place for place, unit in enumerate(every)}
        raise shards.share.missing(shards.result.name, [places[unit] for unit in wanted], len(every))
    return wanted


def fill(cfg: DictConfig, store: Store, checkpoints: list[Checkpoint], engines: Engines, wanted: list[Unit]) -> float:
    """Evaluates the units in `wanted`, each written as soon as it is computed, and completes the store. Returns
    seconds."""
    started, blocks = time.monotonic(), _blocks(engines)
    missing = {number for number, checkpoint in enumerate(checkpoints) if not store.has(checkpoint.epoch)}
    total = len(checkpoints) * engines.network.sample_set.samples
    done_before = total - sum(len(block) for _, block in wanted)
    bar = Bar(total=total, initial=done_before, desc=f"interactions/{checkpoints[0].stage}", unit="sample")
    for checkpoint in checkpoints:
        if checkpoint.last and not store.has_noise(checkpoint.epoch):
            _measure_noise(store, checkpoint, engines.of(checkpoint), cfg.interactions, cfg.seeds.samples)
    left = Counter(number for number, _ in wanted)
    for number in sorted(missing - left.keys()):  # by shards, or by a run that was killed before joining the blocks
        _complete(cfg, store, checkpoints[number], engines.of(checkpoints[number]), blocks)
    for number, block in _evaluated(cfg, store, checkpoints, engines, wanted):
        bar.set_postfix_str(f"epoch {checkpoints[number].epoch}")
        bar.update(len(block))
        left[number] -= 1
        if left[number] == 0:
            _complete(cfg, store, checkpoints[number], engines.of(checkpoints[number]), blocks)
    bar.close()
    store.remove_parts(store.folder)  # left by a run that was killed after joining them and before removing them
    return time.monotonic() - started


def _evaluated(
    cfg: DictConfig, store: Store | Shards, checkpoints: list[Checkpoint], engines: Engines, wanted: list[Unit]
) -> Iterator[Unit]:
    """Yields each unit as soon as its values are written."""
    processes = cfg.interactions.processes
    if processes > 1 and wanted:
        return workers.evaluated(cfg, store, checkpoints, wanted, processes)
    return units.evaluated(store, checkpoints, engines, wanted)


def _complete(cfg: DictConfig, store: Store, checkpoint: Checkpoint, engine: Engine, blocks: list[range]) -> None:
    options = cfg.interactions
    about = {"stage": checkpoint.stage, "epoch": checkpoint.epoch, "samples": engine.sample_set.samples, "n": options.n,
             "precision": options.precision, "engine": engine.about(), "batch_size": engine.batch_size,
             "device": ", ".join(sorted(store.devices(checkpoint.epoch) or {str(engine.sample_set.device)})),
             "files": [str(file) for _, file, _ in checkpoint.parts]}  # fmt: skip
    store.complete(checkpoint.epoch, blocks, about)


def _measure_noise(store: Store, checkpoint: Checkpoint, engine: Engine, options: DictConfig, seed: int) -> None:
    """Evaluates some masked inputs in float64 too."""
    draw = np.random.default_rng(stream(seed, "noise"))
    sample = draw.integers(engine.sample_set.samples, size=options.noise_masks)
    subset = draw.integers(2**options.n, size=options.noise_masks)
    engine.load(checkpoint, checkpoint.read())
    v = engine.in_float64(sample, subset)
    store.write_noise(checkpoint.epoch, sample=sample, subset=subset, value=v)

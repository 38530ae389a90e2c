"""The stage that fills the store: v of all 2**n masked inputs of the chosen samples, for every checkpoint."""

import math
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
import torch
from omegaconf import DictConfig

from checkpoints.roles import Checkpoint, checkpoints_of
from checkpoints.roles import check as check_checkpoints
from data.splits import task
from interactions import units, workers
from interactions.engine import Choice, Engine, Engines, predicted_speedup
from interactions.store import Samples, Store
from interactions.variables.sample_set import SampleSet
from interactions.variables.samples import baseline, describe, load
from models import trial
from models.backbone import Classifier, probed
from models.device import device
from stages.identity import Result, Results, compared
from stages.memory import check_memory
from stages.need import Need
from stages.progress import Bar
from stages.results import finish, is_complete, start
from stages.span import Span
from training.seeds import stream
from training.tasks import new_model, tried
from training.tracking import tracked

SAMPLES = "interactions/samples"
CHECKPOINT = Span(0.05, 0.4)  # seconds to load and check one, and to write its values: measured in the default study
# The least share of stop words in English text. English text has 30 to 50 %, headlines and short messages have 20 %. In
# most other languages with Latin letters, 5 to 15 % happen to be on the English list, such as a, de, in and me; in the
# other languages none are.
ENGLISH = 0.15


def check(cfg: DictConfig, results: Results) -> Need:
    model, splits = new_model(cfg, "probe", "target")
    missing = [name for name in compared(cfg) if not is_complete(results[name])]
    checkpoints = [checkpoint for name in missing for checkpoint in checkpoints_of(cfg, results, name)]
    device(cfg.interactions.device)
    inputs = tried(cfg, model, splits, "target")
    _check_memory(cfg.interactions, inputs)
    trial.check_alone(model, inputs[:1] if cfg.interactions.batch_size == 1 else inputs)
    with_probe = probed(model, inputs[:1])
    about = describe(splits, cfg.interactions, cfg.seeds.samples)
    if cfg.interactions.engine == "local":  # the other engines accept every model
        predicted_speedup(model, load(splits, about)[0], cfg.interactions.n, "local")
    check_checkpoints(model, with_probe, checkpoints)
    wanted = [checkpoint for checkpoint in checkpoints if not _store(results, checkpoint).has(checkpoint.epoch)]
    values = len(wanted) * cfg.interactions.samples * 2**cfg.interactions.n
    loaded = len(splits.train) if splits.kind == "image" and not is_complete(results[SAMPLES]) else 0
    return Need(masked=values, loaded=loaded, disk=8 * values, besides=CHECKPOINT * len(wanted))


def _check_memory(options: DictConfig, inputs: torch.Tensor) -> None:
    """Checks that the memory suffices.

    inputs: [B, ...]. A checkpoint's values are in memory three times: as parts, as a whole and as interactions.
    """
    values, each = options.samples * 2**options.n, inputs[0].nbytes
    instead = "choose fewer samples or a smaller n"
    check_memory(3 * 8 * values, f"interactions.n={options.n} with interactions.samples={options.samples}", instead)
    if options.batch_size != "auto":
        batch = min(options.batch_size, values)
        check_memory(2 * batch * each, f"interactions.batch_size={options.batch_size}", "choose a smaller one, or auto")


def run(cfg: DictConfig, results: Results, name: str) -> None:
    if name == SAMPLES:
        _choose(cfg, results[name])
    else:
        _evaluate(cfg, results, name)


def _choose(cfg: DictConfig, result: Result) -> None:
    """Writes which samples are evaluated, with which variables, and what masks these."""
    options, splits = cfg.interactions, task(cfg, "target")
    about = describe(splits, options, cfg.seeds.samples)
    for line in _remarks(about, options):
        print(f"interactions: {line}", flush=True)
    samples = Samples(start(result))
    samples.write_baseline(baseline(splits, options.baseline, cfg.num_workers).numpy())
    samples.write(about)
    finish(result)


def _evaluate(cfg: DictConfig, results: Results, name: str) -> None:
    """Writes the values of one role's checkpoints."""
    options, result = cfg.interactions, results[name]
    model, splits = new_model(cfg, "probe", "target")
    store = Store(start(result), Samples(results[SAMPLES].folder))
    store.remove_damaged()
    checkpoints = checkpoints_of(cfg, results, name)
    about, masking = store.samples.read(), store.samples.baseline()
    sample_set = SampleSet.read(about, masking, splits, options.background, device(options.device))
    with tracked(cfg, result) as tracker:
        engines = decided(model, sample_set, options, store)
        print(f"{name}: {engines.of(checkpoints[0]).about()}", flush=True)
        seconds = fill(cfg, store, checkpoints, engines)
        count = len(checkpoints) * sample_set.samples * 2**options.n
        tracker.summary.update({"checkpoints": len(checkpoints), "masked_inputs": count, "seconds": seconds})
    finish(result, last=max(checkpoint.epoch for checkpoint in checkpoints))


def _store(results: Results, checkpoint: Checkpoint) -> Store:
    return Store(results[f"interactions/{checkpoint.stage}"].folder, Samples(results[SAMPLES].folder))


def _remarks(about: dict, options: DictConfig) -> Iterator[str]:
    """Yields remarks on the sentences that the samples are drawn from."""
    if about.get("too_short"):
        yield (f"{about['too_short']} of {about['sentences']} {options.split} sentences have fewer than n={options.n} "
               f"words that count and are left out")  # fmt: skip
    if options.stop_words == "default" and about.get("stop_share", 1) < ENGLISH:
        yield (f"only {about['stop_share']:.1%} of the words are on the English list of stop words; for another "
               f"language set interactions.stop_words to null or to your own list")  # fmt: skip


def decided(model: Classifier, sample_set: SampleSet, options: DictConfig, store: Store) -> Engines:
    """Returns the engines with which the store's first values were computed, unless the options ask for others."""
    choices = {name: Choice(**choice) for name, choice in store.choices().items()}
    other = sorted({option for choice in choices.values() for option in choice.differs(options)})
    if other:
        print(
            f"interactions: earlier values were computed in another way; the others are computed with "
            f"{', '.join(other)}",
            flush=True,
        )
        store.remove_parts(store.folder)  # the values of a checkpoint are all computed in one way
        choices = {}
    engines = Engines(model, sample_set, options, choices)
    store.write_choices({name: asdict(choice) for name, choice in engines.choices.items()})
    return engines


def fill(cfg: DictConfig, store: Store, checkpoints: list[Checkpoint], engines: Engines) -> float:
    """Evaluates what is missing, in blocks of samples that are each written as soon as they are computed. Returns
    seconds."""
    started, sample_set = time.monotonic(), engines.network.sample_set
    blocks = sample_set.blocks(math.ceil(engines.network.batch_size / 2**sample_set.n))
    missing = [number for number, checkpoint in enumerate(checkpoints) if not store.has(checkpoint.epoch)]
    wanted = [
        (number, block)
        for number in missing
        for block in blocks
        if not store.has_part(checkpoints[number].epoch, block)
    ]
    total = len(checkpoints) * sample_set.samples
    done_before = total - sum(len(block) for _, block in wanted)
    bar = Bar(total=total, initial=done_before, desc=f"interactions/{checkpoints[0].stage}", unit="sample")
    for checkpoint in checkpoints:
        if checkpoint.last and not store.has_noise(checkpoint.epoch):
            _measure_noise(store, checkpoint, engines.of(checkpoint), cfg.interactions, cfg.seeds.samples)
    left = Counter(number for number, _ in wanted)
    for number in set(missing) - left.keys():  # the run was killed after the last block and before joining the blocks
        _complete(cfg, store, checkpoints[number], engines.of(checkpoints[number]), blocks)
    processes = cfg.interactions.processes
    if processes > 1 and wanted:
        done = workers.evaluated(cfg, store, checkpoints, wanted, processes)
    else:
        done = units.evaluated(store, checkpoints, engines, wanted)
    for number, block in done:
        bar.set_postfix_str(f"epoch {checkpoints[number].epoch}")
        bar.update(len(block))
        left[number] -= 1
        if left[number] == 0:
            _complete(cfg, store, checkpoints[number], engines.of(checkpoints[number]), blocks)
    bar.close()
    store.remove_parts(store.folder)  # left by a run that was killed after joining them and before removing them
    return time.monotonic() - started


def _complete(cfg: DictConfig, store: Store, checkpoint: Checkpoint, engine: Engine, blocks: list[range]) -> None:
    options = cfg.interactions
    about = {"stage": checkpoint.stage, "epoch": checkpoint.epoch, "samples": engine.sample_set.samples, "n": options.n,
             "precision": options.precision, "engine": engine.about(), "batch_size": engine.batch_size,
             "device": str(engine.sample_set.device),
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

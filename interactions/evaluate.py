"""The stage that fills the store: v of all 2**n masked inputs of the chosen samples, for every checkpoint."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from omegaconf import DictConfig

from checkpoints.roles import Checkpoint, checkpoints_of
from checkpoints.roles import check as check_checkpoints
from conf.errors import BadInput
from data.splits import task
from interactions.choice import check_compiler, check_lean, predicted_speedup
from interactions.fill import decided, fill, fill_share, left
from interactions.shards import Shards
from interactions.store import Samples, Store
from interactions.variables.sample_set import SampleSet
from interactions.variables.samples import baseline, describe, load
from models import trial
from models.backbone import probed
from models.device import device
from stages.identity import Result, Results, compared
from stages.memory import check_memory
from stages.need import Need
from stages.results import finish, is_complete, start
from stages.shares import Share, in_shares
from stages.span import Span
from tracking.tracked import tracked
from training.tasks import new_model, tried

SAMPLES = "interactions/samples"
CHECKPOINT = Span(0.05, 0.4)  # seconds to load and check one, and to write its values: measured in the default study
# The least share of stop words in English text. English text has 30 to 50 %, headlines and short messages have 20 %. In
# most other languages with Latin letters, 5 to 15 % happen to be on the English list, such as a, de, in and me; in the
# other languages none are.
ENGLISH = 0.15


def check(cfg: DictConfig, results: Results) -> Need:
    model, splits = new_model(cfg, "probe", "target")
    asked = [name for name in compared(cfg) if name in results and not is_complete(results[name])]
    work = [_work(cfg, results, name) for name in asked]
    _check_whole(work)
    where = device(cfg.interactions.device)
    inputs = tried(cfg, model, splits, "target")
    _check_memory(cfg.interactions, inputs)
    trial.check_alone(model, inputs[:1] if cfg.interactions.batch_size == 1 else inputs)
    if cfg.interactions.lean is True:
        check_lean(model, inputs[:2])
    if cfg.interactions.compile is True:
        check_compiler(where)
    with_probe = probed(model, inputs[:1])
    about = describe(splits, cfg.interactions, cfg.seeds.samples)
    if cfg.interactions.engine == "local":  # the other engines accept every model
        predicted_speedup(model, load(splits, about)[0], cfg.interactions.n, "local")
    check_checkpoints(model, with_probe, [checkpoint for part in work for checkpoint in part.reads])
    each = 2**cfg.interactions.n
    loaded = len(splits.train) if splits.kind == "image" and not is_complete(results[SAMPLES]) else 0
    return Need(masked=each * sum(part.evaluates for part in work), loaded=loaded,
                disk=8 * each * sum(part.writes for part in work),
                besides=CHECKPOINT * sum(part.fills for part in work))  # fmt: skip


@dataclass(frozen=True)
class Work:
    """What this run does for one role. reads: checkpoints; evaluates, writes: samples of a checkpoint; fills: how many
    checkpoints get values; lacks: the error if shards are missing."""

    reads: list[Checkpoint]
    evaluates: int
    writes: int
    fills: int
    lacks: BadInput | None = None


def _work(cfg: DictConfig, results: Results, name: str) -> Work:
    result, checkpoints = results[name], checkpoints_of(cfg, results, name)
    samples, share = Samples(results[SAMPLES].folder), Share.asked(cfg, result.stage)
    missing = [one for one in checkpoints if not Store(result.folder, samples).has(one.epoch)]
    count = len(missing) * cfg.interactions.samples
    if share is None:
        return Work(checkpoints, count, count, len(missing))
    shards = Shards(result, samples)
    blocks = shards.blocks() or [range(number, number + 1) for number in range(cfg.interactions.samples)]
    every = [(checkpoint.epoch, block) for checkpoint in checkpoints for block in blocks]
    mine = every if share.joins else share.part(every)
    done = shards.done(mine, verify=False)
    to_do = [unit for unit in mine if unit not in done]
    if share.joins:
        lacking = [place for place, unit in enumerate(every) if unit not in done and not cfg.plan]
        return Work(checkpoints[-1:], 0, count, len(missing), share.missing(name, lacking, len(every)))
    epochs, count = {epoch for epoch, _ in to_do}, sum(len(block) for _, block in to_do)
    return Work([one for one in checkpoints if one.epoch in epochs], count, count, len(epochs))


def _check_whole(work: list[Work]) -> None:
    """Raises BadInput if the run only joins what shards have made, and some are missing."""
    if lacking := [str(part.lacks) for part in work if part.lacks]:
        raise BadInput("; ".join(lacking))


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
    with tracked(cfg, result) as tracker:
        samples.write_baseline(baseline(splits, options.baseline, cfg.num_workers).numpy())
        samples.write(about)
        tracker.summary({"samples": len(about["samples"]), "variables": options.n})
        tracker.files("samples", samples.folder, ("samples.json", "baseline.npy"))
    finish(result)


def _evaluate(cfg: DictConfig, results: Results, name: str) -> None:
    """Writes the values of one role's checkpoints."""
    options, result = cfg.interactions, results[name]
    model, splits = new_model(cfg, "probe", "target")
    samples, checkpoints = Samples(results[SAMPLES].folder), checkpoints_of(cfg, results, name)
    where = device(options.device)
    sample_set = SampleSet.read(samples.read(), samples.baseline(), splits, options.background, where)
    shards = Shards(result, samples, Share.asked(cfg, result.stage), str(where))
    if in_shares(cfg, result):
        fill_share(cfg, model, sample_set, shards, checkpoints)
        return
    store = Store(start(result), samples)
    store.remove_damaged()
    engines = decided(model, sample_set, options, store, shards, len(checkpoints))
    wanted = left(store, shards, checkpoints, engines)
    with tracked(cfg, result) as tracker:
        print(f"{name}: {engines.of(checkpoints[0]).about()}", flush=True)
        seconds = fill(cfg, store, checkpoints, engines, wanted)
        count = len(checkpoints) * sample_set.samples * 2**options.n
        tracker.summary({"checkpoints": len(checkpoints), "masked_inputs": count, "seconds": seconds})
        tracker.files("values", store.folder, ("epoch_*/values.npy",))
    shards.clean(store)
    finish(result, last=max(checkpoint.epoch for checkpoint in checkpoints))


def _remarks(about: dict, options: DictConfig) -> Iterator[str]:
    """Yields remarks on the sentences that the samples are drawn from."""
    if about.get("too_short"):
        yield (f"{about['too_short']} of {about['sentences']} {options.split} sentences have fewer than n={options.n} "
               f"words that count and are left out")  # fmt: skip
    if options.stop_words == "default" and about.get("stop_share", 1) < ENGLISH:
        yield (f"only {about['stop_share']:.1%} of the words are on the English list of stop words; for another "
               f"language set interactions.stop_words to null or to your own list")  # fmt: skip

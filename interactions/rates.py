"""Measures in a few seconds how fast this machine evaluates masked inputs."""

from omegaconf import DictConfig

from data.splits import Splits
from interactions.choice import predicted_speedup
from interactions.engine import Engine
from interactions.variables.sample_set import SampleSet
from interactions.variables.samples import baseline, describe
from models.backbone import Classifier
from models.device import device
from stages.span import Span
from training.machine import for_values
from training.rates import SAMPLES, span
from training.tasks import new_model

# The local engine is timed where a sample takes fewer seconds than SHORT; otherwise its prediction is used. Networks
# that large take LEAST to MOST times as long as predicted (benchmarks/convnets.csv).
SHORT, LEAST, MOST = 3.0, 0.9, 1.5


def measured(cfg: DictConfig) -> Span:
    """Measures the seconds per masked input, on some of the chosen samples, with random weights."""
    model, splits = new_model(cfg, "probe", "target")
    sample_set, options = _some_samples(cfg, splits), cfg.interactions.copy()
    options.compile = False  # it takes a while, and its gain is not known in advance
    faster = predicted_speedup(model.to(sample_set.device), sample_set.groups[0], options.n, options.engine)
    each = _dense(model, sample_set, options)
    if faster > 1 and each.least * 2**options.n / faster < SHORT:
        each = _local(model, sample_set, options)
    elif faster > 1:
        each = Span(LEAST * each.least, MOST * each.most) * (1 / faster)
    return each * (1 / for_values(options, sample_set.device))


def _dense(model: Classifier, sample_set: SampleSet, options: DictConfig) -> Span:
    engine = _engine(model, sample_set, options, "dense")
    at_once = min(engine.batch_size, len(sample_set.groups[0].labels) * 2**options.n)
    return span(lambda: engine.in_a_batch(0, 0, engine.dtype), sample_set.device) * (1 / at_once)


def _local(model: Classifier, sample_set: SampleSet, options: DictConfig) -> Span:
    engine = _engine(model, sample_set, options, "local")
    return span(lambda: engine.locally(0, engine.dtype), sample_set.device) * (1 / 2**options.n)


def _engine(model: Classifier, sample_set: SampleSet, options: DictConfig, name: str) -> Engine:
    options.engine = name
    engine = Engine(model.float(), sample_set, options, checkpoints=options.samples / sample_set.samples)
    engine.to(engine.dtype)
    return engine


def _some_samples(cfg: DictConfig, splits: Splits) -> SampleSet:
    """Returns samples from the middle of the list, as sentences are ordered by length."""
    options = cfg.interactions
    about = describe(splits, options, cfg.seeds.samples)
    first = (len(about["samples"]) - 1) // 2
    about["samples"] = about["samples"][first : first + SAMPLES]
    return SampleSet.read(about, baseline(splits, "zero").numpy(), splits, options.background, device(options.device))

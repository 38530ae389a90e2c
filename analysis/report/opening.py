"""The opening of the report: warnings, what is left out, and what was run."""

import json
from collections.abc import Collection

from omegaconf import DictConfig

from analysis.drawing.style import NAMES
from analysis.measure import Measure
from analysis.study import Study
from checkpoints.roles import start_epoch
from stages.given import weights_of
from stages.identity import Results, made_by
from stages.reading import parsed
from stages.versions import about as versions
from stages.versions import version_line

SAMPLES = "those of the interactions, or the test set where accuracy is concerned"
INPUTS = "inputs of the test set, unless a caption says otherwise"
INTERVALS = """Intervals are 95 % intervals over samples: {}. They say nothing of what another seed would give: each \
model here is one training run."""
LEVELS = """

No figure means anything without the levels that it would have anyway. Grey marks are these \
references: what strengths alone would give (placement), what two models share that look at the same \
variables with independent effects (sign), and what a model shares that was trained on the same task \
without any pre-training (task). Only what lies clearly above the last one survives because of \
pre-training. Two more need several runs, and stand in the summary of a sweep: fine-tuning from another \
pre-training (other), and another fine-tuning (ceiling).

How strong the pre-trained model's interactions are depends on how its linear probe was regularised. \
So whatever compares the strengths of two models is given a second time with both models scaled to \
the same strength.
"""
MOVES = {"cka", "training"}  # measures of how far layers move, and nothing else


def question(measures: Collection[str], whole: bool) -> str:
    """Returns the question of the report's title. whole: whether interactions were measured."""
    if "cka" in measures and MOVES.issuperset(measures):
        return "how far does each layer move?"
    return "why does pre-training help?" if whole else "what is pre-training worth?"


def how_to_read(whole: bool) -> str:
    return INTERVALS.format(SAMPLES) + LEVELS if whole else INTERVALS.format(INPUTS)


def left_out(measures: list[Measure], study: Study) -> dict[str, str]:
    """Returns {"left out": the measures and claims that are left out, and why}; the dict is empty if none is."""
    reasons: dict[str, list[str]] = {}
    for measure in measures:
        if why := measure.lacking(study):
            reasons.setdefault(why, []).append(measure.name)
        elif why := measure.claims_lack(study):
            reasons.setdefault(why, []).append(f"the claims on {measure.subject.on}")
    texts = [f"as there is {why}: {', '.join(names)}" for why, names in reasons.items()]
    return {"left out": "; ".join(texts)} if texts else {}


def noise_warnings(study: Study) -> dict[str, str]:
    """Returns {"warning, <model>": reasons} for each model whose noise is larger than rounding explains."""
    found = {}
    for model in study.models:
        (size, explained), precision = study.noise(model), study.precision(model)
        if size > explained:
            found[f"warning, {NAMES[model]}"] = (
                f"the noise of its values is {size:.2g} and rounding in {precision} explains at most {explained:.2g}: "
                f"{_reason(precision)}"
            )
    return found


def _reason(precision: str) -> str:
    """Says why the noise may be larger than rounding explains, and what to do."""
    depends = "its output depends on more than its input (such as the other inputs of a batch)"
    if precision == "float64":
        return f"{depends}; change the model"
    return (
        f"either {depends}, or this precision is too low for it; run it under another name=... with "
        f"interactions.precision=float64, and if this warning stays, change the model"
    )


def summary(cfg: DictConfig, results: Results, study: Study) -> dict[str, str]:
    """Describes what was run."""
    here = versions()
    return {
        "study": f"{cfg.name}, seed {cfg.seed}",
        "run": str(cfg.run_dir),
        "model": str(cfg.model.get("name", cfg.model._target_)),
        "target task": made_by(cfg.data.target) + _labels(cfg),
        **(_of_interactions(cfg, results, study) if study.samples else {}),
        **(_of_representations(cfg, results, study) if study.representations else {}),
        "analysed by": f"{version_line()} on {here['machine']}, {here['threads']} threads",
    }


def _of_representations(cfg: DictConfig, results: Results, study: Study) -> dict[str, str]:
    """Says what features there are of which models."""
    layers, pool = ", ".join(cfg.representations.layers), cfg.representations.pool
    maps = "" if cfg.representations.layers == ["penultimate"] else f"; maps and tokens: {pool}"
    inputs = f"{len(study.train_labels):,} training and {len(study.labels):,} test inputs"
    found = {"features": f"of {inputs}, layers: {layers}{maps}"}
    if "pretrain" in study.outcomes and "pretrain" not in study.stores:
        found["converged frozen features"] = _origin(cfg, results)
    if "finetune" in study.outcomes and "finetune" not in study.stores:
        epochs = study.outcomes["finetune"].correct.shape[1] - 1
        found[NAMES["finetune"]] = f"{epochs} epochs{_begun(cfg.start)}"
    return found


def _of_interactions(cfg: DictConfig, results: Results, study: Study) -> dict[str, str]:
    """Says how interactions were measured, and of which checkpoints."""
    about, options, half = study.about, cfg.analysis, "16" in cfg.interactions.precision
    too_short = f"; {about['too_short']} of {about['sentences']} are too short" if "too_short" in about else ""
    models = {
        NAMES[model]: _origin(cfg, results) if model == "pretrain" else _checkpoints(cfg, study, model)
        for model in study.models
    }
    return {
        "variables": f"n = {study.n}, so {2**study.n} masked inputs per sample and checkpoint"
        + (", the same variables in all samples" if about.get("shared_variables") else ""),
        "samples": f"{study.count}, from the {cfg.interactions.split} set{too_short}",
        "precision of the values": cfg.interactions.precision
        + (" (half precision: see the noise before believing anything)" if half else ""),
        **models,
        "counted": ("salient interactions only" if options.salient else "all interactions")
        + ("" if options.empty_set else ", without the empty set")
        + (", divided by E|v(x_N) - v(x_0)| per model" if options.normalise else ""),
    }


def _checkpoints(cfg: DictConfig, study: Study, model: str) -> str:
    origin = ", not trained by this program" if cfg.interactions.checkpoints[model] else ""
    epochs = study.epochs(model)
    begun = _begun(cfg.start) if model == "finetune" else ""
    return f"{len(epochs)} checkpoints, epochs {epochs[0]} to {epochs[-1]}{origin}{begun}"


def _begun(start: DictConfig) -> str:
    """Says what fine-tuning took over, unless it was the pre-trained backbone."""
    words = {
        "all": ", with the pre-trained head" if start.head == "kept" else "",
        "nothing": ", from random weights",
        "moments": ", from random weights with the mean and standard deviation of each pre-trained tensor",
        "shuffled": ", from pre-trained weights that have changed places within each tensor",
    }
    return words.get(start.transfer, f", from the first {start.transfer} of the pre-trained blocks")


def _labels(cfg: DictConfig) -> str:
    """Says how the labels of the target task were changed, if they were."""
    random, shift = cfg.data.labels.random, cfg.data.labels.shift
    drawn = f", a random number from 0 to {random} was added to its labels (data seed {cfg.seeds.data})"
    return drawn * (random > 0) + f", its labels were shifted by {shift}" * (shift > 0)


def _origin(cfg: DictConfig, results: Results) -> str:
    """Says where the pre-trained model comes from."""
    if cfg.interactions.checkpoints.pretrain:
        return f"{cfg.interactions.checkpoints.pretrain}, with its linear probe"
    probe = f"seen through a linear probe with l2 = {_l2(cfg, results)}"
    if weights_of(cfg) == "pretrain":
        epochs = start_epoch(cfg, results)
        return f"{epochs} epoch{'s' * (epochs != 1)} on {made_by(cfg.data.source)}, {probe}"
    return f"weights: {weights_of(cfg)}, {probe}"


def _l2(cfg: DictConfig, results: Results) -> str:
    """Returns the l2 of the probe, and why it was chosen if it was not given."""
    if cfg.probe.l2 != "auto":
        return f"{cfg.probe.l2:g}"
    chosen = parsed(results["probe"].folder / "l2.json", json.load)
    return f"{chosen['l2']:g}, {chosen['why']}"

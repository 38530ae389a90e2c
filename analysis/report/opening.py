"""What the report opens with: what to beware of, what is left out, and what was run."""

import pandas as pd
from omegaconf import DictConfig

from analysis.claims import SUBJECTS
from analysis.drawing.style import NAMES
from analysis.measures import possible
from analysis.study import Study
from checkpoints.roles import start_epoch
from stages.given import weights_of
from stages.identity import Results
from stages.versions import about as versions
from stages.versions import version_line

ABSENT = {
    "pretrain": "no pre-trained model",
    "finetune": "no fine-tuned model",
    "scratch": "no model trained from scratch",
}


def left_out(wanted: list[str], models: list[str]) -> dict[str, str]:
    """{"left out": which of the wanted measures and claims, and why}; empty if nothing is."""
    names = [measure for measure in wanted if not possible(measure, models)]
    if "claims" in wanted:
        subjects = [subject for subject, (about, _) in SUBJECTS.items() if not set(about) <= set(models)]
        names += [f"the claims on {', on '.join(subjects)}"] if subjects else []
    absent = " and ".join(text for model, text in ABSENT.items() if model not in models)
    return {"left out": f"as there is {absent}: {', '.join(names)}"} if names else {}


def noise_warnings(study: Study, noise: pd.DataFrame) -> dict[str, str]:
    """{"warning, <model>": what it may mean} of each model whose values have more noise than rounding explains. noise:
    the study's table of that."""
    rows = noise.groupby("model", sort=False).first()
    return {
        f"warning, {NAMES[model]}": f"the noise of its values is {row.noise_v:.2g} and rounding in "
        f"{study.precision(model)} explains at most {row.explained:.2g}: {_reason(study.precision(model))}"
        for model, row in rows.iterrows()
        if row.noise_v > row.explained
    }


def _reason(precision: str) -> str:
    """Why there may be more noise than rounding explains, and what to do."""
    depends = "its output depends on more than its input (such as the other inputs of a batch)"
    if precision == "float64":
        return f"{depends}; change the model"
    return (
        f"either {depends}, or this precision is too low for it; run it under another name=... with "
        f"interactions.precision=float64, and if this warning stays, change the model"
    )


def summary(cfg: DictConfig, results: Results, study: Study) -> dict[str, str]:
    """What was run."""
    here, about, options, half = versions(), study.about, cfg.analysis, "16" in cfg.interactions.precision
    too_short = f"; {about['too_short']} of {about['sentences']} are too short" if "too_short" in about else ""
    models = {
        NAMES[model]: _origin(cfg, results) if model == "pretrain" else _checkpoints(cfg, study, model)
        for model in study.models
    }
    return {
        "study": f"{cfg.name}, seed {cfg.seed}",
        "run": str(cfg.run_dir),
        "model": str(cfg.model.get("name", cfg.model._target_)),
        "target task": _task(cfg.data.target),
        "variables": f"n = {study.n}, so {2**study.n} masked inputs per sample and checkpoint",
        "samples": f"{study.samples}, from the {cfg.interactions.split} set{too_short}",
        "precision of the values": cfg.interactions.precision
        + (" (half precision: see the noise before believing anything)" if half else ""),
        **models,
        "counted": ("salient interactions only" if options.salient else "all interactions")
        + ("" if options.empty_set else ", without the empty set")
        + (", divided by E|v(x_N) - v(x_0)| per model" if options.normalise else ""),
        "analysed by": f"{version_line()} on {here['machine']}, {here['threads']} threads",
    }


def _checkpoints(cfg: DictConfig, study: Study, model: str) -> str:
    origin = ", not trained by this program" if cfg.interactions.checkpoints[model] else ""
    epochs = study.epochs(model)
    return f"{len(epochs)} checkpoints, epochs {epochs[0]} to {epochs[-1]}{origin}"


def _task(options: DictConfig) -> str:
    """What the task is called: its reader if it has one, else what makes it."""
    return str(options.files._target_ if "files" in options else options._target_)


def _origin(cfg: DictConfig, results: Results) -> str:
    """Where the pre-trained model comes from."""
    if cfg.interactions.checkpoints.pretrain:
        return f"{cfg.interactions.checkpoints.pretrain}, with its linear probe"
    if weights_of(cfg) == "pretrain":
        return f"{start_epoch(cfg, results)} epochs on {_task(cfg.data.source)}, seen through a linear probe"
    return f"weights: {weights_of(cfg)}, seen through a linear probe"

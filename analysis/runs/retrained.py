"""How similar two fine-tunings from one start are: a level for how far fine-tuning moves the layers.

Runs of one setting with the same pre-training and another fine-tuning differ in nothing but the order of the training
samples and what else a seed draws. Their layers are compared on the same inputs, from what each run has kept.
"""

from importlib import import_module
from itertools import combinations

import numpy as np

from analysis.runs.conditions import MEASURE
from analysis.runs.found import Run
from analysis.runs.settings import Settings
from analysis.runs.tables import which_samples
from conf.errors import BadInput
from conf.first_line import first_line
from stages.progress import Bar
from stages.view import recorded

MODEL = "finetune"
SAME, OTHER = "pretrain", "finetune"  # results whose digests are equal, and not
Found = dict[str, dict[str, float]]


def retrained(runs: list[Run], settings: Settings) -> tuple[Found, str]:
    """Returns, by a run's folder and a layer, the mean CKA of its fine-tuned model with others from the same start, and
    why there is none ("" if there is, or if no two runs have the same start)."""
    pairs = _pairs(runs, settings)
    values: dict[str, dict[str, list[float]]] = {}
    try:
        for one, other in Bar(pairs, desc="other fine-tunings", leave=False) if pairs else ():
            for layer, value in _cka(one, other).items():
                for run in (one, other):
                    values.setdefault(str(run.folder), {}).setdefault(layer, []).append(value)
    except (BadInput, OSError, KeyError) as error:
        reason = first_line(error)
        return {}, f"another fine-tuning from the same start is not compared: {reason}"
    return {run: {layer: float(np.mean(each)) for layer, each in of.items()} for run, of in values.items()}, ""


def _pairs(runs: list[Run], settings: Settings) -> list[tuple[Run, Run]]:
    """Returns the pairs of runs of one setting on the same inputs, from one start, with other fine-tunings."""
    groups: dict[tuple, list[Run]] = {}
    for run, values in zip(runs, settings.of_run, strict=True):
        start = recorded(run.folder).get(SAME, {}).get("digest")
        if start and MEASURE in run.tables:
            groups.setdefault((values, start, which_samples(run, MEASURE)), []).append(run)
    return [pair for group in groups.values() for pair in combinations(group, 2) if len(set(map(_made, pair))) == 2]


def _made(run: Run) -> str:
    return recorded(run.folder).get(OTHER, {}).get("digest", "")


def _cka(one: Run, other: Run) -> dict[str, float]:
    """Returns the CKA of each layer that both have kept. What reads these is imported only now, and by its name: it
    takes seconds, and runs can be summed up without it."""
    at, of_grams = import_module("analysis.inputs").similarity_at, import_module("representations.cka").of_grams
    first, second = (at(run.folder).get(MODEL) for run in (one, other))
    if first is None or second is None:
        return {}
    first, second = first.grams(), second.grams()
    return {layer: float(of_grams(gram, second[layer])) for layer, gram in first.items() if layer in second}

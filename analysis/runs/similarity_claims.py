"""The claims on how far layers move (arXiv 2207.09225), over runs of several conditions and seeds.

Each is a contrast: a weighted sum of CKA of the same layers in several conditions, as CLAIMS lists them. It is computed
in every replicate (a combination of seeds that has a run of each condition), and judged by the mean with its interval
over replicates. It is counted several times, and depends on how it is counted where these disagree:

- as measured;
- as the excess over a random move of the weights of equal norm: also random moves leave early layers nearly as they are
  (1.00, .999, .993, .93, .53 in a small network), so that "early layers move less" is no news by itself. There the
  excess comes first;
- with each layer by itself, where its verdict is decided otherwise.

Early layers are the first half of those before the logits. That "only the last layer moves" is met if the layer before
the logits that moves most moves less than a tenth as far (1 - CKA): the paper gives no number, this reading is ours.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf, isnan, nan

import numpy as np
import pandas as pd

from analysis.claims import KEYS, MET, NOT_MET, UNDECIDED, Claim, as_table
from analysis.runs.chosen_conditions import MISSING, chosen, degrees
from analysis.runs.claims import VERDICTS
from analysis.runs.conditions import EXCESS, LOGITS, MEAN, Cell, Condition, Conditions, Part, Values
from analysis.runs.similarity_asked import CLAIMS, INITIAL, ONLY, Asked
from analysis.statistics.curves import interval
from analysis.statistics.estimate import Estimate, Interval

MEASURE, SETTING = "similarity", "over conditions"
SMALL = 0.1  # what others may move, as a share of what the last layer moves
RANDOM_MOVE = ", beyond a random move of the weights"
NO_RUNS = "no combination of seeds has runs of all that are compared"


@dataclass(frozen=True)
class Way:
    """A way to count a claim: of each replicate a value; why: there is none; runs: that it is computed from."""

    claim: str
    key: str
    quantity: str
    values: Values
    runs: int = 0
    above: float = 0.0
    below: float = inf
    why: str = ""

    @property
    def estimate(self) -> Estimate:
        value, low, high = interval(self.values.of, pseudo=self.values.pseudo, crossed=self.values.crossed)
        return Estimate(Interval(value, low, high, np.array([value])))

    @cached_property
    def judged(self) -> Claim:
        found = self.estimate
        why = self.why or NO_RUNS * isnan(found.own.value)
        return Claim(self.claim, f"{MEASURE}/{self.key}", self.quantity, found, self.above, self.below, why)


def claims(found: Conditions) -> pd.DataFrame:
    """Returns a row for each way to count a claim, as in the claims.csv of a summary; empty without any."""
    every = [] if found.lacks else list(ways(found))
    if not every:
        return pd.DataFrame(columns=KEYS)
    table, _ = as_table(MEASURE, [way.judged for way in every])
    for place, way in enumerate(every):
        if len(way.values.of) == 1 and not way.why:
            why = f"{way.values.of[0]:.3g} with one combination of seeds, no interval"
            table.loc[place, ["verdict", "why"]] = UNDECIDED, why
    table["runs"] = [way.runs for way in every]
    return table.assign(**{"setting": SETTING, VERDICTS: ""})


def ways(found: Conditions) -> Iterator[Way]:
    """Yields every way to count the claims, those of one claim together and its main one first. A claim on models that
    no run has is not among them, nor is one that lacks a condition where there is only one."""
    picked = chosen(found)
    for asked in CLAIMS:
        lacks = _lacks(found, picked, asked)
        if lacks is None or (lacks and len(found.runs) < 2):
            continue
        if lacks:
            yield Way(asked.claim, f"{asked.key}/measured", _named(asked, asked.layers), Values(np.zeros(0)), why=lacks)
        else:
            yield from _counted(found, picked, asked)
        if asked.key.startswith("labels/") and not lacks and len(degrees(found)) > 2:
            yield from _ways(found, {f"d={each.random}": each for each in degrees(found)}, _graded(found, asked))
        if asked.key == "few/less" and not lacks:
            yield from _only(found, picked)


def _graded(found: Conditions, asked: Asked) -> Asked:
    """Returns the same claim on the straight line through all degrees of randomness: what it rises by from the least to
    the most random."""
    d = np.array([each.random for each in degrees(found)], dtype=float)
    slope = (d - d.mean()) / np.square(d - d.mean()).sum() * np.ptp(d)
    (first, _, model, against) = next(term for term in asked.terms if term[1] == "random")
    terms = [(first * each, f"d={at:.0f}", model, against) for each, at in zip(slope, d, strict=True)]
    words = f"{asked.quantity.rpartition(': ')[0]}: line through {len(d)} degrees of randomness"
    return replace(asked, key=f"{asked.key}/graded", quantity=words, terms=terms)


def _lacks(found: Conditions, picked: dict[str, Condition], asked: Asked) -> str | None:
    """Says what a claim needs and is not there, "" if all is; None if a model is in no run."""
    if not all(found.has(model) for _, _, model, _ in asked.terms) or not _layers(found, asked):
        return None
    if absent := [name for _, name, _, _ in asked.terms if name not in picked]:
        return f"it needs {' and '.join(dict.fromkeys(MISSING[name] for name in absent))}"
    cells = found.cells[MEAN]
    gone = [term for term in asked.terms if Cell(picked[term[1]], *term[2:]) not in cells]
    return "".join(dict.fromkeys(f"no run has {model} against {against} there" for _, _, model, against in gone))


def _layers(found: Conditions, asked: Asked) -> list[str]:
    return {"early": found.early, "before": found.before, "penultimate": found.before[-1:]}[asked.layers]


def _named(asked: Asked, layers: str) -> str:
    return asked.quantity.format({"early": "early layers", "before": "the layers before the logits",
                                  "penultimate": "the penultimate layer"}.get(layers, layers))  # fmt: skip


def _counted(found: Conditions, picked: dict[str, Condition], asked: Asked) -> Iterator[Way]:
    """Yields the ways as measured and beyond a random move, then layers that are decided otherwise."""
    yield from (both := list(_ways(found, picked, asked)))
    layers = _layers(found, asked)
    for way in both[:1] * (len(layers) > 1):
        column = EXCESS if way.key.endswith("/excess") else MEAN
        for layer in layers:
            alone = _way(found, picked, asked, column, layer)
            if alone and alone.judged.verdict in {MET, NOT_MET} - {way.judged.verdict}:
                yield alone


def _ways(found: Conditions, picked: dict[str, Condition], asked: Asked) -> Iterator[Way]:
    for column in (EXCESS, MEAN) if asked.rest else (MEAN, EXCESS):
        if way := _way(found, picked, asked, column):
            yield way


def _way(found: Conditions, picked: dict[str, Condition], asked: Asked, column: str, layer: str = "") -> Way | None:
    """Counts a claim, of one layer where it is given; None where no layer has a number."""
    terms = [(weight, Cell(picked[name], *of)) for weight, name, *of in asked.terms]
    known = found.known(column, [cell for _, cell in terms], found.layers)
    own = [each for each in ([layer] if layer else _layers(found, asked)) if each in known]
    rest = [each for each in known if each not in found.early] if asked.rest else []
    if not own or (asked.rest and not rest):
        return None
    parts = [Part(weight, cell, own) for weight, cell in terms]
    parts += [Part(-weight, cell, rest) for weight, cell in terms] if rest else []
    values = found.contrast(column, parts)
    end = ("excess" if column == EXCESS else "measured") + f"/{layer}" * bool(layer)
    words = _named(asked, layer or asked.layers) + RANDOM_MOVE * (column == EXCESS)
    return Way(asked.claim, f"{asked.key}/{end}", words, values, len(values.of) * len({cell[0] for _, cell in terms}))


def _only(found: Conditions, picked: dict[str, Condition]) -> Iterator[Way]:
    """Counts how far the layers before the logits move, as a share of how far the logits do, with few images."""
    cell = Cell(picked["few"], "scratch", INITIAL)
    whole = found.known(MEAN, [cell], found.layers)
    if LOGITS not in whole:
        return
    for column, end in ((MEAN, "measured"), (EXCESS, "excess")):
        layers = [layer for layer in found.known(column, [cell], found.before) if layer in whole]
        if not layers:
            continue
        seeds, last = found.together(MEAN, [Part(1, cell, [LOGITS])])
        places = [found.layers.index(layer) for layer in layers]
        moved = np.array([found.cells[column][cell][seed][places] for seed in seeds]).reshape(-1, len(layers))
        moved = (1 - moved if column == MEAN else -moved).max(1)
        share = np.divide(moved, 1 - last[:, 0], out=np.full(len(moved), nan), where=last[:, 0] < 1)
        words = ONLY.quantity + RANDOM_MOVE * (column == EXCESS)
        yield Way(ONLY.claim, f"{ONLY.key}/{end}", words, Values(share[np.isfinite(share)]), len(seeds), nan, SMALL)

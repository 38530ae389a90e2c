"""The claims on how far layers move (arXiv 2207.09225), over runs of several conditions and seeds.

Each is a contrast: a weighted sum of CKA of the same layers in several conditions, as CLAIMS lists them. It is computed
in every replicate (a combination of seeds that has a run of each condition), and judged by the mean with its interval
over replicates. It is counted several times, and depends on how it is counted where these disagree:

- as the excess over a random move of the weights of equal norm: also random moves leave early layers nearly as they are
  (1.00, .999, .993, .93, .53 in a small network), so that "early layers move less" is no news by itself, and the longer
  a move is, the further it takes all layers;
- as measured. A claim is decided by both: where one is undecided, that one comes first, otherwise the excess;
- with each layer by itself, where its verdict is decided otherwise.

Models that do not differ in anything tell nothing, neither a claim nor its contrary; nor do random labels that were not
learned by heart: accuracy on the training set is below LEARNED at the last epoch.

Early layers are the first half of those before the logits. That "only the last layer moves" is met if the layer before
the logits that moves most moves less than a tenth as far (1 - CKA): the paper gives no number, this reading is ours.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import floor, inf, nan

import numpy as np
import pandas as pd

from analysis.claims import KEYS, MET, NOT_MET, UNDECIDED, Claim, as_table
from analysis.runs.chosen_conditions import MISSING, chosen, degrees
from analysis.runs.claims import VERDICTS
from analysis.runs.conditions import DIGITS, EXCESS, LOGITS, MEAN, Cell, Condition, Conditions, Part, Values
from analysis.runs.similarity_asked import CLAIMS, INITIAL, ONLY, Asked
from analysis.runs.similarity_words import listed
from analysis.statistics.curves import interval
from analysis.statistics.estimate import Estimate, Interval

MEASURE, SETTING = "similarity", "over conditions"
SMALL = 0.1  # what others may move, as a share of what the last layer moves
RANDOM_MOVE = ", beyond a random move of the weights"
LEARNED = 0.9  # accuracy on the training set
NOT_LEARNED = "random labels were not learned by heart"
SAME = "the models do not differ"
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
        key = f"{MEASURE}/{self.key}"
        return Claim(self.claim, key, self.quantity, self.estimate, self.above, self.below, self.reason)

    @property
    def reason(self) -> str:
        """Says why there is nothing to judge, "" if there is."""
        if self.why or not len(self.values.of):
            return self.why or NO_RUNS
        return SAME if self.above == 0 and not np.round(self.values.of, DIGITS).any() else ""

    @property
    def place(self) -> int:
        """Returns 0 where there is nothing to judge, 1 where it is undecided, and 2 where it is decided."""
        return 0 if self.reason else 1 + (self.judged.verdict in (MET, NOT_MET))


def claims(found: Conditions) -> pd.DataFrame:
    """Returns a row for each way to count a claim, as in the claims.csv of a summary; empty without any."""
    every = [] if found.lacks else list(ways(found))
    if not every:
        return pd.DataFrame(columns=KEYS)
    table, _ = as_table(MEASURE, [way.judged for way in every])
    for place, way in enumerate(every):
        if len(way.values.of) == 1 and not way.reason:
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
        if why := lacks or _not_learned(found, picked, asked):
            yield _none(found, asked, why)
            continue
        yield from (_only if asked is ONLY else _counted)(found, picked, asked)
        if asked.key.startswith("labels/") and len(degrees(found)) > 2:
            every, graded = {f"d={each.random}": each for each in degrees(found)}, _graded(found, asked)
            why = _not_learned(found, every, graded)
            yield from [_none(found, graded, why)] if why else _ways(found, every, graded)


def _none(found: Conditions, asked: Asked, why: str) -> Way:
    words = _named(found, asked, _layers(found, asked))
    return Way(asked.claim, f"{asked.key}/measured", words, Values(np.zeros(0)), why=why)


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
    """Says what a claim needs and no run has; "" if all is there, None if no run has one of the models."""
    if not all(found.has(model) for _, _, model, _ in asked.terms) or not _layers(found, asked):
        return None
    if absent := [name for _, name, _, _ in asked.terms if name not in picked]:
        return f"it needs {' and '.join(dict.fromkeys(MISSING[name] for name in absent))}"
    cells = found.cells[MEAN]
    gone = [term for term in asked.terms if Cell(picked[term[1]], *term[2:]) not in cells]
    return "".join(dict.fromkeys(f"no run has {model} against {against} there" for _, _, model, against in gone))


def _not_learned(found: Conditions, picked: dict[str, Condition], asked: Asked) -> str:
    """Says of a claim on random labels that they were not learned, "" if they were or if it is not known."""
    of = [(picked[name], model) for _, name, model, _ in asked.terms if picked[name].random]
    lowest = min((found.learned[each] for each in of if each in found.learned), default=1)
    return f"{NOT_LEARNED} (training accuracy {floor(100 * lowest) / 100:.2f})" if lowest < LEARNED else ""


def _layers(found: Conditions, asked: Asked) -> list[str]:
    return {"early": found.early, "before": found.before, "penultimate": found.before[-1:]}[asked.layers]


def _named(found: Conditions, asked: Asked, layers: Sequence[str]) -> str:
    """Returns the quantity of a claim, with the layers that it takes: a layer by itself by its name."""
    words = {"early": f"early layers {listed(layers)}", "before": "the layers before the logits",
             "penultimate": f"the penultimate layer {listed(layers)}"}  # fmt: skip
    alone = len(layers) == 1 and [*layers] != _layers(found, asked)
    return asked.quantity.format(layers[0] if alone else words[asked.layers])


def _counted(found: Conditions, picked: dict[str, Condition], asked: Asked) -> Iterator[Way]:
    """Yields the ways beyond a random move and as measured, then layers that are decided otherwise."""
    yield from (both := list(_ways(found, picked, asked)))
    layers = _layers(found, asked)
    for way in both[:1] * (len(layers) > 1):
        column = EXCESS if way.key.endswith("/excess") else MEAN
        for layer in layers:
            alone = _way(found, picked, asked, column, layer)
            if alone and alone.judged.verdict in {MET, NOT_MET} - {way.judged.verdict}:
                yield alone


def _ways(found: Conditions, picked: dict[str, Condition], asked: Asked) -> Iterator[Way]:
    yield from _by_both([way for column in (EXCESS, MEAN) if (way := _way(found, picked, asked, column))])


def _by_both(both: list[Way]) -> list[Way]:
    """Returns the ways beyond a random move and as measured, in the order in which they decide a claim: a way that is
    not decided comes first. Without any replicate of the first there is only the second."""
    excess, measured = both[:-1], both[-1:]
    if any(way.reason == SAME for way in measured):
        excess = [replace(way, why=SAME) for way in excess]  # else the draw of the random moves would be judged
    return sorted([way for way in excess if len(way.values.of)] + measured, key=lambda way: way.place)


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
    words = _named(found, asked, own) + RANDOM_MOVE * (column == EXCESS)
    return Way(asked.claim, f"{asked.key}/{end}", words, values, len(values.of) * len({cell[0] for _, cell in terms}))


def _only(found: Conditions, picked: dict[str, Condition], asked: Asked) -> Iterator[Way]:
    """Yields how far the layers before the logits move, as a share of how far the logits do, with few images."""
    cell = Cell(picked["few"], "scratch", INITIAL)
    whole = found.known(MEAN, [cell], found.layers)
    if LOGITS not in whole:
        yield _none(found, asked, "the logits are not among the layers")
        return
    both = []
    for column, end in ((EXCESS, "excess"), (MEAN, "measured")):
        layers = [layer for layer in found.known(column, [cell], found.before) if layer in whole]
        if not layers:
            continue
        seeds, last = found.together(MEAN, [Part(1, cell, [LOGITS])])
        places = [found.layers.index(layer) for layer in layers]
        moved = np.array([found.cells[column][cell][seed][places] for seed in seeds]).reshape(-1, len(layers))
        moved = (1 - moved if column == MEAN else -moved).max(1)
        share = np.divide(moved, 1 - last[:, 0], out=np.full(len(moved), nan), where=last[:, 0] < 1)
        words, values = asked.quantity + RANDOM_MOVE * (column == EXCESS), Values(share[np.isfinite(share)])
        both.append(Way(asked.claim, f"{asked.key}/{end}", words, values, len(seeds), nan, SMALL))
    yield from _by_both(both)

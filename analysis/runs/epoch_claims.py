"""The claims on which epoch of pre-training transfers best (Deng et al., arXiv 2203.04668), over runs of many epochs.

Each is counted in every replicate (a combination of seeds), and judged by the mean with its interval over replicates.
LogME "ranks" the epochs if Kendall's tau is 0.5 or more, that is, if 3 of 4 pairs of epochs are in the right order. The
paper gives no number: this reading is ours. Ours are also the claims that compare LogME with rankers that cost nothing.

That a tau lies above 0, or below, is shown only if the orders of the epochs say so as well (p below 0.05): an interval
between seeds is of these few epochs, which any two curves may happen to rank alike, in all seeds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf, isnan, nan, sqrt

import numpy as np
import pandas as pd

from analysis.claims import KEYS, MET, NOT_MET, ORDERS, UNDECIDED, Claim, as_table
from analysis.runs.claims import VERDICTS
from analysis.runs.epochs import EPOCH, FEWEST, TARGETS, Epochs
from analysis.statistics.curves import ROUNDING, best, fall, fall_weights, interval, permutation_p, step, tau, width
from analysis.statistics.estimate import Estimate, Interval

MEASURE, RANKS, OF_TAU, ALPHA = "epochs", 0.5, (-1.0, 1.0), 0.05
OF_ACCURACIES = (-1.0, 1.0)  # a difference
SETTING = "over epochs"
FE = ("fe", "fe_converged")
MAIN, RESIDUAL = ("pretrain/accuracy/main", "pretrain/accuracy/residual")
AFTER = "finetune/accuracy/residual"
SAME = "it is the same at all epochs"
LAST = "the best epoch is the last one: there is nothing to fall from"
EQUAL = "the accuracies that are compared are equal"
ONE_FALL = "with one combination of seeds the best epoch would be the one with the luckiest noise"


@dataclass(frozen=True)
class Counted:
    """A way to count a claim: of each replicate a value, in steps of width `rounded`; runs: used; within: the
    range of what is possible; pseudo: of each replicate [samples], if known; crossed: of the same samples."""

    key: str
    quantity: str
    values: np.ndarray
    rounded: float = 0.0
    runs: int = 0
    within: tuple[float, float] = (-inf, inf)
    above: float = 0.0
    below: float = inf
    why: str = SAME  # if there is no value
    p: float = nan  # of a tau that is claimed to be above 0, or below: over the orders of the epochs
    pseudo: Sequence[np.ndarray] = ()
    crossed: bool = False


def claims(found: Epochs) -> pd.DataFrame:
    """Returns a row for each way to count a claim, as in the claims.csv of a summary; empty without any."""
    every = [(claim, _measurable(way)) for claim, ways in _claims(found) for way in ways]
    if not every:
        return pd.DataFrame(columns=KEYS)
    table, _ = as_table(MEASURE, [_claim(*each) for each in every])
    for place, (_, way) in enumerate(every):
        known = way.values[np.isfinite(way.values)]
        table.loc[place, "runs"] = way.runs
        if len(known) == 1:
            table.loc[place, ["verdict", "why"]] = (UNDECIDED, _alone(found, way, known[0]))
        elif (not len(known) and way.why in (ONE_FALL, LAST)) or _by_chance(way, table.loc[place, "verdict"]):
            table.loc[place, "verdict"] = UNDECIDED
    table[ORDERS] = [way.p for _, way in every]
    return table.assign(**{"setting": SETTING, VERDICTS: ""}).astype({"runs": int})


def _alone(found: Epochs, way: Counted, value: float) -> str:
    """Says that a value has no interval, and what became of other seeds."""
    others = f" (of {len(found.seeds)}: the others are equal to it, or lack an epoch)"
    return f"{value:.3g} with one combination of seeds, no interval{others * (len(way.values) < len(found.seeds) > 1)}"


def _measurable(way: Counted) -> Counted:
    """Returns no values in place of accuracies that differ in no replicate, which show nothing, and says how many
    replicates have no value."""
    if way.within == OF_ACCURACIES and not np.any(abs(np.nan_to_num(way.values, nan=inf)) > ROUNDING):
        return replace(way, values=np.full(len(way.values), nan), why=EQUAL, pseudo=())
    if not 0 < (lacking := int(np.isnan(way.values).sum())) < len(way.values):
        return way
    words = f"without {lacking} of {len(way.values)} combinations of seeds, where one of them is the same at all epochs"
    return replace(way, quantity=f"{way.quantity}, {words}")


def _by_chance(way: Counted, verdict: str) -> bool:
    return way.p >= ALPHA and verdict in (MET, NOT_MET)


def _claim(claim: str, way: Counted) -> Claim:
    value, low, high = interval(way.values, way.rounded, way.within, way.pseudo, way.crossed)
    result = Estimate(Interval(value, low, high, np.array([value])))
    return Claim(claim, f"{MEASURE}/{way.key}", way.quantity, result, way.above, way.below, way.why * isnan(value))


def _claims(found: Epochs) -> Iterator[tuple[str, list[Counted]]]:
    yield (
        "the best epoch for frozen features (FE) comes before the best one for fine-tuning (FT)",
        [_earlier(found, fe) for fe in FE if _usable(found, fe, "ft")],
    )
    yield "FE accuracy falls after its best epoch", [_falls(found, fe) for fe in FE if _usable(found, fe)]
    yield "FT accuracy rises with source accuracy", list(_rises(found))
    yield (
        "as pre-training goes on, the main components F_m become worse features",
        [*_quality(found, MAIN, "main", above=nan, below=0.0)],
    )
    yield "as pre-training goes on, the residual F_r becomes better features", [*_quality(found, RESIDUAL, "residual")]
    yield "fine-tuning makes the residual F_r worse", list(_worse(found))
    yield (
        "a better residual F_r before fine-tuning is a better one after it",
        list(_taus(found, "residual/kept", [RESIDUAL], AFTER, "accuracy of F_r before and after fine-tuning")),
    )
    for name, targets in (("FE", FE), ("FT", ("ft",))):
        yield (
            f"LogME does not rank the epochs by {name} accuracy",
            list(_taus(found, "logme", targets, "logme", "LogME and {}", above=nan, below=RANKS)),
        )
        yield (
            f"LogME ranks the epochs in the inverse order of {name} accuracy (the paper's of CIFAR-100)",
            list(_taus(found, "logme_inverse", targets, "logme", "LogME and {}", above=nan, below=0.0)),
        )
        for other, words in (("source", "source accuracy does"), (EPOCH, "the epoch itself does")):
            yield (
                f"LogME ranks the epochs by {name} accuracy better than {words}",
                [_better(found, target, other) for target in targets if _usable(found, target, "logme", other)],
            )


def _usable(found: Epochs, *names: str) -> bool:
    if not found.has(*names):
        return False
    epochs, *curves = found.together(*names)
    return len(epochs) >= FEWEST and len(curves[0]) > 0


def _earlier(found: Epochs, fe: str) -> Counted:
    epochs, of_fe, of_ft = found.together(fe, "ft")
    values = best(of_ft, epochs) - best(of_fe, epochs)
    rounded = np.hypot(width(of_fe, epochs), width(of_ft, epochs))
    most, words = epochs[-1] - epochs[0], f"best epoch of FT - best epoch of {TARGETS[fe]}"
    return Counted(f"best/{fe}", words, values, rounded, of_fe.size, (-most, most))


def _falls(found: Epochs, fe: str) -> Counted:
    _, curves = found.together(fe)
    words = f"accuracy of {TARGETS[fe]} at the epoch that the other seeds find best - at the last epoch"
    values, weights, why = fall(curves), fall_weights(curves), ONE_FALL
    if not np.ptp(curves, axis=1).any():
        values, why = np.full(len(curves), nan), SAME
    elif len(curves) > 1 and not weights.any():
        values, why = np.full(len(curves), nan), LAST
    pseudo, crossed = found.pseudo(fe)
    of = [weight @ each for weight, (each,) in zip(weights, pseudo, strict=True)] if pseudo else ()
    return Counted(f"fall/{fe}", words, values, 0.0, curves.size, OF_ACCURACIES, why=why, pseudo=of, crossed=crossed)


def _rises(found: Epochs) -> Iterator[Counted]:
    if _usable(found, "ft", "source"):
        yield from _taus(found, "ft_rises/source", ["source"], "ft", "source accuracy and FT accuracy")
    else:
        words = "the epoch and FT accuracy (no run has a source accuracy)"
        yield from _taus(found, "ft_rises/epoch", [EPOCH], "ft", words)


def _quality(found: Epochs, component: str, key: str, **claimed: float) -> Iterator[Counted]:
    """Yields how a component's accuracy goes with the epoch: first beyond a random subspace as large, then as it is."""
    random = component.replace(f"/{key}", f"/random_{key}")
    name = "F_m" if key == "main" else "F_r"
    if _usable(found, component, random):
        epochs, own, other = found.together(component, random)
        values = tau(np.broadcast_to(epochs, own.shape), own - other)
        words = f"Kendall's tau of the epoch and {name}'s accuracy beyond a random subspace as large"
        p = permutation_p(np.broadcast_to(epochs, own.shape), own - other)
        yield Counted(f"{key}/beyond", words, values, step(len(epochs)), own.size, OF_TAU, **claimed, p=p)
    words = f"the epoch and {name}'s accuracy, before fine-tuning"
    yield from _taus(found, f"{key}/measured", [component], EPOCH, words, **claimed)


def _worse(found: Epochs) -> Iterator[Counted]:
    if _usable(found, RESIDUAL, AFTER):
        _, before, after = found.together(RESIDUAL, AFTER)
        words = "accuracy of F_r before - after fine-tuning, mean over epochs"
        pseudo, crossed = found.pseudo(RESIDUAL, AFTER)
        of, values = [(one - other).mean(0) for one, other in pseudo], (before - after).mean(1)
        yield Counted("residual/falls", words, values, 0.0, before.size, OF_ACCURACIES, pseudo=of, crossed=crossed)


def _taus(
    found: Epochs, key: str, names: tuple[str, ...] | list[str], other: str, words: str, **claimed: float
) -> Iterator[Counted]:
    """Yields Kendall's tau of each of these quantities and the other one. A key of several ends with their names."""
    for name in names:
        if _usable(found, name, other):
            epochs, one, two = found.together(name, other)
            of = f"{key}/{name}" if name in TARGETS else key
            quantity = f"Kendall's tau of {words.format(TARGETS.get(name, ''))}"
            p = nan if claimed.get("below") == RANKS else permutation_p(one, two)
            yield Counted(of, quantity, tau(one, two), step(len(epochs)), one.size, OF_TAU, **claimed, p=p)


def _better(found: Epochs, target: str, other: str) -> Counted:
    epochs, accuracy, logme, trivial = found.together(target, "logme", other)
    key = f"logme_{other}/{target}"
    words = f"Kendall's tau of LogME - that of {'the epoch' if other == EPOCH else 'source accuracy'}, with"
    values = tau(logme, accuracy) - tau(trivial, accuracy)
    rounded = sqrt(2) * step(len(epochs))
    return Counted(key, f"{words} {TARGETS[target]}", values, rounded, accuracy.size, (-2.0, 2.0))

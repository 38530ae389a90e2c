"""What happens to the fine-tuned model's answer if the preserved knowledge that scratch lacks is taken out of it.

An answer is a sum of effects: v_ft(x_N) - v_ft(x_0) = sum of I_ft(S) over S that are not empty. Of each effect a part
is preserved, P(S), and of that a part is learned by scratch as well, L(S). So with the sign of I_ft(S)

    E = sum sgn(I_ft) (P - L)     preserved, and scratch lacks it: what is taken out
    + sum sgn(I_ft) L             preserved, and scratch has it as well
    + sum sgn(I_ft) (|I_ft| - P)  newly learned

is v_ft(x_N) - v_ft(x_0). Whatever is taken out of a model that is right makes it less right. So E is compared with two
references, which are expectations without draws:

    elsewhere   as much is taken out at other places: the strength P - L of each subset is moved to every other subset
                of its order in turn, where no more can be taken out than there is, |I_ft|
    placement   the pre-trained model and scratch stay together, and both are read at every other subset of the order

The first is easy to exceed. Even of models that have nothing to do with each other P is never more than |I_ft| in its
own place, but is cut to it elsewhere. The second is exact for models that have nothing to do with each other; where
fine-tuned and scratch alone are alike, it takes out more than E, as scratch then lacks what it has in its own place.
Order n has one subset: under `elsewhere` its strength stays, under `placement` other samples take its place.
"""

from typing import NamedTuple

import numpy as np

from analysis.formulas.references import by_placement, shared


class Knockout(NamedTuple):
    """Sums over the subsets that are not empty, [samples] each, in the unit of the interactions. taken: E; elsewhere,
    placement: its references; shared: preserved, and scratch has it as well; new: newly learned."""

    taken: np.ndarray
    elsewhere: np.ndarray
    placement: np.ndarray
    shared: np.ndarray
    new: np.ndarray


def knockout(pretrain: np.ndarray, finetune: np.ndarray, scratch: np.ndarray, order: np.ndarray) -> Knockout:
    """Takes the preserved knowledge that scratch lacks out of the fine-tuned model.

    pretrain, finetune, scratch: I, [samples, 2**n]; order: [2**n], |S|.
    """
    sign, strength = np.sign(finetune), abs(finetune)
    common = np.sign(pretrain) * shared(pretrain, scratch)
    preserved, learned = shared(finetune, pretrain), shared(finetune, common)
    lacking = preserved - learned
    elsewhere = np.where(order < order.max(), by_placement(strength, lacking, order), lacking)
    placement = by_placement(finetune, pretrain, order) - by_placement(finetune, common, order)
    parts = (lacking, elsewhere, placement, learned, strength - preserved)
    return Knockout(*((sign * part)[:, order > 0].sum(1) for part in parts))


def flips(value: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """Returns 1 where v > 0, for which the true class is more likely than all others together, falls below 0: [...]
    twice -> [...]."""
    return ((value > 0) & (value - removed < 0)).astype(float)


def groups(finetune: np.ndarray, scratch: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the samples that only fine-tuned gets right, and as many that both get right: the first `most` of each.

    finetune, scratch: [samples], whether a model is right; returns [samples] twice, 1 for those in the group.
    """
    won = _first(finetune.astype(bool) & ~scratch.astype(bool), most)
    return won, _first(finetune.astype(bool) & scratch.astype(bool), int(won.sum()))


def _first(chosen: np.ndarray, most: int) -> np.ndarray:
    return (chosen & (np.cumsum(chosen) <= most)).astype(float)

"""What happens to the fine-tuned model's answer if the preserved knowledge that scratch lacks is taken out of it.

An answer is a sum of effects: v_ft(x_N) - v_ft(x_0) = sum of I_ft(S) over S that are not empty. Of each effect a part
is preserved, P(S), and of that a part is learned by scratch as well, L(S). So with the sign of I_ft(S)

    E = sum sgn(I_ft) (P - L)     preserved, and scratch lacks it: what is taken out
    + sum sgn(I_ft) L             preserved, and scratch has it as well
    + sum sgn(I_ft) (|I_ft| - P)  newly learned

is v_ft(x_N) - v_ft(x_0). Whatever is taken out of a model that is right makes it less right. So E is compared with as
much taken out elsewhere: the strength P - L of each subset is moved to another one of the same order, where no more can
be taken out than there is, |I_ft|. The reference is the mean over all other subsets, without draws. Order n has one
subset: its strength stays where it is, and adds nothing to the difference.
"""

from typing import NamedTuple

import numpy as np


class Knockout(NamedTuple):
    """Sums over the subsets that are not empty, per sample [...], in the unit of the interactions. taken: E; elsewhere:
    its reference; shared: preserved, and scratch has it as well; new: newly learned."""

    taken: np.ndarray
    elsewhere: np.ndarray
    shared: np.ndarray
    new: np.ndarray


def knockout(finetune: np.ndarray, preserved: np.ndarray, learned: np.ndarray, order: np.ndarray) -> Knockout:
    """Takes the preserved knowledge that scratch lacks out of the fine-tuned model.

    finetune: I, [samples, 2**n]; preserved, learned: strengths P and L, of the same shape; order: [2**n], |S|.
    """
    sign, strength, lacking = np.sign(finetune), abs(finetune), preserved - learned
    filled = order > 0
    taken, shared, new = (
        (sign * part)[:, filled].sum(1) for part in (lacking, learned, strength - preserved)
    )  # fmt: skip
    expected = np.zeros(len(finetune))
    for size in np.unique(order[filled]):
        same = order == size
        for sample in range(len(finetune)):
            removed = moved(lacking[sample, same], strength[sample, same])
            expected[sample] += (sign[sample, same] * removed).sum()
    return Knockout(taken, expected, shared, new)


def moved(lacking: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Returns what is taken out at each subset if it gets the strength of another one: the mean of min(lacking[S],
    strength[T]) over all S other than T, [subsets]. All are of one order; a single one keeps its own.

    By sorting: the strengths below strength[T] are taken as they are, all others are cut to it.
    """
    own = np.minimum(lacking, strength)
    if len(lacking) == 1:
        return own
    ordered = np.sort(lacking)
    below = np.searchsorted(ordered, strength)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    return (sums[below] + (len(lacking) - below) * strength - own) / (len(lacking) - 1)


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

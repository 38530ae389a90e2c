"""What two models would share if only part of what they have in common were there: the reference levels.

Shared strength at a subset S is [a_S b_S > 0] min(|a_S|, |b_S|). Two models that look at the same patches with effects
of random sign share something, too; the references tell how much. Each is an exact expectation, without draws:

    placement   b_S is replaced by each other b_S' of the same sample and order in turn
    sign        |b_S| stays, and its sign is that of a_S as often as among the other S' of the sample and order
    task        another model's interactions stand in for b, with b's strength per sample and order

For example a = (3, 1), b = (2, -4), of one order: 2 are shared, at the first subset. Under placement the first subset
meets -4 and the second 2: 0 and 1 are shared. Under sign, the first would share 2 if its sign agreed; among the other
subsets (there is one, negative) none has that sign: 0.

Orders 0 and n hold one subset each: for these, placement is the same as sign, and other samples take the place of other
subsets. All arrays are [samples, subsets]; `order` [subsets] is |S| of each.
"""

from collections.abc import Iterator

import numpy as np
import torch

NOTHING = 1e-12  # of a sample's strongest interaction: what rounding leaves where there is none


def shared(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns [a b > 0] min(|a|, |b|), of any shape. Of the pre-trained and the fine-tuned model, it is the preserved
    strength P of Eqs. 6 and 7 of arXiv 2410.08455: |a| - P is discarded, |b| - P is new."""
    return np.where(first * second > 0, np.minimum(abs(first), abs(second)), 0.0)


def by_placement(first: np.ndarray, second: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Returns the expectation of the shared strength at each subset: [samples, subsets]."""
    found = by_sign(first, second, order)
    for of in _blocks(order):
        a, b = first[:, of], second[:, of]
        sums = np.where(a > 0, _sums_of_smaller(abs(a), np.maximum(b, 0)), _sums_of_smaller(abs(a), np.maximum(-b, 0)))
        found[:, of] = np.maximum(sums - shared(a, b), 0) / (a.shape[1] - 1)  # its own place is left out
    return found


def by_sign(first: np.ndarray, second: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Returns the expectation of the shared strength at each subset: [samples, subsets]. Interactions of 0 have no
    sign and do not count; where no other one is left, signs agree with probability 1/2."""
    agree = np.empty(np.broadcast_shapes(first.shape, second.shape))
    single = np.ones(len(order), dtype=bool)
    for of in _blocks(order):
        agree[:, of] = _share_of_others(first[:, of], second[:, of], axis=1)
        single[of] = False
    agree[:, single] = _share_of_others(first[:, single], second[:, single], axis=0)
    return np.minimum(abs(first), abs(second)) * agree


def matched(other: np.ndarray, model: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Returns `other` with the strength of `model` per sample and order. It is 0 where `other` has no strength."""
    found = np.zeros_like(other)
    for size in np.unique(order):
        of = order == size
        wanted, has = (abs(each[:, of]).sum(1, keepdims=True) for each in (model, other))
        known = has > NOTHING * abs(other).max(1, keepdims=True)
        found[:, of] = other[:, of] * np.divide(wanted, has, out=np.zeros_like(has), where=known)
    return found


def without_strength(other: np.ndarray, model: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Tells where only `model` has strength in a sample and order, so that `other` can't be matched to it: bool
    [samples, orders]."""
    orders = np.unique(order)
    has, wanted = (np.array([abs(each[:, order == size]).sum(1) for size in orders]) for each in (other, model))
    nothing = (NOTHING * abs(each).max(1) for each in (other, model))
    return ((has <= next(nothing)) & (wanted > next(nothing))).T


def _blocks(order: np.ndarray) -> Iterator[np.ndarray]:
    """Yields the places of the subsets of each order that holds more than one."""
    for size in np.unique(order):
        of = np.flatnonzero(order == size)
        if len(of) > 1:
            yield of


def _sums_of_smaller(limits: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns sum_j min(limit_i, value_j) for each i, by sorting: both [samples, K], not negative."""
    ordered = np.sort(values, axis=1)
    sums = np.concatenate([np.zeros((len(ordered), 1)), ordered.cumsum(1)], axis=1)
    both = (torch.from_numpy(np.ascontiguousarray(part)) for part in (ordered, limits))
    below = torch.searchsorted(*both, right=True).numpy()
    return np.take_along_axis(sums, below, axis=1) + (values.shape[1] - below) * limits


def _share_of_others(first: np.ndarray, second: np.ndarray, axis: int) -> np.ndarray:
    """Returns for each place the share of the other places along `axis` whose sign in `second` is that of `first`."""
    positive, negative = second > 0, second < 0
    same = np.where(first > 0, _others(positive, axis), _others(negative, axis)).astype(float)
    return np.divide(
        same, _others(second != 0, axis), out=np.full_like(same, 0.5), where=_others(second != 0, axis) > 0
    )


def _others(which: np.ndarray, axis: int) -> np.ndarray:
    """Counts the other places along `axis`."""
    return which.sum(axis, keepdims=True) - which

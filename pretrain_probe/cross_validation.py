"""Chooses the l2 of the probe by cross-validation on its training features.

Why it is not left to taste: the accuracy of a probe hardly depends on its l2, but the strength of its interactions
does, since all logits grow as l2 falls. So the l2 is the one whose probabilities are best on samples held out.

The training samples are dealt into five parts, class by class. For each part, logistic regressions are fitted to all
other parts, from l2 = 1 downwards, each from the solution of the one before. Their cross-entropy on the samples that
they have not seen falls to a least value and rises again; two values beyond the least one the search ends. Where this
would take long, one part alone is held out: it has many samples then.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax
from threadpoolctl import threadpool_limits

from data.splits import InMemory
from stages.progress import Bar
from stages.span import Span
from training.seeds import stream

FOLDS = 5
GRID = tuple(float(f"{digit}e{power}") for power in range(2, -6, -1) for digit in (3, 1))  # 300, 100, 30 ... 1e-5
BEGIN = 1.0
BEYOND = 2  # values that are tried below the best one
FALLBACK = 0.01
# From this product of samples, features and classes on, one part is held out: a fit takes seconds for each value.
LARGE = 1e9
SMALL = 1e7  # up to this product, threads wait for each other longer than they compute
# Seconds of a whole search, and of each sample x feature x class of a part, measured on two cores that were in use:
# 2e-8 where classes are easily told apart, 1e-7 where they are not; other machines are up to ten times as fast.
SEARCH, EACH = Span(0.5, 4), Span(2e-9, 1e-7)


@dataclass(frozen=True)
class Chosen:
    """The l2, why it was chosen (in words that go on after "l2 = 0.03, "), and the mean held-out cross-entropy of each
    value tried, such as "0.03"."""

    l2: float
    why: str
    losses: dict[str, float]


def choose(train: InMemory, seed: int) -> Chosen:
    """Returns the same for the same arguments. Losses are compared in four digits, since further ones depend on where
    a fit ends; of equal ones the first that was tried is taken. train: features [N, D] float64, and labels."""
    inputs, labels = train.inputs.numpy(), np.asarray(train.labels)
    folds = parts(labels, seed)
    if not folds:
        return Chosen(FALLBACK, "since cross-validation needs two classes with two training samples each", {})
    classes = len(np.unique(labels))
    paths = [_Path(inputs, labels, part) for part in folds[: _held_out(inputs.size, classes)]]
    threads = 1 if inputs.size * classes < SMALL else None
    with threadpool_limits(threads), Bar(desc="l2 of the probe", unit="value") as bar:

        def loss(l2: float) -> float:
            bar.update()
            return float(f"{np.concatenate([path.losses(l2) for path in paths]).mean():.4g}")

        found = search(loss)
    best = min(found, key=found.get)
    end = {GRID[0]: ", the largest value tried", GRID[-1]: ", the smallest value tried"}.get(best, "")
    how = f"{len(folds)}-fold cross-validation"
    how = how if len(paths) == len(folds) else f"holding out one of {len(folds)} parts of the training set"
    return Chosen(best, f"chosen by {how}{end}", {f"{l2:g}": found[l2] for l2 in sorted(found)})


def _held_out(size: int, classes: int) -> int:
    """Returns how many parts are held out, of N x D features."""
    return 1 if size * classes > LARGE else FOLDS


def seconds(size: int, classes: int) -> Span:
    """Returns the time of a choice with N x D features."""
    return SEARCH + EACH * (size * classes * _held_out(size, classes))


def parts(labels: np.ndarray, seed: int) -> list[np.ndarray]:
    """Returns the indices of the samples that are held out together, in five parts, or in fewer if no class has five
    samples. A class's samples are dealt evenly; a single sample of a class is in no part, so that none is held out of
    a class that is not fitted. The list is empty if fewer than two classes have two samples."""
    counts = np.bincount(labels)
    if (counts > 1).sum() < 2:
        return []
    shuffled = np.random.default_rng(stream(seed, "probe", "parts")).permutation(np.flatnonzero(counts[labels] > 1))
    dealt, folds = shuffled[np.argsort(labels[shuffled], kind="stable")], min(FOLDS, counts.max())
    return [dealt[part::folds] for part in range(folds)]


def search(loss: Callable[[float], float]) -> dict[float, float]:
    """Returns the loss of each value that was tried, in the order of trying: downwards from BEGIN until BEYOND values
    are worse than the best, and upwards while it gets better and nothing below BEGIN was as good."""
    found: dict[float, float] = {}
    for l2 in (l2 for l2 in GRID if l2 <= BEGIN):
        found[l2] = loss(l2)
        if list(found).index(min(found, key=found.get)) < len(found) - BEYOND:
            break
    for l2 in (l2 for l2 in reversed(GRID) if l2 > BEGIN):
        if min(found, key=found.get) != max(found):
            break
        found[l2] = loss(l2)
    return found


class _Path:
    """Logistic regressions on all samples but some: mean cross-entropy + l2/2 |W|^2, each from the last one's
    solution."""

    def __init__(self, inputs: np.ndarray, labels: np.ndarray, held: np.ndarray) -> None:
        from sklearn.linear_model import LogisticRegression  # not where l2 is a number: scikit-learn takes a second

        self.inputs, self.labels, self.held = inputs, labels, held
        self.fitted = np.setdiff1d(np.arange(len(labels)), held)
        self.model = LogisticRegression(warm_start=True, max_iter=200)

    def losses(self, l2: float) -> np.ndarray:
        """Returns the cross-entropies [H] of the samples held out."""
        labels = self.labels[self.fitted]
        # Of two classes scikit-learn has one weight vector, their difference: the sum of squares is half of its square.
        vectors = 2 if len(np.unique(labels)) == 2 else 1
        # With a smaller l2, a gradient of the same size is farther from the solution.
        self.model.set_params(C=vectors / (len(labels) * l2), tol=min(1e-5, 1e-3 * l2))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a fit that has not converged fully is judged like any other
            self.model.fit(self.inputs[self.fitted], labels)
        scores = self.model.decision_function(self.inputs[self.held])
        scores = np.stack([0 * scores, scores], 1) if scores.ndim == 1 else scores
        columns = np.searchsorted(self.model.classes_, self.labels[self.held])
        return -log_softmax(scores, axis=1)[np.arange(len(self.held)), columns]

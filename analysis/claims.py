"""The paper's claims, each with what was measured, its interval, its chance level, and a verdict.

holds          the whole 95 % interval lies within what is claimed, and chance does not explain it
within chance  the claim is met, but models that share nothing would meet it as well
fails          the data do not show it, which does not refute it

Intervals are over samples: of one training run per model, whatever other seeds would give.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from analysis.formulas.accuracy import Outcomes, epochs_to_reach
from analysis.measures import Measured, Measures
from analysis.statistics.estimate import Estimate, estimate, quotient, resamples


class Claim(NamedTuple):
    """judge: gives the verdict on an estimate: on the result, or on what the result may be without noise."""

    claim: str
    quantity: str
    result: Estimate
    judge: Callable[[Estimate], str]

    @property
    def verdict(self) -> str:
        return self.judge(self.result)


def claims(measures: Measures, outcomes: dict[str, Outcomes]) -> dict[str, list[Claim]]:
    """Of each subject whose models the study has. outcomes: what training stages left; {} leaves out accuracy."""
    there = set(measures.study.models)
    return {
        subject: judged(measures, outcomes)
        for subject, (models, judged) in SUBJECTS.items()
        if there.issuperset(models)
    }


def beyond(result: Estimate, threshold: float) -> str:
    """Verdict on "more than `threshold`": chance explains it unless the value is significantly above chance."""
    if not result.low > threshold:
        return "fails"
    return "holds" if result.beyond > 0 else "within chance"


def more_than(threshold: float) -> Callable[[Estimate], str]:
    return partial(beyond, threshold=threshold)


def inside(result: Estimate, low: float, high: float) -> str:
    """Verdict on "between `low` and `high`": chance explains it if chance is between them, too."""
    if not (low <= result.low and result.high <= high):
        return "fails"
    return "within chance" if low <= result.chance <= high else "holds"


def _knowledge(measures: Measures, _: dict[str, Outcomes]) -> list[Claim]:
    """Section 3.2.1 of the paper."""
    measured, study = measures.strengths, measures.study
    orders, subsets = np.unique(study.order, return_counts=True)
    low, high = (orders >= 1) & (orders <= study.n / 2), orders > study.n / 2
    names = ("pretrain", "finetune", "preserved", "discarded", "new")

    def compare(statistic: Callable, *wanted: str) -> Estimate:
        chosen = [names.index(name) for name in wanted]
        observed = tuple(measured.observed[part] for part in chosen)
        by_chance = [tuple(draw[part] for part in chosen) for draw in measured.by_chance]
        return estimate(observed, by_chance, study.weights, statistic)

    def total(strength: np.ndarray, of: np.ndarray = slice(None)) -> np.ndarray:
        return strength[:, of] @ subsets[of]

    def mean(strength: np.ndarray, of: np.ndarray) -> np.ndarray:
        return quotient(total(strength, of), subsets[of].sum())

    def growth(strength: np.ndarray) -> np.ndarray:
        return quotient(mean(strength, high), mean(strength, low))

    def share_growth(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
        return quotient(total(part, high), total(whole, high)) - quotient(total(part, low), total(whole, low))

    twice = compare(lambda d, p: quotient(total(d), total(p)), "discarded", "preserved")
    rows = [Claim("discards more than twice what it preserves", "strength discarded / preserved", twice, more_than(2))]
    for part, whole in (("discarded", "pretrain"), ("new", "finetune")):
        strength, share = compare(growth, part), compare(share_growth, part, whole)
        model = {"pretrain": "pre-trained", "finetune": "fine-tuned"}[whole]
        rows += [
            Claim(f"more {part} at high order than at low", f"mean strength {part}, orders above n/2 / orders 1 to n/2",
                  strength, more_than(1)),
            Claim(f"more {part} at high order than at low", f"share {part} of the {model} model's strength, "
                  "orders above n/2 - orders 1 to n/2", share, more_than(0)),
        ]  # fmt: skip
    return rows


def _learnable(measures: Measures, _: dict[str, Outcomes]) -> list[Claim]:
    """Section 3.2.2: 13 % to 45 % in the paper's experiments."""
    means = {"paper": "mean over all S", "positive": "mean over S with P > 0", "weighted": "strength-weighted"}
    rows, within = [], partial(inside, low=0.13, high=0.45)
    for definition, measured in measures.ratios.items():
        result = estimate(*measured, measures.study.weights, quotient)
        quantity = f"ratio, {means[definition]}"
        rows.append(Claim("scratch learns 13 to 45 % of the preserved", quantity, result, within))
    return rows


def _directness(measures: Measures, _: dict[str, Outcomes]) -> list[Claim]:
    """Section 3.2.3."""
    study = measures.study
    finetune, scratch = measures.similarities["finetune"], measures.similarities["scratch"]
    early = [early_epochs(study.epochs(model)) for model in ("finetune", "scratch")]

    def sooner(of_finetune: np.ndarray, of_scratch: np.ndarray) -> np.ndarray:
        return of_finetune[:, early[0]].mean(-1) - of_scratch[:, early[1]].mean(-1)

    def steadier(of_finetune: np.ndarray, of_scratch: np.ndarray) -> np.ndarray:
        return falls(of_scratch) - falls(of_finetune)

    both = _paired(finetune, scratch)
    quick, steady = (estimate(*both, study.weights, statistic) for statistic in (sooner, steadier))
    return [
        Claim("fine-tuning learns its target knowledge sooner",
              "Jaccard similarity in the first third of the epochs, fine-tuned - scratch", quick, more_than(0)),
        Claim("fine-tuning learns it more steadily",
              "sum of the Jaccard curve's falls, scratch - fine-tuned", steady, more_than(0)),
    ]  # fmt: skip


def _benefit(measures: Measures, outcomes: dict[str, Outcomes]) -> list[Claim]:
    """Footnote 5. Here samples are those of the test set, and chance is no difference. None without predictions."""
    if not {"finetune", "scratch"} <= outcomes.keys():
        return []
    finetune, scratch = outcomes["finetune"].correct, outcomes["scratch"].correct
    options = measures.study.options
    weights = resamples(len(finetune), options.resamples, options.seed)

    def difference(of_finetune: np.ndarray, of_scratch: np.ndarray) -> np.ndarray:
        return of_finetune[:, -1] - of_scratch[:, -1]

    def saved(of_finetune: np.ndarray, of_scratch: np.ndarray) -> np.ndarray:
        target = 0.95 * of_scratch[:, -1]
        return (epochs_to_reach(of_scratch, target) - epochs_to_reach(of_finetune, target)).astype(float)

    no_difference = (scratch, scratch)
    better, faster = (
        estimate((finetune, scratch), [no_difference], weights, statistic) for statistic in (difference, saved)
    )
    accuracy = f"on {len(scratch)} test samples"
    return [
        Claim("fine-tuning is more accurate", f"final accuracy {accuracy}, fine-tuned - scratch",
              better, more_than(0)),
        Claim("fine-tuning converges sooner", f"epochs to 95 % of scratch's final accuracy {accuracy}, "
              "scratch - fine-tuned", faster, more_than(0)),
    ]  # fmt: skip


def early_epochs(epochs: list[int]) -> list[int]:
    """Positions of the epochs in the first third of training; not the untrained or last, if there are others."""
    third = max(1, epochs[-1] / 3)
    early = [i for i, epoch in enumerate(epochs[:-1]) if epoch <= third]
    return [i for i in early if epochs[i] > 0] or early or [0]


def falls(curve: np.ndarray) -> np.ndarray:
    """How far a curve [..., epochs] goes down on its way: the sum of its decreases from one epoch to the next."""
    return np.maximum(curve[..., :-1] - curve[..., 1:], 0).sum(-1)


def _paired(first: Measured, second: Measured) -> tuple[tuple, list[tuple]]:
    by_chance = [a + b for a, b in zip(first.by_chance, second.by_chance, strict=True)]
    return first.observed + second.observed, by_chance


# What claims are on, the models that they are about, and who judges them.
SUBJECTS = {
    "what fine-tuning discards": (("pretrain", "finetune"), _knowledge),
    "what scratch learns": (("pretrain", "finetune", "scratch"), _learnable),
    "how directly models learn": (("finetune", "scratch"), _directness),
    "accuracy": (("finetune", "scratch"), _benefit),
}

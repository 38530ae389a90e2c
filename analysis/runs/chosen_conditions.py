"""Which of the runs' conditions a claim speaks of: the original labels, random ones, shifted ones, another data set.

They are on the data set that pre-training has seen, if models were fine-tuned on it, and otherwise on the one that most
conditions are on; and have the number of training samples that most of its conditions have.
"""

from collections import Counter
from collections.abc import Iterable

from analysis.runs.conditions import Condition, Conditions

MISSING = {
    "original": "runs with the original labels",
    "random": "runs with random labels (data.labels.random) on as many training samples as the others",
    "shifted": "runs with shifted labels (data.labels.shift)",
    "domain": "runs on another data set than that of the pre-training",
    "few": "runs with random labels on several numbers of training samples (data.target.train_samples)",
    "many": "runs with random labels on several numbers of training samples (data.target.train_samples)",
}


def chosen(found: Conditions) -> dict[str, Condition]:
    """Returns the conditions that there are of those that MISSING names. random: the largest d there is; few, many:
    the fewest and the most training samples with random labels, of the largest d that has several numbers."""
    home = _usual(found.runs, _home(found))
    random, shifted = ([each for each in home if getattr(each, name)] for name in ("random", "shift"))
    same = any(each.data == found.source for each in found.runs)
    others = [each for each in found.runs if same and each.data != found.source]
    domain = _plain(_usual(found.runs, others[0].data)) if others else []
    few = _sizes(found.runs, _home(found))
    named = {
        "original": _plain(home),
        "random": sorted(random, key=lambda each: -each.random),
        "shifted": sorted((each for each in shifted if not each.random), key=lambda each: each.shift),
        "domain": domain,
        "few": few[:1],
        "many": few[-1:],
    }
    return {name: of[0] for name, of in named.items() if of}


def degrees(found: Conditions) -> list[Condition]:
    """Returns the conditions that differ in the degree of randomness alone, the least random first."""
    return sorted((each for each in _usual(found.runs, _home(found)) if not each.shift), key=lambda each: each.random)


def _plain(of: Iterable[Condition]) -> list[Condition]:
    return [each for each in of if not (each.random or each.shift)]


def _home(found: Conditions) -> str:
    known = Counter(each.data for each in found.runs)
    return found.source if found.source in known else max(known, key=known.get)


def _usual(of: Iterable[Condition], data: str) -> list[Condition]:
    """Returns the conditions on a data set with the number of training samples that most of them have, of equally
    frequent ones the largest."""
    there = [each for each in of if each.data == data]
    counts = Counter(each.samples for each in there)
    most = max(counts, key=lambda samples: (counts[samples], samples))
    return [each for each in there if each.samples == most]


def _sizes(of: Iterable[Condition], data: str) -> list[Condition]:
    """Returns the conditions with random labels that differ in the number of training samples, the fewest first."""
    there = [each for each in of if each.data == data and each.random and not each.shift]
    groups = [[each for each in there if each.random == d] for d in sorted({each.random for each in there})]
    several = [sorted(group, key=lambda each: each.samples) for group in groups if len(group) > 1]
    return several[-1] if several else []

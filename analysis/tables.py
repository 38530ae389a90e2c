"""The tidy tables, one per measure. All values but those of the noise have a 95 % interval and a chance level."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from analysis.claims import Claim
from analysis.formulas.accuracy import Outcomes, chance
from analysis.formulas.noise import explained, noise_by_order, noise_of_values
from analysis.measures import Measures
from analysis.statistics.estimate import Estimate, estimate, quotient, resamples
from analysis.study import Study
from interactions.mobius import interactions, orders

ESTIMATE = ["mean", "low", "high", "chance"]
CLAIMS = ["claim", "quantity", "value", "low", "high", "chance", "verdict", "noise"]


def decomposition(measures: Measures) -> pd.DataFrame:
    """order, quantity, mean, low, high, chance: strength per subset (Fig. 2)."""
    measured, weights = measures.strengths, measures.study.weights
    present = np.unique(measures.study.order)
    rows = []
    for part, quantity in enumerate(("pretrain", "finetune", "preserved", "discarded", "new")):
        result = estimate((measured.observed[part],), [(draw[part],) for draw in measured.by_chance], weights)
        rows += [(order, quantity, *values) for order, values in zip(present, _each(result), strict=True)]
    return pd.DataFrame(rows, columns=["order", "quantity", *ESTIMATE]).sort_values("order", kind="stable")


def ratio(measures: Measures) -> pd.DataFrame:
    """definition, mean, low, high, chance: share of the preserved knowledge that scratch learns (Fig. 3)."""
    rows = [
        (definition, *_numbers(estimate(*measured, measures.study.weights, quotient)))
        for definition, measured in measures.ratios.items()
    ]
    return pd.DataFrame(rows, columns=["definition", *ESTIMATE])


def jaccard(measures: Measures) -> pd.DataFrame:
    """model, epoch, mean, low, high, chance: similarity to the model's last epoch (Fig. 4)."""
    rows = []
    for model, measured in measures.similarities.items():
        result = estimate(*measured, measures.study.weights)
        epochs = measures.study.epochs(model)
        rows += [(model, epoch, *values) for epoch, values in zip(epochs, _each(result), strict=True)]
    return pd.DataFrame(rows, columns=["model", "epoch", *ESTIMATE])


def accuracy(outcomes: dict[str, Outcomes], labels: np.ndarray, repeats: int, seed: int) -> pd.DataFrame:
    """model, epoch, quantity (accuracy, loss), mean, low, high, chance: on the test set, interval over its samples."""
    weights, levels = resamples(len(labels), repeats, seed), chance(labels)
    rows = []
    for model, (correct, losses) in outcomes.items():
        for quantity, per_sample in (("accuracy", correct), ("loss", losses)):
            result = estimate((per_sample,), [], weights)._replace(
                chance=np.full(per_sample.shape[1], levels[quantity])
            )
            rows += [(model, epoch, quantity, *values) for epoch, values in enumerate(_each(result))]
    return pd.DataFrame(rows, columns=["model", "epoch", "quantity", *ESTIMATE])


def faithfulness(measures: Measures) -> pd.DataFrame:
    """model, epoch, quantity (salient_share, rebuilt), mean, low, high, chance; of all interactions, always."""
    rows = []
    for model, measured in measures.faithfulness.items():
        quantities = [
            estimate((observed,), [(draw[part],) for draw in measured.by_chance], measures.study.weights)
            for part, observed in enumerate(measured.observed)
        ]
        for epoch, *of_epoch in zip(measures.study.epochs(model), *map(_each, quantities), strict=True):
            rows += [
                (model, epoch, quantity, *values)
                for quantity, values in zip(("salient_share", "rebuilt"), of_epoch, strict=True)
            ]
    return pd.DataFrame(rows, columns=["model", "epoch", "quantity", *ESTIMATE])


def noise(study: Study) -> pd.DataFrame:
    """model, epoch, order, noise_v, explained, noise, strength, share: of each model's last epoch, all interactions, as
    stored. explained: how much noise_v can be by rounding alone."""
    order = orders(study.n)
    rows = []
    for model in study.models:
        epoch = study.last(model)
        v, checked = study.values(model, epoch), study.stores[model].noise(epoch)
        noise_v = noise_of_values(v[checked["sample"], checked["subset"]], checked["value"])
        bound = explained(v, study.precision(model))
        expected = noise_by_order(noise_v, study.n)
        strength = abs(interactions(v))
        for i in range(study.n + 1):
            mean = strength[:, order == i].mean()
            rows.append((model, epoch, i, noise_v, bound, expected[i], mean, float(quotient(expected[i], mean))))
    return pd.DataFrame(rows, columns=["model", "epoch", "order", "noise_v", "explained", "noise", "strength", "share"])


def claims(found: dict[str, list[Claim]], doubtful: set[tuple[str, str]]) -> pd.DataFrame:
    """claim, quantity, value, low, high, chance, verdict, noise. found: by subject; doubtful: those (claim, quantity)
    that noise could overturn."""
    rows = [
        (claim.claim, claim.quantity, *_numbers(claim.result), claim.verdict,
         "could overturn" if (claim.claim, claim.quantity) in doubtful else "")
        for claims in found.values() for claim in claims
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=CLAIMS)


def _each(result: Estimate) -> Iterable[tuple[float, ...]]:
    return zip(*(np.asarray(part).tolist() for part in result[:4]), strict=True)


def _numbers(result: Estimate) -> tuple[float, ...]:
    return tuple(float(part) for part in result[:4])

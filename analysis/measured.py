"""What a measure found for each sample. This is what is kept, and what tables, figures and claims are made from."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from analysis.statistics.estimate import Estimate, estimate
from stages.files import write_archive


@dataclass(frozen=True)
class Measured:
    """What a measure found for each sample.

    observed: name -> [samples, ...]; references: reference -> name -> [draws, samples, ...], the same arrays for
    each draw of the reference, only for those names that differ from `observed`; about: what is the same for all
    samples, such as `order`, the labels of an axis.
    """

    observed: dict[str, np.ndarray]
    references: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    about: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def samples(self) -> int:
        return len(next(iter(self.observed.values())))

    def estimate(
        self, names: str | tuple[str, ...], weights: np.ndarray, statistic: Callable = lambda mean: mean
    ) -> Estimate:
        """Estimates a statistic of these arrays' means over samples, with its interval and chance level."""
        names, draws = (names,) if isinstance(names, str) else names, self.references.get("chance", {})
        known = [name for name in names if name in draws]
        by_chance = [
            tuple(draws[name][draw] if name in draws else self.observed[name] for name in names)
            for draw in range(len(draws[known[0]]) if known else 0)
        ]
        return estimate(tuple(self.observed[name] for name in names), by_chance, weights, statistic)

    def write(self, path: Path, data: str, index: np.ndarray) -> None:
        """Writes everything as .npz. data: the data set that the samples come from; index: [samples], their numbers
        in it."""
        arrays = self.observed | {f"about/{name}": np.asarray(array) for name, array in self.about.items()}
        for reference, found in self.references.items():
            arrays |= {f"{reference}/{name}": array for name, array in found.items()}
        write_archive(path, data=np.array(data), index=index, **arrays)

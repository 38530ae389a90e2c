"""What a measure found for each sample. This is what is kept, and what tables, figures and claims are made from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np

from analysis.statistics.estimate import Estimate, Interval, bootstrap_t, jackknife, percentiles, resamples, together
from stages.files import write_archive

OWN = ("data", "index", "draws", "seed", "references")  # of an archive
PSEUDO = ("rows/", "claims/")


@dataclass(frozen=True)
class Measured:
    """What a measure found for each sample.

    observed: name -> [samples, ...]; references: reference -> name -> the same array under the reference, only for
    those names that differ from `observed`; equal: all this for models of equal strength, where two are compared;
    about: what is the same for all samples, such as `order`, the labels of an axis; draws, seed: of resamples.
    """

    observed: dict[str, np.ndarray]
    references: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    equal: Self | None = None
    about: dict[str, np.ndarray] = field(default_factory=dict)
    draws: int = 1000
    seed: int = 0

    @property
    def samples(self) -> int:
        return len(next(iter(self.observed.values())))

    @property
    def weights(self) -> np.ndarray:
        """The bootstrap weights over samples [draws, samples], the same for all measures on the same samples."""
        return resamples(self.samples, self.draws, self.seed)

    def estimate(
        self, names: str | tuple[str, ...], statistic: Callable | None = None, *, log: bool = False,
        steps: bool = False, alone: bool = False,
    ) -> Estimate:  # fmt: skip
        """Estimates a statistic of these arrays' means over samples; without one, the mean of the only array.

        A name is one of `observed`, or for example "sign/preserved" for an array under a reference. log: the quantity
        is a ratio of strengths; steps: it moves in steps, such as the number of an epoch; alone: it has no references,
        for example since it compares with one itself.
        """

        def interval(arrays: tuple[np.ndarray, ...], of: Callable | None, log: bool) -> Interval:
            return percentiles(arrays, of, self.weights) if steps else jackknife(arrays, of, log)

        beyond = None if alone else lambda arrays, of: interval(arrays, of, False)
        return self._estimated(names, statistic, lambda arrays, of: interval(arrays, of, log), beyond)

    def strength(self, name: str) -> Estimate:
        """Estimates mean strengths [samples, K], such as those of each order. The intervals of the excess over a
        reference hold for all K together."""
        return self._estimated(name, None, lambda arrays, _: bootstrap_t(*arrays, self.weights),
                               lambda arrays, _: together(arrays[0] - arrays[1]))  # fmt: skip

    def _estimated(
        self, names: str | tuple[str, ...], statistic: Callable | None, own: Callable, beyond: Callable | None
    ) -> Estimate:
        names = (names,) if isinstance(names, str) else names
        first, of, levels, excess = tuple(map(self._array, names)), statistic or (lambda mean: mean), {}, {}

        def difference(*means: np.ndarray) -> np.ndarray:
            return np.asarray(of(*means[: len(names)])) - of(*means[len(names) :])

        for reference, known in self.references.items():
            if beyond and any(name in known for name in names):
                second = tuple(known.get(name, array) for name, array in zip(names, first, strict=True))
                with np.errstate(all="ignore"):
                    levels[reference] = np.asarray(of(*(array.mean(0)[None] for array in second)), dtype=float)[0]
                    excess[reference] = beyond((*first, *second), difference)
        equal = self.equal and self.equal._estimated(names, statistic, own, beyond)
        return Estimate(own(first, statistic), levels, excess, equal)

    def _array(self, name: str) -> np.ndarray:
        reference, _, rest = name.partition("/")
        return self.references[reference][rest] if reference in self.references else self.observed[name]

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns all arrays by their names in the archive: those under a reference and at equal strengths begin with
        its name."""
        found = dict(self.observed)
        for reference, known in self.references.items():
            found |= {f"{reference}/{name}": array for name, array in known.items()}
        return found | ({f"equal/{name}": array for name, array in self.equal.arrays().items()} if self.equal else {})

    def with_references(self, further: Self) -> Self:
        """Returns the same with further references. Their arrays are broadcast to the shape of the observed ones."""
        found = dict(self.references)
        for reference, known in further.references.items():
            shaped = {name: np.broadcast_to(array, self.observed[name].shape) for name, array in known.items()}
            found[reference] = {**found.get(reference, {}), **shaped}
        equal = self.equal.with_references(further.equal) if self.equal and further.equal else self.equal
        return replace(self, references=found, equal=equal)

    def write(self, path: Path, data: str, index: np.ndarray, pseudo: dict[str, np.ndarray]) -> None:
        """Writes everything as .npz. data: the data set that the samples come from; index: [samples], their numbers
        in it; pseudo: pseudo-values of the table's rows and the claims, by their names in the archive."""
        about = {f"about/{name}": np.asarray(array) for name, array in self.about.items()}
        about |= {
            "draws": np.array(self.draws),
            "seed": np.array(self.seed),
            "references": np.array(list(self.references)),
        }
        write_archive(path, data=np.array(data), index=index, **self.arrays(), **about, **pseudo)

    @classmethod
    def read(cls, archive: Mapping[str, np.ndarray]) -> Self:
        """Returns what `write` has written to this archive."""
        names = archive["references"].tolist()
        known = {name: archive[name] for name in archive if name not in OWN and not name.startswith(PSEUDO)}
        about = {name.removeprefix("about/"): known.pop(name) for name in list(known) if name.startswith("about/")}
        equal = {name.removeprefix("equal/"): known.pop(name) for name in list(known) if name.startswith("equal/")}
        draws, seed = int(archive["draws"]), int(archive["seed"])
        at_equal = cls(*_apart(equal, names), draws=draws, seed=seed) if equal else None
        return cls(*_apart(known, names), at_equal, about, draws, seed)


def _apart(arrays: dict[str, np.ndarray], references: list[str]) -> tuple[dict, dict]:
    """Takes observed arrays and those under references apart, as `Measured.arrays` has put them together."""
    found = {name: {key.removeprefix(f"{name}/"): arrays.pop(key) for key in list(arrays) if key.startswith(f"{name}/")}
             for name in references}  # fmt: skip
    return arrays, {name: known for name, known in found.items() if known}

"""Which values of a run are exported: of which models, epochs and samples."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import yaml

from conf.errors import BadInput
from interactions.loaded import Run
from interactions.mobius import interactions


@dataclass(frozen=True)
class Chosen:
    """A part of a run. epochs: of each model that is exported, in order; samples: their places in the run's arrays."""

    run: Run
    epochs: dict[str, list[int]]
    samples: list[int]

    @classmethod
    def asked(cls, run: Run, roles: str = "all", epochs: str = "last", samples: str = "all") -> "Chosen":
        """Reads roles=all or [finetune], epochs=last, all or [0,5], samples=all or [0,3]. A model that has none of the
        epochs is left out, in a line that says so. Raises BadInput for what the run does not have."""
        models = _some("roles", roles, list(run.models))
        every = sorted({epoch for model in models for epoch in run.epochs[model]})
        wanted = every if epochs in ("last", "all") else _some("epochs", epochs, every)
        found = {model: [epoch for epoch in run.epochs[model] if epoch in wanted] for model in models}
        if epochs == "last":
            found = {model: known[-1:] for model, known in found.items()}
        for model in [model for model, known in found.items() if not known]:
            print(f"{model} is left out: its epochs are {', '.join(map(str, run.epochs[model]))}", flush=True)
            del found[model]
        return cls(run, found, _some("samples", samples, list(range(len(run.samples)))))

    @property
    def checkpoints(self) -> list[tuple[str, int]]:
        return [(model, epoch) for model, known in self.epochs.items() for epoch in known]

    @property
    def count(self) -> int:
        """The number of values."""
        return len(self.checkpoints) * len(self.samples) * 2**self.run.n

    def arrays(self) -> Iterator[tuple[str, int, np.ndarray, np.ndarray]]:
        """Yields model, epoch, values and interactions, both [samples, 2**n], of one checkpoint after the other."""
        for model, epoch in self.checkpoints:
            v = self.run.values(model, epoch)[self.samples]
            yield model, epoch, v, interactions(v)


def _some(key: str, text: str, known: list) -> list:
    """Returns those of `known` that key=text asks for, in their order. Raises BadInput for others."""
    if text == "all":
        return known
    try:
        wanted = yaml.safe_load(text)
    except yaml.YAMLError:
        wanted = None
    wanted = wanted if isinstance(wanted, list) else [wanted]
    allowed = f"all, or some of [{', '.join(map(str, known))}]" + ", or last" * (key == "epochs")
    if not wanted or any(isinstance(one, bool) or one not in known for one in wanted):
        raise BadInput(f"{key}={text} is not allowed: {allowed}, is expected")
    return [one for one in known if one in wanted]

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from analysis.study import Options, Study
from interactions.mobius import values
from interactions.store import Samples, Store
from stages.results import epochs_kept

OPTIONS = {
    "salient": False,
    "tau": 0.05,
    "empty_set": True,
    "normalise": False,
    "permutations": 5,
    "resamples": 300,
    "seed": 0,
}


@pytest.fixture
def study_of(tmp_path: Path) -> Callable[..., Study]:
    """study_of(pretrain, finetune, scratch, noise=..., **options): a Study of models with given interactions
    [samples, 2**n]; of finetune and scratch a list, one for each epoch; None or [] of a role that is left out. Each has
    a folder of its own.

    noise: standard deviation of what is added to the values, which the store holds some of without it as well."""
    count = itertools.count()

    def make(
        pretrain: np.ndarray | None, finetune: Sequence, scratch: Sequence, noise: float = 0, **options: object
    ) -> Study:
        given = [*([] if pretrain is None else [pretrain]), *finetune, *scratch]
        samples, subsets = given[0].shape
        draw, folder = np.random.default_rng(5), tmp_path / f"study_{next(count)}"
        chosen = Samples(folder / "samples")
        about = [{"index": i, "label": 0, "class": "a", "variables": []} for i in range(samples)]
        chosen.write({"split": "test", "n": subsets.bit_length() - 1, "kind": "image", "samples": about})
        of_probe = {} if pretrain is None else {7: pretrain}
        models = {"pretrain": of_probe, "finetune": dict(enumerate(finetune)), "scratch": dict(enumerate(scratch))}
        stores = {model: Store(folder / model, chosen) for model, epochs in models.items() if epochs}
        for model, store in stores.items():
            for epoch, strength in models[model].items():
                exact = values(strength)
                sample, subset = draw.integers(samples, size=256), draw.integers(subsets, size=256)
                store.write_part(epoch, range(samples), exact + draw.normal(scale=noise, size=exact.shape))
                store.write_noise(epoch, sample=sample, subset=subset, value=exact[sample, subset])
                store.complete(epoch, [range(samples)], {"precision": "float32"})
        epochs = {model: epochs_kept(store.folder) for model, store in stores.items()}
        return Study(chosen, stores, epochs, Options(**OPTIONS | options))

    return make

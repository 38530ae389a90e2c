from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from analysis.study import Options, Study
from interactions.mobius import values
from interactions.store import Store

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
    """study_of(pretrain, finetune, scratch, **options): a Study of models with given interactions [samples, 2**n]; of
    finetune and scratch a list, one for each epoch."""

    def make(pretrain: np.ndarray, finetune: Sequence, scratch: Sequence, **options: object) -> Study:
        samples, subsets = pretrain.shape
        store = Store(tmp_path / "interactions")
        store.folder.mkdir()
        about = [{"index": i, "label": 0, "class": "a", "variables": []} for i in range(samples)]
        store.write_samples({"split": "test", "n": subsets.bit_length() - 1, "kind": "image", "samples": about})
        for stage, epochs in (("probe", {7: pretrain}), ("finetune", dict(enumerate(finetune))),
                              ("scratch", dict(enumerate(scratch)))):  # fmt: skip
            for epoch, strength in epochs.items():
                store.write_part(stage, epoch, range(samples), values(strength))
                store.complete(stage, epoch, [range(samples)], {})
        return Study(store.folder, Options(**OPTIONS | options))

    return make

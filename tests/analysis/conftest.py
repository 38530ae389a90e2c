import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from analysis.formulas.accuracy import Outcomes
from analysis.study import Options, Source, Study
from checkpoints.features import file_of
from interactions.mobius import values
from interactions.store import Samples, Store
from models.layers import SOURCE_LOGITS
from representations.kept import Representation
from stages.files import write_archive
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


CLASSES, WIDTH, SOURCE_CLASSES = 4, 12, 7


@pytest.fixture
def with_features(tmp_path: Path) -> Callable[..., Study]:
    """with_features(study, train=40, test=30): the study with features of the pre-trained model, which tell the classes
    apart, of the fine-tuned one, which do so better, and with predictions of the test set."""

    def add(study: Study, train: int = 40, test: int = 30, head: bool = True) -> Study:
        draw = np.random.default_rng(8)
        study.train_labels, study.labels = np.arange(train) % CLASSES, np.arange(test) % CLASSES
        study.class_names, study.source = tuple("abcd"), Source(3, 0.75, 200)
        centres = draw.normal(size=(CLASSES, WIDTH))
        for model, noise in (("pretrain", 0.6), ("finetune", 0.2)):
            folder = tmp_path / "features" / model
            for split, labels in (("train", study.train_labels), ("test", study.labels)):
                features = centres[labels] + noise * draw.normal(size=(len(labels), WIDTH))
                write_archive(file_of(folder, "penultimate", split), features=features.astype(np.float32))
                if head and model == "pretrain":
                    logits = features @ draw.normal(size=(WIDTH, SOURCE_CLASSES))
                    write_archive(file_of(folder, SOURCE_LOGITS, split), features=logits.astype(np.float32))
            study.representations[model] = Representation(folder)
        for model in ("pretrain", "finetune"):
            correct = (draw.random((test, 3)) < 0.7).astype(float)
            study.outcomes[model] = Outcomes(correct, 2 - correct)
        return study

    return add


@pytest.fixture
def featured(with_features: Callable[..., Study]) -> Study:
    """A study of representations alone: no interactions are measured."""
    return with_features(Study(None, {}, {}, Options(**OPTIONS)))

"""The features of one model that the stage has kept, as measures read them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from checkpoints.features import file_of, read
from models.layers import LOGITS, SOURCE_LOGITS
from representations.shards import ARCHIVE, LAST, META
from stages.reading import parsed


@dataclass(frozen=True)
class Representation:
    """Features of a model's layers on the target task's inputs. folder: of the result."""

    folder: Path

    def features(self, split: str, layer: str = "penultimate") -> np.ndarray:
        """Returns [N, D] float32, in the order of the split's samples."""
        return read(self.folder, layer, split)

    def logits(self, split: str) -> np.ndarray | None:
        """Returns what the model says on its source task, [N, source classes]; None if it has no head for that."""
        return read(self.folder, SOURCE_LOGITS, split) if file_of(self.folder, SOURCE_LOGITS, split).exists() else None

    def predicted(self, split: str) -> np.ndarray | None:
        """Returns the class that the model says on the target task, [N]; None of a model that was trained here, whose
        training has kept its predictions."""
        return read(self.folder, LOGITS, split).argmax(1) if file_of(self.folder, LOGITS, split).exists() else None


@dataclass(frozen=True)
class Similarity:
    """How similar a role's epochs are to other models (representations/similarity.py). folder: of the result."""

    folder: Path
    epochs: Sequence[int] = ()

    @cached_property
    def layers(self) -> list[str]:
        return parsed(self.folder / f"epoch_{self.epochs[-1]:03d}" / META, lambda file: json.load(file)["layers"])

    def arrays(self, epoch: int) -> dict[str, np.ndarray]:
        """Returns what was found of an epoch, by its names in the archive, and `index`, the numbers of the inputs."""
        return parsed(self.folder / f"epoch_{epoch:03d}" / ARCHIVE, lambda content: dict(np.load(content)))

    def grams(self) -> dict[str, np.ndarray]:
        """Returns the centred Gram matrix [n, n] of each layer after the last epoch, of the first inputs."""
        found = self._last()
        return dict(zip(found["layers"].tolist(), found["grams"].astype(float), strict=True))

    def index(self) -> np.ndarray:
        """Returns the numbers of these inputs in the test set, [n]."""
        return self._last()["index"]

    def _last(self) -> dict[str, np.ndarray]:
        return parsed(self.folder / LAST, lambda content: dict(np.load(content)))

"""The features of one model that the stage has kept, as measures read them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from checkpoints.features import file_of, read
from models.layers import LOGITS, SOURCE_LOGITS


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

"""Shows samples as people see them: the picture, or the words, of an input or of a masked input."""

from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf

from conf.errors import BadInput
from data.splits import Splits, task
from interactions.variables.masking import masked
from interactions.variables.sample_set import SampleSet

MASKED = "[MASK]"


class Seen:
    """A run's samples. config: of the run in `folder`; about: content of samples.json; baseline: as in the store.

    Images are read with the first picture, from the same files as the run's; the words of sentences are in `about`.
    """

    def __init__(self, config: DictConfig, about: dict, baseline: np.ndarray, folder: Path) -> None:
        self.config, self.about, self.baseline, self.folder = config, about, baseline, folder
        self.background = config.interactions.background

    def picture(self, sample: dict, subset: int | None) -> np.ndarray | list[str]:
        """Returns an image [H, W, 3] in 0..1, or the words of a sentence. subset: bitmask of the variables that are
        kept; None: the input as it is. Raises BadInput if the image can't be read, or is not the run's."""
        return self._words(sample, subset) if self.about["kind"] == "text" else self._image(sample, subset)

    def _words(self, sample: dict, subset: int | None) -> list[str]:
        if subset is None:
            return list(sample["words"])
        hidden = {v["position"] for bit, v in enumerate(sample["variables"]) if not subset >> bit & 1}
        if self.background == "mask":
            hidden |= set(range(len(sample["words"]))) - {v["position"] for v in sample["variables"]}
        return [MASKED if position in hidden else word for position, word in enumerate(sample["words"])]

    def _image(self, sample: dict, subset: int | None) -> np.ndarray:
        try:
            splits = self._splits
            self._check_same(sample, np.asarray(getattr(splits, self.about["split"]).labels))
            if subset is None:
                return splits.picture(getattr(splits, self.about["split"])[sample["index"]][0]) / 255
            one = {**self.about, "samples": [sample]}
            inputs = SampleSet.read(one, self.baseline, splits, self.background, torch.device("cpu"))
            group = inputs.groups[0]
            return splits.picture(masked(group.inputs, inputs.baseline, group.member, torch.tensor([subset]))[0]) / 255
        except (BadInput, OSError) as error:
            raise BadInput(f"{self.folder}: its pictures can't be shown without the run's data set ({error}); all else "
                           f"can be read") from error  # fmt: skip

    @cached_property
    def _splits(self) -> Splits:
        """The target task; it is not downloaded, since to look at a picture must not fetch gigabytes."""
        config = OmegaConf.to_container(self.config)
        config["data"]["target"] = with_nothing_fetched(config["data"]["target"])
        return task(OmegaConf.create(config), "target")

    def _check_same(self, sample: dict, labels: np.ndarray) -> None:
        """Raises BadInput if the data set has another sample in this place."""
        index = sample["index"]
        if index >= len(labels) or labels[index] != sample["label"]:
            raise BadInput(f"another one lies here, whose {self.about['split']} sample {index} is not of class "
                           f"{sample['class']}")  # fmt: skip


def with_nothing_fetched(options: object) -> object:
    """Returns the options of a task, with download=false in it and in the readers of files in it."""
    if not isinstance(options, dict):
        return options
    return {key: False if key == "download" else with_nothing_fetched(value) for key, value in options.items()}

"""A task that replaces one whose files are missing: as many samples of as many classes, with random inputs.

A study can be planned with it: the time of each stage depends on the number and size of the inputs, and not on what
they show.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from conf.errors import BadInput
from data.splits import Splits

PAD, MASK, WORDS = 0, 1, range(2, 100)  # token ids: every encoder knows at least these


@dataclass(frozen=True)
class Word:
    """A word of one token. tokens: its position in the sentence's ids."""

    text: str
    tokens: tuple[int, ...]


class Images(Dataset):
    """Images of noise, float32 [3, size, size]. labels: [N], each class as often as the others."""

    def __init__(self, count: int, classes: int, size: int) -> None:
        self.labels, self.size = np.arange(count) % classes, size

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        draw = torch.Generator().manual_seed(index)
        return torch.randn(3, self.size, self.size, generator=draw), int(self.labels[index])


class Sentences(Dataset):
    """Sentences of random ids, int64 [tokens], of which the first and the last belong to no word. labels: [N]."""

    def __init__(self, count: int, classes: int, tokens: int) -> None:
        self.labels, self.tokens = np.arange(count) % classes, tokens
        self.ids = [self[0][0]]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        draw = torch.Generator().manual_seed(index)
        return torch.randint(WORDS.start, WORDS.stop, (self.tokens,), generator=draw), int(self.labels[index])

    def words(self, index: int) -> list[Word]:
        return [Word(f"word{position}", (position,)) for position in range(1, self.tokens - 1)]


def task(input: Mapping, train: int, test: int, classes: int, tokens: int | None = None) -> Splits:
    """Returns a task with random inputs. input: what the model takes (model.input); train, test, classes: the numbers
    of samples and classes; tokens: the length of a sentence, None: images.

    Raises BadInput for a model that takes no such inputs.
    """
    if tokens is None and "tokenizer" in input:
        raise BadInput("data.size has no tokens, and a text model needs to know how many a sentence has: tokens: 25")
    wanted = "size" if tokens is None else "tokenizer"
    if wanted not in input:
        kind = "an image" if tokens is None else "a text"
        raise BadInput(f"the data need {kind} model, and model.input has no {wanted}: choose another model= or data=")
    names = tuple(str(number) for number in range(classes))
    if tokens is None:
        return Splits(*(Images(count, classes, input["size"]) for count in (train, test)), names)
    if input.get("truncate"):
        tokens = min(tokens, input["max_length"])
    parts = (Sentences(count, classes, tokens) for count in (train, test))
    return Splits(*parts, names, kind="text", mask=MASK, pad=PAD)


def is_stand_in(dataset: Dataset) -> bool:
    return isinstance(getattr(dataset, "dataset", dataset), Images | Sentences)  # or one with other labels

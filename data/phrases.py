"""Text tasks that come with the program: generated opinions, whose true interactions are known.

A sentence has two clauses, such as "the new film was really gripping but the little room seemed not very spacious". In
the text for source training, a verdict follows that agrees with the sentence ("so i hated it"). `score` computes its
meaning. If the model names a tokenizer, that one is used, so that `hidden_word` fits other target tasks, too.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Annotated

import numpy as np
import torch
from omegaconf import DictConfig
from torch.utils.data import Dataset
from transformers import BertTokenizer, PreTrainedTokenizerFast

from conf.errors import BadInput
from data.arguments import SENTENCES, Samples, Seed
from data.sentences import Sentences, load_tokenizer
from data.splits import Splits
from data.wordpiece import SPECIAL, vocabulary

# Good and bad opinions on each thing and on anything, and how good they are.
THINGS = {
    "film": ("gripping", "tedious"), "song": ("catchy", "shrill"), "joke": ("funny", "silly"),
    "soup": ("tasty", "bland"), "bread": ("fresh", "stale"), "room": ("spacious", "cramped"),
    "street": ("quiet", "noisy"), "waiter": ("friendly", "rude"),
}  # fmt: skip
ANYTHING = {"good": 1.0, "great": 2.0, "lovely": 1.0, "bad": -1.0, "awful": -2.0, "poor": -1.0}
OPINIONS = {word: worth for pair in THINGS.values() for word, worth in zip(pair, (1.0, -1.0), strict=True)} | ANYTHING
NEGATIONS, DEGREES = ("not",), ("very", "really")
MODIFIERS = dict.fromkeys(NEGATIONS, -1.0) | dict.fromkeys(DEGREES, 2.0)
CONTRAST, ADDITION = ("but", "yet"), ("and", "while")
VERDICTS = {"loved": 1, "enjoyed": 1, "hated": -1, "regretted": -1}
KINDS, VERBS = ("new", "old", "little", "big", "second", "famous"), ("was", "seemed", "felt", "looked")
OPENINGS = ("last night", "this time", "to my surprise", "in the end", "as expected", "on sunday")
OTHERS = ("the", "so", "i", "it", *" ".join(OPENINGS).split())

HIDDEN = (*(word for pair in THINGS.values() for word in pair), "not", "very", "but", "and", *VERDICTS)
VOCABULARY = 220  # tokens: too few for every word to be whole
LONGEST = 48  # tokens, more than any sentence has
SAMPLE = 500  # sentences


def score(words: Iterable[str | None]) -> float:
    """Returns how positive or negative a sentence is; None stands for a missing word, which is neutral.

    An opinion is multiplied by the modifiers before it; clauses add up; the words before a contrast do not count.
    """
    total, factor = 0.0, 1.0
    for word in words:
        if word in CONTRAST:
            total = 0.0
        elif word in OPINIONS:
            total += factor * OPINIONS[word]
        if word is not None:
            factor = factor * MODIFIERS[word] if word in MODIFIERS else 1.0
    return total


def hidden_word(
    input: Annotated[DictConfig, SENTENCES], train_samples: Samples, test_samples: Samples, seed: Seed
) -> Splits:
    """Returns the source task: which word of HIDDEN was replaced by [MASK]? Every epoch has `train_samples` new
    sentences.

    Raises BadInput if a tokenizer of the user makes sentences longer than the model takes.
    """
    pieces, longest = _tokenizer(input), None
    if input.tokenizer:
        longest = input.max_length
        _check_lengths(pieces, longest)
    streams = enumerate((train_samples, test_samples))
    train, test = (HiddenWords(samples, seed, stream, pieces, longest) for stream, samples in streams)
    return _splits(train, test, HIDDEN, pieces)


def sentiment(
    input: Annotated[DictConfig, SENTENCES], train_samples: Samples, test_samples: Samples, seed: Seed
) -> Splits:
    """Returns the target task: is the `score` of a sentence negative or positive? Both are equally frequent, without
    verdicts."""
    pieces = _tokenizer(input)
    streams = enumerate((train_samples, test_samples), 2)
    train, test = (_labelled(samples, seed, stream, pieces) for stream, samples in streams)
    return _splits(train, test, ("negative", "positive"), pieces)


def _tokenizer(input: DictConfig) -> PreTrainedTokenizerFast:
    if input.max_length < LONGEST:
        raise BadInput(
            f"model.input.max_length={input.max_length} is too short: generated sentences have up to {LONGEST} tokens"
        )
    return load_tokenizer(input.tokenizer) if input.tokenizer else tokenizer()


def _check_lengths(pieces: PreTrainedTokenizerFast, longest: int) -> None:
    """Checks the lengths of some sentences: longer ones are so rare that they can be drawn again."""
    draw = np.random.default_rng(0)
    found = max(map(len, pieces([" ".join(with_verdict(draw)) for _ in range(SAMPLE)])["input_ids"]))
    if found > longest:
        raise BadInput(
            f"model.input.max_length={longest} is too short: with the tokenizer of model.input.tokenizer generated "
            f"sentences have up to {found} tokens"
        )


def _splits(train: Dataset, test: Dataset, classes: Sequence[str], pieces: PreTrainedTokenizerFast) -> Splits:
    return Splits(train, test, classes, kind="text", mask=pieces.mask_token_id, pad=pieces.pad_token_id)


class HiddenWords(Dataset):
    """An unlimited stream of sentences; item i of epoch e is the same in every run with this seed.

    longest: the most tokens that a sentence may have; None if all are short enough.
    """

    def __init__(
        self, samples: int, seed: int, stream: int, tokenizer: PreTrainedTokenizerFast, longest: int | None = None
    ) -> None:
        self.samples, self.seed, self.stream, self.epoch = samples, seed, stream, 0
        self.tokenizer, self.longest = tokenizer, longest
        self.labels = np.arange(samples) % len(HIDDEN)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.samples

    def words(self, index: int) -> list[str]:
        """Returns the words, with [MASK] in place of the hidden word, which occurs once."""
        draw = np.random.default_rng([self.seed, self.stream, self.epoch, index])
        hidden = HIDDEN[self.labels[index]]
        while (words := with_verdict(draw, hidden)).count(hidden) != 1 or not self._fits(words):
            pass
        return ["[MASK]" if word == hidden else word for word in words]

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.tensor(self._ids(self.words(index))), int(self.labels[index])

    def _fits(self, words: list[str]) -> bool:
        return self.longest is None or len(self._ids(words)) <= self.longest

    def _ids(self, words: list[str]) -> list[int]:
        if self.tokenizer is tokenizer():
            pieces = _pieces()
            return [piece for word in ("[CLS]", *words, "[SEP]") for piece in pieces[word]]
        return self.tokenizer(" ".join(words).replace("[MASK]", self.tokenizer.mask_token))["input_ids"]


def sentence(draw: np.random.Generator, wanted: str = "") -> list[str]:
    """Returns the words of a sentence, 11 to 18; `wanted` is one of them, unless it is a verdict.

    The clauses agree after an addition and disagree after a contrast, so that one tells about the other.
    """
    connector = wanted if wanted in CONTRAST + ADDITION else _pick(draw, CONTRAST + ADDITION)
    opening = _pick(draw, OPENINGS).split() if draw.random() < 0.5 else []
    first = _clause(draw)
    while True:
        second = _clause(draw, wanted)
        if (score(first) * score(second) < 0) == (connector in CONTRAST):
            return [*opening, *first, connector, *second]


def with_verdict(draw: np.random.Generator, wanted: str = "") -> list[str]:
    """Returns a sentence and a verdict that agrees with it; `wanted` is one of the words, unless it is another
    verdict."""
    words = sentence(draw, wanted)
    verdicts = [verdict for verdict, sign in VERDICTS.items() if sign * score(words) > 0]
    return [*words, "so", "i", wanted if wanted in verdicts else _pick(draw, verdicts), "it"]


def _clause(draw: np.random.Generator, wanted: str = "") -> list[str]:
    thing = _pick(draw, [thing for thing, opinions in THINGS.items() if wanted in opinions] or list(THINGS))
    opinion = wanted if wanted in OPINIONS else _pick(draw, THINGS[thing] * 3 + tuple(ANYTHING))
    negation = wanted if wanted in NEGATIONS else _pick(draw, NEGATIONS + ("",) * 4)
    degree = wanted if wanted in DEGREES else _pick(draw, DEGREES + ("",) * 2)
    return ["the", _pick(draw, KINDS), thing, _pick(draw, VERBS), *filter(None, (negation, degree)), opinion]


def _pick(draw: np.random.Generator, options: Sequence[str]) -> str:
    return options[draw.integers(len(options))]


def _labelled(samples: int, seed: int, stream: int, tokenizer: PreTrainedTokenizerFast) -> Sentences:
    texts, labels = [], np.arange(samples) % 2
    for index, label in enumerate(labels):
        draw = np.random.default_rng([seed, stream, index])
        while (score(words := sentence(draw)) > 0) != label:
            pass
        texts.append(" ".join(words))
    return Sentences(texts, labels, tokenizer)


@cache
def tokenizer() -> BertTokenizer:
    """Returns a WordPiece tokenizer, whose vocabulary is made from 300 sentences."""
    draw = np.random.default_rng(0)
    counts = Counter(word for _ in range(300) for word in with_verdict(draw))
    return BertTokenizer(vocab={piece: number for number, piece in enumerate(vocabulary(counts, VOCABULARY))})


@cache
def _pieces() -> dict[str, list[int]]:
    """Returns the ids of every known word: this is faster than a tokenizer, which has to find the words first."""
    connectors = CONTRAST + ADDITION
    known = {*SPECIAL, *THINGS, *OPINIONS, *MODIFIERS, *connectors, *VERDICTS, *KINDS, *VERBS, *OTHERS}
    return {word: tokenizer().encode(word, add_special_tokens=False) for word in known}

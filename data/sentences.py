"""Turns sentences into token ids, with the words that the tokens belong to."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import torch
from huggingface_hub import constants
from torch.utils.data import Dataset
from transformers import AutoTokenizer, BertTokenizer, PreTrainedTokenizerFast

from conf.errors import BadInput
from conf.first_line import first_line
from conf.network import reachable

# Letters and digits, with apostrophes and hyphens inside: don't, n't, well-made. Any other mark is a separate word.
# Letters may have combining marks, such as the vowels of Hindi and Thai, which `re` does not count as letters.
MARKS = "".join(chr(code) for code in range(0x300, 0x20000) if unicodedata.category(chr(code))[0] == "M")
LETTERS = rf"[^\W_]+(?:[{MARKS}]+[^\W_]*)*"
WORD = re.compile(rf"{LETTERS}(?:['’-]{LETTERS})*|[^\s]")
SPECIAL = {"pad": ("[PAD]", "<pad>"), "unk": ("[UNK]", "<unk>"), "cls": ("[CLS]", "<s>"), "sep": ("[SEP]", "</s>"),
           "mask": ("[MASK]", "<mask>")}  # fmt: skip


@dataclass(frozen=True)
class Word:
    """A word or punctuation mark of a sentence; tokens: the positions of its pieces in the sentence's ids."""

    text: str
    tokens: tuple[int, ...]


class Sentences(Dataset):
    """Sentences as a dataset: sample i is (ids [L] int64, with the tokens that begin and end a sentence; label).

    max_length: longer sentences are cut there; None: none is cut.
    """

    def __init__(
        self,
        texts: Sequence[str],
        labels: Sequence[int],
        tokenizer: PreTrainedTokenizerFast,
        max_length: int | None = None,
    ) -> None:
        self.texts, self.labels = list(texts), np.asarray(labels)
        self.tokenizer, self.max_length = tokenizer, max_length
        self.ids = _ids(tuple(texts), tokenizer, max_length)

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.ids[index], int(self.labels[index])

    def words(self, index: int) -> list[Word]:
        """Returns the words in the sentence's order, without those that have no token because they are beyond
        `max_length`."""
        text = self.texts[index]
        found = list(WORD.finditer(text))
        word_at = np.full(len(text) + 1, -1)
        for number, match in enumerate(found):
            word_at[match.start() : match.end()] = number
        tokens = [[] for _ in found]
        for position, (start, end) in enumerate(_encoded([text], self.tokenizer, self.max_length, True)[0]):
            # Some tokenizers count the space before a word as part of it, some join several marks to one token.
            inside = word_at[start:end]
            if (inside >= 0).any():
                tokens[inside[inside >= 0][0]].append(position)
        return [Word(match.group(), tuple(mine)) for match, mine in zip(found, tokens, strict=True) if mine]


@lru_cache(maxsize=8)  # every stage builds its task again, and 67,000 sentences take seconds
def _ids(texts: tuple[str, ...], tokenizer: PreTrainedTokenizerFast, max_length: int | None) -> list[torch.Tensor]:
    return [torch.tensor(ids) for ids in _encoded(texts, tokenizer, max_length)]


def _encoded(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerFast, max_length: int | None, offsets: bool = False
) -> list[list]:
    """Returns for each sentence the ids of its tokens, or (start, end) of each token in the text; (0, 0) if it has no
    text."""
    if not texts:
        return []
    encoded = tokenizer(
        list(texts),
        truncation=max_length is not None,
        max_length=max_length,
        return_offsets_mapping=offsets,
        verbose=False,
    )
    return encoded["offset_mapping" if offsets else "input_ids"]


def load_tokenizer(source: str | Path) -> PreTrainedTokenizerFast:
    """Loads a tokenizer from a folder, a file (BERT's `vocab.txt`, or `tokenizer.json`), the library's cache or the
    network.

    Raises BadInput if none is found, or it has no token for masked words or for padding.
    """
    tokenizer = _tokenizer(str(source))
    for name in ("mask", "pad"):
        if getattr(tokenizer, f"{name}_token_id") is None:
            raise BadInput(
                f"model.input.tokenizer={source} has no {name} token, which "
                f"{'replaces masked words' if name == 'mask' else 'fills batches'}: choose a tokenizer that has one"
            )
    return tokenizer


@cache
def _tokenizer(source: str) -> PreTrainedTokenizerFast:
    path = Path(source).expanduser()
    if not path.exists():
        return _of_the_hub(source)
    try:
        if path.is_dir() and (path / "tokenizer_config.json").exists():
            return AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
        return _of_file(path)
    except BadInput:
        raise
    except Exception as error:  # the libraries raise many kinds, some of them plain Exception
        reason = first_line(error)
        raise BadInput(f"model.input.tokenizer={source} is not a tokenizer that can be read ({reason})") from error


def _of_file(path: Path) -> PreTrainedTokenizerFast:
    files = [path] if path.is_file() else [path / "tokenizer.json", path / "vocab.txt"]
    file = next((file for file in files if file.exists()), None)
    if file is None:
        raise BadInput(f"model.input.tokenizer={path} has neither tokenizer.json nor vocab.txt: give a folder that has")
    if file.suffix == ".json":
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(file))
        vocabulary = tokenizer.get_vocab()
        known = {f"{key}_token": token for key, names in SPECIAL.items() for token in names if token in vocabulary}
        tokenizer.add_special_tokens(known)
        return tokenizer
    missing = {names[0] for names in SPECIAL.values()} - set(file.read_text("utf-8").split("\n"))
    if missing:
        raise BadInput(
            f"{file} has no line {' '.join(sorted(missing))}: a vocabulary of BERT, with one token per line, is "
            "expected"
        )
    return BertTokenizer(vocab=str(file))


def _of_the_hub(source: str) -> PreTrainedTokenizerFast:
    local = constants.HF_HUB_OFFLINE
    for local_files_only in (True, False):
        if not local_files_only and (local or not reachable(constants.ENDPOINT)):
            break
        try:
            return AutoTokenizer.from_pretrained(source, local_files_only=local_files_only, trust_remote_code=False)
        except (OSError, ValueError):
            continue
    raise BadInput(
        f"no tokenizer {source}: there is no such folder or file, it is not in {constants.HF_HUB_CACHE}, and "
        f"{'HF_HUB_OFFLINE is set' if local else f'it cannot be downloaded from {constants.ENDPOINT}'}; get it with: "
        f"hf download {source} tokenizer.json tokenizer_config.json vocab.txt config.json; or give a folder: "
        f"model.input.tokenizer=/path"
    )

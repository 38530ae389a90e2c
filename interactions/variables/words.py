"""Draws the words of a sentence that are its variables: n content words, at random per sentence.

Words come from `data.sentences.Sentences.words`: each has a `text`, and `tokens`, its positions in the sentence's ids.
"""

from collections.abc import Sequence, Set

import numpy as np
import torch

from conf.errors import BadInput

# These words reverse what a sentence says, and are on scikit-learn's list.
NEGATIONS = frozenset({
    "cannot", "cant", "couldnt", "hasnt", "neither", "never", "no", "nobody", "none", "noone", "nor", "not", "nothing",
    "nowhere", "without",
})  # fmt: skip
# Tokenised text leaves these of it's, I'd, they'll, I'm and we've; they are not on the list.
ENDINGS = frozenset({"s", "d", "ll", "m", "ve"})

OTHER_WORD, NO_WORD = -1, -2


def stop_words(option: str | Sequence[str] | None) -> Set[str]:
    """Returns the words that are not variables.

    option: default (scikit-learn's English list, without negations) | a list of your own | None (no stop words).
    """
    if option is None:
        return frozenset()
    if option == "default":
        from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS  # not for images: scikit-learn takes a second

        return ENGLISH_STOP_WORDS - NEGATIONS | ENDINGS
    if isinstance(option, str) or not isinstance(option, Sequence):
        raise BadInput(
            f"interactions.stop_words={option} is not allowed: default, null or a list such as [the, a] is expected"
        )
    for word in option:
        if not isinstance(word, str):
            raise BadInput(
                f"interactions.stop_words holds {word}, which is not a word: put words such as 'no' in quotes"
            )
    return frozenset(word.lower() for word in option)


def variables(words: Sequence, n: int, stop_words: Set[str], seed: int, index: int) -> list[dict] | None:
    """Returns n different content words in the sentence's order, the same for one (seed, index); None if it has fewer.

    A content word holds a letter or digit and is not a stop word. word: its text; position: its place in the sentence;
    tokens: its pieces, which are masked together.
    """
    content = [
        (position, word)
        for position, word in enumerate(words)
        if _is_word(word.text) and word.text.lower() not in stop_words
    ]
    if len(content) < n:
        return None
    chosen = np.random.default_rng([seed, index]).permutation(len(content))[:n]
    return [
        {"word": word.text, "position": position, "tokens": list(word.tokens)}
        for position, word in (content[i] for i in sorted(chosen))
    ]


def are_stop_words(words: Sequence, stop_words: Set[str]) -> list[bool]:
    """Returns for each word that holds a letter or digit whether it is a stop word."""
    return [word.text.lower() in stop_words for word in words if _is_word(word.text)]


def _is_word(text: str) -> bool:
    return any(map(str.isalnum, text))


def owner(variables: list[dict], words: Sequence, length: int) -> torch.Tensor:
    """Returns [length] int64: the variable that each token belongs to, OTHER_WORD for other words, and NO_WORD for the
    tokens that begin and end a sentence, which are never masked."""
    out = torch.full((length,), NO_WORD)
    for word in words:
        out[list(word.tokens)] = OTHER_WORD
    for variable, word in enumerate(variables):
        out[word["tokens"]] = variable
    return out

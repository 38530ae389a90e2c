"""Makes a WordPiece vocabulary of generated text, the same in every process.

(The trainers of `tokenizers` break ties by the order of a hash map, which differs from process to process.)
"""

from collections import Counter
from collections.abc import Mapping
from itertools import pairwise

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def vocabulary(counts: Mapping[str, int], size: int) -> list[str]:
    """Returns SPECIAL, the letters, and joined pieces: the commonest pair of neighbours is joined repeatedly, up to
    `size`.

    counts: how often each word occurs. Ties are broken by alphabet. Raises ValueError if all words are whole before
    that.
    """
    words = {word: [word[0], *(f"##{letter}" for letter in word[1:])] for word in sorted(counts)}
    pieces = [*SPECIAL, *sorted({piece for split in words.values() for piece in split})]
    while len(pieces) < size:
        pairs = Counter()
        for word, split in words.items():
            for pair in pairwise(split):
                pairs[pair] += counts[word]
        if not pairs:
            raise ValueError(f"all words are whole with {len(pieces)} pieces, fewer than {size}")
        first, second = min(pairs, key=lambda pair: (-pairs[pair], pair))
        if (joined := _together(first, second)) not in pieces:
            pieces.append(joined)
        words = {word: _joined(split, first, second) for word, split in words.items()}
    return pieces


def _together(first: str, second: str) -> str:
    return first + second.removeprefix("##")


def _joined(split: list[str], first: str, second: str) -> list[str]:
    """Returns the pieces of a word, with `first` and `second` joined wherever they follow each other."""
    out = []
    for piece in split:
        if out and (out[-1], piece) == (first, second):
            out[-1] = _together(first, second)
        else:
            out.append(piece)
    return out

"""Synthetic reviews of films in the format of SST-2, with a vocabulary."""

import string
from itertools import product
from pathlib import Path

import numpy as np

from conf.errors import BadInput
from data.synthetic.once import once

# A sentence of polarity p has one word of each column; words of opinion depend on p, the others do not.
SUBJECTS = "actor director camera script cast hero plot music"
OBJECTS = "story drama comedy thriller portrait romance debut sequel"
DETAILS = "dialogue scenes humor images twists songs moments emotion"
VERBS = ("wastes ruins spoils buries", "lifts saves carries enriches")
QUALITIES = (
    "dull clumsy tedious bland shallow awful lifeless stale",
    "brilliant moving witty gentle superb honest lively fresh",
)
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def sst2(root: str | Path, per_class: int) -> Path:
    """Writes short reviews, all different, as GLUE's SST-2/{train,dev}.tsv, and a vocabulary in BERT's format with
    them. Returns the folder to read from in place of `root`."""
    most = len(_sentences(0)) // 2
    if per_class > most:
        raise BadInput(
            f"data.synthetic={per_class} is not allowed: at most {most} sentences per class can be generated"
        )
    return _sst2(root, per_class)


def _sentences(polarity: int) -> list[str]:
    """Returns all possible sentences, with six content words each."""
    opinions, verbs = QUALITIES[polarity], VERBS[polarity]
    columns = (words.split() for words in (opinions, SUBJECTS, verbs, OBJECTS, opinions, DETAILS))
    return [
        f"the {first} {subject} {verb} this {object} with {second} {detail} ."
        for first, subject, verb, object, second, detail in product(*columns)
        if first != second
    ]


@once
def _sst2(folder: Path, per_class: int) -> None:
    base, draw = folder / "SST-2", np.random.default_rng(2)
    base.mkdir(parents=True)
    drawn = [draw.choice(_sentences(polarity), size=2 * per_class, replace=False) for polarity in (0, 1)]
    for split, mine in (("train", slice(per_class)), ("dev", slice(per_class, None))):
        lines = [f"{sentence}\t{polarity}\n" for polarity in (0, 1) for sentence in drawn[polarity][mine]]
        (base / f"{split}.tsv").write_text("sentence\tlabel\n" + "".join(draw.permutation(lines)))
    words = sorted({word for polarity in (0, 1) for sentence in drawn[polarity] for word in sentence.split()})
    letters = string.ascii_lowercase
    vocabulary = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters), *words]
    (base / "vocab.txt").write_text("\n".join(vocabulary) + "\n")

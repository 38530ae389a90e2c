"""What stands below the figures on the similarity of layers over runs."""

from collections.abc import Sequence

NAMED = 4  # layers; of more the first and the last one are

QUESTIONS = {
    "cka": "How far do the layers move?",
    "cka_epochs": "When do the layers move?",
    "cka_starts": "Is the fine-tuned model closer to the pre-trained or to the initial one?",
}
MEAN = "CKA is 1 where two layers tell all inputs apart alike, and near 0 where they have nothing in common."
RANDOM = (
    "Grey: what a random move of the weights would leave, of the same norm in each tensor. Random moves, too, leave "
    "early layers{early} nearly as they are: that a layer moves little is news only where it moves less than that."
)
LENGTHS = (
    "The thick part of a line is the standard error of the mean over runs, the thin line the 95 % interval over runs "
    "and inputs (Student's t)."
)
CAPTIONS = {
    "cka": f"{MEAN} A bar is a setting, at the last epoch: the mean over its runs. {LENGTHS} {RANDOM}",
    "cka_epochs": f"{MEAN} A line is a layer, the mean over the runs of a setting, with its 95 % interval; dark ones "
    f"are early layers{{early}}. {RANDOM}",
    "cka_starts": f"{MEAN} Each panel is a setting, at the last epoch of fine-tuning: with the model that it started "
    f"from, and with the one that pre-training started from; grey marks to the left are the level of the first, those "
    f"to the right of the second. {LENGTHS} {RANDOM}",
}
ANOTHER = "Where runs share their pre-training, the other grey mark is how similar two fine-tunings from it are."
NO_OTHER = (
    "How similar another fine-tuning from the same start is, is not known: no two runs of a setting share a "
    "pre-training (seeds.train=0,1,2 with one seeds.pretrain would do)."
)


def listed(layers: Sequence[str]) -> str:
    """Returns such as "(block1, block2)"."""
    return f"({', '.join(layers) if len(layers) <= NAMED else f'{layers[0]} to {layers[-1]}'})"


def caption(name: str, early: Sequence[str], another: bool, why: str, spoken: str) -> str:
    """Returns what stands below a figure. early: the early layers; another: whether other fine-tunings are compared;
    why: why they can't be; spoken: what the intervals speak of."""
    level = ANOTHER if another else f"{why[0].upper()}{why[1:]}." if why else NO_OTHER
    text = CAPTIONS[name].format(early=f" {listed(early)}" if early else "")
    return " ".join(filter(None, [text, level if name == "cka" else "", spoken]))

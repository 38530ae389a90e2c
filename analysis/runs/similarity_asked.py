"""The claims on how far layers move (Goerttler & Obermayer, arXiv 2207.09225): sums of terms that should be above 0."""

from collections.abc import Sequence
from dataclasses import dataclass

INITIAL, START = "initial", "pretrain"
Term = tuple[float, str, str, str]  # weight, condition, model, against
WORDS = {"original": "original labels", "random": "random labels", "shifted": "shifted labels",
         "domain": "another data set"}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """A claim that a sum of terms lies above 0. contrary: the claim that it lies below; quantity: in words, {} for the
    layers; layers: whose mean it is (early, before the logits, penultimate); rest: whether the mean of all later layers
    is taken off."""

    key: str
    claim: str
    contrary: str
    quantity: str
    terms: Sequence[Term]
    layers: str = "early"
    rest: bool = False


def _less(model: str, against: str, when: str) -> Asked:
    """The claim that early layers move less than later ones."""
    claim, contrary = (f"early layers move {how} than later ones, {when}" for how in ("less", "more"))
    quantity = f"CKA of {{}} - of the later ones, {when} (original labels)"
    return Asked(f"early/{model}", claim, contrary, quantity, [(1, "original", model, against)], rest=True)


def _between(key: str, claim: str, more: str, less: str, layers: str = "early") -> Asked:
    """The claim that the layers move more with `more` than with `less`, in fine-tuning. claim: {} for more, or less."""
    known, other = ("more", "less") if not key.endswith("less") else ("less", "more")
    quantity = f"CKA of {{}}, fine-tuned against pre-trained: {WORDS[less]} - {WORDS[more]}"
    terms = [(1, less, "finetune", START), (-1, more, "finetune", START)]
    return Asked(key, claim.format(known), claim.format(other), quantity, terms, layers)


def _closer(key: str, to: int = 1) -> Asked:
    """to: 1 for closer to the pre-trained model, -1 for closer to the initial one."""
    one, other = ("pre-trained", "initial")[::to]
    claim, contrary = (f"the fine-tuned model is closer to the {first} than to the {second} one ({WORDS[key]})"
                       for first, second in ((one, other), (other, one)))  # fmt: skip
    terms = [(to, key, "finetune", START), (-to, key, "finetune", INITIAL)]
    quantity = f"CKA of {{}} with the {one} - with the {other} model"
    return Asked(f"closer/{key}", claim, contrary, quantity, terms, "before")


ONLY = Asked("few/only", "with few randomly labelled images only the last layer moves from scratch",
             "with few randomly labelled images other layers than the last one move, too, from scratch",
             "what the layer before the logits that moves most moves, in parts of what the logits do",
             [(1, "few", "scratch", INITIAL)], "before")  # fmt: skip
CLAIMS = (
    _less("pretrain", INITIAL, "in pre-training"),
    _less("scratch", INITIAL, "from scratch"),
    _less("finetune", START, "in fine-tuning"),
    Asked("labels/scratch", "the more random the labels, the less early layers move from scratch",
          "the more random the labels, the more early layers move from scratch",
          "CKA of {}, from scratch against initial: random - original labels",
          [(1, "random", "scratch", INITIAL), (-1, "original", "scratch", INITIAL)]),
    Asked("labels/finetune", "the more random the labels, the more early layers move in fine-tuning",
          "the more random the labels, the less early layers move in fine-tuning",
          "CKA of {}, fine-tuned against pre-trained: original - random labels",
          [(1, "original", "finetune", START), (-1, "random", "finetune", START)]),
    Asked("unlearned", "random labels move early layers more in fine-tuning than from scratch",
          "random labels move early layers less in fine-tuning than from scratch",
          "CKA of {}, random labels: from scratch against initial - fine-tuned against pre-trained",
          [(1, "random", "scratch", INITIAL), (-1, "random", "finetune", START)]),
    Asked("few/less", "the fewer images have random labels, the less early layers move from scratch",
          "the fewer images have random labels, the more early layers move from scratch",
          "CKA of {}, from scratch against initial, random labels: fewest - most images, in as many "
          "epochs, so that the fewest are also trained for fewer steps",
          [(1, "few", "scratch", INITIAL), (-1, "many", "scratch", INITIAL)]),
    ONLY,
    _between("between/shifted/more", "shifted labels move early layers {} than the original ones", "shifted",
             "original"),
    _between("between/shifted/less", "shifted labels move early layers {} than random ones", "random", "shifted"),
    _between("between/domain/more", "another data set moves early layers {} than that of the pre-training", "domain",
             "original"),
    _between("between/domain/less", "another data set moves early layers {} than random labels", "random", "domain"),
    _between("penultimate", "another data set moves the penultimate layer {} than shifted labels", "domain", "shifted",
             "penultimate"),
    *(_closer(key) for key in ("original", "shifted", "domain")),
    _closer("random", -1),
)  # fmt: skip

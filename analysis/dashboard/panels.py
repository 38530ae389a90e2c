"""What the dashboard shows: the paper's figures, the claims, and how the trainings went.

All names of metrics are here. A measure's metrics are called by its table: measure, keys without the axis, and `low`,
`high` or a reference, such as jaccard/finetune/sign; a key that repeats the measure's name is left out.
"""

from types import ModuleType

from analysis.dashboard.kinds import Bars, Curve, Dots, Number, Rows, Section, matched, read
from analysis.drawing.style import NAMES
from analysis.measures import accuracy, cka, decomposition, jaccard, ratio, transfer
from analysis.tables import INTERVAL, REFERENCES

SORTED_BY = "preserved_share"
CLAIMS = {
    SORTED_BY: "Share of the pre-trained strength that is preserved",
    "ratio/weighted": "Ratio, weighted by strength",
    "jaccard/early": "Jaccard in the first third, fine-tuned - scratch",
    "accuracy/gain": "Final accuracy, fine-tuned - scratch",
    "discarded/all": "Strength discarded / preserved",
}
LEVELS = REFERENCES[:2]  # placement and sign: every analysis has these, others need more models
ENDS = tuple(INTERVAL[1:])
EPOCH, ORDER, START = "epoch", decomposition.FAMILY, "start.epoch"
ANALYSIS, SUMMARY = "analysis", "summary"
TRAINED = ("pretrain", "probe", "finetune", "scratch")
JOBS = (*TRAINED, ANALYSIS, SUMMARY)  # what interactions and representations log is not drawn here
LOGGED = {"accuracy": "Accuracy", "loss": "Cross-entropy (nats)"}
SPLITS = {"test": "test set", "train": "training set"}
LINES = "A line is a run, or the mean of a group's runs where runs are grouped."


def key(measure: ModuleType, *parts: str) -> str:
    """Returns the name of a metric: key(jaccard, "finetune", "sign") -> "jaccard/finetune/sign"."""
    name = measure.__name__.rpartition(".")[2]
    return "/".join((name, *(part for part in parts if part != name)))


def with_levels(*parts: ModuleType | str) -> tuple[str, ...]:
    """Returns a metric, the ends of its interval, and its references."""
    return (key(*parts), *(key(*parts, level) for level in (*ENDS, *LEVELS)))


def sentence(words: str) -> str:
    """Begins with a capital letter, and leaves the others as they are: "frozen features (FE)"."""
    return words[:1].upper() + words[1:]


def sections() -> tuple[Section, ...]:
    """Returns the sections in their order: the claims first, then the figures."""
    return (_claims(), _decomposition(), _ratio(), _jaccard(), _accuracy(), _cka(), _transfer(), _training())


def metrics() -> set[str]:
    """Returns every metric that a panel reads, or by which runs are sorted."""
    return {SORTED_BY, *CLAIMS}.union(*(read(panel) for section in sections() for panel in section.panels))


def patterns() -> set[str]:
    """Returns the regular expressions by which panels find metrics whose names depend on the model, such as layers."""
    return set().union(*(matched(panel) for section in sections() for panel in section.panels))


def _claims() -> Section:
    return Section(
        "Claims", "Do the paper's claims hold here?",
        "Each row of the table is a claim of one run: the number that decides it, its 95% interval, its references, "
        "and the verdict. The bars show the first of these numbers for every run, so that studies can be compared.",
        (ANALYSIS, SUMMARY),
        (Rows("tables/claims"), *(Bars(words, (name,)) for name, words in CLAIMS.items())),
    )  # fmt: skip


def _decomposition() -> Section:
    parts = decomposition.PARTS
    return Section(
        "Fig. 2: preserved, discarded and new", decomposition.QUESTION,
        "Interactions of each order: how strong the preserved, the discarded and the new ones are on average. The "
        "second panel sets the preserved ones beside their references: what would be preserved if the models had "
        f"nothing but strengths in common (placement), or if their effects were independent (sign). {LINES}",
        (ANALYSIS,),
        (Curve(decomposition.TITLE, ORDER, tuple(key(decomposition, part) for part in parts)),
         Curve("Preserved, with interval and references", ORDER, with_levels(decomposition, parts[0]))),
    )  # fmt: skip


def _ratio() -> Section:
    return Section(
        "Fig. 3: what training from scratch learns too", ratio.QUESTION,
        f"The share of the preserved knowledge that a model trained from scratch holds as well, in three definitions; "
        f"the paper reports {ratio.PAPER[0]:.0%} to {ratio.PAPER[1]:.0%}. A bar at the level of its references says "
        f"nothing about what training from scratch can't learn.",
        (ANALYSIS,),
        (Bars(ratio.TITLE, tuple(key(ratio, name) for name in ratio.DEFINITIONS)),
         *(Bars(f"{sentence(ratio.LABELS[name])}, with interval and references", with_levels(ratio, name))
           for name in ("paper", "weighted"))),
    )  # fmt: skip


def _jaccard() -> Section:
    return Section(
        "Fig. 4: how directly models learn", jaccard.QUESTION,
        "How similar each epoch's interactions are to those after the last epoch, where it is 1 by definition. A curve "
        f"that rises early belongs to a model that soon knows what it will know. {LINES}",
        (ANALYSIS,),
        (Curve(jaccard.TITLE, EPOCH, tuple(key(jaccard, model) for model in jaccard.MODELS)),
         *(Curve(f"{sentence(NAMES[model])}, with interval and references", EPOCH, with_levels(jaccard, model))
           for model in jaccard.MODELS)),
    )  # fmt: skip


def _accuracy() -> Section:
    curves = [
        Curve(f"{LOGGED[quantity]}, {SPLITS['test']}", EPOCH, tuple(key(accuracy, model, quantity) for model in NAMES))
        for quantity in accuracy.QUANTITIES
    ]
    gain = key(accuracy, "gain")
    return Section(
        "Accuracy", accuracy.QUESTION,
        "Accuracy and loss on the test set after each epoch; the pre-trained model is measured through its linear "
        "probe. The gain is the final accuracy of the fine-tuned model less that of the model trained from scratch.",
        (ANALYSIS,),
        (*curves, Bars("Gain in final accuracy, with interval", (gain, *(f"{gain}/{end}" for end in ENDS)))),
    )  # fmt: skip


def _cka() -> Section:
    models, others = "|".join(NAMES), "|".join((*NAMES, "initial"))
    return Section(
        "Layers (CKA)", cka.QUESTION,
        "How similar each layer is to the same layer of another model, on the same inputs: cka/finetune/initial/block1 "
        "compares the fine-tuned model's block1 with the one before any training. 1 means alike up to rotation and "
        "scale. Every layer has a line; runs without representations have none.",
        (ANALYSIS,),
        (Curve(cka.TITLE, EPOCH, pattern=f"^{key(cka)}/({models})/({others})/[^/]+$"),),
    )  # fmt: skip


def _transfer() -> Section:
    worth = {name: transfer.LABELS[name] for name in ("fe", "fe_converged", "ft")}
    best = {f"best_{name}_epoch": transfer.LABELS[name] for name in ("fe", "ft")}
    return Section(
        "Epochs of pre-training", transfer.QUESTION,
        "A dot is a run that starts from one epoch of the pre-training. The numbers are the epochs from which the "
        "frozen features and the fine-tuned model come out best; they are those of a summary over runs.",
        (ANALYSIS, SUMMARY),
        (*(Dots(sentence(words), START, key(transfer, name)) for name, words in worth.items()),
         *(Number(f"Best epoch: {words}", name) for name, words in best.items())),
    )  # fmt: skip


def _training() -> Section:
    return Section(
        "Trainings", "How did the trainings go?",
        "What each training logs after every epoch. A training that stopped early, or whose loss does not fall, makes "
        "everything above it worthless: look here first if a figure is strange.",
        TRAINED,
        tuple(Curve(f"{words}, {place}", EPOCH, (f"{split}/{quantity}",))
              for quantity, words in LOGGED.items() for split, place in SPLITS.items()),
    )  # fmt: skip

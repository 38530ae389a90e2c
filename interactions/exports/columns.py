"""Says in words what the columns of a study's tables are (their form: analysis/tables.py)."""

FIXED = {
    "model": "pretrain (the pre-trained model, seen through a linear classifier on its features), finetune, scratch",
    "role": "pretrain (the pre-trained model, seen through a linear classifier on its features), finetune, scratch",
    "epoch": "epoch of the model's training, 0 is before it; of pretrain, the epoch of its linear probe",
    "first": "one of two models that are compared",
    "second": "the other one",
    "order": "number of variables in the subset",
    "quantity": "what the row is about",
    "definition": "which definition of the quantity",
    "mean": "the quantity: a mean over samples",
    "low": "lower end of the 95 % interval of mean",
    "high": "upper end of the 95 % interval of mean",
    "sample": "place of the sample in the study",
    "index": "number of the sample in its split of the data set",
    "label": "number of the true class",
    "class": "name of the true class",
    "variables": "names of the sample's variables: patches (row, column), from 1, or words",
    "bitmask": "the subset: bit i is set if variable i is in it",
    "value": "log-odds of the true class, with the variables of the subset alone; the others are masked",
    "interaction": "strength I(S) of the subset: the sum over its subsets T of (-1)^(|S|-|T|) value(T)",
    "measure": "the measure that judges the claim",
    "claim": "what is claimed",
    "key": "short name of the quantity that is judged",
    "above": "the claim is met if the quantity is above this",
    "below": "the claim is met if the quantity is below this",
    "verdict": "whether the claim is met",
    "why": "why there is no verdict",
    "noise": "whether numerical noise could change the verdict",
    "explained": "the most noise that rounding explains",
    "chance": "level of the most frequent class",
}
LEVELS = {
    "placement": "by strengths alone",
    "sign": "with independent effects, positive as often as now",
    "task": "with another model of the task, trained without pre-training, in place of one of the two",
    "class": "with other inputs of the same class in place of the sample",
    "other": "with a fine-tuning from another pre-training in place of one of the two",
    "ceiling": "with another fine-tuning in place of one of the two",
    "shuffled": "after a random exchange of values or labels",
    "random": "after a random change of the weights, of the same size",
}
ENDS = {"low": "lower end of the 95 % interval of", "high": "upper end of the 95 % interval of"}
EQUAL = "equal_"


def described(name: str) -> str:
    """Returns what a column is; "" for one of a user's own measure."""
    if name in FIXED:
        return FIXED[name]
    if name.startswith(EQUAL):
        inner = described(name.removeprefix(EQUAL))
        return f"{inner}; where both models are scaled to the same strength" if inner else ""
    if name in LEVELS:
        return f"the level that the quantity would have {LEVELS[name]}"
    if name.startswith("vs_"):
        return f"how the quantity lies to the level {name.removeprefix('vs_')}"
    level, _, part = name.rpartition("_")
    if level in LEVELS and part == "excess":
        return f"the quantity minus its level {level}"
    return f"{ENDS[part]} {level}_excess" if level in LEVELS and part in ENDS else ""

"""What stands below the figures over pre-training epochs."""

import pandas as pd

QUESTIONS = {
    "transfer": "Which epoch of pre-training transfers best, with frozen features and fine-tuned?",
    "spectrum": "What do the main and the residual components of the features know, as pre-training goes on?",
    "logme": "Does LogME say from which epoch to transfer?",
    "planes": "How do the classes lie among the features?",
}
MEAN = (
    "A curve is the mean over seeds, a band its 95 % interval (Student's t; with one seed, over its samples only), and "
    "a thin line a seed. The axis ends near the curves, and cuts off wider bands."
)
CAPTIONS = {
    "transfer": f"{MEAN} FE: a new head on frozen features, with a fixed number of steps, and trained until it "
    "changes no more: if only the first one falls, its training is the reason, and not the features. FT: fine-tuned. "
    "A ring marks the best epoch of a mean curve: of several noisy values the largest is always above the others, so "
    "that a ring alone shows no fall; the claims take the epoch from the other seeds. Grey: by chance.",
    "spectrum": f"{MEAN} Features are split into the first singular directions (F_m: as many as come to the chosen "
    "share of all singular values) and the others (F_r); a new head is trained on each. Grey: a random subspace "
    "with as many dimensions: a component that is no better has only its size. Crosses: the paper's own values, "
    "where they are given. Right: how many directions F_m takes, and the effective rank of all features.",
    "logme": "A large point is an epoch, the mean over seeds; small ones are seeds; the grey line joins the epochs in "
    "their order. Kendall's tau is 1 if LogME ranks the epochs as the accuracy does, 0 if the two have nothing to do "
    "with each other, -1 if it ranks them the other way round.",
    "ranking": "Kendall's tau of each score with the accuracy over epochs, as the mean over seeds with its 95 % "
    "interval, best first; below, how much accuracy is lost by taking the epoch that the score puts first. The epoch "
    "itself and the source accuracy take no score: one that is no better has told nothing. p: how often the epochs, in "
    "any other order (the same in all seeds), give a mean tau as far from 0. Intervals speak of other seeds at these "
    "epochs, p of whether so few epochs can show anything.",
}


def of_planes(seed: int | None, perplexity: float | None) -> str:
    """Returns the caption of t-SNE at several epochs. seed, perplexity: None where they are not known."""
    known = {"seed": seed, "perplexity": perplexity}
    said = ", ".join(f"{name} {value:g}" for name, value in known.items() if value is not None)
    return (
        f"t-SNE{f' ({said})' if said else ''} of the features of the first seed's models: of the first epoch, the one "
        "that is best for frozen features, and the last one, before and after fine-tuning. Each class has a colour. "
        "Neighbours are near each other; distances between groups, and their sizes, mean nothing."
    )


def of_tau(row: pd.Series) -> str:
    """Returns such as "tau 0.3 [0.1, 0.5], r 0.4"."""
    value, low, high = (f"{row[name] + 0.0:.2f}" for name in ("tau", "tau_low", "tau_high"))
    if row.isna()["tau"]:
        return ""
    return f"tau {value}{'' if row.isna()['tau_low'] else f' [{low}, {high}]'}, r {row['pearson'] + 0.0:.2f}"

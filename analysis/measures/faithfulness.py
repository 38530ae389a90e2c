"""Are a few interactions enough? This measures how sparse they are, and how well the values are rebuilt from the
salient ones (Theorem 3.1 of arXiv 2410.08455). It uses all interactions, whichever the analysis counts."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.drawing.beyond import drawn, end
from analysis.drawing.curves import two_panels
from analysis.formulas.faithfulness import faithfulness
from analysis.measure import Needs
from analysis.measured import Measured
from analysis.statistics.shuffled import over_epochs
from analysis.study import Study

NEEDS = Needs("interactions")
QUANTITIES = ("salient_share", "rebuilt")
QUESTION = "Do a few interactions explain the models?"
FLOOR = -1  # of the axis of R²
TITLE = "Share of salient interactions, and R² of values rebuilt from them"
LABELS = {"salient_share": "salient share", "rebuilt": "R² of rebuilt values"}
CAPTION = (
    "Left: the share of all subsets whose interaction is salient; the smaller, the sparser the explanation. Right: how "
    "well the values of all masked inputs are rebuilt from the salient interactions alone: 1 is exact, 0 is as good as "
    "their mean, and a bad fit may be far below 0: the axis ends at -1, arrows mark what lies below it, and words say "
    "how far. Grey: the same after values were exchanged among masked inputs that keep equally many variables."
)


def samples(study: Study) -> Measured:
    """Returns `salient_share` and `rebuilt` (R^2) for each model, [samples, epochs]. Under `shuffled` the values of
    masked inputs that keep equally many variables are permuted: the mean over permutations."""
    observed, shuffled, about = {}, {}, {}
    for model in study.models:
        epochs = study.epochs(model)

        def of(v: np.ndarray, model: str = model) -> dict[str, np.ndarray]:
            parts = zip(QUANTITIES, faithfulness(v, study.options.tau), strict=True)
            return {f"{quantity}/{model}": part for quantity, part in parts}

        found, level = over_epochs(of, (study.values(model, epoch) for epoch in epochs), study.permutations)
        observed |= found
        shuffled |= level
        about[f"epochs/{model}"] = np.array(epochs)
    return Measured(observed, {"shuffled": shuffled} if shuffled else {}, about=about)


def table(measured: Measured) -> pd.DataFrame:
    """Columns: model, epoch, quantity (salient_share, rebuilt), estimate."""
    rows = []
    for model in [name.partition("/")[2] for name in measured.about]:
        each = [measured.estimate(f"{quantity}/{model}").rows() for quantity in QUANTITIES]
        for epoch, *of_epoch in zip(measured.about[f"epochs/{model}"], *each, strict=True):
            rows += [(model, epoch, quantity, row) for quantity, row in zip(QUANTITIES, of_epoch, strict=True)]
    return pd.DataFrame(rows, columns=["model", "epoch", "quantity", "estimate"])


def figure(table: pd.DataFrame) -> Figure:
    """Draws the share of salient interactions, and the R² of all values rebuilt from these alone."""
    labels = {
        "salient_share": "salient share of all subsets",
        "rebuilt": "R² of values rebuilt\nfrom the salient",
    }
    figure = two_panels("Are few interactions enough to explain the models?", table, labels, LABELS)
    rebuilt = figure.axes[1]
    if drawn([rebuilt], references=True).min(initial=0) < FLOOR:
        end(rebuilt, FLOOR, 1.08)
    return figure

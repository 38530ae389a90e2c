"""Chooses the samples that are shown with their strongest interactions, and what is drawn of each."""

from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from analysis.drawing.gallery import Card, Picture, draw
from analysis.drawing.sentence import Sentence
from analysis.drawing.style import save
from analysis.study import Study
from data.splits import Splits
from stages.progress import Bar


def show(study: Study, splits: Splits, count: int, folder: Path) -> list[tuple[str, Path]]:
    """Draws `count` of the samples, spread over the classes. Returns (title, picture) of each."""
    dataset = getattr(splits, study.about["split"])
    last = {model: (study.final(model), study.values(model, study.last(model))) for model in study.models}
    spread = np.unique(np.linspace(0, study.count - 1, min(count, study.count)).astype(int))
    drawn = []
    for position in Bar(spread.tolist(), desc="gallery", leave=False):
        sample = study.about["samples"][position]
        title = f"{study.about['split']} sample {sample['index']}, class {sample['class']}"
        card = Card(
            title=title,
            shown=_shown(sample, dataset, splits),
            interactions={model: strength[position] for model, (strength, _) in last.items()},
            values={model: v[position, -1] for model, (_, v) in last.items()},
        )
        png, _ = save(draw(card, tau=study.options.tau, unit=study.unit), folder, f"sample_{sample['index']:05d}")
        drawn.append((title, png))
    return drawn


def _shown(sample: dict, dataset: Dataset, splits: Splits) -> Picture | Sentence:
    if splits.kind == "text":
        return Sentence(sample["words"], [variable["position"] for variable in sample["variables"]])
    return Picture(splits.picture(dataset[sample["index"]][0]), [tuple(box) for box in sample["variables"]])

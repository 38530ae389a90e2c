"""Writes what the report's sample picker shows: each measured sample with the strongest interactions of every model.

    gallery/samples.json    models and what they are called, unit, tau; of each sample its title, a small picture with
                            the variables' boxes, or its words; of each model v of the untouched input, and the
                            STRONGEST of each order as pairs of the subset's bitmask and I(S)

The strongest ones of every order are enough to show the strongest ones of any range of orders. Pictures are small, and
where all samples together would be too large, the first ones are kept.
"""

import base64
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image
from torch.utils.data import Dataset

from analysis.drawing.labels import distinct
from analysis.drawing.style import NAMES
from analysis.study import Study
from data.splits import Splits
from interactions.mobius import orders
from stages.files import write_text

FILE = "samples.json"
STRONGEST = 10
LARGEST = 192  # pixels, of a picture's longer side
SMALL = 64  # pixels: a picture up to this size is kept exactly
BUDGET = 3_000_000  # characters
DIGITS = 7  # more than are shown: what is rounded twice could end up beside the picture's number
FEWER = 5  # of interactions, of which there are many


def write(study: Study, splits: Splits, folder: Path) -> Path:
    """Writes `folder`/samples.json and returns its path."""
    dataset = getattr(splits, study.about["split"])
    final = {model: study.final(model) for model in study.models}
    whole = {model: study.values(model, study.last(model))[:, -1] for model in study.models}
    of_order = [np.flatnonzero(orders(study.n) == order) for order in range(study.n + 1)]
    kept, used = [], 0
    for position, sample in enumerate(study.about["samples"]):
        entry = {
            "title": f"{study.about['split']} sample {sample['index']}, class {sample['class']}",
            "shown": _sentence(sample) if splits.kind == "text" else _picture(sample, dataset, splits),
            "values": {model: _rounded(v[position], DIGITS) for model, v in whole.items()},
            "interactions": {model: strongest(all_of[position], of_order) for model, all_of in final.items()},
        }
        used += len(json.dumps(entry))
        if used > BUDGET and kept:
            break
        kept.append(entry)
    models = [{"name": model, "words": _named(study, model)} for model in study.models]
    content = {"n": study.n, "unit": study.unit, "tau": study.options.tau, "of": study.count, "models": models}
    write_text(folder / FILE, json.dumps(content | {"strongest": STRONGEST, "samples": kept}))
    return folder / FILE


def strongest(interactions: np.ndarray, of_order: list[np.ndarray]) -> list[list[float]]:
    """Returns [bitmask, I] of the STRONGEST largest |I(S)| of each order, without those that are 0. interactions:
    [2**n]; of_order: the bitmasks of each order."""
    found = []
    for subsets in of_order:
        first = subsets[np.argsort(-np.abs(interactions[subsets]), kind="stable")[:STRONGEST]]
        found += [[int(subset), _rounded(interactions[subset], FEWER)] for subset in first if interactions[subset] != 0]
    return found


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def _named(study: Study, model: str) -> str:
    """Returns a model in words. The pre-trained model's epochs are those of its probe: they would mislead."""
    if model == "pretrain":
        return f"{NAMES[model]} (its linear probe)"
    return f"{NAMES[model]}, epoch {study.last(model)}"


def _sentence(sample: dict) -> dict:
    places = [variable["position"] for variable in sample["variables"]]
    return {"words": sample["words"], "variables": places, "names": distinct([sample["words"][at] for at in places])}


def _picture(sample: dict, dataset: Dataset, splits: Splits) -> dict:
    """Returns the picture as a data address, its height and width, and the variables' boxes in shares of these."""
    pixels = splits.picture(dataset[sample["index"]][0])
    size = height, width = pixels.shape[:2]
    boxes = [[round(float(part), 4) for part in (top / height, left / width, high / height, wide / width)]
             for top, left, high, wide in sample["variables"]]  # fmt: skip
    return {"picture": _address(Image.fromarray(pixels), max(size) <= SMALL), "size": list(size), "boxes": boxes}


def _address(picture: Image.Image, exact: bool) -> str:
    content, kind = io.BytesIO(), "png" if exact else "jpeg"
    if not exact:
        picture.thumbnail((LARGEST, LARGEST))
    picture.save(content, kind, **({} if exact else {"quality": 80}))
    return f"data:image/{kind};base64,{base64.b64encode(content.getvalue()).decode('ascii')}"

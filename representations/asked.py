"""Which layers a study asks for, and how many numbers each gives for an input: known before anything is computed."""

from omegaconf import DictConfig

from conf.errors import BadInput
from data.splits import Splits
from models import layers
from models.layers import PENULTIMATE
from training.tasks import new_model, tried


def names(cfg: DictConfig) -> list[str]:
    """Returns the layers; the penultimate one is always among them, as most measures read it."""
    return list(dict.fromkeys([PENULTIMATE, *cfg.representations.layers]))


def widths(cfg: DictConfig) -> tuple[dict[str, int], Splits]:
    """Returns the width of each layer's features, and the target task. Raises BadInput for a layer that can't be
    represented."""
    model, splits = new_model(cfg, "probe", "target")
    wanted = names(cfg)
    if splits.kind == "text" and len(wanted) > 1:
        raise BadInput(
            f"representations.layers: {wanted[1]} is not allowed for texts, whose tokens are padded to those of other "
            f"texts: {PENULTIMATE} is"
        )
    found = layers.check(model, wanted, cfg.representations.pool, tried(cfg, model, splits, "target"))
    return dict(zip(wanted, found, strict=True)), splits

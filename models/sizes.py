"""Reads the sizes of a text encoder from the config.json next to its pre-trained weights."""

import json
from pathlib import Path

from omegaconf import DictConfig

from conf.errors import BadInput
from stages.address import IN_FOLDERS, split

KINDS = {"models.text.bert": "bert", "models.text.distilbert": "distilbert"}
OURS = {"pool", "dropout"}  # our arguments whose meaning differs from the library's arguments of the same name


def sizes(options: DictConfig) -> dict[str, object]:
    """Returns arguments for the `_target_` of `options`; none if it is not a text encoder, or its weights have no
    config.json on this machine.

    Raises BadInput if that file is damaged or belongs to another kind of model.
    """
    kind, weights = KINDS.get(options.get("_target_")), str(options.get("weights", "pretrain"))
    file = _config_file(weights) if kind else None
    if file is None:
        return {}
    try:
        there = dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise BadInput(
            f"{file} can't be read ({error}): it should hold the sizes of model.weights={weights}"
        ) from error
    if there.get("model_type", kind) != kind:
        raise BadInput(
            f"model.weights={weights} is of the kind {there['model_type']} (config.json: model_type) and this model of "
            f"the kind {kind}: choose weights of the kind {kind}, or another model=..."
        )
    return {key: there[key] for key in _known(kind) & there.keys() if isinstance(there[key], int | float | str)}


def _known(kind: str) -> set[str]:
    """Returns the keys that the library's configuration has for this kind of model and not for all models."""
    from transformers import AutoConfig, PreTrainedConfig  # takes seconds, and image models do not need it

    return AutoConfig.for_model(kind).to_dict().keys() - PreTrainedConfig().to_dict().keys() - OURS


def _config_file(weights: str) -> Path | None:
    library, _, repository = weights.partition(":")
    if library == "transformers":
        return _cached(repository)
    place = Path(split(weights)[0]).expanduser()
    file = (place.parent if place.name in IN_FOLDERS else place) / "config.json"
    return file if file.is_file() else None


def _cached(repository: str) -> Path | None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(repository, "config.json", local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError):  # the message comes from the search for the weights themselves
        return None

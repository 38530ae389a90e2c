"""Finds and loads external pre-trained weights, by their name in `model.weights`:

torchvision:ResNet50_Weights.IMAGENET1K_V1            from torchvision, in its cache or downloaded
timm:vit_small_patch16_224.augreg_in1k                from timm, on the Hugging Face hub
transformers:google-bert/bert-base-uncased            from transformers, on the hub
/path/to/weights.pt, /path/to/folder                  a file of torch or safetensors; a folder as on the hub
/path/to/weights.pt#teacher                           one of several models in a file
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import huggingface_hub
import torch
import torchvision
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from torch import nn

from conf.errors import BadInput
from conf.first_line import first_line
from conf.network import reachable
from models.backbone import Classifier
from models.copies import chosen
from models.weights import State, as_classifier, left_out, listed, part, read
from models.weights import check as check_state
from stages.address import IN_FOLDERS, Address, split
from stages.progress import Bar

torch.hub.tqdm = Bar  # for its downloads
OTHER_DATA = ("in21k", "in22k", "in12k")  # in timm's tags: larger ImageNets, which the study must not mix with 1K
TEXT_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt")


@dataclass(frozen=True)
class Published:
    """Weights that a library knows. here: the file or folder on this machine, None if it is missing; where: says what
    was looked for, in which place; url: the server of the download; command: downloads it by hand; get: downloads it;
    bytes: the size, if it is known."""

    here: Path | None
    where: str
    url: str
    command: str
    get: Callable[[], Path]
    bytes: int | None = None


def check(model: Classifier, weights: str) -> None:
    """Raises BadInput if the weights can't be obtained, or are on this machine and do not fit; downloads nothing."""
    if _found(weights).here:
        backbone(model, weights)


def absent(weights: str) -> str:
    """Returns a message if the weights are not on this machine, otherwise "". It does not use the network.

    Raises BadInput for a name that its library does not know.
    """
    library, colon, name = weights.partition(":")
    if not colon or library not in LIBRARIES:
        there = Path(split(weights)[0]).expanduser().exists()
        return "" if there else f"{weights} was not found, and is needed when the study is run"
    found = LIBRARIES[library](name)
    size = f", {found.bytes / 1e6:.0f} MB" if found.bytes else ""
    return "" if found.here else f"{weights} was not found on this machine, and will be downloaded{size}"


def located(weights: str) -> Path:
    """Returns the file or folder that holds these weights, and downloads it if necessary. Raises BadInput if that
    fails."""
    found = _found(weights)
    if found.here:
        return found.here
    try:
        return found.get()
    except Exception as error:  # each library and each network layer below it raises different kinds
        raise _missing(weights, found, f"its download failed ({first_line(error)})") from error


def _found(weights: str) -> Published:
    """Looks for the weights. Raises BadInput if they are neither on this machine nor available for download."""
    library, colon, name = weights.partition(":")
    if colon and library in LIBRARIES:
        found = LIBRARIES[library](name)
        if not found.here and not reachable(found.url):
            raise _missing(weights, found, f"{urlsplit(found.url).hostname} can't be reached")
        return found
    path = Path(split(weights)[0]).expanduser()
    if not path.exists():
        raise BadInput(
            f"model.weights={weights} is not a file or folder; it is also not pretrain (a stage of this program), "
            f"scratch (random), or of the form {', '.join(f'{library}:NAME' for library in LIBRARIES)}"
        )
    return Published(path, "", "", "", lambda: path)


def _missing(weights: str, found: Published, reason: str) -> BadInput:
    return BadInput(
        f"model.weights={weights} is not on this machine ({found.where}) and {reason}: get it with: {found.command}; "
        f"or give a file: model.weights=/path"
    )


def backbone(model: Classifier, weights: str) -> tuple[State, Path, list[str]]:
    """Returns the backbone's weights under the names of `model`, their file or folder, and the names of what else it
    holds.

    Raises BadInput if anything of the backbone is missing, of another shape, or not finite.
    """
    source = located(weights)
    file, name = split(weights)
    try:
        there = _contents(model, source)
    except BadInput as error:
        raise BadInput(f"model.weights={weights}: {error}") from None
    contents = chosen(model, there, Address(source, name, "model.weights", (file,)))
    state, wanted = as_classifier(model, contents), model.backbone.state_dict()
    found = part(state, "backbone")
    missing = sorted(wanted.keys() - found.keys())
    if missing:
        there = f"; it holds {listed(contents)}" if not found else ""
        raise BadInput(
            f"{source} lacks {len(missing)} of the {len(wanted)} tensors of this backbone ({listed(missing)}){there}: "
            f"it belongs to another model; check model=..."
        )
    found = {key: found[key] for key in wanted}
    check_state(model.backbone, found, source)
    return found, source, left_out(model, state)


def _contents(model: Classifier, source: Path) -> State:
    from transformers import PreTrainedModel  # takes seconds, and is not needed for weights that a stage trains

    encoder = getattr(model.backbone, "encoder", None)
    if source.is_file():
        return read(source)
    file = next((source / name for name in IN_FOLDERS if (source / name).exists()), None)
    if isinstance(encoder, PreTrainedModel) and (source / "config.json").exists():
        return _encoder_state(encoder, source, file)
    if file is None:
        raise BadInput(f"{source} is a folder without {' or '.join(IN_FOLDERS)}: name a file")
    return read(file)


def _encoder_state(encoder: nn.Module, folder: Path, file: Path | None) -> State:
    """Reads an encoder's weights with transformers, which knows the names that its models had in former versions.

    If transformers finds nothing of the encoder, our own code reads `file`: it looks into wrappers, and says in one
    line what is wrong with a file.
    """
    from transformers.utils import logging  # not for images: transformers takes a second

    logging.set_verbosity_error()  # it would print a table of the heads that are left out, and a bar
    logging.disable_progress_bar()
    try:
        loaded, about = type(encoder).from_pretrained(folder, local_files_only=True, output_loading_info=True)
    except Exception as error:  # transformers raises many kinds
        if file:
            return read(file)
        raise BadInput(f"{folder} can't be read by transformers ({first_line(error)})") from error
    state = {f"encoder.{key}": tensor for key, tensor in loaded.state_dict().items()}
    for key in about["missing_keys"]:  # transformers fills them with random numbers
        state.pop(f"encoder.{key}", None)
    if file and not state:
        return read(file)
    return state | {key: torch.empty(0) for key in about["unexpected_keys"]}


def _torchvision(name: str) -> Published:
    try:
        weights = torchvision.models.get_weight(name)
    except (ValueError, KeyError, AttributeError):
        weights = None
    if weights is not None and "SWAG" in name:
        raise BadInput(
            f"model.weights=torchvision:{name} is pre-trained on photographs from Instagram, not on ImageNet-1K alone: "
            f"choose IMAGENET1K_V1"
        )
    if weights is None or name.endswith(".DEFAULT"):
        raise BadInput(
            f"model.weights=torchvision:{name} is not the name of weights: a full name is expected, "
            f"such as torchvision:ResNet50_Weights.IMAGENET1K_V1"
        )
    file = Path(torch.hub.get_dir(), "checkpoints", Path(urlsplit(weights.url).path).name)

    def get() -> Path:
        torch.hub.load_state_dict_from_url(weights.url, check_hash=True, map_location="cpu", weights_only=True)
        return file

    command = f"curl -L --create-dirs -o {file} {weights.url}"
    size = int(weights.meta["_file_size"] * 2**20)  # torchvision counts in MiB
    return Published(file if file.exists() else None, f"looked for {file}", weights.url, command, get, size)


def _timm(name: str) -> Published:
    import timm  # takes a second, and most weights do not need it

    if "." not in name:
        raise BadInput(
            f"model.weights=timm:{name} has no tag, and timm's default may be pre-trained on ImageNet-21k: "
            f"say which weights, such as timm:vit_small_patch16_224.augreg_in1k"
        )
    if any(other in name.partition(".")[2] for other in OTHER_DATA):
        raise BadInput(
            f"model.weights=timm:{name} is trained on a larger ImageNet than the 1K classes the study is about: "
            f"choose a tag of ImageNet-1K alone, such as augreg_in1k"
        )
    try:
        about = timm.get_pretrained_cfg(name)
    except RuntimeError:
        about = None
    if about is None or not about.hf_hub_id:
        raise BadInput(f"model.weights=timm:{name} is not known to timm; see timm.list_pretrained()")
    return _hub(about.hf_hub_id, (about.hf_hub_filename or "model.safetensors",), whole=False)


def _transformers(name: str) -> Published:
    return _hub(name, TEXT_FILES, whole=True)


def _hub(repository: str, files: tuple[str, ...], whole: bool) -> Published:
    """Looks for the files of a repository. whole: the folder with all the files is needed, not just one file."""
    wanted = [name for name in files if name in ("config.json", "model.safetensors")] if whole else files
    here = None
    try:
        paths = [Path(huggingface_hub.hf_hub_download(repository, name, local_files_only=True)) for name in wanted]
        here = paths[0].parent if whole else paths[0]
    except LocalEntryNotFoundError:
        pass
    except HFValidationError as error:
        raise BadInput(f"model.weights: {repository} is not the name of a repository on the hub, owner/name") from error

    def get() -> Path:
        if whole:
            return Path(huggingface_hub.snapshot_download(repository, allow_patterns=list(files)))
        return Path(huggingface_hub.hf_hub_download(repository, files[0]))

    where = f"looked for {' and '.join(wanted)} of {repository} in {huggingface_hub.constants.HF_HUB_CACHE}"
    command = f"hf download {repository} {' '.join(files)}"
    return Published(here, where, huggingface_hub.constants.ENDPOINT, command, get)


LIBRARIES = {"torchvision": _torchvision, "timm": _timm, "transformers": _transformers}

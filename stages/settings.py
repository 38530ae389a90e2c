"""The settings that by themselves decide a result, each in one form.

conf/schema.py says which keys these are. This file holds the special cases: sections that are open to any key, and
external weights, which are identified by the content of their files.
"""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from conf.nested import Several
from conf.schema import FEATURES, SIMILAR, VALUES, deciding
from stages.address import split
from stages.canonical import Fingerprint, Plain, arguments, plain, trainer, unordered, whole
from stages.given import of_role, weights_of
from stages.table import ROLES, compared_with, role_of


def settings_of(cfg: DictConfig, name: str, fingerprint: Fingerprint) -> dict[str, Plain]:
    """Returns what by itself decides a result: path -> value in one form. Neutral values are left out."""
    found = {}
    for path, known in deciding(name):
        value = OmegaConf.select(cfg, path, default=known.neutral)
        if known.neutral != value and not (path == "start.epoch" and _is_last(cfg)):
            found |= _one_form(path, value, known.allowed, fingerprint)
    if "trainer.processes" not in found:  # one device: its batch is that of all devices
        found.pop("global_batch", None)
    if "data.labels.random" in found:  # which labels these are, even if the task itself draws nothing
        found["seeds.data"] = cfg.seeds.data
    if name == "pretrain":
        found = _origin(cfg, found, fingerprint)
    if name in (*VALUES, *FEATURES):
        found |= _given(cfg, role_of(name), fingerprint)
    if name in SIMILAR:
        found |= _compared(cfg, name, fingerprint)
    if name in (*SIMILAR, "analysis") and cfg.model.get("layers"):
        found["model.layers"] = whole(plain(cfg.model.layers))
    if cfg.repeat is not None:
        found["repeat"] = str(cfg.repeat)
    return found


def _is_last(cfg: DictConfig) -> bool:
    """Tells whether the epoch to start from is the last one anyway, or decides which external weights are taken."""
    sooner = OmegaConf.select(cfg, "pretrain.iterations") is not None  # they may end in an epoch before
    return weights_of(cfg) != "pretrain" or (cfg.start.epoch == cfg.pretrain.epochs and not sooner)


def _one_form(path: str, value: object, allowed: object, fingerprint: Fingerprint) -> dict[str, Plain]:
    """Returns the value by path; an open section gives one path for each of its keys."""
    value = plain(value)
    if isinstance(allowed, Several) or (path == "interactions.stop_words" and isinstance(value, list)):
        return {path: unordered(value)}
    if path == "trainer":
        return by_path(path, trainer(value, fingerprint))
    if path == "model":
        return by_path(path, _model(value, fingerprint))
    if path.startswith("data."):
        return by_path(path, arguments(value, fingerprint))
    return {path: whole(value)}


def _model(value: dict, fingerprint: Fingerprint) -> Plain:
    """Returns the architecture, without the source of its weights, and without `input`, which belongs to the data."""
    network = {key: part for key, part in value.items() if key not in ("weights", "input", "layers")}
    if network.get("head") is None:  # found automatically, as before the key existed
        network.pop("head", None)
    network = arguments(network, fingerprint)
    if str(value.get("_target_", "")).startswith("models.text."):  # sizes may be in a file beside the weights
        sizes = _sizes(str(value.get("weights", "pretrain")), fingerprint)
        network |= {"sizes": sizes} if sizes else {}
    return network


def _sizes(weights: str, fingerprint: Fingerprint) -> str | None:
    if weights.startswith("transformers:"):
        return weights
    place = Path(split(weights)[0]).expanduser()
    file = (place if place.is_dir() else place.parent) / "config.json"
    return fingerprint(file) if place.exists() and file.is_file() else None


def _origin(cfg: DictConfig, found: dict[str, Plain], fingerprint: Fingerprint) -> dict[str, Plain]:
    """Returns what decides `pretrain`. Of pre-trained weights that are not trained here, only the architecture and
    their content count."""
    weights = weights_of(cfg)
    if weights == "pretrain":
        return found
    file, name = split(weights)
    what = _held(Path(file).expanduser(), fingerprint) or weights
    what += f" #{name}" if name and what != weights else ""
    kept = {path: value for path, value in found.items() if path.split(".")[0] == "model"}
    if weights == "scratch":
        kept["seeds.pretrain"] = cfg.seeds.pretrain
    return kept | {"model.weights": what}


def _held(path: Path, fingerprint: Fingerprint) -> str | None:
    """Returns the content of weights: of a file, or of all files in a folder that may be read as weights."""
    if not path.is_dir():
        return fingerprint(path) if path.exists() else None
    files = sorted(file for file in path.iterdir() if file.suffix in (".safetensors", ".bin", ".json", ".pt", ".pth"))
    return "; ".join(f"{file.name}: {fingerprint(file)}" for file in files) or fingerprint(path)


def _given(cfg: DictConfig, role: str, fingerprint: Fingerprint) -> dict[str, Plain]:
    """Returns the files of an external role, and the model that they belong to."""
    files = of_role(cfg, role)
    if not files:
        return {}
    held = {
        str(epoch): fingerprint(address.file) + (f" #{address.name}" if address.name else "")
        for epoch, address in sorted(files.items())
    }
    model = by_path("model", _model(plain(cfg.model), fingerprint))
    return model | {f"interactions.checkpoints.{role}": held}


def _compared(cfg: DictConfig, name: str, fingerprint: Fingerprint) -> dict[str, Plain]:
    """Returns what decides which models are compared, beside the trainings of our own."""
    role, against, found = role_of(name), compared_with(cfg, role_of(name)), {}
    for each in dict.fromkeys([role, *(model.partition("@")[0] for model in against)]):
        found |= _given(cfg, each, fingerprint) if each in ROLES else {}
    if "pretrain" in against and cfg.start.epoch != "last" and not _is_last(cfg):
        found["start.epoch"] = cfg.start.epoch
    return found


def by_path(path: str, node: Plain) -> dict[str, Plain]:
    """Returns a nested value as {path of each leaf: its value}; lists are leaves."""
    if not isinstance(node, dict):
        return {path: node}
    before = f"{path}." if path else ""
    return {at: leaf for key, child in node.items() for at, leaf in by_path(f"{before}{key}", child).items()}

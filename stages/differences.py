"""The differences between a configuration and its experiment's own settings. They name a run's folder, and tell runs
apart.

For example, `finetune.lr=0.003` differs if the experiment has 0.001. `scratch.lr`, which is ${finetune.lr} in both,
follows and is not named. Neither is a value that equals the experiment's own, or a key that decides no result.
"""

from omegaconf import DictConfig, OmegaConf

from conf.nested import Epochs, Several
from conf.schema import keys
from stages.canonical import plain, trainer, unordered, whole
from stages.settings import by_path

UNORDERED = {path for path, known in keys() if isinstance(known.allowed, Several | Epochs)}
# Keys that decide results only through other keys.
THROUGH_OTHERS = (
    "repeat",
    "checkpoints.epochs",
    "interactions.roles",
    "seeds.data",
    "data.synthetic",
    "data.skip_corrupt",
)


def differences(cfg: DictConfig, own: DictConfig) -> list[str]:
    """Returns key=value for each key that decides a result and has another value than in `own`."""
    return [f"{path}={_shown(value)}" for path, value in _differing(cfg, own).items()]


def chosen(cfg: DictConfig, own: DictConfig, groups: dict[str, str | None]) -> dict[str, dict]:
    """Returns the content of chosen.json, by which the runs of a sweep are told apart. own: the experiment's own
    configuration, with the same groups; groups: the option of each, also where it is the experiment's own."""
    return {"groups": groups, "keys": _differing(cfg, own)}


def _differing(cfg: DictConfig, own: DictConfig) -> dict[str, object]:
    mine, theirs = leaves(cfg), leaves(own)
    return {
        path: _value(cfg, path)
        for path in sorted(mine.keys() | theirs.keys())
        if mine.get(path) != theirs.get(path) and _value(cfg, path) != _as_own(cfg, theirs.get(path), path)
    }


def leaves(cfg: DictConfig) -> dict[str, object]:
    """Returns all keys that decide a result, as written, with unresolved interpolations: path -> value."""
    raw = OmegaConf.to_container(cfg, resolve=False)
    found = {}
    for path, known in keys():
        if path == "trainer":
            found |= {f"trainer.{key}": value for key, value in trainer(plain(cfg.trainer), str).items()}
        elif known.decides or path in THROUGH_OTHERS or _is_file(path):
            found |= by_path(path, _select(raw, path))
    return {path: _one_form(path, value) for path, value in found.items()}


def _is_file(path: str) -> bool:
    return path.startswith("interactions.checkpoints.")


def _select(node: object, path: str) -> object:
    for key in path.split("."):
        node = node.get(key) if isinstance(node, dict) else None
    return node


def _value(cfg: DictConfig, path: str) -> object:
    if path.startswith("trainer."):
        return leaves(cfg).get(path)
    return _one_form(path, OmegaConf.select(cfg, path))


def _one_form(path: str, value: object) -> object:
    value = whole(plain(value))
    return unordered(value) if path in UNORDERED and isinstance(value, list) else value


def _as_own(cfg: DictConfig, own: object, path: str) -> object:
    """Returns the value of the experiment's own setting in this configuration, where other keys may differ."""
    if not isinstance(own, str) or "${" not in own:
        return own
    other = cfg.copy()
    OmegaConf.update(other, path, own, force_add=True)
    return _value(other, path)


def _shown(value: object) -> str:
    if isinstance(value, list):
        return "+".join(_shown(part).replace("+", "_ ") for part in value)  # the blank marks a replaced sign
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)

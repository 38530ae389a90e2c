"""Copies of a configuration with other values."""

from omegaconf import DictConfig, OmegaConf


def changed(cfg: DictConfig, **values: object) -> DictConfig:
    """A copy with other values, of keys with __ for dots."""
    other = cfg.copy()
    OmegaConf.set_struct(other, False)
    for key, value in values.items():
        OmegaConf.update(other, key.replace("__", "."), value, merge=False)
    return other

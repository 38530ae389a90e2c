"""Resolves names of source tasks: `data.source=glyphs` stands for the content of conf/source/glyphs.yaml.

So users with their own target task need not write a source task, too. For Hydra a plain name is an ordinary value: it
inserts a file only where a defaults list asks for one (conf/data/digits.yaml). So this file does it.
"""

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

from conf.errors import BadInput
from conf.first_line import first_line

PROGRAM = Path(__file__).parent


def named_source(cfg: DictConfig) -> str | None:
    """Replaces a name in `data.source` by the content of source/<name>.yaml; call it after composition.

    Returns the name, or None if `data.source` is not a name. The file is one of the program, or of the user in a folder
    given with --config-dir; its interpolations are filled in from `cfg`. Raises BadInput for a name without a file, and
    for a file without a task.
    """
    if OmegaConf.is_missing(cfg.data, "source"):  # conf/check.py reports it
        return None
    name = cfg.data.source
    if name is None or OmegaConf.is_config(name):
        return None
    files = _files()
    if name not in files:
        raise BadInput(
            f"data.source={name} is unknown; allowed: {', '.join(sorted(files))}, null; another one is a file "
            f"source/NAME.yaml in a folder given with --config-dir"
        )
    cfg.data.source = _read(files[name])
    return name


def no_source() -> BadInput:
    """Returns the error for weights that need training on a source task when the data have none."""
    return BadInput(
        "model.weights=pretrain needs a source task to train on, and data.source is null: set data.source=glyphs "
        "(images) or data.source=hidden_word (text), or choose other weights: model.weights=/path/to/weights, "
        "model.weights=torchvision:... (timm:..., transformers:...) or model.weights=scratch (random ones)"
    )


def _files() -> dict[str, Path]:
    """Returns the files by name; among files of one name the first on Hydra's search path, where the program's own are
    first."""
    folders = [PROGRAM]
    if HydraConfig.initialized():
        folders += [Path(place.path) for place in HydraConfig.get().runtime.config_sources if place.schema == "file"]
    return {file.stem: file for folder in reversed(folders) for file in (folder / "source").glob("*.yaml")}


def _read(file: Path) -> DictConfig:
    try:
        task = OmegaConf.load(file)
    except (OSError, YAMLError) as error:
        raise BadInput(f"{file} can't be read ({first_line(error)}): fix it") from None
    if not OmegaConf.is_dict(task) or "_target_" not in task:
        raise BadInput(f"{file} has no _target_: name there what makes the task, as in {PROGRAM / 'source'}")
    return task

"""Turns the messages of Hydra and OmegaConf about an invalid command line into one line of ours.

Their messages have several lines, name their own classes, and do not say what is allowed. Better messages are possible:
a key's kind in conf/schema.py says what it expects, and the exceptions contain the key, the value and the known keys.
"""

import re
import sys
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException, ValidationError

from conf.allowed import shown
from conf.errors import BadInput
from conf.schema import keys

PROGRAM = Path(__file__).parent
SOURCE = "data.source"
OPEN = (
    "model",
    "trainer",
    SOURCE,
    "data.target",
    "analysis.options",
    "cluster.sbatch",
)  # sections that take keys with +
TECHNICAL = ("full_key:", "object_type=", "reference_type=", "See https://", "Error merging", "Error parsing")
NO_WORDS = ("null", "true", "false")
COMPOSING = (HydraException, OmegaConfBaseException)
GROUP, FLAGS = "Config group override must be", "Only one of --run"  # in Hydra's ValueErrors
SEVERAL = re.compile(r"Ambiguous value for argument '(?P<key>[^=]+)=(?P<values>.*)'")
THERE = re.compile(r"Could not append to config\. An item is already at '(?P<key>.*)'")
LAUNCHER = re.compile(r"In 'hydra/launcher/(\w+)': Could not load 'hydra/launcher/submitit_")
NOT_THERE = re.compile(r"Could not delete from config\. '(?P<key>.*)' does not exist")


def is_refused(error: Exception, kinds: tuple = COMPOSING) -> bool:
    """Returns whether the error is Hydra's or OmegaConf's way to say that the command line can't be used."""
    of_hydra = isinstance(error, ValueError) and any(words in str(error) for words in (GROUP, FLAGS))
    return of_hydra or isinstance(error, kinds)


def refusal(error: Exception, overrides: Sequence[str] | None = None) -> BadInput:
    """Returns our error for an exception of Hydra or OmegaConf from composing the configuration with `overrides`, the
    words of the command line."""
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    if isinstance(error, BadInput):
        return error
    if isinstance(error, MissingConfigException):
        return _option(error)
    if isinstance(error, OverrideParseException):
        return _syntax(error)
    if isinstance(cause, OmegaConfBaseException) and cause.full_key:
        return _of_key(cause)
    if GROUP in str(error):
        return _group(sys.argv[1:] if overrides is None else overrides)
    if FLAGS in str(error):
        return BadInput("of -m, --run, --cfg and --info one at most can be given: --cfg shows one run, so leave out -m")
    return _otherwise(error)


def unknown(path: str, there: Iterable[str]) -> BadInput:
    """Returns the error for an unknown key. there: the keys of its section, without the section's path."""
    section, _, name = path.rpartition(".")
    if section.startswith(SOURCE) and not there:
        return _no_section(path)
    everywhere = [known for known, _ in keys()]
    near = [f"{section}.{one}" if section else one for one in get_close_matches(name, there, 3)]
    near = near or [known for known in everywhere if known.rpartition(".")[2] == name]
    if near:
        hint = f"did you mean {', '.join(near)}?"
    else:
        hint = f"{section or 'the configuration'} has: {', '.join(there) or 'none'}"
    more = f"; a new one is added with +{path}=..." if section.startswith(OPEN) else ""
    if more and {"-m", "--multirun"} & set(sys.argv):
        more += f"; with ++{path}=... only those runs of a sweep are refused that do not have it"
    return BadInput(f"unknown key {path}; {hint}{more}")


def _no_section(path: str) -> BadInput:
    """Returns the error for a key of a source task that is null or only named: Hydra knows its keys if it inserts the
    file itself."""
    return BadInput(
        f"unknown key {path}; {SOURCE}=NAME and null have no keys: choose the task with +source@{SOURCE}=NAME, such as "
        f"+source@{SOURCE}=glyphs {path}=... (without the + where data=... has a source task, such as data=digits)"
    )


def _of_key(error: OmegaConfBaseException) -> BadInput:
    path, kinds = error.full_key, {path: known.allowed for path, known in keys()}
    if isinstance(error, ConfigKeyError | ConfigAttributeError):
        there = error.parent_node if isinstance(error.parent_node, DictConfig) else {}
        return unknown(path, [str(key) for key in there if key != "hydra"])
    kind = kinds.get(path.partition("[")[0])
    if kind and isinstance(error, ValidationError):
        return kind.refusal(path, error.value)
    inside = [known for known in kinds if known.startswith(f"{path}.")]
    if inside and isinstance(error, ValidationError):
        return BadInput(
            f"{path}={shown(error.value)} is not allowed: a section is set key by key, such as {inside[0]}=..."
        )
    if "does not support deletion" in str(error):
        return BadInput(f"~{path}: {path} can't be removed: set it to another value")
    return BadInput(f"{path}: {_lines(error)[0]}")


def _option(error: MissingConfigException) -> BadInput:
    if found := LAUNCHER.search(str(error)):
        return not_installed(found[1])
    group, _, option = (error.missing_cfg_file or "").rpartition("/")
    if not group or error.options is None:
        return _otherwise(error)
    return BadInput(f"{group}={shown(option)} is unknown; choose one of: {', '.join(error.options)}")


def not_installed(launcher: str) -> BadInput:
    """Returns the error for a launcher whose plugin of Hydra is not installed."""
    return BadInput(f'hydra/launcher={launcher} needs a package that is not installed: pip install ".[cluster]"')


def _syntax(error: OverrideParseException) -> BadInput:
    if "=" not in error.override and not error.override.startswith("~"):
        return BadInput(f"{error.override} is not KEY=VALUE, such as seed=1")
    return BadInput(
        f"{error.override} can't be read as KEY=VALUE: close every bracket and quote, and put a value with special "
        f"""characters in its own quotes, such as 'KEY="a=b"'"""
    )


def _group(overrides: Sequence[str]) -> BadInput:
    """Returns the error for an option that is not a word, such as model=null or data=5."""
    for override in overrides:
        if override.startswith("="):
            return BadInput(f"{override} is not KEY=VALUE, such as seed=1")
        group, _, option = override.partition("=")
        known = sorted(file.stem for file in (PROGRAM / group.lstrip("+")).glob("*.yaml")) if group else []
        if known and (option in NO_WORDS or not re.fullmatch(r"[a-zA-Z_][\w./-]*", option)):
            return BadInput(f"{override} is not allowed: one of {', '.join(known)} is expected")
    return BadInput("a group of options expects the name of one of them, such as model=conv4")


def _otherwise(error: Exception) -> BadInput:
    text = str(error)
    if found := SEVERAL.search(text):
        key, values = found.groups()
        return BadInput(
            f"{key}={values} gives several values: add -m to run with each of them, or write {key}=[{values}] for a "
            f"list"
        )
    if found := THERE.search(text):
        return BadInput(f"+{found['key']}: {found['key']} already exists: leave out the +")
    if found := NOT_THERE.search(text):
        return BadInput(f"~{found['key']}: {found['key']} is an unknown key, so it can't be removed")
    return BadInput("; ".join(_lines(error) + (_lines(error.__cause__) if error.__cause__ else [])))


def _lines(error: BaseException) -> list[str]:
    """Returns the lines of the message that are useful to the user."""
    text = str(error).partition("Config search path")[0].removeprefix("In 'config': ")
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith(TECHNICAL)] or [type(error).__name__]

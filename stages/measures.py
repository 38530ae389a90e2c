"""Names the measures of an analysis without importing them, as an import takes seconds.

`decomposition` is the file analysis/measures/decomposition.py, `my_measures.mean_strength` is a module of the
user's. An analysis that lacks one of them is not complete; adding it does not make the program compute the others
again.
"""

import ast
import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from omegaconf import DictConfig

from conf.measures import FOLDER, ours
from stages.sources import code_fingerprint, source_of

OURS = "analysis.measures"
ON = ("interactions", "predictions", "representations", "similarity", "trainings")
VALUED, PREDICTIONS, REPRESENTATIONS, SIMILARITY, TRAININGS = ON


def name_of(module: str) -> str:
    """Returns the name of a measure's table, figure and options: the last part of its dotted name."""
    return module.rpartition(".")[2]


def measures_of(cfg: DictConfig) -> dict[str, str]:
    """Returns the name of each requested measure -> a digest of what decides it besides the analysis: which module
    it is, and the content of the user's own code."""
    return {name_of(module): _digest(module) for module in cfg.analysis.measures}


def measured_on(cfg: DictConfig) -> list[str]:
    """Returns what the requested measures are measured on, of ON: the first word in `NEEDS = Needs("interactions")`.
    A module whose source does not say it like that, or is not found, may be measured on anything."""
    found = {kind for module in cfg.analysis.measures for kind in _kinds(module)}
    return [kind for kind in ON if kind in found]


def _kinds(module: str) -> tuple[str, ...]:
    file = FOLDER / f"{module}.py" if module in ours() else source_of(module)
    with suppress(OSError, SyntaxError, ValueError):
        if file and (said := [kind for kind in _said(file) if kind in ON]):
            return tuple(said)
    return ON


def _said(file: Path) -> Iterator[object]:
    """Yields the first argument of what NEEDS is set to."""
    for node in ast.parse(file.read_text()).body:
        names = [target.id for target in getattr(node, "targets", []) if isinstance(target, ast.Name)]
        if "NEEDS" in names and isinstance(node.value, ast.Call):
            given = [*node.value.args[:1], *(word.value for word in node.value.keywords if word.arg == "on")]
            yield from (word.value for word in given if isinstance(word, ast.Constant))


def _digest(module: str) -> str:
    content = json.dumps([module, None if module in ours() else code_fingerprint(module)])
    return hashlib.sha256(content.encode()).hexdigest()[:12]

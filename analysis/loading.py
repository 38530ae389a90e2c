"""Finds a measure by its name, and refuses one that lacks a part, before any work begins."""

import importlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from analysis.measure import ABSENT, Measure, Needs
from conf.arguments import check_arguments
from conf.errors import BadInput
from conf.measures import ours
from stages.measures import ON, OURS, name_of

PARTS = ("NEEDS", "samples", "table")
PROGRAM = Path(__file__).parents[1]


def load(module: str, options: Mapping[str, object]) -> Measure:
    """Loads the measure of this name: a file in analysis/measures/, or a user's module by its dotted name. Raises
    BadInput if the measure does not exist or lacks a part, or if an option is unknown or not allowed."""
    path, name = (f"{OURS}.{module}" if module in ours() else module), name_of(module)
    found = _imported(path)
    if missing := [part for part in PARTS if not hasattr(found, part)]:
        raise BadInput(
            f"analysis.measures: {path} has no {missing[0]}; a measure has {', '.join(PARTS)}, see docs/measures.md"
        )
    _check_needs(path, found)
    return Measure(name, found, _checked(path, name, found, options))


def _check_needs(path: str, found: ModuleType) -> None:
    needs, subject = found.NEEDS, getattr(found, "SUBJECT", None)
    models = {*getattr(needs, "each", ()), *getattr(needs, "some", ()), *getattr(subject, "models", ())}
    if not isinstance(needs, Needs) or needs.on not in ON or models - ABSENT.keys():
        raise BadInput(
            f'analysis.measures: {path}.NEEDS is not allowed: Needs("interactions"), Needs("predictions"), '
            f'Needs("representations"), Needs("similarity") or Needs("trainings"), of the models {", ".join(ABSENT)}, '
            f"is expected"
        )
    if (subject is None) == hasattr(found, "claims"):
        raise BadInput(f"analysis.measures: {path} has one of SUBJECT and claims: claims need both")


def _checked(path: str, name: str, found: ModuleType, options: Mapping[str, object]) -> Mapping[str, object]:
    study, *known = inspect.signature(found.samples).parameters
    if extra := sorted(options.keys() - set(known)):
        raise BadInput(
            f"analysis.options.{name}.{extra[0]}: unknown option; {name} has {', '.join(known) or 'no options'}"
        )
    check_arguments(f"analysis.options.{name}", {"_target_": f"{path}.samples", **options}, given=(study,))
    return options


def _imported(path: str) -> ModuleType:
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        if not error.name or not f"{path}.".startswith(f"{error.name}."):
            raise
    package = path.partition(".")[0]
    if (PROGRAM / package).is_dir():
        raise BadInput(f"analysis.measures: {path}: {package} is a package of this program; choose another name")
    raise BadInput(f"analysis.measures: there is no module {path}: it has to be on PYTHONPATH, or installed")

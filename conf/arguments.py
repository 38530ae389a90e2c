"""Checks the arguments of the function that a `_target_` names, before it is called.

Our own tasks, readers and models declare the allowed values next to each argument of the function:

    def digits(train_samples: Annotated[int, Number(1, 1797)], seed: Annotated[int, Seed]) -> Splits:

So `data.target.train_samples=-5` is refused by that name before the function runs, with the same sentence as keys of
conf/schema.py. The same holds for your own functions. If a function declares nothing, Python reports what is wrong.
"""

import inspect
import pydoc
from collections.abc import Collection, Mapping
from typing import Annotated, get_args, get_origin, get_type_hints

from conf.allowed import Choice, Flag, Kind
from conf.errors import BadInput

# Hydra's own keys among the arguments, and their allowed values.
FLAGS: dict[str, Kind] = {
    "_convert_": Choice(("none", "partial", "object", "all")),
    "_recursive_": Flag(),
    "_partial_": Choice(words=("false",), of=(False,)),
}
HYDRAS = {"_target_", *FLAGS}


def check_arguments(where: str, node: object, given: Collection[str] = ()) -> None:
    """Checks a `_target_` with its arguments, `node`, without interpolations, and all others inside it.

    where: its path in the configuration; given: arguments that the program itself passes. Raises BadInput for the first
    argument that is unknown, missing, or has a value that is not allowed.
    """
    if isinstance(node, list):
        for place, part in enumerate(node):
            check_arguments(f"{where}[{place}]", part)
    if not isinstance(node, Mapping):
        return
    for key, part in node.items():
        check_arguments(f"{where}.{key}", part)
        if key in FLAGS:
            FLAGS[key].check(f"{where}.{key}", part)
    function = _found(node.get("_target_"))
    if function is not None and "_args_" not in node and (kinds := declared(function)):
        _check(where, node, function, kinds, given)


def declared(function: object) -> dict[str, Kind]:
    """Returns the kind of each argument that has one."""
    try:
        hints = get_type_hints(inspect.unwrap(function), include_extras=True)
    except Exception:  # a user's annotations may raise any error
        return {}
    annotated = {name: get_args(hint) for name, hint in hints.items() if get_origin(hint) is Annotated}
    return {
        name: part.typed(kind)
        for name, (kind, *extras) in annotated.items()
        for part in extras
        if isinstance(part, Kind)
    }


def _found(target: object) -> object | None:
    """Returns the named object; None if it does not exist, which Hydra reports."""
    try:
        return pydoc.locate(target) if isinstance(target, str) else None
    except Exception:  # a user's module may raise any error when it is imported
        return None


def _check(where: str, node: Mapping, function: object, kinds: dict[str, Kind], given: Collection[str]) -> None:
    known = inspect.signature(function).parameters
    names = {name for name, argument in known.items() if argument.kind is not argument.VAR_KEYWORD} - set(given)
    extra = [key for key in node if key not in HYDRAS and key not in names]
    if extra and (names >= known.keys() - set(given) or extra[0] in given):
        takes = ", ".join(name for name in known if name in names)
        raise BadInput(f"{where}.{extra[0]} is not an argument of {node['_target_']}, which takes: {takes}")
    for name, kind in kinds.items():
        if name in node:
            kind.check(f"{where}.{name}", node[name])
        elif name in names and known[name].default is inspect.Parameter.empty:
            raise BadInput(f"{where}.{name} has no value: {kind.expected} is expected")

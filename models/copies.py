"""Finds the right model in a file that holds several, such as student and teacher."""

import itertools
from collections.abc import Iterable

import torch

from conf.errors import BadInput
from models.backbone import Classifier
from models.weights import State, names_of, prefix_change
from stages.address import Address

WRAPPERS = {"state_dict", "model_state_dict", "model", "module"}  # these do not name one of several models


def chosen(model: Classifier, state: State, address: Address) -> State:
    """Returns the tensors of the model that `address` names, and those that belong to none of the models.

    If the file has one model and `address` names none, all tensors are returned. Raises BadInput if the file has
    several models and none is named, or no model of that name.
    """
    found = copies(model, state)
    if not address.name:
        return _only(state, found, _names(found), address)
    for prefix in _meant(address.name, found, unwrapped=not names_of(model).keys().isdisjoint(state)):
        if prefix in found:
            return {key: tensor for key, tensor in state.items() if _owner(key, found) in (prefix, None)}
        inside = {key: tensor for key, tensor in state.items() if key.startswith(prefix)}
        if inside:
            several = copies(model, inside)
            return _only(inside, several, [prefix.rstrip(".") for prefix in several], address)
    names = _names(found) or list(dict.fromkeys(key.split(".")[0] for key in state))[:8]
    raise BadInput(f"{address.file} contains no model {address.name}, but {_choice(names, address)}")


def copies(model: Classifier, state: State) -> dict[str, str]:
    """Finds the models in a file: sets of tensors that hold at least half of the model (the same half, with other
    numbers).

    Returns for each, in the order of the file, the shortest prefix that tells it from the others -> the longest prefix
    that all of its names have.
    """
    enough, rest, found = len(model.state_dict()) / 2, state, {}
    while len(rest) >= enough:
        keys = _copy(model, rest)
        if len(keys) < enough:
            break
        shared = max((len(keys.keys() & others.keys()) for others in found.values()), default=enough)
        if shared >= enough and not any(_equal(state, keys, others) for others in found.values()):
            found[_common(keys.values())] = keys
        taken = set(keys.values())
        rest = {key: tensor for key, tensor in rest.items() if key not in taken}
    place = {key: number for number, key in enumerate(state)}
    paths = sorted(found, key=lambda path: min(place[key] for key in found[path].values()))
    return {_shortened(path, found.keys() - {path}): path for path in paths}


def _copy(model: Classifier, state: State) -> dict[str, str]:
    """Returns the largest part of the model that `state` has behind one prefix: its weights' names -> their keys in
    `state`."""
    (strip, add), names, shapes = prefix_change(model, state), names_of(model), model.state_dict()
    keys = {names.get(add + key.removeprefix(strip)): key for key in state if key.startswith(strip)}
    return {name: key for name, key in keys.items() if name and shapes[name].shape == state[key].shape}


def _equal(state: State, keys: dict[str, str], others: dict[str, str]) -> bool:
    """Returns whether both are one model under two names, as when a program holds it twice."""
    pairs = ((state[keys[name]], state[others[name]]) for name in keys.keys() & others.keys())
    return all(one.dtype == other.dtype and torch.equal(one, other) for one, other in pairs)


def _common(names: Iterable[str]) -> str:
    """Returns the longest prefix, of whole parts, that all names begin with."""
    parts = zip(*(name.split(".")[:-1] for name in names), strict=False)
    return "".join(f"{same[0]}." for same in itertools.takewhile(lambda several: len(set(several)) == 1, parts))


def _shortened(path: str, others: set[str]) -> str:
    """Shortens a path to the parts that tell it from the others: "student.module." to "student." beside "teacher."."""
    parts = path.split(".")[:-1]
    starts = (".".join(parts[:depth]) + "." for depth in range(1, len(parts)))
    return next((start for start in starts if not any(other.startswith(start) for other in others)), path)


def _names(found: dict[str, str]) -> list[str]:
    """Returns the users' names of the copies, without the wrapper around all of them; "." is the one without another
    prefix."""
    around = _common(found.values()) if len(found) > 1 else ""
    return [prefix.removeprefix(around).rstrip(".") or "." for prefix in found]


def _meant(name: str, found: dict[str, str], unwrapped: bool) -> list[str]:
    """Returns the prefixes that a name may stand for, with more or fewer parts of the wrapper around all copies before
    it.

    unwrapped: whether the file has names exactly as the model has them.
    """
    parts = _common(found.values()).split(".")[:-1]
    if name != ".":
        return [".".join([*parts[:depth], name, ""]) for depth in range(len(parts), -1, -1)]
    if len(found) == 1:
        return list(found) if unwrapped or set(parts) <= WRAPPERS else []
    inner = {prefix: "." + path.removeprefix(".".join([*parts, ""])) for prefix, path in found.items()}
    return [prefix for prefix, mine in inner.items() if all(other.endswith(mine) for other in inner.values())]


def _owner(key: str, found: dict[str, str]) -> str | None:
    return max((prefix for prefix in found if key.startswith(prefix)), key=len, default=None)


def _only(state: State, found: dict[str, str], names: list[str], address: Address) -> State:
    if len(found) > 1:
        raise BadInput(f"{address.file} holds several models: {_choice(names, address)}")
    return state


def _choice(names: list[str], address: Address) -> str:
    return f"{', '.join(names)}; choose one by its name behind the path, such as {address.override(names[0])}"

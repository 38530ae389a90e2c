"""Kinds of lists and mappings, built from the kinds of conf/allowed.py."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field

from conf.allowed import Kind, Number, Text
from conf.errors import BadInput

EPOCH, FILE = Number(0, 100_000, whole=True), Text("a file or pattern")


@dataclass(frozen=True)
class Several(Kind):
    """A list of at least one of these values, each once, in any order."""

    of: tuple[str, ...] = ()

    @property
    def described(self) -> str:
        return f"a list of at least one of {', '.join(self.of)}, each once"

    def allows(self, value: object) -> bool:
        known = isinstance(value, list) and all(one in self.of for one in value)
        return known and 0 < len(value) == len(set(value))


@dataclass(frozen=True)
class Listed(Kind):
    """A list of at least one value that `of` allows; with `alone`, a single value may replace the list."""

    of: Kind = field(default_factory=Text)
    what: str = "a list of texts"
    _: KW_ONLY
    alone: bool = False

    @property
    def described(self) -> str:
        return self.what

    def allows(self, value: object) -> bool:
        if not isinstance(value, list):
            return self.alone and self.of.allows(value)
        return len(value) > 0 and all(self.of.allows(one) for one in value)


@dataclass(frozen=True)
class Epochs(Listed):
    """A list of epochs; their order and repetitions do not matter."""

    of: Kind = EPOCH
    what: str = "a list of epochs such as [0, 1, 5]"
    words: tuple[str, ...] = ("all",)


@dataclass(frozen=True)
class Models(Kind):
    """A list of models that others are compared with, such as initial or finetune@5, each once; it may be empty."""

    described = "a list of initial, pretrain, finetune or scratch, or one of them at an epoch such as finetune@5,"

    def allows(self, value: object) -> bool:
        return isinstance(value, list) and all(map(self._is_model, value)) and len(set(value)) == len(value)

    def _is_model(self, one: object) -> bool:
        model, at, epoch = str(one).partition("@")
        known = ("pretrain", "finetune", "scratch") if at else ("initial", "pretrain", "finetune", "scratch")
        return model in known and (not at or epoch.isdecimal())


@dataclass(frozen=True)
class Paths(Listed):
    of: Kind = FILE
    what: str = "a file, a pattern such as runs/ft/epoch_*.pt, or a list of these"
    alone: bool = True


@dataclass(frozen=True)
class PerChannel(Kind):
    """A number, or one number for each of three channels."""

    of: Number = field(default_factory=Number)

    @property
    def described(self) -> str:
        return f"{self.of.described}, or a list of three for red, green and blue"

    def allows(self, value: object) -> bool:
        several = isinstance(value, list) and len(value) == 3
        return all(map(self.of.allows, value if several else [value]))


@dataclass(frozen=True, eq=False)
class Fields(Kind):
    """A mapping with these keys only. needed: keys that can't be left out; lacking: the message if the first of them is
    missing; at: the path where it is set, if this differs from where it is used."""

    of: Mapping[str, Kind] = field(default_factory=dict)
    needed: tuple[str, ...] = ()
    lacking: str = ""
    at: str = ""

    @property
    def described(self) -> str:
        return f"a mapping such as {{{', '.join(f'{key}: ...' for key in self.of)}}}"

    def allows(self, value: object) -> bool:
        return isinstance(value, Mapping) and value.keys() <= self.of.keys() and set(self.needed) <= value.keys()

    def check(self, key: str, value: object) -> None:
        key = self.at or key
        if self.lacking and isinstance(value, Mapping) and self.needed[0] not in value:
            raise BadInput(self.lacking)
        super().check(key, value)
        for name, part in (value or {}).items():
            self.of[name].check(f"{key}.{name}", part)


@dataclass(frozen=True)
class Described(Kind):
    """A description of an object: a `_target_` with its arguments. like: a file with an example; bare: arguments alone
    are allowed, as in experiments that change arguments of a task."""

    like: str = "conf/"
    bare: bool = False

    @property
    def described(self) -> str:
        return f"a _target_ with its arguments, as in {self.like}"

    def allows(self, value: object) -> bool:
        if not isinstance(value, Mapping):
            return False
        return Text().allows(value["_target_"]) if "_target_" in value else self.bare


@dataclass(frozen=True)
class Options(Kind):
    """Options of an external function, by name."""

    described = "options by name, such as {key: value}"

    def allows(self, value: object) -> bool:
        return isinstance(value, dict)

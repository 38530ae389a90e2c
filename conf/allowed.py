"""Defines which values are allowed, for keys of the configuration (conf/schema.py) and for arguments of our own
functions, which declare them next to the argument (conf/arguments.py).

Every kind describes in words what it expects. So a value of the wrong type, which OmegaConf refuses, and one out of
range get the same sentence: `seed=abc is not allowed: a whole number from 0 to 2147483647 is expected`. The type
annotation next to a kind adds to it (`typed`): with `int` a number must be whole, with `| None` null is allowed, too.
"""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Self, get_args

from omegaconf import ListConfig, OmegaConf

from conf.errors import BadInput

LONGEST = 200  # characters of a value that a message shows


@dataclass(frozen=True)
class Kind(ABC):
    """A kind of values. null: whether null is allowed, too; words: texts that are allowed in addition."""

    _: KW_ONLY
    null: bool = False
    words: tuple[str, ...] = ()

    @property
    @abstractmethod
    def described(self) -> str:
        """What is allowed, without null and words, such as "a number from 0 to 1"."""

    @abstractmethod
    def allows(self, value: object) -> bool:
        """Returns whether the value is allowed. value: neither null nor one of the words; without OmegaConf's
        containers."""

    @property
    def expected(self) -> str:
        return _either([*self.words, *["null"] * self.null, self.described])

    def check(self, key: str, value: object) -> None:
        """Raises BadInput for a value that is not allowed."""
        value = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
        if not (self.null if value is None else value in self.words or self.allows(value)):
            raise self.refusal(key, value)

    def refusal(self, key: str, value: object) -> BadInput:
        return BadInput(f"{key}={shown(value)} is not allowed: {self.expected} is expected")

    def typed(self, annotation: object) -> Self:
        """Returns the kind adapted to the type annotation of the value."""
        return replace(self, null=self.null or type(None) in get_args(annotation))


@dataclass(frozen=True)
class Number(Kind):
    """A number from `low` to `high`; `without` may exclude these two."""

    low: float = 0
    high: float = math.inf
    _: KW_ONLY
    without: tuple[float, ...] = ()
    whole: bool = False

    @property
    def described(self) -> str:
        if self.low in self.without:
            end = "below" if self.high in self.without else "up to"
            span = f"above {self.low}" + (f" and {end} {self.high}" if self.high < math.inf else "")
        else:
            span = f"from {self.low} to {self.high}" if self.high < math.inf else f"of at least {self.low}"
        return f"a {'whole ' * self.whole}number {span}"

    def allows(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return False
        return self.low <= value <= self.high and value not in (*self.without, math.inf)

    def typed(self, annotation: object) -> Self:
        return replace(super().typed(annotation), whole=self.whole or int in (annotation, *get_args(annotation)))


@dataclass(frozen=True)
class Flag(Kind):
    described = "true or false"

    def allows(self, value: object) -> bool:
        return isinstance(value, bool)


@dataclass(frozen=True)
class Text(Kind):
    """A text of at most `longest` characters. what: its description."""

    what: str = "a text that is not empty"
    longest: int = 4096

    @property
    def described(self) -> str:
        return self.what

    def allows(self, value: object) -> bool:
        one_line = isinstance(value, str) and not set(value) & set("\0\r\n") and _is_utf8(value)
        return one_line and bool(value.strip()) and len(value) <= self.longest


@dataclass(frozen=True)
class Place(Text):
    """A path; the program does not expand ~ as the shell does."""

    what: str = "the path of a folder or file, without ~"

    def allows(self, value: object) -> bool:
        return super().allows(value) and not value.startswith("~")


@dataclass(frozen=True)
class Character(Kind):
    described = "one character, such as , or a tab"

    def allows(self, value: object) -> bool:
        return isinstance(value, str) and len(value) == 1 and value not in '\r\n"\0'


@dataclass(frozen=True)
class Choice(Kind):
    of: tuple[str | int, ...] = ()

    @property
    def described(self) -> str:
        return _either(list(dict.fromkeys(map(str, self.of))))

    def allows(self, value: object) -> bool:
        return not isinstance(value, bool) and value in self.of


@dataclass(frozen=True)
class Shard(Kind):
    described = "a share such as 2/8 (the second of eight), or join/8,"

    def allows(self, value: object) -> bool:
        found = re.fullmatch(r"(join|[1-9][0-9]{0,5})/([1-9][0-9]{0,5})", value) if isinstance(value, str) else None
        return bool(found) and (found[1] == "join" or int(found[1]) <= int(found[2]))


Seed = Number(0, 2**31 - 1, whole=True)


def _is_utf8(text: str) -> bool:
    """Returns whether the text can be written in UTF-8, which is not so for a file name with bytes of another
    encoding."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(value: object) -> str:
    """Returns the value as it is written on the command line, in one line."""
    if isinstance(value, list | tuple | ListConfig):
        text = f"[{', '.join(map(shown, value))}]"
    elif isinstance(value, Mapping):
        text = f"{{{', '.join(f'{key}: {shown(part)}' for key, part in value.items())}}}"
    elif value is None or isinstance(value, bool):
        text = "null" if value is None else str(value).lower()
    else:
        text = str(value) if str(value).isprintable() and value != "" else repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _either(parts: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))

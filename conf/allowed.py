"""What the value of a key may be. Each kind has `check(key, value)`, which raises BadInput for what is not allowed."""

import math
from dataclasses import dataclass

from omegaconf import OmegaConf

from conf.errors import BadInput


@dataclass(frozen=True)
class Anything:
    """Of the key's type; what uses it checks it further."""

    def check(self, key: str, value: object) -> None:
        pass


@dataclass(frozen=True)
class Number:
    """From `low` to `high`, or one of the `words`. whole: where the key's type allows others, too."""

    low: float
    high: float = math.inf
    words: tuple[str | None, ...] = ()  # None: null
    whole: bool = False

    def check(self, key: str, value: object) -> None:
        if value in self.words:
            return
        kind = int if self.whole else int | float
        number = isinstance(value, kind) and not isinstance(value, bool) and math.isfinite(value)
        if not number or not self.low <= value <= self.high:
            span = f"from {self.low} to {self.high}" if self.high < math.inf else f"of at least {self.low}"
            either = "".join(f"{'null' if word is None else word} or " for word in self.words)
            raise BadInput(f"{key}={value} is not allowed: {either}a {'whole ' * self.whole}number {span} is wanted")


@dataclass(frozen=True)
class Choice:
    of: tuple[str, ...]

    def check(self, key: str, value: object) -> None:
        if value not in self.of:
            raise BadInput(f"{key}={value} is not known; allowed: {', '.join(self.of)}")


@dataclass(frozen=True)
class Several:
    """A list, whose order says nothing, of at least one of these."""

    of: tuple[str, ...]

    def check(self, key: str, value: object) -> None:
        if not OmegaConf.is_list(value) or len(value) == 0:
            raise BadInput(f"{key}={value} is not a list of at least one of: {', '.join(self.of)}")
        for one in value:
            Choice(self.of).check(key, one)


@dataclass(frozen=True)
class Epochs:
    """`all`, or a list of epochs, whose order says nothing."""

    def check(self, key: str, value: object) -> None:
        is_list = OmegaConf.is_list(value) and all(type(epoch) is int and epoch >= 0 for epoch in value)
        if value != "all" and not is_list:
            raise BadInput(f"{key}={value} is not allowed: `all` or a list of epochs such as [0,1,5] is wanted")

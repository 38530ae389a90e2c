"""Words of a command: key=value, each once, none unknown."""

import pytest

from conf.errors import BadInput
from stages.words import given

KEYS = ("run", "to", "output")


def test_values_may_hold_an_equals_sign() -> None:
    assert given(["run=outputs/digits/seed=0", "to=xarray"], KEYS) == {"run": "outputs/digits/seed=0", "to": "xarray"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["runs=x"], "runs=x is not known: run=..., to=..., output=... are; did you mean run=...?"),
        (["outputs/digits"], "outputs/digits is not known"),
        (["run=a", "run=b"], "run=... is given twice: a and b"),
        (["to=xarray"], "run=... is missing"),
        (["run=", "to=xarray"], "run=... is missing"),
    ],
)
def test_other_words_are_refused(words: list[str], said: str) -> None:
    with pytest.raises(BadInput) as refused:
        given(words, KEYS, needed=("run",))
    assert str(refused.value).startswith(said)

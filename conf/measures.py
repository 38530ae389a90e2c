"""Defines the available measures: the files in analysis/measures/, and the user's modules by their dotted names."""

from collections import Counter
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from conf.allowed import Kind
from conf.errors import BadInput

FOLDER = Path(__file__).parents[1] / "analysis" / "measures"
TAKEN = (
    "claims",
    "gallery",
    "benefit",
    "epochs",
    "ranking",
    "planes",
    "views",
    "trends",
    "agreement",
)  # an analysis, or a summary, uses these names for other things


def ours() -> list[str]:
    """Returns the names of the program's own measures."""
    return sorted(file.stem for file in FOLDER.glob("*.py") if file.stem != "__init__")


@dataclass(frozen=True)
class Measures(Kind):
    """A list of at least one measure, each once. The last part of a dotted name is the name of its table."""

    @property
    def described(self) -> str:
        return (
            f"a list of {', '.join(ours())} (claims come with them), or names of modules of your own such as "
            f"my_measures.strength, for the file my_measures/strength.py"
        )

    def allows(self, value: object) -> bool:
        return isinstance(value, list) and len(value) > 0 and all(map(_is_measure, value))

    def check(self, key: str, value: object) -> None:
        super().check(key, value)
        counts = Counter(module.rpartition(".")[2] for module in value)
        name, count = counts.most_common(1)[0]
        taken = [name for name in counts if name in TAKEN or name.endswith("_by_run")]
        if count > 1 or taken:
            name = name if count > 1 else taken[0]
            reason = "two measures of that name" if count > 1 else "no name for a measure, the program uses it"
            raise BadInput(f"{key}: {name}: {reason}; choose another name for the module")


def _is_measure(value: object) -> bool:
    if not isinstance(value, str):
        return False
    named = all(part.isidentifier() for part in value.split("."))
    return value in ours() or (named and ("." in value or find_spec(value) is not None))

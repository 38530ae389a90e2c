"""What a measure is: one file, in analysis/measures/ or in any module of the user's, found by its name.

    NEEDS = Needs("interactions", each=("pretrain", "finetune"))     what it is measured on
    TITLE, LABELS = "What it is, and its unit", {"weighted": "words for a key"}            optional
    CAPTION = "What the figure shows, and how to read it."                                 optional

    def samples(study: Study, power: Annotated[float, Number(0)] = 1) -> Measured: ...     arrays [samples, ...]
    def table(measured: Measured, weights: np.ndarray) -> pd.DataFrame: ...
    def figure(table: pd.DataFrame) -> Figure: ...                                         optional
    SUBJECT = Subject("what fine-tuning discards", ("pretrain", "finetune"))               optional: of its claims
    def claims(measured: Measured, weights: np.ndarray) -> list[Claim]: ...

`samples` alone sees the study; its further arguments are the measure's options (analysis.options.<name>.<option>), each
with its kind beside it (conf/allowed.py). What it finds is kept (analysis/samples/<name>.npz); table and claims are
made from that, and the figure from the table, without a model. A table begins with its keys, such as `model` and
`epoch`; then come `mean`, `low` and `high`; every further column is a reference level.
"""

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from pandas.api.types import is_numeric_dtype

from analysis.claims import Claim
from analysis.statistics.estimate import Estimate, estimate
from analysis.study import Study
from conf.arguments import check_arguments
from conf.errors import BadInput
from conf.measures import ours
from stages.files import write_archive
from stages.measures import OURS, name_of

ABSENT = {
    "pretrain": "no pre-trained model",
    "finetune": "no fine-tuned model",
    "scratch": "no model trained from scratch",
}
PARTS = ("NEEDS", "samples", "table")
INTERVAL = ["mean", "low", "high"]
TAKEN = ("run", "runs", "study", "repeat", "#")  # columns of tables over runs
ON = ("interactions", "predictions")
PROGRAM = Path(__file__).parents[1]


@dataclass(frozen=True)
class Needs:
    """on: "interactions" or "predictions" (of the test set); each: the models that it can't do without; some: those of
    which one is enough."""

    on: str
    each: tuple[str, ...] = ()
    some: tuple[str, ...] = tuple(ABSENT)

    def lacking(self, study: Study) -> str:
        """What there is not, such as "no fine-tuned model"; "" if nothing is lacking."""
        there = study.models if self.on == "interactions" else list(study.outcomes)
        absent = [model for model in self.each if model not in there]
        absent = absent or ([] if set(self.some) & set(there) else list(self.some))
        words = " and ".join(ABSENT[model] for model in absent)
        return f"{words} with predictions of the test set" if words and self.on == "predictions" else words


@dataclass(frozen=True)
class Subject:
    """What a measure's claims are about, in words, and the models that they compare."""

    on: str
    models: tuple[str, ...]


@dataclass(frozen=True)
class Measured:
    """What a measure has found, for each sample.

    observed: name -> [samples, ...]; references: reference -> name -> [draws, samples, ...], the same for each stand-in
    of the reference, of the names that differ there; about: what is the same for all samples, such as `order`, the
    labels of an axis.
    """

    observed: dict[str, np.ndarray]
    references: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    about: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def samples(self) -> int:
        return len(next(iter(self.observed.values())))

    def estimate(
        self, names: str | tuple[str, ...], weights: np.ndarray, statistic: Callable = lambda mean: mean
    ) -> Estimate:
        """Of a statistic of the means over samples of these arrays, with its interval and chance level."""
        names, draws = (names,) if isinstance(names, str) else names, self.references.get("chance", {})
        known = [name for name in names if name in draws]
        by_chance = [
            tuple(draws[name][draw] if name in draws else self.observed[name] for name in names)
            for draw in range(len(draws[known[0]]) if known else 0)
        ]
        return estimate(tuple(self.observed[name] for name in names), by_chance, weights, statistic)

    def write(self, path: Path, data: str, index: np.ndarray) -> None:
        """As .npz. data: the data set that the samples are of; index: [samples], which of it."""
        arrays = self.observed | {f"about/{name}": np.asarray(array) for name, array in self.about.items()}
        for reference, found in self.references.items():
            arrays |= {f"{reference}/{name}": array for name, array in found.items()}
        write_archive(path, data=np.array(data), index=index, **arrays)


@dataclass(frozen=True)
class Measure:
    """name: of its table, figure and file of samples; options: of `samples`."""

    name: str
    module: ModuleType
    options: Mapping[str, object]

    @property
    def needs(self) -> Needs:
        return self.module.NEEDS

    @property
    def about(self) -> dict[str, object]:
        """What stands beside its table and figures, over several runs as well."""
        return {
            "title": getattr(self.module, "TITLE", self.name.replace("_", " ")),
            "caption": getattr(self.module, "CAPTION", ""),
            "labels": getattr(self.module, "LABELS", {}),
        }

    @property
    def subject(self) -> Subject | None:
        return getattr(self.module, "SUBJECT", None)

    def lacking(self, study: Study) -> str:
        """What of the study is missing that it needs; "" if nothing is."""
        return self.needs.lacking(study)

    def claims_lack(self, study: Study) -> str:
        """The same of its claims."""
        return Needs(self.needs.on, each=self.subject.models).lacking(study) if self.subject else ""

    def samples(self, study: Study) -> Measured:
        return self.module.samples(study, **self.options)

    def table(self, measured: Measured, weights: np.ndarray) -> pd.DataFrame:
        """Raises BadInput for one that can't be read, drawn, or summed up over runs."""
        table = self.module.table(measured, weights)
        if why := unusable(table):
            raise BadInput(f"{self.module.__name__}.table: {why}")
        return table

    def figure(self, table: pd.DataFrame) -> Figure | None:
        return self.module.figure(table) if hasattr(self.module, "figure") else None

    def claims(self, measured: Measured, weights: np.ndarray) -> list[Claim]:
        """None of a measure without claims."""
        return list(self.module.claims(measured, weights)) if self.subject else []


def load(module: str, options: Mapping[str, object]) -> Measure:
    """The measure of this name: a file in analysis/measures/, or a module of the user's by its dotted name. Raises
    BadInput if there is no such measure, it lacks a part, or an option is unknown or not allowed."""
    path, name = (f"{OURS}.{module}" if module in ours() else module), name_of(module)
    found = _imported(path)
    if missing := [part for part in PARTS if not hasattr(found, part)]:
        raise BadInput(
            f"analysis.measures: {path} has no {missing[0]}; a measure has {', '.join(PARTS)}, see docs/measures.md"
        )
    needs, subject = found.NEEDS, getattr(found, "SUBJECT", None)
    models = {*getattr(needs, "each", ()), *getattr(needs, "some", ()), *getattr(subject, "models", ())}
    if not isinstance(needs, Needs) or needs.on not in ON or models - ABSENT.keys():
        raise BadInput(
            f'analysis.measures: {path}.NEEDS is not allowed: Needs("interactions") or Needs("predictions"), of the '
            f"models {', '.join(ABSENT)}, is expected"
        )
    if (subject is None) == hasattr(found, "claims"):
        raise BadInput(f"analysis.measures: {path} has one of SUBJECT and claims: claims need both")
    study, *known = inspect.signature(found.samples).parameters
    if extra := sorted(options.keys() - set(known)):
        raise BadInput(
            f"analysis.options.{name}.{extra[0]}: unknown option; {name} has {', '.join(known) or 'no options'}"
        )
    check_arguments(f"analysis.options.{name}", {"_target_": f"{path}.samples", **options}, given=(study,))
    return Measure(name, found, options)


def unusable(table: pd.DataFrame) -> str:
    """Why; "" of a table with keys, then mean, low, high, then reference levels."""
    columns = list(map(str, table.columns))
    first = columns.index("mean") if "mean" in columns else 0
    if columns[first : first + 3] != INTERVAL or len(set(columns)) < len(columns):
        return (
            f"it has the columns {', '.join(columns)}: keys, then mean, low, high, then reference levels are expected, "
            f"each once"
        )
    if taken := [name for name in columns if name in TAKEN or name.startswith("seed")]:
        return f"{taken[0]} is not allowed as a column: tables over runs have one of that name"
    if words := [name for name in columns[first:] if not is_numeric_dtype(table[name])]:
        return f"the column {words[0]} has to be numbers"
    if first and table.duplicated(columns[:first]).any():
        return f"two rows have the same {', '.join(columns[:first])}"
    return "" if first or len(table) < 2 else "it has several rows and no key column, such as model"


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

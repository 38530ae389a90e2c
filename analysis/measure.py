"""Defines what a measure is: one file in analysis/measures/, or any module of the user's, found by its name.

    NEEDS = Needs("interactions", each=("pretrain", "finetune"))     what it is measured on: read before it is imported,
                                                                     so write it like this
    QUESTION = "What does it answer?"              optional, as are the next: the heading of its section in the report
    TITLE, LABELS = "What it is, and its unit", {"weighted": "words for a key"}
    CAPTION = "What the figure shows, and how to read it."

    def samples(study: Study, power: Annotated[float, Number(0)] = 1) -> Measured: ...     arrays [samples, ...]
    def lacks(study: Study, power=1) -> str: ...                   optional: why it can't be measured here, or ""
    def memory(sizes: Sizes, power=1) -> int: ...                  optional, of representations: bytes that it needs,
    def seconds(sizes: Sizes, power=1) -> Span: ...                and how long it takes (analysis/cost.py)
    def table(measured: Measured) -> pd.DataFrame: ...                                     keys, estimate
    def figure(table: pd.DataFrame) -> Figure: ...                                         optional
    SUBJECT = Subject("what fine-tuning discards", ("pretrain", "finetune"))               optional: of its claims
    def claims(measured: Measured) -> list[Claim]: ...
    ARXIV = "2203.04668"    optional: the number on arXiv of the paper that it is from
    FAMILY = "order"        optional: the key whose rows are tested together, where runs are compared
    def across(study: Study, siblings: list[Study], strangers: list[Study]) -> Measured: ...       optional

Only `samples` reads the study; its further arguments are the measure's options (analysis.options.<name>.<option>), each
with its allowed values in its annotation (conf/allowed.py). What it returns is kept (analysis/samples/<name>.npz).
Table and claims are made from that, and the figure from the table, without a model. A table has keys, such as `model`
and `epoch`, and a column `estimate`, of what `measured.estimate` returns (analysis/tables.py says what becomes of it).
`across` gives references that need further runs on the same samples: siblings have the same pre-training, strangers
another one.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.claims import Claim
from analysis.measured import Measured
from analysis.study import Study
from analysis.tables import expanded, unusable
from conf.errors import BadInput
from stages.memory import check_memory
from stages.span import NO_TIME, Span

ABSENT = {
    "pretrain": "no pre-trained model",
    "finetune": "no fine-tuned model",
    "scratch": "no model trained from scratch",
}
PAPER = "2410.08455"  # on arXiv: whose measure it is, unless it says so itself
WITH = {
    "interactions": "",
    "predictions": " with predictions of the test set",
    "representations": " with features",
    "similarity": " whose epochs are compared with another model",
    "trainings": " that was trained here",
}


@dataclass(frozen=True)
class Needs:
    """The results that a measure needs. `on` is "interactions", "predictions" (of the test set), "representations"
    (features of the target task's inputs), "similarity" (of layers of two models, on inputs of the test set) or
    "trainings" (how they went). Every model in `each` is required, and at least one of those in `some`. split: which
    inputs its arrays are of, if these are not the samples of the interactions."""

    on: str
    each: tuple[str, ...] = ()
    some: tuple[str, ...] = tuple(ABSENT)
    split: str = "test"

    def lacking(self, study: Study) -> str:
        """Names what is missing, such as "no fine-tuned model"; returns "" if nothing is."""
        there = {
            "interactions": study.stores,
            "predictions": study.outcomes,
            "representations": study.representations,
            "similarity": study.similarity,
            "trainings": study.curves,
        }
        absent = [model for model in self.each if model not in there[self.on]]
        absent = absent or ([] if set(self.some) & set(there[self.on]) else list(self.some))
        words = " and ".join(ABSENT[model] for model in absent)
        return f"{words}{WITH[self.on]}" if words else ""


class Sizes(NamedTuple):
    """The numbers of training inputs, of test inputs, of features of each layer, and of classes."""

    train: int
    test: int
    widths: Mapping[str, int]
    classes: int


@dataclass(frozen=True)
class Subject:
    """What a measure's claims are about, in words, and the models that they compare."""

    on: str
    models: tuple[str, ...]


@dataclass(frozen=True)
class Measure:
    """A measure with its options. `name` is also the name of its table, its figure and its file of samples;
    `options` are the arguments of `samples`."""

    name: str
    module: ModuleType
    options: Mapping[str, object]

    @property
    def needs(self) -> Needs:
        return self.module.NEEDS

    @property
    def about(self) -> dict[str, object]:
        """The title, caption and labels that are shown with its table and figures, also over several runs."""
        return {
            "title": getattr(self.module, "TITLE", self.name.replace("_", " ")),
            "question": getattr(self.module, "QUESTION", self.name.replace("_", " ")),
            "caption": getattr(self.module, "CAPTION", ""),
            "labels": getattr(self.module, "LABELS", {}),
            "family": getattr(self.module, "FAMILY", ""),
            "paper": getattr(self.module, "ARXIV", PAPER),
            "module": self.module.__name__,
            "options": dict(self.options),
        }

    @property
    def subject(self) -> Subject | None:
        return getattr(self.module, "SUBJECT", None)

    def lacking(self, study: Study) -> str:
        """Names what the measure needs and the study lacks; returns "" if nothing is missing."""
        own = getattr(self.module, "lacks", lambda study, **options: "")
        return self.needs.lacking(study) or own(study, **self.options)

    def check(self, sizes: Sizes) -> Span:
        """Returns how long it takes, if it says that. Raises BadInput for a layer that is not represented, or if memory
        is too small."""
        option, every = f"analysis.options.{self.name}", self._every_option()
        if (layer := every.get("layer")) and layer not in sizes.widths:
            raise BadInput(
                f"{option}.layer={layer} is not allowed: representations.layers has {', '.join(sizes.widths)}"
            )
        if hasattr(self.module, "memory"):
            check_memory(self.module.memory(sizes, **every), f"analysis.measures={self.name}",
                         f"choose fewer samples (data.target.train_samples), or less in {option}")  # fmt: skip
        return self.module.seconds(sizes, **every) if hasattr(self.module, "seconds") else NO_TIME

    def _every_option(self) -> dict[str, object]:
        """Returns the options with the defaults of those that are not set."""
        known = list(inspect.signature(self.module.samples).parameters.values())[1:]
        return {option.name: option.default for option in known} | dict(self.options)

    def claims_lack(self, study: Study) -> str:
        """Names what the measure's claims need and the study lacks; returns "" if nothing is missing."""
        return Needs(self.needs.on, each=self.subject.models).lacking(study) if self.subject else ""

    def samples(self, study: Study) -> Measured:
        found, options = self.module.samples(study, **self.options), study.options
        equal = found.equal and replace(found.equal, draws=options.resamples, seed=options.seed)
        return replace(found, equal=equal, draws=options.resamples, seed=options.seed)

    def table(self, measured: Measured) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
        """Makes the measure's table, and the pseudo-values of its rows. Raises BadInput if it can't be read, drawn, or
        summed up over runs."""
        given = self.module.table(measured)
        table, pseudo = expanded(given)
        if why := unusable(table):
            raise BadInput(f"{self.module.__name__}.table: {why}")
        table.attrs |= given.attrs
        return table, pseudo

    def figure(self, table: pd.DataFrame) -> Figure | None:
        return self.module.figure(table) if hasattr(self.module, "figure") else None

    def claims(self, measured: Measured) -> list[Claim]:
        """Returns the measure's claims; the list is empty if it makes none."""
        return list(self.module.claims(measured)) if self.subject else []

"""The kinds of panels, and what each reads of W&B's runs; nothing here knows how W&B draws them."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Curve:
    """Lines over an axis, such as "epoch": of `metrics`, or of every metric that the regular expression matches."""

    title: str
    axis: str
    metrics: tuple[str, ...] = ()
    pattern: str = ""


@dataclass(frozen=True)
class Bars:
    """A bar for each run or group of runs, and each metric: its last value."""

    title: str
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Dots:
    """A dot for each run: a metric's last value against a setting, such as "start.epoch"."""

    title: str
    setting: str
    metric: str


@dataclass(frozen=True)
class Number:
    """A metric's last value, in large."""

    title: str
    metric: str


@dataclass(frozen=True)
class Rows:
    """A table that runs have logged; those of all runs stand below each other."""

    metric: str


Panel = Curve | Bars | Dots | Number | Rows


@dataclass(frozen=True)
class Section:
    """Panels under one heading. question: what they answer; how: how to read them; jobs: the job types of the runs
    that have their metrics."""

    title: str
    question: str
    how: str
    jobs: tuple[str, ...]
    panels: tuple[Panel, ...]


def read(panel: Panel) -> set[str]:
    """Returns the metrics that a panel reads, its axis included."""
    match panel:
        case Curve(axis=axis, metrics=metrics):
            return {axis, *metrics}
        case Bars(metrics=metrics):
            return set(metrics)
        case Dots(metric=metric) | Number(metric=metric) | Rows(metric=metric):
            return {metric}


def matched(panel: Panel) -> set[str]:
    """Returns the regular expression by which a panel finds further metrics, if it has one."""
    pattern = panel.pattern if isinstance(panel, Curve) else ""
    return {re.compile(pattern).pattern} if pattern else set()

"""Runs made by hand, as their analyses leave them: for what sets runs side by side."""

from pathlib import Path

import numpy as np
import pandas as pd
from changing import changed
from omegaconf import DictConfig, OmegaConf

from analysis.claims import ordered, with_comparisons
from analysis.statistics.estimate import Estimate, Interval
from stages.checksums import listed
from stages.files import write_text
from stages.records import write_record

GROUPS = {"data": "digits", "model": "conv4", "analysis": "paper", "experiment": "digits", "debug": None}
RATIO, LATER = "scratch learns 13 to 45 % of the preserved", "fine-tuning is more accurate"
HALF = 0.02  # of every interval


def interval(value: float, low: float, high: float) -> Interval:
    return Interval(value, low, high, np.array([low, high], dtype=float))


def estimate(value: float, low: float, high: float, equal: Estimate | None = None, **levels: tuple) -> Estimate:
    """levels: of each reference, its level and the interval of the excess over it."""
    excess = {name: interval(value - level, *ends) for name, (level, *ends) in levels.items()}
    return Estimate(interval(value, low, high), {name: level for name, (level, *_) in levels.items()}, excess, equal)


def row(mean: np.ndarray, **levels: float) -> dict[str, np.ndarray]:
    """The columns of a quantity with its references."""
    mean = np.asarray(mean, dtype=float)
    columns = {"mean": mean, "low": mean - HALF, "high": mean + HALF}
    for name, level in levels.items():
        over = mean - level
        columns |= {name: np.full(mean.shape, level), f"{name}_excess": over}
        columns |= {f"{name}_low": over - HALF, f"{name}_high": over + HALF}
    return columns


def ratio(level: float = 0.3) -> pd.DataFrame:
    means = [level, level + 0.1, level + 0.2]
    return pd.DataFrame({"definition": ["paper", "positive", "weighted"], **row(means, sign=0.2)})


def jaccard(level: float = 0.3, epochs: int = 5) -> pd.DataFrame:
    curves = {"finetune": 1 - np.exp(-3 * level * np.arange(epochs)), "scratch": 1 - np.exp(-level * np.arange(epochs))}
    rows = [pd.DataFrame({"model": m, "epoch": np.arange(epochs), **row(y, sign=0.17)}) for m, y in curves.items()]
    return pd.concat(rows, ignore_index=True)


def decomposition(level: float = 0.3, n: int = 5) -> pd.DataFrame:
    order = np.arange(n + 1)
    parts = {"pretrain": 3, "finetune": 2, "preserved": 1, "discarded": 2, "new": 1}
    rows = [pd.DataFrame({"order": order, "quantity": name, **row(level * part * (1 + order), sign=0.1)})
            for name, part in parts.items()]  # fmt: skip
    return pd.concat(rows, ignore_index=True)


def claims(level: float = 0.3, verdict: str = "met", why: str = "") -> pd.DataFrame:
    """Two claims: one is met, and noise could overturn that the other one is undecided."""
    keys = {"measure": ["ratio", "accuracy"], "claim": [RATIO, LATER], "key": ["ratio/paper", "accuracy/gain"],
            "quantity": ["ratio, mean over all S", "final accuracy, fine-tuned - scratch"]}  # fmt: skip
    table = pd.DataFrame(keys | row([level, level - 0.2], sign=0.1))
    table.loc[1, ["low", "high"]] = -0.1, 0.3
    table.loc[1, ["sign", "sign_excess", "sign_low", "sign_high"]] = np.nan
    judged = {"above": [0.13, 0], "below": [0.45, np.nan], "verdict": [verdict, "undecided"], "why": [why, ""],
              "noise": ["", "could overturn"]}  # fmt: skip
    return ordered(with_comparisons(table.assign(**judged)))


def tables(level: float = 0.3) -> dict[str, pd.DataFrame]:
    return {"ratio": ratio(level), "jaccard": jaccard(level), "claims": claims(level)}


class HandMade:
    """make(finetune__lr=0.01, seeds__train=3, tables=...) leaves a run in `outputs`; returns its folder."""

    def __init__(self, default: DictConfig, outputs: Path) -> None:
        self.default, self.outputs, self.count = default, outputs, 0

    def __call__(
        self,
        tables: dict[str, pd.DataFrame],
        groups: dict[str, str] | None = None,
        chosen: bool | list[str] = True,
        digest: str = "",
        finished: str = "2026-01-01",
        **values: object,
    ) -> Path:
        """groups: options that are not the default's; chosen: the keys that were, True for all in values,
        False for a run of before that was written down; values: other than the default's, of keys with __ for dots."""
        self.count += 1
        cfg = changed(self.default, output=str(self.outputs), **({"wandb__mode": "disabled"} | values))
        run = self.outputs / cfg.name / f"{self.count:03}" / f"seed={cfg.seed}"
        write_text(run / "results.json", "{}\n")
        write_text(run / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(OmegaConf.to_container(cfg, resolve=True))))
        if chosen is not False:
            paths = [key.replace("__", ".") for key in values] if chosen is True else chosen
            keys = {path: OmegaConf.select(cfg, path) for path in paths if path not in ("seed", "name")}
            write_record(run / "chosen.json", {"groups": GROUPS | (groups or {}), "keys": keys})
        self._analysis(run / "analysis", tables, digest or f"digest{self.count}", finished)
        return run

    def _analysis(self, folder: Path, tables: dict[str, pd.DataFrame], digest: str, finished: str) -> None:
        for name, table in tables.items():
            write_text(folder / "tables" / f"{name}.csv", table.to_csv(index=False))
        about = {name: {"title": f"Title of {name}", "caption": f"Caption of {name}."} for name in tables}
        write_record(folder / "measures.json", {"measures": about})
        write_record(folder / "done.json", {"digest": digest, "finished": finished, "files": listed(folder)})

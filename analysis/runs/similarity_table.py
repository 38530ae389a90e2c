"""How similar the layers are at the last epochs, over the runs of each setting: what stands in similarity.csv."""

import numpy as np
import pandas as pd

from analysis.runs.conditions import EXCESS, MEASURE, PLACE, QUANTITY, last_rows
from analysis.runs.found import Run
from analysis.runs.settings import Settings
from analysis.runs.tables import SETTING, Rows, before, over_runs, which_samples

CALIBRATED, BEYOND, RANDOM, ANOTHER = "calibrated", "excess", "random", "another_training"
KEYS = ["quantity", "model", "against", "layer"]
NUMBERS = ["runs", "mean", "standard_error", "low", "high"]


def similarity(runs: list[Run], settings: Settings, others: dict[str, dict[str, float]]) -> pd.DataFrame:
    """Returns for each setting, model, what it is compared with, and layer, of last epochs: cka, its excess over a
    random move, and calibrated, each with runs, mean, standard_error, low and high; the levels random and
    another_training stand beside cka. others: of a run's folder and a layer the CKA with other fine-tunings from the
    same start."""
    tables = []
    for number, each in enumerate(settings.each):
        of = [run for run, values in zip(runs, settings.of_run, strict=True)
              if values == each and {*PLACE, "mean", "low", "high"} <= set(run.tables.get(MEASURE, ()))]  # fmt: skip
        if of:
            about = {SETTING: number, **dict(zip(settings.headers, each, strict=True))}
            tables.append(before(_of_setting(of, others), about))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _of_setting(runs: list[Run], others: dict[str, dict[str, float]]) -> pd.DataFrame:
    rows = [_rows(run) for run in runs]
    found = over_runs(rows, KEYS)
    values = pd.concat([each.table for each in rows])
    found = found.merge(_errors(values, "mean"), on=KEYS)
    found[ANOTHER] = [_another(runs, others, *key) for key in found[KEYS].itertuples(index=False, name=None)]
    if EXCESS in found:
        own = found[(found["quantity"] == QUANTITY) & found[EXCESS].notna()]
        beyond = own.assign(quantity=BEYOND, mean=own[EXCESS], low=own["random_low"], high=own["random_high"])
        beyond = beyond.drop(columns="standard_error").merge(
            _errors(values[values["quantity"] == QUANTITY], EXCESS).assign(quantity=BEYOND), on=KEYS, how="left"
        )
        found = pd.concat([found, beyond.assign(**{RANDOM: np.nan, ANOTHER: np.nan})], ignore_index=True)
    else:
        found[RANDOM] = np.nan
    order = {name: place for place, name in enumerate((QUANTITY, BEYOND, CALIBRATED))}
    found = found.sort_values("quantity", key=lambda names: names.map(order), kind="stable", ignore_index=True)
    return found[[*KEYS, *NUMBERS, RANDOM, ANOTHER]]


def _rows(run: Run) -> Rows:
    rows = last_rows(run, QUANTITY, CALIBRATED)
    pseudo = run.pseudo(MEASURE)
    kept = {name: each[..., rows["place"]] for name, each in pseudo.items()
            if each.shape[-1] == len(run.tables[MEASURE])}  # fmt: skip
    table = rows.drop(columns=["place", "epoch"]).reset_index(drop=True)
    return Rows(table, kept, which_samples(run, MEASURE))


def _errors(values: pd.DataFrame, column: str) -> pd.DataFrame:
    """Returns the standard error of the mean over runs, NaN of one run."""
    values = values.assign(**{column: values[column].where(np.isfinite(values[column]))})
    return values.groupby(KEYS, sort=False)[column].sem().rename("standard_error").reset_index()


def _another(
    runs: list[Run], others: dict[str, dict[str, float]], quantity: str, model: str, against: str, layer: str
) -> float:
    if (quantity, model, against) != (QUANTITY, "finetune", "pretrain"):
        return np.nan
    known = [of[layer] for run in runs if layer in (of := others.get(str(run.folder), {}))]
    return float(np.mean(known)) if known else np.nan

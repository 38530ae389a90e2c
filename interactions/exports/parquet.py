"""Writes tables as Parquet files with a data-set card, a folder that can be uploaded to a hub as it is.

README.md                the card: what the study is, every table with its columns; each table is a configuration
<table>.parquet          every table of the analysis, such as ratio.parquet and claims.parquet
samples.parquet          the samples: number in their split, label, class, names of their variables
interactions.parquet     only with interactions=true: every value and interaction of the chosen models, epochs and
                         samples, a row each, which for n = 12 and 100 samples is 400,000 rows a checkpoint

    datasets.load_dataset("<output>", "ratio")        pandas.read_parquet("<output>/ratio.parquet")
"""

from pathlib import Path

import numpy as np
import pandas as pd

from conf.allowed import Choice
from conf.errors import BadInput
from interactions.exports.card import card
from interactions.exports.chosen import Chosen
from interactions.exports.packages import check_installed
from interactions.exports.place import check_disk
from interactions.loaded import Run
from stages.files import write_text

OPTIONS = ("roles", "epochs", "samples", "interactions")
LONG = "interactions"
COLUMNS = {"role": object, "epoch": np.int32, "sample": np.int32, "bitmask": np.int64, "order": np.int8,
           "value": np.float64, "interaction": np.float64}  # fmt: skip
ROW, TABLE = 32, 60_000  # bytes, at most: of a row of values, of what a small table's file takes beside its rows


def check(chosen: Chosen, output: Path, options: dict[str, str]) -> None:
    Choice(("true", "false")).check("interactions", options.get("interactions", "false"))
    if extra := [key for key in ("roles", "epochs", "samples") if key in options and not _is_long(options)]:
        raise BadInput(f"{extra[0]}={options[extra[0]]} is only for interactions, which to=parquet writes with "
                       f"interactions=true")  # fmt: skip
    check_installed("to=parquet", "pyarrow")
    tables = _tables(chosen.run)
    size = sum(int(table.memory_usage(deep=True).sum()) + TABLE for table in tables.values())
    check_disk(len(tables) + _is_long(options) + 1, size + ROW * chosen.count * _is_long(options), output)


def write(chosen: Chosen, folder: Path, options: dict[str, str]) -> None:
    tables, rows = _tables(chosen.run), {}
    for name, table in tables.items():
        table.to_parquet(folder / f"{name}.parquet", index=False)
        rows[name] = len(table)
    columns = {name: list(table.columns) for name, table in tables.items()}
    if _is_long(options):
        _write_long(chosen, folder / f"{LONG}.parquet")
        columns[LONG], rows[LONG] = list(COLUMNS), chosen.count
    write_text(folder / "README.md", card(chosen.run, columns, rows, options))


def _is_long(options: dict[str, str]) -> bool:
    return options.get("interactions") == "true"


def _tables(run: Run) -> dict[str, pd.DataFrame]:
    """Returns the tables of the analysis, and the samples. Raises BadInput if a measure has a name of ours."""
    if taken := {"samples", LONG} & run.tables.keys():
        raise BadInput(f"{run.folder} has a measure called {taken.pop()}: its table has the name of one that every "
                       f"export has; give the measure another name")  # fmt: skip
    samples = run.samples.reset_index()
    samples["variables"] = [run.names(sample) for sample in samples["sample"]]
    return {**run.tables, "samples": samples}


def _write_long(chosen: Chosen, path: Path) -> None:
    """Writes a row for each subset, one checkpoint after the other, so that only one is in memory."""
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    samples, subsets = len(chosen.samples), 2**chosen.run.n
    types = {name: pyarrow.string() if of is object else pyarrow.from_numpy_dtype(of) for name, of in COLUMNS.items()}
    schema = pyarrow.schema(types)
    with ParquetWriter(path, schema) as file:
        for model, epoch, v, strength in chosen.arrays():
            count = samples * subsets
            columns = (
                [model] * count,
                np.full(count, epoch),
                np.repeat(chosen.samples, subsets),
                np.tile(np.arange(subsets), samples),
                np.tile(chosen.run.orders, samples),
                v.ravel(),
                strength.ravel(),
            )
            arrays = [pyarrow.array(column, of) for column, of in zip(columns, types.values(), strict=True)]
            file.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))

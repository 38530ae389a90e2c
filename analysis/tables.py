"""The form of a measure's table, so that it can be read, drawn, and set beside those of other runs.

model,epoch,mean,low,high,chance        keys; the mean and its interval; reference levels
finetune,0,0.19,0.16,0.22,0.16
"""

import pandas as pd
from pandas.api.types import is_numeric_dtype

INTERVAL = ["mean", "low", "high"]
TAKEN = ("run", "runs", "study", "repeat", "#")  # columns of tables over runs


def unusable(table: pd.DataFrame) -> str:
    """Says why a table is not usable; returns "" if it has keys, then mean, low, high, then reference levels."""
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

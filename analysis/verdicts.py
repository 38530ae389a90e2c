"""What a study prints at its end: the claims, each with its verdict, and where the report is."""

import csv
import io
from pathlib import Path
from typing import BinaryIO

from stages.reading import parsed


def show_claims(folder: Path) -> None:
    """Prints the claims as a table, and where the report is."""
    path = folder / "tables" / "claims.csv"
    if path.exists():
        print("", *parsed(path, _lines), sep="\n")
    print(f"\nreport: {folder / 'report.html'}", flush=True)


def _lines(file: BinaryIO) -> list[str]:
    """Returns two lines for each claim, three where noise matters."""
    lines = []
    for row in csv.DictReader(io.TextIOWrapper(file, "utf-8", newline="")):
        value, low, high, chance = (f"{float(row[key] or 'nan'):.3g}" for key in ("value", "low", "high", "chance"))
        lines.append(f"{row['verdict']:>13}  {row['claim']}")
        lines.append(f"{'':13}  {row['quantity']}: {value} [{low}, {high}], chance {chance}")
        if row.get("noise"):  # older tables have no such column
            lines.append(f"{'':13}  numerical noise {row['noise']} this")
    return lines

"""What a study ends with on the terminal: the claims, each with its verdict, and where the report is."""

import csv
from pathlib import Path


def show_claims(folder: Path) -> None:
    """The claims as a table, and where the report is."""
    path = folder / "tables" / "claims.csv"
    if path.exists():
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        print()
        for row in rows:
            value, low, high, chance = (f"{float(row[key] or 'nan'):.3g}" for key in ("value", "low", "high", "chance"))
            print(f"{row['verdict']:>13}  {row['claim']}")
            print(f"{'':13}  {row['quantity']}: {value} [{low}, {high}], chance {chance}")
            if row.get("noise"):  # older tables have no such column
                print(f"{'':13}  numerical noise {row['noise']} this")
    print(f"\nreport: {folder / 'report.html'}", flush=True)

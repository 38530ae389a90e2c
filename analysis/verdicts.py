"""What a study prints at its end: the answer, the claims with their verdicts (which analysis/told.py has written), and
where the report is. Nothing is imported for it, so that a complete study ends at once."""

from pathlib import Path

FILE = "verdicts.txt"


def show_claims(folder: Path) -> None:
    """Prints the verdicts, and where the report is."""
    show(folder)
    print(f"\nreport: {folder / 'report.html'}", flush=True)


def show(folder: Path) -> None:
    if (folder / FILE).exists():
        print("", (folder / FILE).read_text(encoding="utf-8").rstrip("\n"), sep="\n")

"""What a study prints at its end: the answer, the claims with their verdicts (which analysis/told.py has written), and
where the report is. Nothing heavy is imported for it, so that a complete study ends at once."""

from pathlib import Path

from stages.reading import parsed

FILE = "verdicts.txt"


def show_claims(folder: Path) -> None:
    """Prints the verdicts, and where the report is."""
    show(folder)
    print(f"\nreport: {folder / 'report.html'}", flush=True)


def show(folder: Path) -> None:
    if (folder / FILE).exists() and (said := parsed(folder / FILE, lambda file: file.read().decode()).rstrip("\n")):
        print("", said, sep="\n")

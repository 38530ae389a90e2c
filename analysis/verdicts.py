"""What a study prints at its end: the answer, the claims with their verdicts, and where the report is.

All of it was put into words when the analysis was made (analysis/answer.py, analysis/lines.py), so that a run with
nothing left to do reads two short files, and imports nothing heavy.
"""

from pathlib import Path
from textwrap import fill

from stages.reading import parsed

ANSWER, CLAIMS = "answer.txt", "claims.txt"
WIDTH = 110


def show_claims(folder: Path) -> None:
    """Prints the answer, the claims, and where the report is."""
    show_answer(folder)
    if text := _text(folder / CLAIMS):
        print("", text, sep="\n", end="")
    print(f"\nreport: {folder / 'report.html'}", flush=True)


def show_answer(folder: Path) -> None:
    """Prints the answer to the title's question in lines that are easy to read."""
    for paragraph in filter(None, _text(folder / ANSWER).splitlines()):
        print("", fill(paragraph, WIDTH), sep="\n")


def _text(file: Path) -> str:
    return parsed(file, lambda opened: opened.read().decode()) if file.exists() else ""

"""Checks whether a measure is the same in all runs: only then are its tables set side by side.

`my_measures.ratio` leaves a table ratio.csv as the program's own `ratio` does, and a measure whose code was changed
between two runs leaves a table of the same form. The digests that each run keeps of its measures tell them apart.
"""

from collections import Counter
from dataclasses import replace

from analysis.runs.found import Run


def alike(runs: list[Run]) -> tuple[list[Run], list[str]]:
    """Returns the runs without tables and claims of measures that differ from those of most runs (of the latest run,
    if the numbers are equal), and lines that say what was left out."""
    lines = []
    for name in dict.fromkeys(name for run in runs for name in run.about):
        digests = {at: run.about[name].get("digest") for at, run in enumerate(runs) if name in run.about}
        counts = Counter(digests.values())
        kept = max(counts, key=lambda digest: (counts[digest], _latest(runs, digests, digest)))
        for at, digest in digests.items():
            if digest != kept:
                lines.append(f"{name} of {runs[at].folder}: it is another measure there, or has other code")
                runs = [*runs[:at], _without(runs[at], name), *runs[at + 1 :]]
    return runs, lines


def _latest(runs: list[Run], digests: dict[int, str], digest: str) -> str:
    return max(runs[at].finished for at, found in digests.items() if found == digest)


def _without(run: Run, measure: str) -> Run:
    tables = {name: table for name, table in run.tables.items() if name != measure}
    if "claims" in tables and "measure" in tables["claims"]:
        claims = tables["claims"][tables["claims"]["measure"] != measure]
        tables = {name: table for name, table in tables.items() if name != "claims"} | (
            {"claims": claims} if len(claims) else {}
        )
    return replace(run, tables=tables, about={name: about for name, about in run.about.items() if name != measure})

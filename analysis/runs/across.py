"""References that need several runs on the same samples: `ceiling` and `other` (design of each measure: `across`).

Runs with the same pre-training but other fine-tunings are siblings: another fine-tuning shows the largest agreement
that there can be. Runs with another pre-training are strangers: they show what agreement needs no common
pre-training. Both are measured from the stored values of the runs, which have to be there.
"""

from dataclasses import replace
from itertools import permutations
from math import factorial
from typing import BinaryIO

import numpy as np
import pandas as pd

from analysis.claims import as_table
from analysis.inputs import study_at
from analysis.loading import load
from analysis.measure import Measure
from analysis.measured import Measured
from analysis.measures.decomposition import paired
from analysis.runs.found import Run
from analysis.runs.settings import Settings
from analysis.study import Study
from conf.errors import BadInput
from conf.first_line import first_line
from stages.measures import OURS
from stages.progress import Bar
from stages.reading import parsed
from stages.view import recorded

DRAWS, PAIRED = 10_000, "preserved/other"


def with_stand_ins(runs: list[Run], settings: Settings) -> tuple[list[Run], list[str]]:
    """Returns the runs with the further references in their tables and claims, and lines on what could not be done."""
    found, lines = dict(enumerate(runs)), {}
    for group in _groups(runs, settings):
        try:
            studies = {at: study_at(runs[at].folder) for at in group}
            p = _of_pairings(runs, studies)
            for at in Bar(group, desc="references over runs", leave=False):
                found[at] = _extended(at, runs, studies, p)
        except (BadInput, OSError, KeyError) as error:
            reason = first_line(error)
            lines[f"references over runs (ceiling, other) are not there: {reason}"] = None
    return list(found.values()), list(lines)


def _groups(runs: list[Run], settings: Settings) -> list[list[int]]:
    """Returns the places of runs of one setting on the same samples, two or more each."""
    groups: dict[tuple, list[int]] = {}
    for at, (run, values) in enumerate(zip(runs, settings.of_run, strict=True)):
        if digest := _digest(run, "interactions/samples"):
            groups.setdefault((values, digest), []).append(at)
    return [group for group in groups.values() if len(group) > 1]


def _digest(run: Run, result: str) -> str | None:
    return recorded(run.folder).get(result, {}).get("digest")


def _extended(at: int, runs: list[Run], studies: dict[int, Study], p: tuple[float, float]) -> Run:
    """Returns a run whose tables and claims have the references that the other runs give."""
    run, others = runs[at], [other for other in studies if other != at]
    apart = {
        "siblings": [studies[other] for other in others if _same(run, runs[other], "probe")
                     and not _same(run, runs[other], "interactions/finetune")],
        "strangers": [studies[other] for other in others if not _same(run, runs[other], "pretrain")],
    }  # fmt: skip
    tables, samples, claims = dict(run.tables), dict(run.samples), []
    for name in run.about:
        measure = _measure(run, name)
        if measure is None or not hasattr(measure.module, "across") or not any(apart.values()):
            continue
        measured = parsed(run.folder / "analysis" / "samples" / f"{name}.npz", _measured)
        measured = measured.with_references(measure.module.across(studies[at], **apart))
        tables[name], pseudo = measure.table(measured)
        made = [] if measure.claims_lack(studies[at]) else measure.claims(measured)
        judged, of_claims = as_table(name, made)
        samples[name] = {key: run.samples[name][key] for key in ("data", "index")}
        samples[name] |= {f"rows/{key}": each for key, each in pseudo.items()}
        samples[name] |= {f"claims/{key}": each for key, each in of_claims.items()}
        if made:
            claims.append(_with_p(judged, *p))
    return replace(run, tables=_with_claims(tables, claims), samples=samples)


def _with_p(judged: pd.DataFrame, p: float, p_less: float) -> pd.DataFrame:
    paired = judged["key"] == PAIRED
    return judged.assign(p=np.where(paired, p, np.nan), p_less=np.where(paired, p_less, np.nan))


def _with_claims(tables: dict, claims: list) -> dict:
    """Puts the claims of some measures in the place of those in the run's table. What noise could overturn stays."""
    if not claims or "claims" not in tables:
        return tables
    old = tables["claims"]
    noise = dict(zip(old["key"], old["noise"], strict=True))
    new = {table["measure"].iloc[0]: table for table in claims if len(table)}
    parts = [new.get(measure, old[old["measure"] == measure]) for measure in dict.fromkeys(old["measure"])]
    table = pd.concat(parts, ignore_index=True)
    table["noise"] = [noise.get(key, "") for key in table["key"]]
    return tables | {"claims": table}


def _of_pairings(runs: list[Run], studies: dict[int, Study]) -> tuple[float, float]:
    """Returns how often as much is shared as by pre-trained and fine-tuned models of the same runs, and how often as
    little, if they are paired in any way (one run of each pre-training): exact, or from 10,000 draws for more than 7
    runs."""
    first = {_digest(runs[at], "pretrain"): studies[at] for at in reversed(studies)}
    if len(first) < 2:
        return np.nan, np.nan
    shared = np.array([[paired(one, other) for other in first.values()] for one in first.values()])
    count, draw = len(shared), np.random.default_rng(0)
    every = factorial(count) <= DRAWS
    pairings = permutations(range(count)) if every else (draw.permutation(count) for _ in range(DRAWS))
    sums = np.array([shared[np.arange(count), list(pairing)].sum() for pairing in pairings])
    own = shared.trace()
    reached = (np.sum(sums >= own * (1 - 1e-12)), np.sum(sums <= own * (1 + 1e-12)))
    return tuple(float(count / len(sums) if every else (count + 1) / (len(sums) + 1)) for count in reached)


def _measured(opened: BinaryIO) -> Measured:
    return Measured.read(np.load(opened))


def _measure(run: Run, name: str) -> Measure | None:
    about = run.about[name]
    if name not in run.samples or "module" not in about:
        return None
    try:
        return load(about["module"].removeprefix(f"{OURS}."), about.get("options", {}))
    except BadInput:  # a module of the user's that is not at hand
        return None


def _same(run: Run, other: Run, result: str) -> bool:
    return _digest(run, result) == _digest(other, result)

"""The answer to the title's question, in sentences that are made from the claims, of one run or over runs.

    Fine-tuning is more accurate than training from scratch, by 4.5 points [2.9, 6.1], and converges sooner, by 3 [2, 3]
    epochs. Of the pre-trained model's strength (orders from 1 on) 26 % [24, 29] is preserved: more than if effects were
    independent (25 % [14, 36] of it; orders 1 and 2 show it by themselves); from a model trained from scratch no
    difference is shown (+6 % [-3, 15] of it). ...

No sentence says more than the interval of its claim does: what is undecided is called so.
"""

from collections.abc import Iterator
from math import isnan

import pandas as pd

from analysis.claims import COUNTED, EQUAL, IMPOSSIBLE, MET, NOT_MET, SCALE, UNDECIDED, at_equal, overall
from analysis.tables import ends
from analysis.told import interval

BEYOND = {
    "sign": ("more than if effects were independent", "from independent effects"),
    "placement": ("more than strengths alone would give", "from what strengths alone would give"),
    "task": ("more than a model trained from scratch shares", "from a model trained from scratch"),
    "class": ("more than other inputs of the same class share", "from other inputs of the same class"),
    "other": ("more than after another pre-training", "from fine-tuning after another pre-training"),
}
CAVEATS = {"task": "; up to about 10 % may only be scratch's noise"}
RECOVERED = {
    "placement": "by strengths alone",
    "sign": "with independent effects",
    "ceiling": "by a second fine-tuning",
}
ALPHA = 0.05


def answer(claims: pd.DataFrame, orders: pd.DataFrame | None, known: str) -> str:
    """Returns the paragraph. claims: as in claims.csv, of one run or one setting; orders: table of `decomposition`, if
    there is one; known: over what the intervals are."""
    rows = {row["key"]: row for _, row in claims.iterrows()}
    sentences = [
        *_benefit(rows),
        *_probe(rows),
        *_preserved(rows, orders),
        *_discarded(claims, rows),
        *_recovered(rows),
    ]
    return " ".join([*sentences, known]).strip() if sentences else ""


def of_one_epoch(table: pd.DataFrame, epoch: int | None) -> str:
    """Returns what a run says of the epoch of pre-training that it starts from. table: of `transfer`."""
    rows = {row["quantity"]: row for _, row in table.iterrows()}
    begun = "the given weights" if epoch is None else f"epoch {epoch} of pre-training"
    words = {
        "fe": "frozen features with a fixed number of steps",
        "fe_converged": "frozen features with a converged layer",
        "ft": "fine-tuned",
    }
    parts = [f"{text} {_share(rows[name])}" for name, text in words.items() if name in rows]
    source = f" ({_share(rows['source'])} on the source task)" if "source" in rows else ""
    return (
        f"Accuracy from {begun}{source}: {', '.join(parts)}. Which epoch is best, only runs from several show "
        f"(start.epoch)."
    )


def _share(row: pd.Series) -> str:
    value, low, high = (100 * row[name] for name in ("mean", "low", "high"))
    return f"{value:.1f} % [{low:.1f}, {high:.1f}]"


def _benefit(rows: dict[str, pd.Series]) -> Iterator[str]:
    if not (gain := rows.get("accuracy/gain", {}).get("verdict")):
        return
    points = _points(rows["accuracy/gain"])
    if gain == MET:
        text = f"Fine-tuning is more accurate than training from scratch, by {points}"
    elif gain == NOT_MET:
        text = f"Fine-tuning is not more accurate than training from scratch ({points})"
    elif gain == IMPOSSIBLE:
        yield "Neither fine-tuning nor training from scratch left the most frequent class: there is nothing to compare."
        return
    else:
        text = f"Between fine-tuning and training from scratch no difference in accuracy is shown ({points})"
    yield f"{text}{_sooner(rows, 'fine-tuning' if gain == UNDECIDED else 'it')}."


def _sooner(rows: dict[str, pd.Series], which: str) -> str:
    row = rows.get("accuracy/sooner")
    if row is None or row["verdict"] == IMPOSSIBLE:
        return ""
    if row["verdict"] == MET:
        return f", and {which} converges sooner, by {_numbers(row)} epochs"
    return f"; that {which} converges sooner is {'not the case' if row['verdict'] == NOT_MET else row['verdict']}"


def _probe(rows: dict[str, pd.Series]) -> Iterator[str]:
    row = rows.get("accuracy/over_probe")
    if row is None or row["verdict"] == IMPOSSIBLE:
        return
    points, also = _points(row), rows.get("accuracy/gain", {}).get("verdict") == MET
    better = "It is also" if also else "Fine-tuning is"
    yield {
        MET: f"{better} more accurate than a linear probe on the frozen features, by {points}.",
        NOT_MET: f"A linear probe on the frozen features is at least as accurate ({points} for fine-tuning).",
    }.get(row["verdict"], f"From a linear probe on the frozen features no difference is shown ({points}).")


def _preserved(rows: dict[str, pd.Series], orders: pd.DataFrame | None) -> Iterator[str]:
    if "preserved/share" not in rows or isnan(rows["preserved/share"]["mean"]):
        return
    shown, open_ = [], []
    for name, (more, difference) in BEYOND.items():
        if (row := rows.get(f"preserved/{name}")) is None or row["verdict"] == IMPOSSIBLE:
            continue
        verdict, excess = overall(row.to_frame().T), f"{_percent(row, signed=True)} of it"
        if verdict == MET:
            shown.append(f"{more} ({_percent(row)} of it{_at_orders(name, orders)}{CAVEATS.get(name, '')})")
        elif verdict == SCALE:
            open_.append(f"whether {more} {verdict} ({excess})")
        elif verdict == NOT_MET:
            open_.append(f"not {more} ({excess})")
        else:
            open_.append(f"{difference} no difference is shown ({excess})")
    parts = "; ".join([*([", ".join(shown)] if shown else []), *open_])
    whole = f"Of the pre-trained model's strength (orders from 1 on) {_percent(rows['preserved/share'])} is preserved"
    yield f"{whole}: {parts}." if parts else f"{whole}."


def _at_orders(reference: str, orders: pd.DataFrame | None) -> str:
    """Names the orders at which the excess over a reference is clear by itself, all orders taken together."""
    excess = f"{reference}_excess"
    if orders is None or excess not in orders:
        return ""
    rows = orders[(orders["quantity"] == "preserved") & (orders["order"] > 0)]
    if len(rows) < 2:
        return ""
    clear = rows[f"{reference}_p"] < ALPHA if f"{reference}_p" in rows else rows[ends(excess)[1]] > 0
    found = [int(order) for order in rows["order"][clear & (rows[excess] > 0)]]
    if not found:
        return "; no order shows it by itself"
    if len(found) == 1:
        return f"; order {found[0]} shows it by itself"
    return f"; orders {_listed(found)} show it by themselves"


def _discarded(claims: pd.DataFrame, rows: dict[str, pd.Series]) -> Iterator[str]:
    if (row := rows.get("discarded/all")) is None or row["verdict"] == IMPOSSIBLE:
        return
    verdict = overall(claims[claims["claim"] == row["claim"]])
    equal = "" if isnan(row.get(f"{EQUAL}mean", float("nan"))) else f"equal strengths {_numbers(row, EQUAL)}"
    if verdict == row["verdict"]:
        text = f"{verdict}, {_numbers(row)}" + (f". At {equal}" if equal else "")
    else:
        how = "over all subsets" if verdict == COUNTED else "as measured"
        text = f"{verdict}: {how} {_numbers(row)}, {row['verdict']}"
        text += f"; at {equal}, {at_equal(row)}".removesuffix(", ") if equal else ""
    yield f"Discards more than twice what it preserves: {text}."


def _recovered(rows: dict[str, pd.Series]) -> Iterator[str]:
    if (row := rows.get("ratio/weighted")) is None or isnan(row["mean"]):
        return
    known = {name: how for name, how in RECOVERED.items() if not isnan(row.get(name, float("nan")))}
    levels = [f"{row[name]:.2f} {how}" for name, how in known.items()]
    text = f"Of what is preserved, by strength, training from scratch recovers {_numbers(row)}"
    scale = rows.get("ratio/weighted/scale")
    on = (
        "" if scale is None or isnan(scale["mean"]) else f", which is {_numbers(scale)} of the way from sign to ceiling"
    )
    yield f"{text}; it would be {', '.join(levels)}{on}." if levels else f"{text}."


def _points(row: pd.Series) -> str:
    value, low, high = (_rounded(100 * row[name], 1) for name in ("mean", "low", "high"))
    return f"{value:{'' if low > 0 else '+'}.1f} points [{low:.1f}, {high:.1f}]"


def _percent(row: pd.Series, signed: bool = False) -> str:
    value, low, high = (_rounded(100 * row[name], 0) for name in ("mean", "low", "high"))
    return f"{value:{'+' if signed else ''}.0f} % [{low:.0f}, {high:.0f}]"


def _rounded(value: float, digits: int) -> float:
    """Rounds without leaving a -0."""
    return round(value, digits) + 0.0


def _numbers(row: pd.Series, prefix: str = "") -> str:
    return interval(row, prefix, digits=2)


def _listed(numbers: list[int]) -> str:
    """Returns such as "1 to 4, 7 and 8"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    parts = [part for run in runs for part in (map(str, run) if len(run) < 3 else [f"{run[0]} to {run[-1]}"])]
    return ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1]

"""Warns of what was made from synthetic data, or with the settings of a trial: it shows that a study runs, no more.

debug=tiny sets data.synthetic, which published data sets take as the number of samples per class to generate. A task
that comes with the program has no such argument and keeps its own data, but what else debug=tiny sets is a trial's.
"""

from collections.abc import Mapping, Sequence

KEY, MEANING = "data.synthetic", "these numbers mean nothing"


def warning(settings: Mapping[str, object]) -> str:
    """Returns the warning for a run with these settings (by path), "" if there is nothing to warn of."""
    tasks = ["data.target."]
    if settings.get("model.weights") in (None, "pretrain"):
        tasks.append("data.source.")
    whole = settings.get(KEY) or 0
    given = [value for path, value in settings.items() if path.startswith(tuple(tasks)) and path.endswith(".synthetic")]
    if any((whole if value == f"${{{KEY}}}" else value) for value in given):
        return f"synthetic data: {MEANING}"
    return f"a trial, as with debug=tiny ({KEY}={whole}): {MEANING}" if whole else ""


def over_runs(every: Sequence[Mapping[str, object]]) -> str:
    """Returns the warning for runs with these settings, "" if there is nothing to warn of."""
    found = [said for settings in every if (said := warning(settings))]
    if not found:
        return ""
    some = f" (in {len(found)} of {len(every)} runs)" if len(found) < len(every) else ""
    return f"{found[0]}{some}"

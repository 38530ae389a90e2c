"""Writes the card of a data set for a hub: https://huggingface.co/docs/hub/datasets-cards"""

import shlex
from pathlib import Path

import yaml

from interactions.exports.columns import described
from interactions.loaded import Run
from stages.records import read_record
from stages.versions import version_line

TAGS = ["interactions", "pre-training", "transfer-learning", "explainability", "interpretability"]
POWERS = ("1", "1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B")
LICENSE = """**No license is set**: before you publish this folder, put yours in place of `unknown` in the first lines
of this file. The data set and the models of the study may have licenses of their own."""


def card(run: Run, columns: dict[str, list[str]], rows: dict[str, int], options: dict[str, str]) -> str:
    """Returns the text of README.md. columns, rows: of each table, by name; options: of the export, as given."""
    return "\n\n".join([
        f"---\n{_metadata(run, rows)}---",
        f"# {_title(run)}",
        _about(run),
        LICENSE,
        "## Tables",
        'A table is read with `datasets.load_dataset("<this folder or repository>", "<table>")["train"]`, or with '
        "`pandas.read_parquet`.",
        *(_table(name, columns[name], rows[name], _title_of(run, name)) for name in columns),
        "## How it was made",
        f"    {_command(run, options)}\n\nwith {version_line()}.",
    ]) + "\n"  # fmt: skip


def _title(run: Run) -> str:
    return f"Interactions of pre-trained, fine-tuned and scratch models: {run.name}"


def _metadata(run: Run, rows: dict[str, int]) -> str:
    configs = [{"config_name": name, "data_files": f"{name}.parquet"} for name in rows]
    configs[0]["default"] = True
    found = {
        "pretty_name": _title(run),
        "license": "unknown",
        "tags": TAGS,
        "size_categories": [_size(sum(rows.values()))],
        "configs": configs,
    }
    return yaml.safe_dump(found, sort_keys=False, allow_unicode=True)


def _size(rows: int) -> str:
    """Returns the hub's word for a number of rows: n<1K, 1K<n<10K, 10K<n<100K..."""
    place = min(max(0, len(str(rows)) - 3), len(POWERS) - 2)
    return f"{POWERS[place]}<n<{POWERS[place + 1]}" if place else "n<1K"


def _about(run: Run) -> str:
    cfg, epochs = run.config, "; ".join(f"{model}: {', '.join(map(str, e))}" for model, e in run.epochs.items())
    seeds = ", ".join(f"{name}={value}" for name, value in cfg.seeds.items())
    unit = "words" if run.kind == "text" else f"patches of a grid of {cfg.interactions.grid} by {cfg.interactions.grid}"
    return f"""How much of what a model has learned in pre-training survives fine-tuning, and could it have learned the
same from scratch? Each of {len(run.samples)} {run.split} samples was cut into {run.n} variables ({unit}). The models
saw all {2**run.n} versions of it in which some variables are masked; from these values, the strength of every subset of
variables that a model uses together, its *interaction*, follows exactly
([arXiv 2410.08455](https://arxiv.org/abs/2410.08455)).

- model: `{cfg.model._target_}`; pre-trained weights: {_name(cfg.model.weights)}
- target task: `{cfg.data.target._target_}`; masked variables are replaced by: {cfg.interactions.baseline}
- epoch of pre-training that all of this starts from: {cfg.start.epoch}
- models with the epochs that have values: {epochs} (those of pretrain are the epochs of its linear probe)
- seeds: {seeds}"""


def _name(weights: str) -> str:
    """Returns what the weights are called, without the folders of this machine."""
    return "of the study's own pre-training" if weights == "pretrain" else f"`{Path(str(weights)).name}`"


def _table(name: str, columns: list[str], rows: int, title: str) -> str:
    listed = "\n".join(f"| `{column}` | {_cell(described(column))} |" for column in columns)
    about = f"{title}. " if title else ""
    return f"### {name}\n\n{about}{rows} row{'s' * (rows != 1)}.\n\n| column | what it is |\n|---|---|\n{listed}"


def _cell(text: str) -> str:
    """Returns a text as a cell of a table takes it."""
    return text.replace("|", r"\|")


def _title_of(run: Run, name: str) -> str:
    """Returns what a measure asks, as the analysis has written it down."""
    own = {
        "claims": "Each claim with its quantity and verdict",
        "samples": "The samples that were measured",
        "interactions": "Values and interactions of the models, epochs and samples that were chosen",
    }
    measures = (read_record(run.folder / "analysis" / "measures.json") or {}).get("measures", {})
    return own.get(name) or measures.get(name, {}).get("title", "")


def _command(run: Run, options: dict[str, str]) -> str:
    words = [
        f"run=outputs/{run.name}",
        "to=parquet",
        "output=...",
        *(f"{key}={value}" for key, value in options.items()),
    ]
    return f"python -m interactions.export {shlex.join(words)}"

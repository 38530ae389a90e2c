"""Writes files that the package shapiq reads (https://github.com/mmschlk/shapiq): its plots and indices work on them.

finetune_epoch_012_sample_003.json   the interactions of one model, epoch and sample
files.csv                            the files, with what each holds

    values = shapiq.InteractionValues.load("finetune_epoch_012_sample_003.json")
    names = json.load(open("finetune_epoch_012_sample_003.json"))["parameters"]["players"]
    values.plot_network(feature_names=names)

The format is the one that shapiq 1.4 writes: it is simple enough to be written without that package. The index is
"Moebius" in its words, and the baseline value is v of the empty subset, where all variables are masked.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from interactions.exports.chosen import Chosen
from interactions.exports.place import check_disk
from interactions.variables.names import members
from stages.files import write_text
from stages.progress import Bar
from stages.versions import version_line

OPTIONS = ("roles", "epochs", "samples")
FORMAT = "1.4.1"  # the version of shapiq whose format this is


def check(chosen: Chosen, output: Path, options: dict[str, str]) -> None:
    model, epoch, _, strength = next(chosen.arrays())
    one = content(chosen, model, epoch, chosen.samples[0], strength[0], _players(chosen.run.n))
    count = len(chosen.checkpoints) * len(chosen.samples)
    check_disk(count + 1, round(1.1 * count * len(one.encode())) + 200 * (count + 1), output)


def write(chosen: Chosen, folder: Path, options: dict[str, str]) -> None:
    players, rows = _players(chosen.run.n), []
    for model, epoch, v, strength in chosen.arrays():
        for row, sample in enumerate(Bar(chosen.samples, desc=f"{model}, epoch {epoch}", leave=False)):
            name = f"{model}_epoch_{epoch:03d}_sample_{sample:03d}.json"
            text = content(chosen, model, epoch, sample, strength[row], players)
            (folder / name).write_text(text, encoding="utf-8")
            about = chosen.run.samples.loc[sample].to_dict()
            ends = {"value_of_all_masked": v[row, 0], "value_of_input": v[row, -1]}
            rows.append({"file": name, "role": model, "epoch": epoch, "sample": sample} | about | ends)
    write_text(folder / "files.csv", pd.DataFrame(rows).to_csv(index=False))


def content(chosen: Chosen, model: str, epoch: int, sample: int, strength: np.ndarray, players: dict[int, str]) -> str:
    """Returns the file of one sample. strength: I [2**n]; players: bitmask -> shapiq's name of the subset."""
    run, about = chosen.run, chosen.run.about["samples"][sample]
    which = f"{run.split} sample {about['index']}, class {about['class']}"
    found = {
        "object_name": "InteractionValues",
        "data_type": "interaction_values",
        "version": FORMAT,
        "created_from": None,
        "description": f"{run.name}: {model}, epoch {epoch}, {which}",
        "parameters": {
            "players": run.names(sample),
            "value": "log-odds of the true class",
            "role": model,
            "epoch": epoch,
            "sample": sample,
            **{key: about[key] for key in ("index", "label", "class")},
            "program": version_line(),
        },
        "timestamp": None,
        "metadata": {
            "n_players": run.n,
            "index": "Moebius",
            "max_order": run.n,
            "min_order": 0,
            "estimated": False,
            "estimation_budget": None,
            "baseline_value": float(strength[0]),
        },
        "data": {name: float(strength[subset]) for subset, name in players.items()},
    }
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def _players(n: int) -> dict[int, str]:
    """Returns each subset in shapiq's order, small subsets first, with its name there: 5 -> "0,2"."""
    each = sorted(((members(subset), subset) for subset in range(2**n)), key=lambda one: (len(one[0]), one[0]))
    return {subset: ",".join(map(str, variables)) or "Empty" for variables, subset in each}

"""The mirror of a summary over runs: one W&B run for each folder of a summary, however often that is made again.

preserved_share, preserved_share/low    of a claim, if the runs have one setting; of several settings
finetune.lr=0.01/preserved_share        each has its own
best_fe_epoch, best_ft_epoch            of runs from several epochs of pre-training, with /low and /high
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from analysis.mirrored import of_claims
from analysis.runs.found import Run
from conf.errors import BadInput
from stages import attempts
from stages.versions import about as versions
from tracking.about import About, job_id
from tracking.tracked import is_off, mirror

MOST = 20  # settings whose claims get keys of their own; the tables have all
BEST = {"fe": "best_fe_epoch", "fe_converged": "best_fe_converged_epoch", "ft": "best_ft_epoch"}
TABLES, FIGURES = "tables/*.csv", "figures/*.png"


def log_summary(folder: Path, runs: Sequence[Run], answers: Sequence[str]) -> None:
    """Logs the tables and figures in a summary's folder, as the newest of its runs logs its own."""
    cfg = _asked(max(runs, key=lambda run: run.finished))
    if cfg is None or is_off(cfg):
        return
    tables = {file.stem: pd.read_csv(file) for file in sorted(folder.glob(TABLES))}
    with mirror(cfg, _about(folder, runs)) as tracker:
        tracker.summary(_numbers(tables) | {"runs": len(runs)})
        tracker.text(" ".join(answers))
        tracker.tables({**tables, "runs": pd.read_csv(folder / "runs.csv", dtype=str)})
        tracker.pictures({f"figures/{file.stem}": [(file, None)] for file in sorted(folder.glob(FIGURES))})
        tracker.files("tables", folder, (TABLES, "runs.csv"))


def _asked(run: Run) -> DictConfig | None:
    """Returns what the run asked for, or None if it was made before there was anything to ask for."""
    try:
        cfg = OmegaConf.load(run.folder / "config.yaml")
        usual = {"logger": "wandb", "wandb": {"entity": None, "system": True}}
        return OmegaConf.merge(usual, {key: cfg[key] for key in usual if key in cfg})
    except (OSError, BadInput):
        return None


def _about(folder: Path, runs: Sequence[Run]) -> About:
    names = list(dict.fromkeys(run.name for run in runs))
    read = {str(number): {"folder": str(run.folder), "digest": run.digest, "finished": run.finished}
            for number, run in enumerate(runs)}  # fmt: skip
    known = versions()
    first = hashlib.sha256("".join(sorted(run.digest for run in runs)).encode()).hexdigest()[:12]
    return About(
        digest=attempts.noted(folder).get("digest", first),  # of the first time: with more runs it is the same summary
        folder=folder,
        place=folder.parent,
        group="+".join(names),
        job="summary",
        axis="",
        name=f"{'+'.join(names)} summary",
        tags=("summary", *(name[:64] for name in names)),
        config={"study": "+".join(names), "runs": read, "folder": str(folder), "job": job_id(),
                "commit": known["commit"], "versions": known},
    )  # fmt: skip


def _numbers(tables: dict[str, pd.DataFrame]) -> dict[str, object]:
    found: dict[str, object] = {}
    claims = tables.get("claims", pd.DataFrame())
    settings = claims["setting"].fillna("").unique() if "setting" in claims else []
    for setting in settings if len(settings) <= MOST else []:
        of_setting = of_claims(claims[claims["setting"].fillna("") == setting])
        found |= {f"{setting}/{key}" if setting and len(settings) > 1 else key: value
                  for key, value in of_setting.items()}  # fmt: skip
    for row in tables.get("epochs", pd.DataFrame()).to_dict("records"):
        if (name := BEST.get(row["quantity"])) is not None:
            found |= {name: row["best"], f"{name}/low": row["low"], f"{name}/high": row["high"]}
    return found

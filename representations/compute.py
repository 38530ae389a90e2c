"""The stage that computes features of the target task's inputs, of the pre-trained and of the fine-tuned model, and how
similar the layers of two models are (representations/similarity.py).

<result>/features_train.npz, features_test.npz   what the classifier takes: "features", float32 [N, D]
<result>/<layer>_train.npz, ...                  the same of each further layer (representations.layers)
<result>/source_logits_train.npz                 what the pre-trained model says of the inputs on its source task, where
                                                 it has a head for that

The pre-trained model is that of `start.epoch`, the fine-tuned one that of the last epoch. Features of pre-trained
weights are computed once, whether a probe or this stage needs them first (checkpoints/features.py).
"""

import os
import shutil
from pathlib import Path

from omegaconf import DictConfig
from torch import nn
from torch.utils.data import DataLoader

from checkpoints.features import compute, file_of, folder_of
from checkpoints.roles import final, start_epoch, start_file
from conf.schema import FEATURES, SIMILAR
from data.splits import Splits
from models import batch_size
from models.device import device
from models.layers import LOGITS, PENULTIMATE, SOURCE_LOGITS
from representations import asked, similarity
from stages.checksums import damaged
from stages.files import beside, remove, replace
from stages.identity import Results
from stages.locks import locked
from stages.memory import check_memory
from stages.need import Need
from stages.results import finish, is_complete, start
from stages.table import role_of, roles
from tracking.tracked import tracked
from training.tasks import classifier_of, pretrained_classifier

SPLITS = ("train", "test")


def check(cfg: DictConfig, results: Results) -> Need:
    need = similarity.check(cfg, results) if any(name in results for name in SIMILAR) else Need()
    return need + _check_features(cfg, results) if any(name in results for name in FEATURES) else need


def _check_features(cfg: DictConfig, results: Results) -> Need:
    if "pretrain" in roles(cfg) and not cfg.interactions.checkpoints.pretrain:
        start_epoch(cfg, results)
    widths, splits = asked.widths(cfg)
    samples, each = len(splits.train) + len(splits.test), 4 * (sum(widths.values()) + len(splits.classes))
    check_memory(
        2 * samples * each,
        f"representations.layers=[{','.join(widths)}] with {samples:,} inputs",
        "choose fewer layers, representations.pool=mean or fewer samples",
    )
    missing = [name for name in FEATURES if name in results and not is_complete(results[name])]
    inputs = samples * len(missing)
    return Need(forward=inputs, loaded=inputs, disk=each * inputs)


def run(cfg: DictConfig, results: Results, name: str) -> None:
    if name in SIMILAR:
        similarity.run(cfg, results, name)
    else:
        _run_features(cfg, results, name)


def _run_features(cfg: DictConfig, results: Results, name: str) -> None:
    result = results[name]
    folder = start(result)
    with tracked(cfg, result) as tracker:
        counts = _features(cfg, results, name, folder)
        tracker.summary({f"{split}_inputs": count for split, count in counts.items()})
        tracker.files("features", folder, ("*.npz",))
    finish(result, **counts)


def _features(cfg: DictConfig, results: Results, name: str, folder: Path) -> dict[str, int]:
    """Computes the features of one role's model into `folder`. Returns the number of inputs of each split."""
    result = results[name]
    if role_of(name) == "pretrain" and not cfg.interactions.checkpoints.pretrain:
        model, splits, has_head = pretrained_classifier(cfg, results)
        shared = [PENULTIMATE, *([SOURCE_LOGITS] if has_head else [])]
        with locked(kept := folder_of(result, results["pretrain"], start_file(cfg, results)), minutes=cfg.wait):
            for file in damaged(kept, None):  # else the result would be linked to it again
                print(f"{file} is damaged: it was removed and is made again", flush=True)
                remove(file)
            _compute(cfg, model, splits, kept, shared)
            for layer in shared:
                _take(kept, folder, layer)
    else:
        model, splits = classifier_of(cfg, final(cfg, results, role_of(name)))
    given = [LOGITS] * bool(cfg.interactions.checkpoints[role_of(name)])  # which no training has tested
    _compute(cfg, model, splits, folder, [*asked.names(cfg), *given])
    return {"train": len(splits.train), "test": len(splits.test)}


def _compute(cfg: DictConfig, model: nn.Module, splits: Splits, folder: Path, wanted: list[str]) -> None:
    where = device("auto")
    at_once = batch_size.loaded(model, splits.collate([splits.train[0]])[0], where)
    for split in SPLITS:
        batches = DataLoader(getattr(splits, split), at_once, collate_fn=splits.collate, num_workers=cfg.num_workers)
        compute(model, batches, folder, split, where, wanted, cfg.representations.pool)


def _take(kept: Path, folder: Path, layer: str) -> None:
    """Puts kept features into the result, as links to the same bytes where the disk can have two names for a file."""
    for split in SPLITS:
        there, here = file_of(kept, layer, split), file_of(folder, layer, split)
        if not here.exists():
            made = beside(here)
            try:
                os.link(there, made)
            except OSError:
                shutil.copyfile(there, made)
            replace(made, here)

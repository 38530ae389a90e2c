"""Compares every epoch of one role's training with other models, layer by layer, on fixed inputs of the target task.

<result>/epoch_012/similarity.npz   for each model that it is compared with, such as initial:
    initial/debiased                float64 [inputs, layers, 3]: what each input adds to HSIC of both models, of this
                                    and the other one (representations/cka.py: terms); CKA is mean / sqrt(mean * mean)
    initial/biased, /minibatch      the same for the other estimates
    random/initial/debiased, ...    the same of the other model and its weights after a random move (moves.py)
    initial/matrix                  [layers, layers], debiased CKA of all pairs; of the last epoch only, as the next
    initial/calibrated, /p, /procrustes [layers], /neighbours [inputs, layers]
    initial/statistics              as initial/debiased, of the other model with the batch-norm statistics of the task
<result>/epoch_012/meta.json        written last: {"layers": names}
<result>/last.npz                   after the last epoch: centred Gram matrices [layers, n, n] of the first inputs, for
                                    comparing one run's model with another's; index: numbers of the inputs
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
import torch
from omegaconf import DictConfig
from torch import nn

from conf.errors import BadInput
from conf.schema import SIMILAR
from data.splits import Splits
from models import blocks, layers
from models.device import exact_float32
from representations import shards
from representations.cka import FEWEST, Layer, batch_terms, matrix, terms
from representations.moves import State
from representations.neighbours import mutual_neighbours
from representations.networks import NORMS, Networks, have_like_heads, state_of
from representations.permuted import calibrated
from representations.procrustes import procrustes
from stages.files import write_archive
from stages.given import of_role
from stages.identity import Results
from stages.memory import check_memory
from stages.need import Need
from stages.progress import Bar
from stages.records import write_record
from stages.results import epochs_of, finish, is_complete, start
from stages.shares import check_same_inputs, folder_of, in_shares, key_of
from stages.span import Span
from stages.table import compared_with, role_of, roles
from tracking.tracked import tracked
from training.tasks import new_model, tried

NEIGHBOURS = 10
FIRST, KEPT = 1000, 500  # inputs, at most, that are permuted and rotated; whose Gram matrices are kept
PRODUCTS = Span(0.5e-11, 4e-11)  # seconds of a multiplication and addition in a product of matrices


@dataclass(frozen=True)
class Seen:
    """What a model's layers give for the inputs. state: its weights; features: [N, D] of each layer; layers: the same,
    centred."""

    state: State
    features: list[torch.Tensor]
    layers: list[Layer]
    known: dict[tuple[int, bool], torch.Tensor] = field(default_factory=dict)

    @classmethod
    def by(cls, networks: Networks, model: nn.Module) -> Self:
        features = networks.features(model)
        return cls(state_of(model), features, [Layer(of_layer) for of_layer in features])

    def own(self, at: int, debiased: bool) -> torch.Tensor:
        """Returns what the inputs add to the HSIC of a layer with itself, computed once."""
        if (at, debiased) not in self.known:
            self.known[at, debiased] = terms(self.layers[at], self.layers[at], debiased)
        return self.known[at, debiased]


def layers_of(cfg: DictConfig) -> tuple[list[str], list[int], Splits]:
    """Returns the layers that are compared, their widths, and the target task. Raises BadInput for a layer that there
    is not, or too few inputs."""
    model, splits = new_model(cfg, "probe", "target")
    names = blocks.chosen(model.backbone, cfg.model.get("layers"))
    widths = layers.check(model, names, pool_of(cfg, splits), tried(cfg, model, splits, "target"), blocks.KEY)
    if len(splits.test) < FEWEST:
        raise BadInput(
            f"data.target has {len(splits.test)} test inputs: for the similarity of layers {FEWEST} or more are needed"
        )
    return names, widths, splits


def pool_of(cfg: DictConfig, splits: Splits) -> str:
    return "first" if splits.kind == "text" else cfg.representations.similarity.pool


def not_compared(cfg: DictConfig) -> Iterator[str]:
    """Yields what is asked for and can't be compared, as there is no such model."""
    for role in roles(cfg):
        there = compared_with(cfg, role)
        if absent := [model for model in cfg.representations.similarity[role] if model not in there]:
            yield f"representations.similarity.{role}: {', '.join(absent)} left out: this study has no such model"


def check_epochs(cfg: DictConfig, results: Results) -> None:
    """Raises BadInput for a model such as finetune@5 at an epoch that is not kept."""
    for role in [role_of(name) for name in SIMILAR if name in results]:
        for model, _, epoch in (other.partition("@") for other in compared_with(cfg, role)):
            files = of_role(cfg, model) if epoch else {}
            there = sorted(files) or (epochs_of(results[model]) if epoch else [])
            if epoch and int(epoch) not in there:
                raise BadInput(
                    f"representations.similarity.{role}: {model}@{epoch} is not allowed: of {model} the epochs "
                    f"{', '.join(map(str, there))} are kept (checkpoints.epochs)"
                )


def check(cfg: DictConfig, results: Results) -> Need:
    check_epochs(cfg, results)
    for line in not_compared(cfg):
        print(line, flush=True)
    names, widths, splits = layers_of(cfg)
    options = cfg.representations.similarity
    inputs = min(options.inputs, len(splits.test))
    models = max(len(compared_with(cfg, role_of(name))) for name in SIMILAR)
    each = sum(4 * inputs * width + 4 * inputs**2 for width in widths)
    check_memory(
        (models + 2) * each,
        f"representations.similarity.inputs={options.inputs} with {len(names)} layers",
        "choose fewer inputs or layers (model.layers), or representations.similarity.pool=mean",
    )
    missing = {
        name: shards.left(cfg, results[name]) for name in SIMILAR if name in results and not is_complete(results[name])
    }
    shards.check_whole(cfg, [results[name] for name in missing])
    pairs = sum(len(epochs) * len(compared_with(cfg, role_of(name))) for name, epochs in missing.items())
    passes = pairs * (inputs + min(NORMS, len(splits.train))) + sum(map(len, missing.values())) * inputs
    products = sum(inputs * width * min(inputs, width) + 6 * inputs**2 for width in widths)
    last = len(missing) * len(widths) * min(FIRST, inputs) ** 2 * options.permutations
    disk = pairs * 2 * 3 * 3 * 8 * inputs * len(widths) + len(missing) * 4 * len(widths) * min(KEPT, inputs) ** 2
    return Need(forward=passes, loaded=passes, disk=disk, besides=PRODUCTS * (3 * pairs * products + last))


def run(cfg: DictConfig, results: Results, name: str) -> None:
    """Makes the result of one role, epoch by epoch, or a share of its epochs."""
    result = results[name]
    if share := in_shares(cfg, result):
        left = shards.left(cfg, result)
        print(f"{name}, shard {share}: {len(left)} of {len(share.part(epochs_of(result)))} epochs to do", flush=True)
        if left:
            _compare(cfg, results, name, f"{name}, shard {share}", folder_of(result), left)
        if is_complete(result):
            shards.clean(result)
        return
    folder, epochs = start(result), epochs_of(result)
    shards.take_over(result)
    shards.check_whole(cfg, [result])  # without what was damaged
    with tracked(cfg, result) as tracker:
        _compare(cfg, results, name, name, folder, [epoch for epoch in epochs if not shards.has(folder, epoch)])
        tracker.summary({"epochs": len(epochs)})
        tracker.files("similarity", folder, (f"epoch_*/{shards.ARCHIVE}", shards.LAST))
    shards.clean(result)
    finish(result, last=epochs[-1])


def _compare(cfg: DictConfig, results: Results, name: str, title: str, folder: Path, missing: list[int]) -> None:
    """Compares epochs of one role with the other models. folder: takes what is found; title: for the bar."""
    role, result, key = role_of(name), results[name], key_of(results[name])
    epochs = epochs_of(result)
    names, _, splits = layers_of(cfg)
    networks = Networks(cfg, results, splits, names, pool_of(cfg, splits))
    with exact_float32():
        others = {other: networks.against(role, other) for other in (compared_with(cfg, role) if missing else ())}
        there = {other: Seen.by(networks, model) for other, model in others.items()}
        for epoch in Bar(missing, desc=title, unit="epoch"):
            here, arrays = Seen.by(networks, networks.load(role, epoch)), {}
            for number, (other, model) in enumerate(others.items()):
                pair, seed = (here, there[other]), [int(result.digest, 16), number, epoch]  # no two runs move alike
                arrays |= _estimates(other, *pair, cfg.representations.similarity.batch)
                arrays |= _beside_a_random_move(cfg, networks, other, *pair, model, seed)
                if epoch == epochs[-1]:
                    arrays |= _at_the_end(cfg, other, *pair) | _of_statistics(networks, other, there[other], model)
            check_same_inputs(result, key)
            if epoch == epochs[-1]:
                _write_grams(folder / shards.LAST, networks, here)
            write_archive(shards.place(folder, epoch) / shards.ARCHIVE, index=networks.index, **arrays)
            write_record(shards.place(folder, epoch) / shards.META, {"layers": names})


def _estimates(name: str, here: Seen, there: Seen, batch: int) -> dict[str, np.ndarray]:
    """Returns the three estimates of how similar the layers of two models are, by their names in the archive."""
    found = {}
    for estimate, debiased in (("debiased", True), ("biased", False)):
        of_layers = [
            torch.stack([terms(a, b, debiased), here.own(at, debiased), there.own(at, debiased)], dim=-1)
            for at, (a, b) in enumerate(zip(here.layers, there.layers, strict=True))
        ]
        found[f"{name}/{estimate}"] = torch.stack(of_layers, dim=1).cpu().numpy()
    return found | {f"{name}/minibatch": _minibatch(here, there, batch)}


def _minibatch(here: Seen, there: Seen, batch: int) -> np.ndarray:
    """Splits the inputs into batches of nearly equal size, of `batch` inputs or a few more."""
    inputs, parts = len(here.features[0]), []
    for index in np.array_split(np.arange(inputs), max(1, inputs // batch)):
        both = ([of_layer[index[0] : index[-1] + 1] for of_layer in each.features] for each in (here, there))
        parts.append(torch.stack(batch_terms(*both), dim=-1))
    return torch.cat(parts).cpu().numpy()


def _beside_a_random_move(
    cfg: DictConfig, networks: Networks, name: str, here: Seen, there: Seen, model: nn.Module, seed: list[int]
) -> dict[str, np.ndarray]:
    """Returns the same for the other model and its weights after a random move as long as that to this one. There is
    none of logits where heads have different shapes: NaN. model: takes the moved weights."""
    moved = Seen.by(networks, networks.moved(model, there.state, here.state, seed))
    found = _estimates(f"random/{name}", moved, there, cfg.representations.similarity.batch)
    if blocks.LOGITS in networks.layers and not have_like_heads(here.state, there.state):
        for array in found.values():
            array[:, networks.layers.index(blocks.LOGITS)] = np.nan
    return found


def _at_the_end(cfg: DictConfig, name: str, here: Seen, there: Seen) -> dict[str, np.ndarray]:
    """Returns what is only asked of the last epoch."""
    first = [[Layer(features[:FIRST]) for features in each.features] for each in (here, there)]
    pairs = list(zip(*first, strict=True))
    of_null = [calibrated(a, b, cfg.representations.similarity.permutations, seed=0) for a, b in pairs]
    count = min(NEIGHBOURS, len(here.features[0]) - 2)  # of a handful of inputs, as with debug=tiny
    both = zip(here.layers, there.layers, strict=True)
    neighbours = torch.stack([mutual_neighbours(a, b, count) for a, b in both], dim=-1)
    return {
        f"{name}/calibrated": np.array([float(found[0]) for found in of_null]),
        f"{name}/p": np.array([float(found[1]) for found in of_null]),
        f"{name}/procrustes": np.array([procrustes(a, b) for a, b in pairs]),
        f"{name}/neighbours": neighbours.double().cpu().numpy(),
        f"{name}/matrix": matrix(here.layers, there.layers).cpu().numpy(),
    }


def _of_statistics(networks: Networks, name: str, there: Seen, model: nn.Module) -> dict[str, np.ndarray]:
    """Returns how similar the other model is to itself once its batch-norm has the statistics of the target task: what
    of a move, random or by training, is due to these alone. model: takes these statistics."""
    model.load_state_dict(there.state)
    adapted = Seen.by(networks, networks.adapted(model))
    return {f"{name}/statistics": _estimates(name, adapted, there, len(there.features[0]))[f"{name}/debiased"]}


def _write_grams(file: Path, networks: Networks, here: Seen) -> None:
    first = slice(0, KEPT)
    grams = [Layer(features[first]).gram().float().cpu().numpy() for features in here.features]
    write_archive(file, index=networks.index[first], layers=np.array(networks.layers), grams=np.stack(grams))

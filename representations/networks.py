"""Loads the models that are compared, and passes the fixed inputs through them."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from omegaconf import DictConfig
from torch import nn
from torch.utils.data import DataLoader, Dataset

from checkpoints import disk
from checkpoints.roles import Checkpoint, at, final, start_epoch
from data.splits import Splits
from models import batch_size, weights
from models.device import device
from models.evaluated import Evaluated
from models.layers import Watched
from representations.moves import State, is_moved, moved
from representations.norms import estimate, is_estimated
from stages.identity import Results
from stages.results import epochs_kept
from training.tasks import classifier_of, new_model

NORMS = 2000  # training inputs, at most, on which the statistics of batch-norm are estimated
NORMED = 128  # of these in a batch, or a few more: a mean over batches of one size, whatever the device
HEAD = "head."


class Networks:
    """The models of a study, on inputs of the target task's test set. layers: whose features are asked for; index: the
    numbers of the inputs."""

    def __init__(self, cfg: DictConfig, results: Results, splits: Splits, layers: Sequence[str], pool: str) -> None:
        self.cfg, self.results, self.splits, self.layers, self.pool = cfg, results, splits, layers, pool
        self.where, self.at_once, self.said = device("auto"), 0, ""
        self.index = drawn(len(splits.test), cfg.representations.similarity.inputs)

    def load(self, role: str, epoch: int) -> nn.Module:
        """Returns a role's model at an epoch, ready to be evaluated."""
        if epoch == 0 and not self._is_kept(role):
            return self._ready(new_model(self.cfg, role, "source" if role == "pretrain" else "target")[0])
        return self._of(at(self.cfg, self.results, role, epoch))

    def against(self, role: str, model: str) -> nn.Module:
        """Returns the model that a role's epochs are compared with, such as initial or finetune@5."""
        name, _, epoch = model.partition("@")
        if name == "initial":
            return self.load("pretrain" if role == "finetune" else role, 0)
        if epoch:
            return self.load(name, int(epoch))
        if name == "pretrain" and not self.cfg.interactions.checkpoints.pretrain:
            return self._of(at(self.cfg, self.results, name, start_epoch(self.cfg, self.results)))
        return self._of(final(self.cfg, self.results, name))

    def moved(self, model: nn.Module, start: State, end: State, seed: list[int]) -> nn.Module:
        """Gives `model` the weights `start` after a random move as long as that to `end` (moves.py). Its statistics
        of batch-norm are those of the target task's training set then, as they are after training."""
        learned = {name for name, _ in model.named_parameters()}
        model.load_state_dict(moved(start, end, learned, seed))
        return self.adapted(model) if is_moved(start, end, learned) else model

    def adapted(self, model: nn.Module) -> nn.Module:
        """Gives the model's batch-norm the statistics of the target task's training set."""
        estimate(model, self._training())
        return model

    def features(self, model: nn.Module) -> list[torch.Tensor]:
        """Returns what each layer gives for the inputs `index`, [N, D] float32 on the device."""
        index = self.index
        batches = np.split(index, range(self._size(), len(index), self._size()))
        with torch.inference_mode(), Watched(model, self.layers, self.pool, "model.layers") as watched:
            evaluated = Evaluated(watched, len(index))
            parts = [evaluated(inputs) for inputs in self._inputs(self.splits.test, batches)]
        if (said := evaluated.about()) and said != self.said:
            print(f"similarity of layers: {said}", flush=True)
            self.said = said
        return [torch.cat([part.float() for part in of_layer]) for of_layer in zip(*parts, strict=True)]

    def _of(self, checkpoint: Checkpoint) -> nn.Module:
        if checkpoint.given:
            return self._ready(classifier_of(self.cfg, checkpoint)[0])
        ((_, file, _),) = checkpoint.parts
        state = disk.read(file)
        head = [tensor for name, tensor in state.items() if name.startswith(HEAD)]
        model, _ = new_model(self.cfg, "probe", "target", classes=len(head[0]) if head else 0)
        if head:
            weights.load(model, state, file)
        else:  # weights of another pre-training come without a head
            weights.load_backbone(model, state, file)
        return self._ready(model)

    def _ready(self, model: nn.Module) -> nn.Module:
        model = model.eval().to(self.where)
        if not is_estimated(model):
            estimate(model, self._training())
        return model

    def _training(self) -> Iterator[torch.Tensor]:
        index = drawn(len(self.splits.train), NORMS)
        return self._inputs(self.splits.train, np.array_split(index, max(1, len(index) // NORMED)))

    def _inputs(self, dataset: Dataset, batches: Sequence[np.ndarray]) -> Iterator[torch.Tensor]:
        loader = DataLoader(dataset, batch_sampler=[batch.tolist() for batch in batches],
                            collate_fn=self.splits.collate, num_workers=self.cfg.num_workers)  # fmt: skip
        return (inputs.to(self.where) for inputs, _ in loader)

    def _size(self) -> int:
        if not self.at_once:
            model, _ = new_model(self.cfg, "probe", "target")
            first = self.splits.collate([self.splits.train[0]])[0]
            self.at_once = batch_size.loaded(model, first, self.where)
        return self.at_once

    def _is_kept(self, role: str) -> bool:
        """Tells whether the model before training is on disk; it can be made again from its seed."""
        given = self.cfg.interactions.checkpoints[role]
        return bool(given) or 0 in epochs_kept(self.results[role].folder)


def state_of(model: nn.Module) -> State:
    return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}


def have_like_heads(*states: State) -> bool:
    """Tells whether models have heads of one shape."""
    heads = [{name: tensor.shape for name, tensor in state.items() if name.startswith(HEAD)} for state in states]
    return all(head == heads[0] for head in heads)


def drawn(count: int, most: int) -> np.ndarray:
    """Returns the numbers of up to `most` of `count` inputs, in a random order that is always the same: data sets may
    be sorted by class, and labels may differ between runs that are compared."""
    return np.random.default_rng(0).permutation(count)[:most]

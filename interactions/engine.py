"""Evaluates the values of a problem with a model: on the device, in batches of a fixed shape."""

import numpy as np
import torch
from omegaconf import DictConfig

from interactions import batch
from interactions.checkpoints import Checkpoint, Weights
from interactions.masking import membership
from interactions.problem import Problem
from interactions.samples import Group
from interactions.tokens import Tokens, embedding, tokens
from interactions.values import masked_values
from models.backbone import Classifier
from training.device import exact_float32

DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


class Engine:
    """The model, with the weights of the checkpoint that was loaded last."""

    def __init__(self, model: Classifier, problem: Problem, options: DictConfig) -> None:
        self.problem, self.dtype = problem, DTYPES[options.precision]
        self.model = model.eval().to(problem.device, memory_format=torch.channels_last)
        self.batch_size = options.batch_size
        if self.batch_size == "auto":
            self.batch_size = batch.fitting(self.model, problem.groups[0].inputs[:1])
        self.forward = torch.compile(self.model, dynamic=False) if options.compile else self.model
        inputs = problem.groups[0].inputs[:1]
        self.embedding = None if options.compile else embedding(self.model, inputs)
        self._tokens: dict[int, Tokens | None] = {}  # of each group, by the weights loaded

    def load(self, checkpoint: Checkpoint, weights: Weights) -> None:
        self.model.float()
        checkpoint.load_into(self.model, weights)
        self.model.to(self.dtype)
        self._tokens.clear()

    def block(self, block: range) -> torch.Tensor:
        """v of all masked inputs of these samples, which have one shape: [len(block), 2**n] float64, on the device."""
        subsets = 2**self.problem.n
        (group,) = (g for g in self.problem.groups if g.first <= block[0] < g.first + len(g.labels))
        where = self.problem.device
        sample = (torch.arange(len(block), device=where) + block[0] - group.first).repeat_interleave(subsets)
        subset = torch.arange(subsets, device=where).repeat(len(block))
        return self._values(group, sample, subset, self.dtype).view(len(block), subsets)

    def in_float64(self, sample: np.ndarray, subset: np.ndarray) -> np.ndarray:
        """v of the masked inputs (sample[k], subset[k]) by the same weights, in float64: [K].

        Load weights anew afterwards.
        """
        self.model.double()
        self._tokens.clear()
        v = np.empty(len(sample))
        for group, mine in self.problem.by_group(sample):
            which, kept = (torch.from_numpy(part[mine]).to(self.problem.device) for part in (sample, subset))
            v[mine] = self._values(group, which - group.first, kept, torch.float64).cpu().numpy()
        return v

    def _values(self, group: Group, sample: torch.Tensor, subset: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        inputs, base = (x.to(dtype) if x.is_floating_point() else x for x in (group.inputs, self.problem.baseline))
        with exact_float32():
            if self.embedding and group.first not in self._tokens:
                self._tokens[group.first] = tokens(self.model, self.embedding, inputs, base, group.owner)
            model = self.forward if dtype == self.dtype else self.model
            return masked_values(model, inputs, base, membership(group.owner), group.labels, sample, subset,
                                 self.batch_size, self._tokens.get(group.first))  # fmt: skip

"""Evaluates the values of a problem with a model: by forward passes in batches of a fixed shape, or locally.

dense: all 2**n masked inputs go through the network. local: a convolutional network's early layers are computed once
per version that a tile has (interactions/local.py). Both give the same values; what is predicted to be faster is taken,
by counts alone and not by the clock, so that a run repeats bit for bit.
"""

import numpy as np
import torch
from omegaconf import DictConfig

from conf.check import BadInput
from interactions.checkpoints import Checkpoint, Weights
from interactions.local import Local, Plan
from interactions.problem import Problem
from interactions.samples import Group
from interactions.tokens import Tokens, embedding, tokens
from interactions.values import log_odds, masked_values
from models.backbone import Classifier
from models.batch import fitting
from training.device import exact_float32
from training.plan import gigabytes

DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}

WORTHWHILE = 1.5  # predicted times faster: a prediction leaves out planning, and is up to 1.3 times too high besides


def local_for(model: Classifier, group: Group, n: int, wanted: str) -> tuple[Local | None, str]:
    """The local engine if it is `wanted` (local), or worth it (auto); else why not. By the first sample of the group.

    Raises BadInput if it was asked for by name and there is none.
    """
    image = group.inputs.dim() == 4
    if wanted == "dense" or (wanted == "auto" and not image):
        return None, ""
    local = Local(model, tuple(group.inputs.shape[1:])) if image else None
    reason = local.reason if local else "its inputs are no images"
    if reason is None:
        plan = local.plan(group.owner[0], n)
        if not plan.layers or (wanted == "auto" and plan.predicted_speedup < WORTHWHILE):
            reason = f"predicted {plan.predicted_speedup:.1f} times as fast"
    if reason is None:
        return local, ""
    if wanted == "local":
        raise BadInput(f"interactions.engine=local: this model can't be evaluated so ({reason}); take auto or dense")
    return None, reason


def predicted_speedup(model: Classifier, group: Group, n: int, wanted: str) -> float:
    """Of the engine that is taken, over forward passes. Raises what `local_for` raises."""
    local, _ = local_for(model.eval(), group, n, wanted)
    return local.plan(group.owner[0], n).predicted_speedup if local else 1


class Engine:
    """The model, with the weights of the checkpoint that was loaded last."""

    def __init__(self, model: Classifier, problem: Problem, options: DictConfig) -> None:
        self.problem, self.dtype = problem, DTYPES[options.precision]
        self.model = model.eval().to(problem.device, memory_format=torch.channels_last)
        self.batch_size = options.batch_size
        if self.batch_size == "auto":
            self.batch_size = fitting(self.model, problem.groups[0].inputs[:1], problem.device)
        self.forward = torch.compile(self.model, dynamic=False) if options.compile else self.model
        inputs = problem.groups[0].inputs[:1]
        self.embedding = None if options.compile else embedding(self.model, inputs)
        self._tokens: dict[int, Tokens | None] = {}  # of each group, by the weights loaded
        self.local, self.why_dense = local_for(self.model, problem.groups[0], problem.n, options.engine)
        self._plans: dict[int, Plan] = {}  # of each sample, for all checkpoints

    def about(self) -> str:
        """One line for the log: how values are computed."""
        if self.local is None:
            return f"dense, in batches of {self.batch_size}" + (f" (local: {self.why_dense})" if self.why_dense else "")
        plan = self._plan(self.problem.groups[0], 0)
        dense = f", dense from {plan.dense_from[0]} on ({plan.dense_from[1]})" if plan.dense_from else ""
        held = gigabytes(plan.bytes)
        return f"local, predicted {plan.predicted_speedup:.1f} times as fast as dense, holding {held} of entries{dense}"

    def load(self, checkpoint: Checkpoint, weights: Weights) -> None:
        self.model.float()
        checkpoint.load_into(self.model, weights)
        self.model.to(self.dtype)
        self._tokens.clear()

    def block(self, block: range) -> torch.Tensor:
        """v of all masked inputs of these samples, which have one shape: [len(block), 2**n] float64, on the device."""
        subsets = 2**self.problem.n
        if self.local:
            return torch.stack([self._locally(number) for number in block])
        (group,) = (g for g in self.problem.groups if g.first <= block[0] < g.first + len(g.labels))
        where = self.problem.device
        sample = (torch.arange(len(block), device=where) + block[0] - group.first).repeat_interleave(subsets)
        subset = torch.arange(subsets, device=where).repeat(len(block))
        return self._values(group, sample, subset, self.dtype).view(len(block), subsets)

    def _locally(self, number: int) -> torch.Tensor:
        """v of all masked inputs of one sample: [2**n]."""
        (group,) = (g for g in self.problem.groups if g.first <= number < g.first + len(g.labels))
        place = number - group.first
        image, base = group.inputs[place].to(self.dtype), self.problem.baseline.to(self.dtype)
        with exact_float32():
            logits = self.local.logits(self._plan(group, place), image, base)
        return log_odds(logits, group.labels[place].expand(len(logits)))

    def _plan(self, group: Group, place: int) -> Plan:
        number = group.first + place
        if number not in self._plans:
            self._plans[number] = self.local.plan(group.owner[place], self.problem.n)
        return self._plans[number]

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
            batch_size = min(self.batch_size, len(inputs) * 2**self.problem.n)  # not more than there are altogether
            return masked_values(model, inputs, base, group.member, group.labels, sample, subset,
                                 batch_size, self._tokens.get(group.first))  # fmt: skip

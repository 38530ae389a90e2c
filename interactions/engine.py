"""Evaluates the values of a set of samples with a model: by forward passes in batches of a fixed shape, or locally.

dense: all 2**n masked inputs go through the network. local: a convolutional network's early layers are computed once
per version that a tile has (interactions/local/). Both give the same values. The program takes the one that it predicts
to be faster, from counts of operations and not from measured time, so that a run repeats bit for bit on a machine of
the same kind, with as many threads and the same libraries.
"""

from dataclasses import dataclass

import numpy as np
import torch
from omegaconf import DictConfig
from torch import nn

from checkpoints.roles import Checkpoint, Weights
from conf.errors import BadInput
from interactions.dense import log_odds, masked_values
from interactions.local.forward import Local, Plan
from interactions.tokens import Tokens, embedding, tokens
from interactions.variables.masking import masked
from interactions.variables.sample_set import SampleSet
from interactions.variables.samples import Group
from models.backbone import Classifier, probed
from models.batch_size import fitting
from models.device import exact_float32
from models.memory import formatted, settled
from stages.need import gigabytes

DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}

# The predicted speedup from which local is used, by itself (auto) or on request (local): a prediction leaves out the
# planning, and is up to 1.3 times too high.
WORTHWHILE = {"auto": 1.5, "local": 1.05}


@dataclass(frozen=True)
class Choice:
    """How values are computed, and why not locally.

    It is chosen once per store. If it were chosen again, with less work left or on a machine with other memory, it
    could differ, and change the last bits of the values.
    """

    engine: str
    batch_size: int
    compile: bool
    why_dense: str = ""

    def differs(self, options: DictConfig) -> list[str]:
        """Returns the options that ask for something else, as `key=value`."""
        mine = {"engine": self.engine, "batch_size": self.batch_size, "compile": self.compile}
        return [f"interactions.{key}={options[key]}" for key in mine if options[key] not in ("auto", mine[key])]


def local_for(model: nn.Module, group: Group, n: int, wanted: str) -> tuple[Local | None, str]:
    """Returns the local engine if it is `wanted` (local), or worth it (auto); otherwise None and the reason.

    The first sample of the group decides. Raises BadInput if the engine was requested by name and no layer can be
    evaluated locally.
    """
    image = group.inputs.dim() == 4
    if wanted == "dense" or (wanted == "auto" and not image):
        return None, ""
    local = Local(model, tuple(group.inputs.shape[1:])) if image else None
    reason = local.reason if local else "its inputs are not images"
    if reason is None:
        plan = local.plan(group.owner[0], n)
        if plan.layers and plan.predicted_speedup >= WORTHWHILE[wanted]:
            return local, ""
        reason = ", ".join(part for part in (_prediction(plan, WORTHWHILE[wanted]), _dense_from(plan)) if part)
    if wanted == "local":
        raise BadInput(f"interactions.engine=local can't be used for this model: {reason}; use auto or dense")
    return None, reason


def _prediction(plan: Plan, least: float) -> str:
    if not plan.layers:
        return "no layer of it would be faster"
    return f"predicted {plan.predicted_speedup:.2g} times as fast, and {least} is needed to be worth it"


def _dense_from(plan: Plan) -> str:
    return f"dense from {plan.dense_from[0]} on ({plan.dense_from[1]})" if plan.dense_from else ""


def predicted_speedup(model: nn.Module, group: Group, n: int, wanted: str) -> float:
    """Returns the predicted speedup of the chosen engine over forward passes. Raises what `local_for` raises."""
    local, _ = local_for(model.eval(), group, n, wanted)
    return local.plan(group.owner[0], n).predicted_speedup if local else 1


class Engine:
    """Evaluates the model with the weights of the checkpoint that was loaded last."""

    def __init__(
        self, model: nn.Module, sample_set: SampleSet, options: DictConfig, choice: Choice | None = None
    ) -> None:
        self.sample_set, self.precision = sample_set, options.precision
        self.dtype = DTYPES[options.precision]
        self.model = model.eval().to(sample_set.device)
        inputs = sample_set.groups[0].inputs[:1].clone()  # a model may write to what it is given
        self.memory_format = settled(self.model, inputs)
        inputs = formatted(inputs, self.memory_format)
        wanted = choice.engine if choice else options.engine
        self.local, why_dense = local_for(self.model, sample_set.groups[0], sample_set.n, wanted)
        size = options.batch_size if choice is None else choice.batch_size
        if size == "auto":
            size = fitting(self.model, inputs, sample_set.device)
        self.choice = choice or Choice("local" if self.local else "dense", size, options.compile, why_dense)
        self.batch_size = self.choice.batch_size
        self.forward = torch.compile(self.model, dynamic=False) if self.choice.compile else self.model
        # Compiled code contains the embedding, which can't be replaced there.
        self.embedding = None if self.choice.compile else embedding(self.model, inputs)
        self._tokens: dict[int, Tokens | None] = {}  # those of each group, for the loaded weights
        self._plans: dict[int, Plan] = {}  # those of each sample, for all checkpoints

    def about(self) -> str:
        """Returns one line for the log that says how values are computed."""
        if self.local is None:
            why = f"; not locally: {self.choice.why_dense}" if self.choice.why_dense else ""
            return f"dense, in batches of {self.batch_size}{why}"
        plan = self._plan(self.sample_set.groups[0], 0)
        faster = f"predicted {plan.predicted_speedup:.2g} times as fast as dense"
        held = f"holding {gigabytes(plan.bytes)} of entries"
        return ", ".join(part for part in ("local", faster, held, _dense_from(plan)) if part)

    def load(self, checkpoint: Checkpoint, weights: Weights) -> None:
        self.model.float()
        checkpoint.load_into(self.model, weights)
        self.to(self.dtype)

    def to(self, dtype: torch.dtype) -> None:
        self.model.to(dtype)
        self._tokens.clear()  # they were embedded by other weights, or in another type

    def block(self, block: range) -> torch.Tensor:
        """Returns v of all masked inputs of these samples, which have one shape: [len(block), 2**n] float64, on the
        device."""
        if self.local:
            return torch.stack([self.locally(number, self.dtype) for number in block])
        subsets, where = 2**self.sample_set.n, self.sample_set.device
        group = self.sample_set.group_of(block[0])
        sample = (torch.arange(len(block), device=where) + block[0] - group.first).repeat_interleave(subsets)
        subset = torch.arange(subsets, device=where).repeat(len(block))
        return self._values(group, sample, subset, self.dtype).view(len(block), subsets)

    def in_a_batch(self, number: int, subset: int, dtype: torch.dtype) -> torch.Tensor:
        """Returns v of one masked input, computed by a forward pass of a whole batch: []."""
        group, count = self.sample_set.group_of(number), 2**self.sample_set.n
        # The batch is filled with other masked inputs, as in a block: copies of one input would not show that a value
        # depends on the rest of its batch.
        kept = (torch.arange(min(self.batch_size, count), device=self.sample_set.device) + subset) % count
        return self._values(group, torch.full_like(kept, number - group.first), kept, dtype, self.forward)[0]

    def locally(self, number: int, dtype: torch.dtype) -> torch.Tensor:
        """Returns v of all masked inputs of one sample: [2**n]."""
        group = self.sample_set.group_of(number)
        place = number - group.first
        image, base = group.inputs[place].to(dtype), self.sample_set.baseline.to(dtype)
        with exact_float32():
            logits = self.local.logits(self._plan(group, place), image, base)
        return log_odds(logits, group.labels[place].expand(len(logits)))

    def _plan(self, group: Group, place: int) -> Plan:
        number = group.first + place
        if number not in self._plans:
            self._plans[number] = self.local.plan(group.owner[place], self.sample_set.n)
        return self._plans[number]

    @torch.inference_mode()
    def alone(self, sample: int, subset: int, dtype: torch.dtype | None = None) -> torch.Tensor:
        """Returns v of one masked input, from a plain forward pass of this input alone, and its largest logit: [2]
        float64.

        It uses the loaded weights, which are of type `dtype` (None: the store's precision). The result stays on the
        device.
        """
        group = self.sample_set.group_of(sample)
        inputs, base = _as_type(dtype or self.dtype, group.inputs, self.sample_set.baseline)
        one = slice(sample - group.first, sample - group.first + 1)
        kept = torch.tensor([subset], device=self.sample_set.device)
        with exact_float32():
            x = formatted(masked(inputs[one], base, group.member[one], kept), self.memory_format)
            logits = self.model(x).double()
        return torch.cat([log_odds(logits, group.labels[one]), logits.abs().amax(1)])

    def in_float64(self, sample: np.ndarray, subset: np.ndarray) -> np.ndarray:
        """Returns v of the masked inputs (sample[k], subset[k]) from the same weights in float64: [K].

        Load the weights again afterwards.
        """
        self.to(torch.float64)
        v = np.empty(len(sample))
        for group, mine in self.sample_set.by_group(sample):
            which, kept = (torch.from_numpy(part[mine]).to(self.sample_set.device) for part in (sample, subset))
            v[mine] = self._values(group, which - group.first, kept, torch.float64).cpu().numpy()
        return v

    def _values(
        self,
        group: Group,
        sample: torch.Tensor,
        subset: torch.Tensor,
        dtype: torch.dtype,
        forward: nn.Module | None = None,
    ) -> torch.Tensor:
        """Returns v of masked inputs of the group. forward: what to run instead of the model; None: the compiled model
        if it was compiled for this type."""
        inputs, base = _as_type(dtype, group.inputs, self.sample_set.baseline)
        with exact_float32():
            # The tokens are computed once per group and checkpoint, and used for all blocks.
            if self.embedding and group.first not in self._tokens:
                self._tokens[group.first] = tokens(self.model, self.embedding, inputs, base, group.owner)
            model = forward or (self.forward if dtype == self.dtype else self.model)
            batch_size = min(self.batch_size, len(inputs) * 2**self.sample_set.n)  # not more than there are altogether
            return masked_values(model, inputs, base, group.member, group.labels, sample, subset,
                                 batch_size, self._tokens.get(group.first), self.memory_format)  # fmt: skip


class Engines:
    """The engines of a store: one for networks as they are, and one for the pre-trained network with a linear probe,
    where the probe can't replace the network's own head."""

    def __init__(
        self, model: Classifier, sample_set: SampleSet, options: DictConfig, choices: dict[str, Choice]
    ) -> None:
        """choices: those made before, by the engine's name (network, probed)."""
        self.network = self.probed = Engine(model, sample_set, options, choices.get("network"))
        inputs = formatted(sample_set.groups[0].inputs[:1].clone(), self.network.memory_format)
        with_probe = probed(model, inputs)
        if with_probe is not model:
            self.probed = Engine(with_probe, sample_set, options, choices.get("probed"))

    @property
    def choices(self) -> dict[str, Choice]:
        return {"network": self.network.choice, "probed": self.probed.choice}

    def of(self, unit: Checkpoint) -> Engine:
        return self.probed if unit.probed else self.network


def _as_type(dtype: torch.dtype, *tensors: torch.Tensor) -> list[torch.Tensor]:
    """Converts tensors to the type; token ids stay integers."""
    return [tensor.to(dtype) if tensor.is_floating_point() else tensor for tensor in tensors]

"""Evaluates the values of a set of samples with a model: by forward passes in batches of a fixed shape, or locally.

dense: all 2**n masked inputs go through the network, as it is or lean (interactions/passes.py). local: a convolutional
network's early layers are computed once per version that a tile has (interactions/local/). All give the same values.
interactions/choice.py says which is taken.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from omegaconf import DictConfig
from torch import nn

from checkpoints.roles import Checkpoint, Weights
from conf.errors import BadInput
from interactions.choice import Choice, compiled_is_faster, dense_from, local_for, not_compiled
from interactions.dense import log_odds, masked_values, values
from interactions.local.forward import Plan
from interactions.local.rest import Rest
from interactions.passes import Passes
from interactions.variables.masking import masked
from interactions.variables.sample_set import SampleSet
from interactions.variables.samples import Group
from models.backbone import Classifier, probed
from models.batch_size import fitting
from models.device import exact_float32
from models.lean.forward import compiled_for_one_shape
from models.lean.worth import is_long, predicted
from models.memory import formatted, settled
from stages.need import gigabytes

DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


class Engine:
    """Evaluates the model with the weights of the checkpoint that was loaded last."""

    def __init__(
        self,
        model: nn.Module,
        sample_set: SampleSet,
        options: DictConfig,
        choice: Choice | None = None,
        checkpoints: float = 1,
    ) -> None:
        """choice: one that was made before; checkpoints: how many will be evaluated. Raises BadInput for what is asked
        by name and can't be done."""
        self.sample_set, self.precision, asked = sample_set, options.precision, choice or options
        self.dtype = DTYPES[options.precision]
        self.model = model.eval().to(sample_set.device)
        inputs = sample_set.groups[0].inputs[:1].clone()  # a model may write to what it is given
        self.memory_format = settled(self.model, inputs)
        inputs = formatted(inputs, self.memory_format)
        self._plans: dict[int, Plan] = {}  # those of each sample, for all checkpoints
        self.local, why_dense = local_for(self.model, sample_set.groups[0], sample_set.n, asked.engine)
        automatic = asked.batch_size == "auto"
        self.batch_size = fitting(self.model, inputs, sample_set.device) if automatic else asked.batch_size
        count = checkpoints * sample_set.samples * 2**sample_set.n
        automatic = "auto" in (asked.lean, asked.compile)
        seconds = predicted(self.model, inputs, count) / self._times_faster if automatic else 0
        wanted = asked.compile is True or is_long(seconds) if asked.lean == "auto" else asked.lean
        with self._in_its_precision():
            self.passes, why_plain = self._begun(asked, wanted)
            compiled = self._compiled(seconds) if asked.compile == "auto" else asked.compile
        lean = self.passes is not None
        engine = "local" if self.local else "dense"
        if self.local:  # of this engine, only what is lean can be compiled
            compiled = compiled and lean
            self.local.lean, self.local.compiled = lean, compiled
        self.choice = choice or Choice(engine, self.batch_size, compiled, why_dense, lean, why_plain)
        self.forward = compiled_for_one_shape(self.model) if compiled and not lean else self.model

    @contextmanager
    def _in_its_precision(self) -> Iterator[None]:
        before = next(self.model.parameters()).dtype
        self.model.to(self.dtype)
        try:
            with exact_float32():
                yield
        finally:
            self.model.to(before)

    def _begun(self, asked: DictConfig | Choice, lean: bool) -> tuple[Passes | None, str]:
        """Returns lean forward passes if they are wanted and possible, and otherwise the reason."""
        if not lean:
            return None, ""
        passes = Passes(self.model, self.memory_format, asked.compile is True)
        if passes.compiled and not isinstance(asked, Choice):
            print("interactions: compiles the network (up to a minute)", flush=True)
        try:
            if self.local:
                why = self._lean_locally(passes.compiled)
            else:
                self._logits_of_first(passes)()
                why = passes.why
        except Exception as error:
            if not passes.compiled or isinstance(error, torch.OutOfMemoryError):
                raise
            raise not_compiled(error, earlier=isinstance(asked, Choice)) from error
        if why and asked.lean is True:
            way = "use interactions.lean=false"
            raise BadInput(f"interactions.lean=true can't be used for this model: {why}; {way}")
        return None if why else passes, why

    @torch.inference_mode()
    def _lean_locally(self, compiled: bool) -> str:
        """Evaluates whole maps of the first sample by a lean rest of the network; returns why they can't be."""
        rest, maps = self._maps_of_first()
        rest(maps, lean=True)
        if compiled and not rest.why:
            rest(maps, lean=True, compiled=True)
        return rest.why

    def _compiled(self, seconds: float) -> bool:
        """Returns whether to compile, where it has not been said."""
        if self.passes is None:
            return False
        compiled = Passes(self.model, self.memory_format, compiled=True)
        if self.local:
            rest, maps = self._maps_of_first()
            run = torch.inference_mode()(rest)
            sides = [partial(run, maps, lean=True, compiled=way) for way in (True, False)]
        else:
            sides = [self._logits_of_first(way) for way in (compiled, self.passes)]
        if not compiled_is_faster(*sides, seconds):
            return False
        self.passes = compiled
        return True

    def _maps_of_first(self) -> tuple[Rest, list[torch.Tensor]]:
        """Returns whole maps of some masked inputs of the first sample, and the rest of the network."""
        group = self.sample_set.groups[0]
        inputs, base = _as_type(self.dtype, group.inputs[:1], self.sample_set.baseline)
        return next(self.local.batches(self._plan(group, 0), inputs[0], base))

    def _logits_of_first(self, passes: Passes) -> Callable[[], torch.Tensor]:
        """Returns a call that evaluates a batch of masked inputs of the first sample."""
        group, where = self.sample_set.groups[0], self.sample_set.device
        inputs, base = _as_type(self.dtype, group.inputs[:1], self.sample_set.baseline)
        logits = passes.of(inputs, base, group.member[:1], range(1))
        subset = torch.arange(self._batch_size(group), device=where) % 2**self.sample_set.n
        return torch.inference_mode()(lambda: logits(torch.zeros_like(subset), subset))

    @property
    def _times_faster(self) -> float:
        """The predicted speedup over forward passes."""
        return self._plan(self.sample_set.groups[0], 0).predicted_speedup if self.local else 1

    def about(self) -> str:
        """Returns one line for the log that says how values are computed."""
        how = [name for name, used in (("lean", self.choice.lean), ("compiled", self.choice.compile)) if used]
        why_plain = self.choice.why_plain or (self.local.why_plain if self.local else "")
        why = f"; not lean: {why_plain}" if why_plain else ""
        if self.local is None:
            why += f"; not locally: {self.choice.why_dense}" if self.choice.why_dense else ""
            return ", ".join(["dense", *how, f"in batches of {self.batch_size}"]) + why
        plan = self._plan(self.sample_set.groups[0], 0)
        faster = f"predicted {plan.predicted_speedup:.2g} times as fast as dense"
        held = f"holding {gigabytes(plan.bytes)} of entries"
        how = how if self.choice.lean and not why_plain else []
        return ", ".join(part for part in ("local", *how, faster, held, dense_from(plan)) if part) + why

    def load(self, checkpoint: Checkpoint, weights: Weights) -> None:
        self.model.float()
        checkpoint.load_into(self.model, weights)
        self.to(self.dtype)

    def to(self, dtype: torch.dtype) -> None:
        self.model.to(dtype)
        for lean in (self.passes, self.local):
            if lean is not None:
                lean.forget()

    def block(self, block: range) -> torch.Tensor:
        """Returns v of all masked inputs of these samples, which have one shape: [len(block), 2**n] float64, on the
        device."""
        if self.local:
            return torch.stack([self.locally(number, self.dtype) for number in block])
        subsets, where = 2**self.sample_set.n, self.sample_set.device
        sample = torch.arange(len(block), device=where).repeat_interleave(subsets)
        subset = torch.arange(subsets, device=where).repeat(len(block))
        return self._values(block, sample, subset, self.dtype).view(len(block), subsets)

    def in_a_batch(self, number: int, subset: int, dtype: torch.dtype, lean: bool = True) -> torch.Tensor:
        """Returns v of one masked input, computed by a forward pass of a whole batch: []. lean: if such passes are
        used; otherwise the model's own."""
        count = 2**self.sample_set.n
        # The batch is filled with other masked inputs, as in a block: copies of one input would not show that a value
        # depends on the rest of its batch.
        kept = (torch.arange(min(self.batch_size, count), device=self.sample_set.device) + subset) % count
        return self._values(range(number, number + 1), torch.zeros_like(kept), kept, dtype, lean, self.forward)[0]

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
        """Returns v of the masked inputs (sample[k], subset[k]) from the same weights in float64, by the model's own
        forward passes: [K].

        Load the weights again afterwards.
        """
        self.to(torch.float64)
        v = np.empty(len(sample))
        for group, mine in self.sample_set.by_group(sample):
            which, kept = (torch.from_numpy(part[mine]).to(self.sample_set.device) for part in (sample, subset))
            block = range(group.first, group.first + len(group.inputs))
            v[mine] = self._values(block, which - group.first, kept, torch.float64, lean=False).cpu().numpy()
        return v

    def _values(
        self,
        block: range,
        sample: torch.Tensor,
        subset: torch.Tensor,
        dtype: torch.dtype,
        lean: bool = True,
        forward: nn.Module | None = None,
    ) -> torch.Tensor:
        """Returns v of masked inputs of the samples in `block`, which have one shape; sample: counted from its first.

        forward: what to run instead of the model, if passes are not lean; None: the compiled model if it was compiled
        for this type.
        """
        group = self.sample_set.group_of(block[0])
        mine = slice(block[0] - group.first, block[-1] + 1 - group.first)
        inputs, base = _as_type(dtype, group.inputs[mine], self.sample_set.baseline)
        member, labels, size = group.member[mine], group.labels[mine], self._batch_size(group)
        with exact_float32():
            if lean and self.passes and not self.local:
                return values(self.passes.of(inputs, base, member, block), labels, sample, subset, size)
            model = forward or (self.forward if dtype == self.dtype else self.model)
            return masked_values(model, inputs, base, member, labels, sample, subset, size, self.memory_format)

    def _batch_size(self, group: Group) -> int:
        """Returns the size of batches: not more masked inputs than there are altogether."""
        return min(self.batch_size, len(group.inputs) * 2**self.sample_set.n)


class Engines:
    """The engines of a store: one for networks as they are, and one for the pre-trained network with a linear probe,
    where the probe can't replace the network's own head."""

    def __init__(
        self,
        model: Classifier,
        sample_set: SampleSet,
        options: DictConfig,
        choices: dict[str, Choice],
        checkpoints: float = 1,
    ) -> None:
        """choices: those made before, by the engine's name (network, probed); checkpoints: how many will be
        evaluated."""
        self.network = self.probed = Engine(model, sample_set, options, choices.get("network"), checkpoints)
        inputs = formatted(sample_set.groups[0].inputs[:1].clone(), self.network.memory_format)
        with_probe = probed(model, inputs)
        if with_probe is not model:
            self.probed = Engine(with_probe, sample_set, options, choices.get("probed"), checkpoints)

    @property
    def choices(self) -> dict[str, Choice]:
        return {"network": self.network.choice, "probed": self.probed.choice}

    def of(self, unit: Checkpoint) -> Engine:
        return self.probed if unit.probed else self.network


def _as_type(dtype: torch.dtype, *tensors: torch.Tensor) -> list[torch.Tensor]:
    """Converts tensors to the type; token ids stay integers."""
    return [tensor.to(dtype) if tensor.is_floating_point() else tensor for tensor in tensors]

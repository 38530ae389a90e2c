"""Values that are not those of plain forward passes stop the run; rounding, however large, does not."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from conf.errors import BadInput
from interactions import verify
from interactions.engine import Engines
from interactions.local.forward import Local
from interactions.store import Samples, Store
from interactions.units import evaluated
from interactions.variables.patches import draw_patches, owner_map
from interactions.variables.sample_set import SampleSet
from interactions.variables.samples import Group
from interactions.verify import LEAST, Budget, Check, drawn
from models.backbone import Classifier

N = 4
SETTINGS = {"precision": "float32", "batch_size": 8, "compile": False, "lean": "auto", "engine": "dense"}


class Network(nn.Module):
    """A convolution, what is then done to its maps, and a linear layer."""

    def __init__(self, rule, preprocess=None):
        super().__init__()
        self.conv, self.rule, self.fc = nn.Conv2d(3, 8, 3, padding=1), rule, nn.Linear(8, 3)
        self.preprocess = preprocess or (lambda x: x)

    def forward(self, x):
        return self.fc(self.rule(self.conv(self.preprocess(x))).mean((2, 3)))


@pytest.fixture
def sample_set():
    torch.manual_seed(0)
    owner = torch.stack([owner_map(draw_patches(N, 4, 0, 16, 16, 0, index), 16, 16) for index in range(3)])
    return SampleSet([Group(0, torch.randn(3, 3, 16, 16), owner, torch.tensor([0, 2, 1]))], torch.randn(3, 16, 16), N)


@pytest.fixture
def run(sample_set, tmp_path):
    """run(rule, **options): evaluates a checkpoint of the network with this rule; returns v [samples, 2**n]."""

    def run(rule, preprocess=None, **options):
        torch.manual_seed(1)
        model = Classifier(Network(rule, preprocess)).eval()
        engines = Engines(model, sample_set, OmegaConf.create(SETTINGS | {"n": N} | options), {})
        torch.manual_seed(2)
        state = Classifier(Network(rule)).state_dict()
        unit = SimpleNamespace(
            stage="finetune", epoch=7, probed=False, read=lambda: [state],
            load_into=lambda model, states: model.load_state_dict(states[0]),
        )  # fmt: skip
        store, blocks = Store(tmp_path / "finetune", Samples(tmp_path / "samples")), [range(2), range(2, 3)]
        assert [block for _, block in evaluated(store, [unit], engines, [(0, block) for block in blocks])] == blocks
        return np.concatenate([np.load(store.unit(7) / f"part_{name}.npz")["v"] for name in ("0-1", "2-2")])

    return run


def of_the_batch(y):
    return torch.relu(y - y.mean())


def at_random(y):
    return y * torch.rand(())


def magnifying(y):
    """Sines of large numbers: rounding of the convolution becomes 1e-2 of the logits."""
    return torch.sin(3e4 * y)


def overflowing(y):
    return y * 1e30 * y * 1e30


@pytest.mark.parametrize("engine", ["dense", "local"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_what_is_right_passes(run, engine, precision, all_local):
    assert np.isfinite(run(torch.relu, engine=engine, precision=precision)).all()


@pytest.mark.parametrize("engine", ["dense", "local"])
def test_outputs_that_depend_on_the_batch_stop_the_run(run, tmp_path, engine, all_local):
    with pytest.raises(BadInput) as refused:
        run(of_the_batch, engine=engine)
    said = str(refused.value)
    assert said.startswith("finetune, epoch 7: v of sample ")
    assert f"by the {engine} engine, and differs by " in said
    assert "depends on the rest of its batch" in said
    assert "interactions.engine=dense interactions.batch_size=1" in said
    assert "\n" not in said
    assert not list(tmp_path.rglob("*.npy"))


def test_one_input_at_a_time_is_the_way_out(run):
    assert np.isfinite(run(of_the_batch, batch_size=1)).all()


def test_a_model_that_is_random_stops_the_run(run):
    with pytest.raises(
        BadInput, match=r"by one forward pass and .* by the next: the model is random in evaluation mode"
    ):
        run(at_random)


def test_a_local_engine_that_is_wrong_stops_the_run(run, monkeypatch, tmp_path, all_local):
    right = Local.logits
    monkeypatch.setattr(Local, "logits", lambda *args: right(*args) + torch.tensor([1e-3, 0, 0]))
    with pytest.raises(
        BadInput, match=r"by the local engine, .* rounding does not explain: use interactions.engine=dense"
    ):
        run(torch.relu, engine="local")
    assert not list(tmp_path.rglob("*.npy"))


def test_rounding_is_told_from_mistakes_by_float64(run, monkeypatch, all_local):
    """The values of this network differ by far more than usual, and it is rounding."""
    judged, right = [], verify.Verifier.judge
    monkeypatch.setattr(verify.Verifier, "judge", lambda *args: (judged.append(args), right(*args)))
    dense, local = run(magnifying), run(magnifying, engine="local")
    assert abs(dense - local).max() > 1e-4 * abs(dense).max()
    assert judged


def test_a_mistake_in_float32_alone_stops_the_run(run, monkeypatch, all_local):
    right = Local.logits

    def wrong(engine, plan, image, *rest):
        return right(engine, plan, image, *rest) * (1.01 if image.dtype == torch.float32 else 1)

    monkeypatch.setattr(Local, "logits", wrong)
    with pytest.raises(BadInput, match=r"something is wrong in float32 alone; use interactions\.engine=dense"):
        run(torch.relu, engine="local")


def test_a_model_that_writes_to_its_input_is_evaluated_as_it_is(run, sample_set):
    before = sample_set.groups[0].inputs.clone()
    found = run(torch.relu, preprocess=lambda x: x.sub_(0.5).div_(0.25))
    assert torch.equal(sample_set.groups[0].inputs, before)
    np.testing.assert_allclose(found, run(torch.relu, preprocess=lambda x: (x - 0.5) / 0.25), rtol=1e-6)


def test_a_model_that_asks_for_views_of_memory_is_evaluated_as_it_is(run):
    def viewed(y):
        return y.view(y.size(0), -1).relu().view(y.shape)  # fails with the channels last

    def overwritten(y):
        y.flatten(1).relu_()  # of a map with its channels last that would be a copy
        return y

    expected = run(torch.relu)
    for rule in (viewed, overwritten):
        for engine in ("dense", "auto"):
            np.testing.assert_allclose(run(rule, engine=engine), expected, rtol=0, atol=1e-5)


def test_numbers_that_overflow_stop_the_run(run):
    with pytest.raises(BadInput, match=r"in float32, which is not a finite number: use interactions.precision"):
        run(overflowing)


def test_inputs_are_spread_over_samples_and_orders():
    unit = SimpleNamespace(stage="scratch", epoch=3)
    checks = drawn(unit, range(10, 20), 9, 8)
    assert checks == drawn(unit, range(10, 20), 9, 8)
    assert checks != drawn(SimpleNamespace(stage="scratch", epoch=4), range(10, 20), 9, 8)
    assert sorted(check.subset.bit_count() for check in checks) == list(range(9))
    assert len({check.sample for check in checks}) == 9
    assert {check.sample for check in checks} <= set(range(10, 20))
    two = [check.subset.bit_count() for check in drawn(unit, range(1), 2, 8)]
    assert two[0] <= 4 <= two[1]
    assert drawn(unit, range(1), 0, 8) == []


def test_checks_take_two_percent_of_the_time(monkeypatch):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(verify.time, "monotonic", lambda: clock.now)
    monkeypatch.setattr(verify, "_seconds", lambda engine: 0.1)
    budget = Budget(None)
    assert budget.count(LEAST) == 2  # of the first block, whatever it takes
    clock.now += 10  # 2 % are 0.2 s: spent already
    assert budget.count(0) == 0
    clock.now += 90.1
    assert budget.count(0) == 18
    assert budget.count(0) == 0


def test_checks_name_a_masked_input():
    assert Check(3, 5) == Check(sample=3, subset=5)

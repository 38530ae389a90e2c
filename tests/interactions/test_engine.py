"""Which engine evaluates a model, and that all of them give the same values."""

import time

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from tiled import another_checkpoint
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from conf.errors import BadInput
from interactions.choice import predicted_speedup
from interactions.dense import log_odds
from interactions.engine import Engine, Engines
from interactions.fill import decided
from interactions.store import Samples, Store
from interactions.variables.patches import draw_patches, owner_map
from interactions.variables.sample_set import SampleSet
from interactions.variables.samples import Group
from models.backbone import Classifier
from models.text import bert
from models.vision import conv4, vit_tiny

N = 6
SMALL_BERT = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
              "intermediate_size": 32, "max_position_embeddings": 20}  # fmt: skip


def options(**changed):
    return OmegaConf.create(
        {"precision": "float32", "batch_size": 16, "compile": False, "lean": "auto", "engine": "auto", "n": N} | changed
    )


@pytest.fixture
def images():
    torch.manual_seed(0)
    owner = torch.stack([owner_map(draw_patches(N, 8, 1, 32, 32, 0, index), 32, 32) for index in range(3)])
    group = Group(0, torch.randn(3, 3, 32, 32), owner, torch.tensor([0, 2, 1]))
    return SampleSet([group], torch.randn(3, 32, 32), N)


def network():
    torch.manual_seed(1)
    model = Classifier(conv4(3, width=8)).train()
    model(torch.randn(64, 3, 32, 32))  # batch-norm statistics that are not those of a new network
    return model.eval()


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_both_engines_give_the_same_values(images, precision):
    values = {}
    for name in ("dense", "local"):
        engine = Engine(network(), images, options(engine=name, precision=precision))
        engine.model.to(engine.dtype)
        assert (engine.local is None) == (name == "dense")
        values[name] = engine.block(range(1, 3))
    assert values["dense"].shape == (2, 2**N)
    tolerance = (1e-12 if precision == "float64" else 1e-5) * values["dense"].abs().max().item()
    torch.testing.assert_close(values["local"], values["dense"], rtol=0, atol=tolerance)


def test_auto_takes_the_one_that_is_predicted_to_be_faster(images):
    engine = Engine(network(), images, options())
    assert engine.local is not None
    assert engine.about().startswith("local, predicted ")
    assert "of entries" in engine.about()


def test_forward_passes_alone_gain_nothing(images):
    assert predicted_speedup(network(), images.groups[0], N, "dense") == 1
    assert predicted_speedup(Classifier(vit_tiny(3)), images.groups[0], N, "auto") == 1
    assert predicted_speedup(network(), images.groups[0], N, "auto") > 2


def test_a_transformer_is_dense_and_the_log_says_why(images):
    engine = Engine(Classifier(vit_tiny(3)).eval(), images, options())
    assert engine.local is None
    assert engine.about() == (
        "dense, in batches of 16; not locally: predicted 1 times as fast, and 1.5 is needed to be worth it, "
        "dense from reshape on (its result is not a feature map)"
    )
    with pytest.raises(BadInput, match=r"interactions\.engine=local can't be used for this model: predicted 1 times"):
        Engine(Classifier(vit_tiny(3)).eval(), images, options(engine="local"))


@pytest.mark.parametrize("lean", [False, True])
def test_sentences_are_dense(lean):
    torch.manual_seed(0)
    groups = [
        Group(first, torch.randint(5, 50, (2, length)), torch.arange(length).expand(2, -1).clamp(max=N) % (N + 1) - 1,
              torch.tensor([0, 1]))
        for first, length in ((0, 8), (2, 11))
    ]  # fmt: skip
    engine = Engine(Classifier(bert(2, **SMALL_BERT)).eval(), SampleSet(groups, torch.tensor(4), N), options(lean=lean))
    assert engine.about() == f"dense, {'lean, ' * lean}in batches of 16"
    sample, subset = np.array([3, 0, 2]), np.array([5, 63, 0])
    exact = engine.in_float64(sample, subset)
    engine.to(torch.float32)
    blocks = {first: engine.block(range(first, first + 2)) for first in (0, 2)}
    found = [blocks[2][1, 5], blocks[0][0, 63], blocks[2][0, 0]]
    np.testing.assert_allclose(torch.stack(found).numpy(), exact, atol=1e-5)


def frozen():
    """As transfer learning uses it: a frozen norm, and an input that is standardised by buffers."""

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", torch.zeros(3, 1, 1))
            self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), FrozenBatchNorm2d(8), nn.ReLU())
            self.body += nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, padding=1), FrozenBatchNorm2d(8), nn.ReLU())
            self.fc = nn.Linear(8, 3)

        def forward(self, x):
            return self.fc(self.body(x - self.mean).mean((2, 3)))

    torch.manual_seed(1)
    return Classifier(Network()).eval()


def test_frozen_norms_are_local_and_follow_the_checkpoint(images):
    engine = Engine(frozen(), images, options())
    assert engine.about().startswith("local, predicted ")
    another_checkpoint(engine.model)
    local = engine.block(range(3))
    dense = Engine(engine.model, images, options(engine="dense")).block(range(3))
    torch.testing.assert_close(local, dense, rtol=0, atol=1e-5 * dense.abs().max().item())


def squeezed():
    """Its classifier is a convolution with ReLU after it: a linear probe can't take its place."""
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    return Classifier(nn.Sequential(*network, nn.Flatten()), ["2"]).eval()


@pytest.mark.parametrize("name", ["dense", "local"])
def test_a_probe_on_features_has_an_engine_of_its_own(images, name, all_local):
    torch.manual_seed(0)
    model = squeezed()
    engines = Engines(model, images, options(engine=name), {})
    network, probed = engines.network, engines.probed
    assert network is not probed
    assert probed.model.backbone is model.backbone
    assert {choice.engine for choice in engines.choices.values()} == {name}
    found = probed.block(range(2))[:, -1]
    x = images.groups[0].inputs[:2]
    expected = log_odds(probed.model.head(model.features(x)), images.groups[0].labels[:2])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    same = Engines(Classifier(conv4(3, width=4)), images, options(engine=name), {})
    assert same.probed is same.network


def test_how_values_are_computed_is_chosen_once(images, tmp_path, capsys):
    """A run that is resumed goes on as it was begun, whatever `auto` would choose now."""
    store = Store(tmp_path / "scratch", Samples(tmp_path / "samples"))
    first = decided(network(), images, options(engine="dense", batch_size=5), store)
    assert store.choices()["network"] == {
        "engine": "dense", "batch_size": 5, "compile": False, "why_dense": "", "lean": False, "why_plain": ""
    }  # fmt: skip
    store.write_part(0, range(1), np.zeros((1, 2**N)))
    second = decided(network(), images, options(engine="auto", batch_size="auto"), store)
    assert second.network.choice == first.network.choice
    assert second.network.local is None
    assert store.has_part(0, range(1))
    assert capsys.readouterr().out == ""
    third = decided(network(), images, options(engine="local", batch_size="auto"), store)
    assert third.network.local is not None
    assert "what is missing is computed with interactions.engine=local, not as before" in capsys.readouterr().out
    assert not store.has_part(0, range(1))
    assert store.choices()["network"]["engine"] == "local"


def test_the_batch_size_is_found_by_itself(images):
    engine = Engine(network(), images, options(batch_size="auto", engine="dense"))
    assert engine.batch_size == 256
    explicit = Engine(network(), images, options(batch_size=3, engine="dense"))
    expected = explicit.block(range(3))
    assert expected.std() > 0.1
    torch.testing.assert_close(engine.block(range(3)), expected, rtol=0, atol=1e-6 * expected.abs().max().item())


@pytest.mark.parametrize("lean", [False, True])
@pytest.mark.parametrize("name", ["dense", "local"])
def test_a_run_repeats_bit_for_bit(images, name, lean):
    given = options(engine=name, lean=lean)
    first, second = (Engine(network(), images, given).block(range(3)) for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("name", ["dense", "local"])
def test_lean_values_follow_the_checkpoint(images, name):
    lean, plain = (Engine(network(), images, options(engine=name, lean=lean)) for lean in (True, False))
    assert lean.choice.lean
    assert not plain.choice.lean
    for _ in range(2):
        expected = plain.block(range(3))
        torch.testing.assert_close(lean.block(range(3)), expected, rtol=0, atol=1e-5 * expected.abs().max().item())
        another_checkpoint(lean.model)
        plain.model.load_state_dict(lean.model.state_dict())
        lean.to(torch.float32)


def test_passes_are_lean_where_there_is_much_to_do(images):
    model = Classifier(vit_tiny(3, depth=1, dim=8))
    assert not Engine(model, images, options()).choice.lean
    many = Engine(model, images, options(), checkpoints=10_000_000)
    assert many.choice.lean
    assert many.about().startswith("dense, lean, in batches of 16")
    assert Engine(model, images, options(), many.choice).choice.lean, "a run that is resumed goes on so"
    assert Engine(model, images, options(lean=False), checkpoints=10_000_000).choice.lean is False


class Undecided(nn.Module):
    """Does something else with bright images."""

    def __init__(self):
        super().__init__()
        self.body, self.fc = nn.Conv2d(3, 8, 3), nn.Linear(8, 3)

    def forward(self, x):
        return self.fc(self.body(x).mean((2, 3)) * (2 if x.mean() > 0 else 1))


def test_a_network_that_can_not_be_captured_runs_as_it_is(images):
    model = Classifier(Undecided())
    engine = Engine(model, images, options(engine="dense"), checkpoints=10_000_000)
    assert "; not lean: what its forward pass does depends on the values" in engine.about()
    assert engine.block(range(1)).shape == (1, 2**N)
    with pytest.raises(BadInput, match=r"interactions\.lean=true can't be used for this model: what its"):
        Engine(model, images, options(engine="dense", lean=True))


class Choosing(nn.Module):
    """Does something else at the end with some maps, in a function that is not traced."""

    def __init__(self):
        super().__init__()
        self.body, self.fc = conv4(3)[:4], nn.Linear(64, 3)

    def forward(self, x):
        return chosen(self.fc(self.body(x).mean((2, 3))))


@torch.fx.wrap
def chosen(x):
    return x if x.sum() > 0 else x * 1.0


def test_a_last_part_that_can_not_be_captured_is_known_before_any_value(images):
    """What other processes, which did not compute the values, say and record of them is true."""
    torch.manual_seed(0)
    model = Classifier(Choosing())
    engine = Engine(model, images, options(engine="local"), checkpoints=100_000_000)
    assert (engine.choice.engine, engine.choice.lean) == ("local", False)
    about = engine.about()
    assert about.startswith("local, predicted")
    assert about.endswith("; not lean: what its forward pass does depends on the values of its input")
    again = Engine(model, images, options(engine="local"), engine.choice)
    assert again.about() == about
    torch.testing.assert_close(again.block(range(1)), engine.block(range(1)), rtol=0, atol=0)
    assert engine.about() == about
    with pytest.raises(BadInput, match=r"interactions\.lean=true can't be used for this model: what its"):
        Engine(model, images, options(engine="local", lean=True))
    for asked in (options(engine="local", compile=True), options(engine="auto", compile=True, lean=False)):
        engine = Engine(model, images, asked)
        assert (engine.choice.engine, engine.choice.compile, engine.choice.lean) == ("local", False, False)
        assert engine.choice.differs(asked) == []
    plain = Engine(Classifier(conv4(3)), images, options(engine="local", lean=True)).about()
    assert plain.startswith("local, lean, predicted")
    assert "not lean" not in plain


@pytest.mark.parametrize(("gain", "compiled"), [(1.2, True), (0.9, False)])
def test_passes_are_compiled_where_this_is_faster(images, monkeypatch, gain, compiled):
    monkeypatch.setattr(torch, "compile", lambda run, **_: run)
    clock = iter(np.cumsum([step for _ in range(100) for step in (0, 1, 0, gain)]))  # compiled, then not
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))
    model = Classifier(vit_tiny(3, depth=1, dim=8))
    engine = Engine(model, images, options(compile="auto", lean=True), checkpoints=100_000_000)
    assert engine.choice.compile == compiled
    assert engine.passes.compiled == compiled
    assert Engine(model, images, options(compile="auto", lean=True)).choice.compile is False, "too little work"


@pytest.mark.parametrize("gain", [1.2, 0.9])
def test_whole_maps_are_compiled_where_this_is_faster(images, monkeypatch, gain):
    made = []
    monkeypatch.setattr(torch, "compile", lambda run, **_: made.append(run) or run)
    clock = iter(np.cumsum([step for _ in range(100) for step in (0, 1, 0, gain)]))  # compiled, then not
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))
    model = Classifier(conv4(3))
    engine = Engine(model, images, options(engine="local", compile="auto"), checkpoints=100_000_000)
    assert engine.choice.compile == engine.local.compiled == (gain > 1)
    assert engine.about().startswith("local, lean, compiled, predicted" if gain > 1 else "local, lean, predicted")
    expected = Engine(model, images, options(engine="dense", lean=False)).block(range(1))
    torch.testing.assert_close(engine.block(range(1)), expected, rtol=0, atol=1e-5 * float(expected.abs().max()))
    assert len(made) == 1
    again = Engine(model, images, options(engine="local"), engine.choice)
    assert again.local.compiled == (gain > 1)

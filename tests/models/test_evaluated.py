"""A frozen network on a whole set: the lean way gives the same, and is taken only where it pays."""

import pytest
import torch
from torch import nn

from models import evaluated
from models.backbone import Classifier, Probed
from models.evaluated import SHAPES, Evaluated
from models.layers import Watched
from models.lean import worth
from models.vision import conv4, vit_tiny


@pytest.fixture
def always(monkeypatch):
    """Any work pays."""
    monkeypatch.setattr(worth, "TIMES", 0)


@pytest.fixture
def never_captured(monkeypatch):
    monkeypatch.setattr(evaluated, "captured", lambda *_: pytest.fail("a network was captured"))


def convnet() -> Classifier:
    torch.manual_seed(0)
    model = Classifier(conv4(3, width=8, image_size=16)).train()
    model(3 + torch.randn(32, 3, 16, 16))  # other statistics than those that batch-norm begins with
    return model.eval()


def transformer() -> Classifier:
    torch.manual_seed(0)
    return Classifier(vit_tiny(3, image_size=16)).eval()


def images(count: int = 23) -> torch.Tensor:
    return torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@torch.inference_mode()
def found(model, inputs, layers, pool="mean", size=5):
    """Returns what each layer gives for all inputs, by the network itself and evaluated; and the Evaluated."""
    with Watched(model, layers, pool) as watched:
        own = watched(inputs)
        whole = Evaluated(watched, len(inputs))
        parts = [whole(batch) for batch in inputs.split(size)]
    return own, [torch.cat(of_layer) for of_layer in zip(*parts, strict=True)], whole


@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize(
    ("make", "layers", "pool"),
    [
        (convnet, ["penultimate"], "mean"),
        (convnet, ["block3", "penultimate", "block1.0", "logits"], "none"),
        (transformer, ["penultimate", "encoder.layers.encoder_layer_1"], "mean"),
    ],
)
def test_the_lean_way_gives_what_the_network_gives(always, make, layers, pool, dtype, close):
    own, lean, whole = found(make().to(dtype), images().to(dtype), layers, pool)
    assert whole.lean == 15  # of 5 + 15 + 3: the first batch and the smaller last one take the network's own way
    assert whole.about() == "15 of 23 inputs by a lean forward pass"
    for expected, got in zip(own, lean, strict=True):
        assert got.dtype == dtype
        torch.testing.assert_close(got, expected, rtol=close, atol=close)


def test_a_probed_network_is_evaluated_with_its_probe(always):
    model = Probed(convnet(), 8, 4).eval()
    own, lean, whole = found(model, images(), ["logits", "source_logits"])
    assert whole.lean > 0
    assert [part.shape for part in lean] == [(23, 4), (23, 3)]
    torch.testing.assert_close(lean, own)


class Deciding(nn.Module):
    """Decides by the values of its inputs, which a captured graph has not."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(3 * 16 * 16, 4), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.body(x.flatten(1))
        return self.head(x.relu() if x.sum() > 0 else x)


def test_a_network_that_cannot_be_captured_runs_as_it_is(always):
    torch.manual_seed(0)
    model, inputs = Classifier(Deciding()).eval(), images()
    with torch.no_grad():
        expected = torch.cat([model.features(batch) for batch in inputs.split(5)])
    _, (features,), whole = found(model, inputs, ["penultimate"])
    assert torch.equal(features, expected)
    assert whole.lean == 0
    assert whole.about() == "no lean forward pass: what its forward pass does depends on the values of its input"


class Squeezing(nn.Module):
    """Can't be given a single input."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x).mean((2, 3), keepdim=True).squeeze())


def test_a_network_that_takes_no_single_input_runs_as_it_is(always):
    own, features, whole = found(Classifier(Squeezing()).eval(), images(), ["penultimate"])
    assert torch.equal(features[0], own[0])
    assert whole.about().startswith("no lean forward pass: ")


def test_small_work_is_left_to_the_network(never_captured):
    own, features, whole = found(convnet(), images(), ["penultimate"])
    torch.testing.assert_close(features, own)
    assert whole.about() == ""


@pytest.mark.parametrize("size", [23, 12])
def test_a_shape_that_comes_once_is_left_to_the_network(always, never_captured, size):
    assert found(convnet(), images(), ["penultimate"], size=size)[2].about() == ""


class Sentences(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.inner, self.head = nn.Embedding(9, 6), nn.Linear(6, 5), nn.Linear(5, 2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.inner(self.words(ids)).relu().mean(1))


@torch.inference_mode()
def test_of_sentences_a_few_lengths_are_captured(always):
    torch.manual_seed(0)
    batches = [torch.randint(9, (4, length)) for _ in range(3) for length in range(1, SHAPES + 3)]
    with Watched(Classifier(Sentences()).eval(), ["penultimate"], "mean") as watched:
        whole = Evaluated(watched, sum(map(len, batches)))
        for batch in batches:
            torch.testing.assert_close(whole(batch), watched(batch))
    assert whole.lean == SHAPES * 2 * 4  # of SHAPES lengths all batches but the first


@torch.inference_mode()
def test_what_pays_is_judged_by_how_many_inputs_of_a_shape_are_to_come(monkeypatch):
    judged = []
    monkeypatch.setattr(evaluated, "pays", lambda model, inputs, count: judged.append((inputs.shape, count)))
    lengths = [3, 7, 3, 3, 7]
    with Watched(Classifier(Sentences()).eval(), ["penultimate"], "mean") as watched:
        whole = Evaluated(watched, 100)
        for length in lengths:
            whole(torch.zeros(4, length, dtype=torch.int64))
    assert judged == [((1, 3), (100 - 8) * 4 / 8), ((1, 7), (100 - 16) * 4 / 16)]

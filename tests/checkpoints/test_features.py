import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from checkpoints.features import compute, features, read
from conf.errors import BadInput
from data.splits import InMemory
from models.backbone import Classifier
from models.lean import worth
from models.vision import conv4

CPU = torch.device("cpu")


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Classifier(conv4(3, width=8, image_size=16)).train()


@pytest.fixture
def dataset():
    torch.manual_seed(1)
    return InMemory(3 + torch.randn(20, 3, 16, 16), np.zeros(20, dtype=int))


def test_features_are_those_of_the_model_in_evaluation_mode(model, dataset, tmp_path):
    statistics = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    found = features(model, DataLoader(dataset, 7), tmp_path, "train", CPU)
    assert all(torch.equal(tensor, statistics[key]) for key, tensor in model.state_dict().items())
    with torch.no_grad():
        torch.testing.assert_close(found, model.eval().features(dataset.inputs))
        assert not torch.allclose(found, model.train().features(dataset.inputs), atol=0.1)
    assert found.dtype == torch.float32
    assert found.shape == (20, 8)


def test_features_are_computed_once(model, dataset, tmp_path):
    first = features(model, DataLoader(dataset), tmp_path, "train", CPU)
    model.backbone = None  # a second pass would fail
    assert torch.equal(features(model, DataLoader(dataset), tmp_path, "train", CPU), first)
    with pytest.raises(AttributeError):
        features(model, DataLoader(dataset), tmp_path, "test", CPU)  # the other split has features of its own


def test_an_interrupted_computation_leaves_nothing_behind(model, dataset, tmp_path):
    dataset.inputs = dataset.inputs[:10]  # the labels promise 20
    with pytest.raises(IndexError):
        features(model, DataLoader(dataset, 5), tmp_path, "train", CPU)
    assert list(tmp_path.iterdir()) == []


def test_features_that_are_not_finite_are_refused_and_not_kept(model, dataset, tmp_path):
    dataset.inputs[13, 0, 0, 0] = np.nan
    message = r"the features of the test set hold NaN or infinity \(layer penultimate\), of input 13 first"
    with pytest.raises(BadInput, match=message):
        features(model, DataLoader(dataset, 7), tmp_path, "test", CPU)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("pool", ["mean", "none"])
def test_named_layers_give_what_they_gave_in_the_pass(model, dataset, tmp_path, pool):
    compute(model, DataLoader(dataset, 7), tmp_path, "train", CPU, ["penultimate", "block2", "source_logits"], pool)
    model.eval()
    with torch.no_grad():
        maps = model.backbone.block2(model.backbone.block1(dataset.inputs))
        expected = {
            "penultimate": model.features(dataset.inputs),
            "block2": maps.mean((2, 3)) if pool == "mean" else maps.flatten(1),
            "source_logits": model(dataset.inputs),
        }
    for layer, tensor in expected.items():
        torch.testing.assert_close(torch.from_numpy(read(tmp_path, layer, "train")), tensor)


def test_only_layers_that_are_missing_are_computed(model, dataset, tmp_path):
    compute(model, DataLoader(dataset, 7), tmp_path, "train", CPU, ["block1"])
    before = (tmp_path / "block1_train.npz").stat().st_mtime_ns
    compute(model, DataLoader(dataset, 7), tmp_path, "train", CPU, ["block1", "block2"])
    assert (tmp_path / "block1_train.npz").stat().st_mtime_ns == before
    assert read(tmp_path, "block2", "train").shape == (20, 8)


def test_a_layers_features_are_the_same_whatever_is_missing(model, dataset, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(worth, "TIMES", 0)  # any work pays
    # A convolution whose result is asked for can't be joined with its batch-norm, which rounds differently.
    layers, batches = ["block2.0", "penultimate"], DataLoader(dataset, 6)
    compute(model, batches, tmp_path, "train", CPU, layers)
    assert capsys.readouterr().out == "features of the train set: 12 of 20 inputs by a lean forward pass\n"
    for layer, file in (("block2.0", "block2.0_train.npz"), ("penultimate", "features_train.npz")):
        before = read(tmp_path, layer, "train")
        (tmp_path / file).unlink()
        compute(model, batches, tmp_path, "train", CPU, layers)
        assert np.array_equal(read(tmp_path, layer, "train"), before)


class Beside(nn.Module):
    """Its logits read a convolution beside the features."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.conv(x)
        return self.head(self.norm(maps).mean((2, 3))) + maps.mean((1, 2, 3))[:, None]


def test_penultimate_features_do_not_depend_on_whether_logits_are_asked_for(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(worth, "TIMES", 0)
    torch.manual_seed(0)
    model, found = Classifier(Beside()), []
    for folder, layers in (("a", ["penultimate"]), ("b", ["penultimate", "source_logits"])):
        compute(model, DataLoader(dataset, 6), tmp_path / folder, "train", CPU, layers)
        found.append(read(tmp_path / folder, "penultimate", "train"))
    assert np.array_equal(*found)

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from checkpoints.features import features
from data.splits import InMemory
from models.backbone import Classifier
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
    model.features = None  # a second call would fail
    assert torch.equal(features(model, DataLoader(dataset), tmp_path, "train", CPU), first)
    with pytest.raises(TypeError):
        features(model, DataLoader(dataset), tmp_path, "test", CPU)  # the other split has features of its own


def test_an_interrupted_computation_leaves_nothing_behind(model, dataset, tmp_path):
    dataset.inputs = dataset.inputs[:10]  # the labels promise 20
    with pytest.raises(IndexError):
        features(model, DataLoader(dataset, 5), tmp_path, "train", CPU)
    assert list(tmp_path.iterdir()) == []

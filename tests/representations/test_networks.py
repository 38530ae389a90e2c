"""The features of compared models: those of the inputs asked for, in their order, and which way they took."""

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from data.splits import InMemory, Splits
from models.backbone import Classifier
from models.layers import Watched
from models.lean import worth
from models.vision import conv4
from representations.networks import Networks

LAYERS = ["block2", "logits"]


@pytest.mark.parametrize("is_long", [False, True])
def test_features_are_those_of_the_network_however_long_it_takes(is_long, monkeypatch, capsys):
    if is_long:
        monkeypatch.setattr(worth, "TIMES", 0)
    torch.manual_seed(0)
    model, data = (
        Classifier(conv4(3, width=8, image_size=16)).eval(),
        InMemory(torch.randn(20, 3, 16, 16), np.zeros(20)),
    )
    cfg = OmegaConf.create({"representations": {"similarity": {"inputs": 18}}, "num_workers": 0})
    networks = Networks(cfg, {}, Splits(data, data, "abc"), LAYERS, "mean")
    networks.where, networks.at_once = torch.device("cpu"), 5
    with torch.no_grad(), Watched(model, LAYERS, "mean") as watched:
        expected = watched(data.inputs[networks.index])
    for _ in range(2):
        torch.testing.assert_close(networks.features(model), expected)
    said = "similarity of layers: 10 of 18 inputs by a lean forward pass\n"  # of two models: said once
    assert capsys.readouterr().out == (said if is_long else "")

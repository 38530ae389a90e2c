"""A network's maps lie with the channels last where it does not notice."""

import pytest
import torch
from torch import nn

from models.memory import formatted, settled
from models.vision import conv4

X = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))


class Network(nn.Module):
    def __init__(self, rule):
        super().__init__()
        self.conv, self.norm, self.fc, self.rule = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(784, 3), rule

    def forward(self, x):
        return self.fc(self.rule(self.norm(self.conv(x))).flatten(1))


def overwritten(y):
    y.flatten(1).relu_()  # of a map with its channels last that is a copy
    return y


@pytest.mark.parametrize(
    ("rule", "kept"),
    [(torch.relu, torch.channels_last), (lambda y: y.view(len(y), -1), torch.contiguous_format),
     (overwritten, torch.contiguous_format)],
)  # fmt: skip
def test_a_network_that_notices_keeps_its_own(rule, kept):
    torch.manual_seed(0)
    model = Network(rule)
    expected = model.eval()(X)
    assert settled(model, X) == kept
    assert model.conv.weight.is_contiguous(memory_format=kept)
    torch.testing.assert_close(model(formatted(X, kept)), expected)


def test_modes_inputs_and_statistics_stay_as_they_were():
    model = conv4(3, width=4, image_size=16).train()
    model.block2[1].eval()  # a frozen norm inside a model in training
    before, x = {key: tensor.clone() for key, tensor in model.state_dict().items()}, X.clone()
    settled(model, x)
    assert [layer.training for layer in model.modules()] == [layer is not model.block2[1] for layer in model.modules()]
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert torch.equal(x, X)


def test_what_has_no_such_format():
    """Weights of three dimensions, and inputs that are no images."""

    class Volume(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = nn.Conv3d(1, 2, 3), nn.Linear(2, 3)

        def forward(self, x):
            return self.fc(self.conv(x[:, None]).mean((2, 3, 4)))

    assert settled(Volume().eval(), X) == torch.contiguous_format
    ids = torch.arange(6).view(1, 6)
    assert formatted(ids, torch.channels_last) is ids

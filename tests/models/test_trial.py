"""What can't be served is refused in one line, and what is tried stays as it was."""

import pytest
import torch
from torch import nn

from conf.check import BadInput
from models.trial import check, check_alone

X = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))


class Network(nn.Module):
    def __init__(self, rule):
        super().__init__()
        self.norm, self.fc, self.rule = nn.BatchNorm2d(3), nn.Linear(48, 5), rule

    def forward(self, x):
        return self.rule(self, self.fc(self.norm(x).flatten(1)))


REFUSED = {
    "a tuple": (lambda m, z: (z, z), "the model returns a tuple, and not a tensor of logits"),
    "in training": (lambda m, z: {"out": z} if m.training else z, "the model returns a dict in training mode"),
    "one number": (lambda m, z: z[:, 0], r"returns a tensor \[1\] for 1 inputs, and not logits \[1, 5\]"),
    "too few": (lambda m, z: z[:, :3], r"returns a tensor \[1, 3\] for 1 inputs, and not logits \[1, 5\]"),
    "probabilities": (lambda m, z: z.softmax(1), "the model returns probabilities, which sum to 1"),
    "no such layer": (lambda m, z: m.nothing, r"can't take the inputs of data.target, 3x4x4 \(.*nothing"),
    "a word": (lambda m, z: {}["word"], r"can't take the inputs of data.target, 3x4x4 \('word'\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_classifier_is_refused(name):
    rule, said = REFUSED[name]
    with pytest.raises(BadInput, match=said) as refused:
        check(Network(rule), X, 5, "data.target", training=True)
    assert "\n" not in str(refused.value)


def test_a_model_that_is_tried_stays_as_it_was():
    torch.manual_seed(0)
    model = Network(lambda m, z: nn.functional.dropout(z, training=m.training))
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    check(model, X, 5, "data.target", training=True)
    assert not model.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())


def test_outputs_that_depend_on_the_batch_are_refused():
    check_alone(Network(lambda m, z: z), X)
    with pytest.raises(BadInput, match=r"depends on the rest of its batch .* interactions.batch_size=1"):
        check_alone(Network(lambda m, z: z - z.mean(0)), X)

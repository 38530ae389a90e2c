"""What can't be served is refused in one line, and what is tried stays as it was."""

from collections import namedtuple

import pytest
import torch
from torch import nn

from conf.errors import BadInput
from models.backbone import Classifier
from models.trial import check, check_alone
from models.watch import watch

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
    "random": (
        lambda m, z: nn.functional.dropout(z, 0.5),
        "the model is random in evaluation mode: .*training=self.training",
    ),
    "no gradients": (lambda m, z: z.detach(), "the model can't be trained: the backward pass .* fails"),
    "changed in place": (
        lambda m, z: z.exp().add_(1) * z.exp().mul_(z),
        "the model can't be trained: the backward pass .* fails",
    ),
    "a word": (lambda m, z: {}["word"], r"can't take the inputs of data.target, 3x4x4 \('word'\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_classifier_is_refused(name):
    rule, said = REFUSED[name]
    with pytest.raises(BadInput, match=said) as refused:
        check(Network(rule), X, 5, "data.target", training=True)
    assert "\n" not in str(refused.value)


class Counting(nn.BatchNorm2d):
    def get_extra_state(self):
        return {"steps": 3}


def test_weights_that_are_more_than_tensors_are_refused():
    model = Network(lambda m, z: z)
    model.norm = Counting(3)
    with pytest.raises(BadInput, match=r"more than tensors among its weights \(norm._extra_state\): leave out"):
        check(model, X, 5, "data.target")


def test_a_model_that_is_tried_stays_as_it_was():
    torch.manual_seed(0)
    model = Network(lambda m, z: nn.functional.dropout(z, training=m.training))
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    check(model, X, 5, "data.target", training=True)
    assert not model.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())


def test_auxiliary_classifiers_are_named_where_they_are_the_cause():
    outputs = namedtuple("GoogLeNetOutputs", "logits aux")
    for made, named in ((lambda z: outputs(z, z), True), (lambda z: (z, z), False)):
        with pytest.raises(BadInput) as refused:
            check(Network(lambda m, z, made=made: made(z)), X, 5, "data.target")
        assert ("aux_logits" in str(refused.value)) == named


class Caching(Network):
    """Keeps what it once made, and writes to its input."""

    mask = None

    def forward(self, x):
        if self.mask is None:
            self.mask = torch.ones(1, 3, 4, 4)
        return super().forward(x.sub_(0.1) * self.mask)


def test_a_model_that_is_tried_can_still_be_trained_and_its_inputs_stay_as_they_were():
    model, before = Caching(lambda m, z: z), X.clone()
    watch(model, X.clone(), lambda *_: None)
    check(model, X, 5, "data.target", training=True)
    assert torch.equal(X, before)
    assert all(parameter.grad is None for parameter in model.parameters())
    model.train()(X.clone().requires_grad_() * 1).sum().backward()
    check_alone(Writing(lambda m, z: z), X)
    assert torch.equal(X, before)


class Writing(Network):
    def forward(self, x):
        return super().forward(x.sub_(0.1))


def test_random_numbers_behind_a_classifier_of_zeros_are_seen():
    model = Network(lambda m, z: z)
    model.fc = nn.Sequential(nn.Dropout(), nn.Linear(48, 5))
    model.fc[0].train = lambda mode=True: model.fc[0]  # it drops in evaluation mode, too
    nn.init.zeros_(model.fc[1].weight)
    with pytest.raises(BadInput, match="random in evaluation mode"):
        check(Classifier(model, ["fc.1"]), X, 5, "data.target")


def test_a_head_without_an_output_per_class_is_refused():
    def model(head):
        network = Network(lambda m, z: m.last(z))
        network.last = nn.Linear(5, 5)
        network.fc = nn.Sequential(nn.Linear(48, 7), nn.Linear(7, 5))
        return Classifier(network, head)

    check(model(["last"]), X, 5, "data.target")
    check(model(["fc"]), X, 5, "data.target")
    with pytest.raises(BadInput, match=r"model.head=fc.0 returns a tensor \[1, 7\], .* each of the 5 classes"):
        check(model(["last", "fc.0"]), X, 5, "data.target")


@pytest.mark.parametrize(
    "rule", [lambda m, z: z.float(), lambda m, z: z @ m.plain, lambda m, z: nn.functional.linear(z.float(), m.square)]
)
def test_a_model_that_cannot_run_in_float64_is_refused(rule):
    model = Network(rule)
    model.plain, model.square = torch.ones(5, 5), nn.Parameter(torch.ones(5, 5))
    with pytest.raises(
        BadInput, match=r"can't run in float64, .* \(.+\): leave out casts .*register_buffer"
    ) as refused:
        check_alone(model, X[:1])
    assert "\n" not in str(refused.value)
    assert all(tensor.dtype in (torch.float32, torch.int64) for tensor in model.state_dict().values())


@pytest.mark.parametrize("share", [1, 1e-3, 1e-6])
def test_outputs_that_depend_on_the_batch_are_refused(share):
    check_alone(Network(lambda m, z: z), X)
    with pytest.raises(BadInput, match=r"depends on the rest of its batch .* interactions.batch_size=1"):
        check_alone(Network(lambda m, z: z - share * z.mean(0)), X)

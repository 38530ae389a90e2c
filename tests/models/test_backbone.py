import sys
from types import SimpleNamespace

import pytest
import torch
from omegaconf import DictConfig, ListConfig, OmegaConf
from torch import nn

from conf.errors import BadInput
from models import heads
from models.backbone import Classifier, Probed, build, check_backbone, is_linear
from models.heads import find
from models.vision import conv4, vit_tiny


@pytest.mark.parametrize("architecture", [conv4, vit_tiny])
def test_features_are_the_input_of_the_last_linear_layer(architecture):
    torch.manual_seed(0)
    network = architecture(num_classes=7).eval()
    last = [layer for layer in network.modules() if isinstance(layer, nn.Linear)][-1]
    nn.init.normal_(last.weight)  # the transformer's is 0 at first
    caught = []
    last.register_forward_pre_hook(lambda _, arguments: caught.append(arguments[0]))
    x = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        expected = network(x)
        classifier = Classifier(network).eval()
        features, logits = classifier.features(x), classifier(x)
    assert expected.std() > 0.1
    assert torch.equal(features, caught[0])
    assert features.shape == (3, classifier.head.in_features)
    assert torch.equal(classifier.head(features), logits)
    assert torch.equal(logits, expected)


@pytest.mark.parametrize("architecture", [conv4, vit_tiny])
def test_backbone_and_head_hold_every_parameter_once(architecture):
    network = architecture(num_classes=7)
    size = sum(parameter.numel() for parameter in network.parameters())
    classifier = Classifier(network)
    assert sum(parameter.numel() for parameter in classifier.parameters()) == size
    assert {key.split(".")[0] for key in classifier.state_dict()} == {"backbone", "head"}
    assert not [key for key in classifier.backbone.state_dict() if "head" in key]


class Network(nn.Module):
    """Features [B, 4, 5, 5] of images [B, 3, 5, 5], and what is then done to them."""

    def __init__(self, rule, **layers):
        super().__init__()
        self.body, self.rule = nn.Conv2d(3, 4, 3, padding=1), rule
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x):
        return self.rule(self, self.body(x))


HEADS = {  # a network by its number of classes; the names of its classifier; the features of its maps y; is it linear?
    "a name of its own": (
        lambda k: Network(lambda m, y: m.answer(y.mean((2, 3))), answer=nn.Linear(4, k), other=nn.Linear(4, 9)),
        ["answer"], lambda y: y.mean((2, 3)), True,
    ),
    "as in SqueezeNet": (
        lambda k: Network(lambda m, y: m.conv(y).relu().mean((2, 3)), conv=nn.Conv2d(4, k, 1)),
        ["conv"], lambda y: y.mean((2, 3)), False,
    ),
    "as in BiT": (
        lambda k: Network(lambda m, y: m.fc(y.mean((2, 3), keepdim=True)).flatten(1), fc=nn.Conv2d(4, k, 1)),
        ["fc"], lambda y: y.mean((2, 3)), False,
    ),
    "two that are averaged": (
        lambda k: Network(
            lambda m, y: (m.one(y.amax((2, 3))) + m.two(y.amin((2, 3)))) / 2, one=nn.Linear(4, k), two=nn.Linear(4, k)
        ),
        ["one", "two"], lambda y: torch.cat([y.amax((2, 3)), y.amin((2, 3))], 1), False,
    ),
    "an auxiliary one that is not reached": (
        lambda k: Network(lambda m, y: m.fc(y.mean((2, 3))), aux=nn.Linear(4, k), fc=nn.Linear(4, k)),
        ["aux", "fc"], lambda y: y.mean((2, 3)), False,
    ),
    "a hidden layer as wide as there are classes": (
        lambda k: Network(lambda m, y: m.a(m.b(y.mean((2, 3))).relu()), a=nn.Linear(6, k), b=nn.Linear(4, 6)),
        ["a"], None, True,
    ),
    "followed by an activation": (
        lambda k: Network(lambda m, y: m.fc(y.mean((2, 3))).relu(), fc=nn.Linear(4, k)),
        ["fc"], lambda y: y.mean((2, 3)), False,
    ),
    "of tokens that are averaged": (
        lambda k: Network(lambda m, y: m.fc(y.flatten(2).mT).mean(1), fc=nn.Linear(4, k)),
        ["fc"], lambda y: y.mean((2, 3)), True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADS)
def test_whatever_the_head_the_network_stays_what_it_is(name):
    torch.manual_seed(0)
    make, names, of_maps, linear = HEADS[name]
    network, x = make(6), torch.randn(3, 3, 5, 5)
    with torch.no_grad():
        expected, maps = network(x), network.body(x)
        assert find(network, 6, make) == names
        keys = set(network.state_dict())
        model = Classifier(network, names)
        torch.testing.assert_close(model(x), expected, rtol=0, atol=0)
        seen = model.features(x)
        torch.testing.assert_close(model(x), expected, rtol=0, atol=0)
        if of_maps:
            torch.testing.assert_close(seen, of_maps(maps))
        probed = Probed(model, seen.shape[1], 6)
        torch.testing.assert_close(probed(x), probed.head(seen))
    assert is_linear(model, x[:1]) == linear
    assert model.names.keys() == keys
    assert set(model.names.values()) == model.state_dict().keys()
    parameters = [*model.backbone.parameters(), *model.head.parameters()]
    assert len({id(parameter) for parameter in parameters}) == len(parameters) == len(keys)


def test_a_probe_is_tried_with_weights_that_it_leaves_as_they_were():
    model = Classifier(vit_tiny(3))  # its head begins with zeros
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    assert is_linear(model, torch.randn(1, 3, 32, 32))
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())


OWN = "test_backbone_models"


def cosine(num_classes):
    class Cosine(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(num_classes, 4))

        def forward(self, x):
            return nn.functional.normalize(x, dim=1) @ nn.functional.normalize(self.weight, dim=1).T

    return Network(lambda m, y: m.cosine(y.mean((2, 3))), cosine=Cosine())


def test_any_layer_may_be_named(monkeypatch):
    monkeypatch.setitem(sys.modules, OWN, SimpleNamespace(cosine=cosine))
    options = {"_target_": f"{OWN}.cosine", "weights": "scratch", "input": {"size": 5}}
    with pytest.raises(
        BadInput, match=r"no linear layer or 1x1 convolution with an output for each of the 7 classes.*: body, cosine$"
    ):
        build(OmegaConf.create(options), 7)
    with pytest.raises(BadInput, match=r"model\.head=body\.fc is not a layer of the model; .*: body, cosine$"):
        build(OmegaConf.create(options | {"head": "body.fc"}), 7)
    model = build(OmegaConf.create(options | {"head": "cosine"}), 7)
    x = torch.randn(2, 3, 5, 5)
    assert model(x).shape == (2, 7)
    torch.testing.assert_close(model.features(x), model.backbone.body(x).mean((2, 3)))
    assert list(model.head.state_dict()) == ["weight"]


def test_a_head_that_is_not_called_is_refused():
    x = torch.randn(2, 3, 5, 5)
    unused = Network(lambda m, y: m.other(y.mean((2, 3))), fc=nn.Linear(4, 3), other=nn.Linear(4, 3))
    with pytest.raises(BadInput, match="does not call its classifier: name the layer that it calls, "):
        Classifier(unused, ["fc"]).features(x)
    asked = Network(lambda m, y: y.mean((2, 3)) @ m.fc.weight.T, fc=nn.Linear(4, 3))
    model = Classifier(asked)
    assert model(x).shape == (2, 3)
    with pytest.raises(BadInput, match=r"uses the weights of its classifier fc without calling it: give .* a module"):
        model.features(x)


def test_a_classifier_under_two_names():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.features, self.classifier = nn.Linear(4, 6), nn.Linear(6, 3)
            self.model = nn.Sequential(self.features, self.classifier)

        def forward(self, x):
            return self.model(x)

    x = torch.randn(2, 4)
    for names in (["classifier"], ["model.1"], ["classifier", "model.1"]):
        network = Twice()
        keys, expected, before = set(network.state_dict()), network(x), network.features(x)
        assert heads.named(network, names) == names
        model = Classifier(network, names)
        torch.testing.assert_close(model(x), expected)
        torch.testing.assert_close(model.features(x), before)
        assert model.names.keys() == keys
        assert {model.names[key] for key in ("classifier.bias", "model.1.bias")} == {"head.bias"}
        assert set(model.names.values()) == model.state_dict().keys()
        assert is_linear(model, x[:1])


LAYOUTS = {  # a head, the shape of what comes to it, the axes that are averaged
    "a vector": (nn.Linear(4, 3), (2, 4), ()),
    "tokens": (nn.Linear(4, 3), (2, 5, 4), (1,)),
    "a map with channels last": (nn.Linear(4, 3), (2, 5, 6, 4), (1, 2)),
    "a map": (nn.Conv2d(4, 3, 1), (2, 4, 5, 6), (2, 3)),
    "a sequence": (nn.Conv1d(4, 3, 1), (2, 4, 5), (2,)),
    "another layer on a map": (nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)), (2, 4, 5, 6),
                               (2, 3)),
    "another layer on tokens": (nn.Sequential(nn.Linear(4, 3)), (2, 5, 4), (1,)),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_features_are_averaged_over_all_but_channels(name):
    head, shape, axes = LAYOUTS[name]
    x = torch.randn(shape)
    expected = x.mean(axes) if axes else x
    torch.testing.assert_close(Classifier(nn.Sequential(nn.Identity(), head), ["1"]).features(x), expected)


def test_a_head_is_called_by_keywords_and_its_input_changed_afterwards():
    def rule(m, y):
        feature = y.mean((2, 3))
        z = m.fc(input=feature)
        feature.zero_()
        return z

    model, x = Classifier(Network(rule, fc=nn.Linear(4, 3))), torch.randn(1, 3, 5, 5)
    torch.testing.assert_close(model.features(x), model.backbone.body(x).mean((2, 3)))
    assert is_linear(model, x)


def picky(m, y):
    z = m.fc(y.mean((2, 3)))
    if z.abs().max() > 5:
        raise ValueError("too large")
    return z


@pytest.mark.parametrize("rule", [picky, lambda m, y: m.fc(y.mean((2, 3))).clamp(-9, 9)])
def test_a_head_with_limits_is_not_linear(rule):
    torch.manual_seed(0)
    model, x = Classifier(Network(rule, fc=nn.Linear(4, 3))), torch.randn(1, 3, 5, 5)
    state, before = torch.get_rng_state(), model.head.weight.clone()
    assert not is_linear(model, x)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(model.head.weight, before)


def test_a_model_without_a_classifier_is_refused():
    for network in (nn.Sequential(nn.Conv2d(3, 8, 3)), nn.Linear(3, 4)):
        with pytest.raises(BadInput, match="no linear layer inside"):
            Classifier(network)


def test_build_makes_as_many_classes_as_asked_for():
    options = OmegaConf.create({"_target_": "models.vision.conv4", "width": 8, "image_size": 16})
    assert build(options, num_classes=5)(torch.zeros(2, 3, 16, 16)).shape == (2, 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"_target_": "models.vision.conv4", "image_size": 8}, "^model.image_size=8 is not allowed: .* from 16 "),
        (
            {"_target_": "models.vision.conv4", "widht": 8},
            "^model.widht is not an argument of .*conv4, which takes: width, ",
        ),
        ({"_target_": "models.vision.conv4", "num_classes": 8}, "^model.num_classes is not an argument of "),
        ({"_target_": "models.vision.nothing"}, "model can't be built"),
    ],
)
def test_a_model_that_cannot_be_built_is_refused(options, message):
    with pytest.raises(BadInput, match=message):
        build(OmegaConf.create(options), num_classes=5)


def own(monkeypatch, make, **options):
    """The options of a model of one's own that `make` builds."""
    monkeypatch.setitem(sys.modules, OWN, SimpleNamespace(make=make))
    return OmegaConf.create({"_target_": f"{OWN}.make", "weights": "pretrain"} | options)


def plain(num_classes):
    return nn.Sequential(nn.Linear(4, num_classes), nn.ReLU(), nn.Linear(num_classes, num_classes))


REFUSED = {
    "layers without sizes": (lambda num_classes: nn.Sequential(nn.LazyLinear(4), nn.Linear(4, num_classes)), {},
                             "the model's 0.weight has no size before the first input, as in nn.LazyLinear"),
    "nothing but a classifier": (plain, {}, r"nothing with weights is left beside .* \(0, 2\): name only the layers"),
    "another argument": (lambda classes: nn.Linear(4, classes), {},
                         "unexpected keyword argument 'num_classes'; write a small function that takes num_classes"),
    "no module": (lambda num_classes: (1, 2), {}, "its _target_ returns a tuple, and not an nn.Module"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_of_ones_own_that_cannot_be_served_is_refused(monkeypatch, name):
    make, options, said = REFUSED[name]
    with pytest.raises(BadInput, match=said) as refused:
        build(own(monkeypatch, make, **options), 5)
    assert "\n" not in str(refused.value)


def test_lists_reach_a_models_code_as_lists_unless_it_asks_for_others(monkeypatch):
    found = []

    def make(num_classes, widths, more):
        found.append((type(widths), type(more)))
        return nn.Sequential(nn.Linear(4, widths[0]), nn.Linear(widths[0], num_classes))

    arguments = {"widths": [6], "more": {"a": [1]}}
    build(own(monkeypatch, make, **arguments), 5)
    build(own(monkeypatch, make, **arguments, _convert_="none"), 5)
    assert found == [(list, dict), (ListConfig, DictConfig)]


def test_a_backbone_that_depends_on_the_number_of_classes_is_refused(monkeypatch):
    def make(num_classes):
        return nn.Sequential(nn.Linear(4, 6), nn.Linear(6, num_classes), nn.Linear(num_classes, num_classes))

    options = own(monkeypatch, make, head="2")
    with pytest.raises(BadInput, match=r"depend on the number of classes: 1.weight, 1.bias; .* model.head=\[a,b\]"):
        check_backbone(options, build(options, 5), 3)
    both = own(monkeypatch, make, head=["1", "2"])
    model = build(both, 5)
    state = torch.get_rng_state()
    check_backbone(both, model, 3)
    assert torch.equal(torch.get_rng_state(), state)

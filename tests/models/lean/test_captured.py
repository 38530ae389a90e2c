"""A captured graph computes what the network computes, and knows what it can't."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from models.lean.captured import NotCaptured, aten, beginning_at, captured

X = torch.randn(3, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """rule(m, x) of two linear layers m.a and m.b, and a buffer m.seen."""

    def __init__(self, rule) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rule, self.a, self.b = rule, nn.Linear(6, 6), nn.Linear(6, 3)
        self.register_buffer("seen", torch.ones(6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.rule(self, x)


def net(rule):
    return Net(rule).double().eval()


def in_place(m, x):
    y = m.a(x)
    y[:, 0] += y[:, 1]
    y[:, :, 2:4].mul_(2)
    y.relu_()
    return m.b(y)


def into_zeros(m, x):
    y = torch.zeros_like(x)
    y[:, 1:] = m.a(x)[:, :4]
    return m.b(y)


def split(m, x):
    first, second = m.a(x).split([2, 4], dim=-1)
    third, fourth = m.a(x).chunk(2, 2)
    fifth, _, sixth = x.split(2, -1)
    return torch.cat([second, first], -1)[..., :3] + third - fourth + fifth[..., :1] * sixth[..., 1:]


RULES = {
    "operations in place": in_place,
    "writing into parts": into_zeros,
    "split and chunk": split,
    "unbind": lambda m, x: torch.stack([*m.a(x).unbind(-1)[1:4], *m.a(x).unbind()[0].unbind(1)[:1]][:3], -1),
    "views": lambda m, x: m.b(m.a(x).view(15, 6)).view(3, 5, 3).transpose(0, 1).contiguous().view(5, -1),
    "dropouts": lambda m, x: F.alpha_dropout(F.dropout1d(F.dropout(m.a(x), 0.5, False), 0.5, False), 0.5, False),
    "a tensor that it makes": lambda m, x: m.b(x * torch.tensor([1.0, 2, 3, 4, 5, 6], dtype=x.dtype)),
    "no gradients within": lambda m, x: m.b(torch.no_grad()(m.a)(x)),
    "autocast switched off": lambda m, x: m.b(torch.autocast("cpu", enabled=False)(m.a)(x)),
    "several values inside": lambda m, x: m.a(x).topk(2, 1).values + m.a(x).max(1, keepdim=True).values,
    "weights twice": lambda m, x: F.linear(m.a(x), m.a.weight.T, m.seen),
    "the input": lambda m, x: x,
    "weights alone": lambda m, x: m.a.weight * 2,
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_the_graph_computes_what_the_network_computes(rule, value):
    model = net(rule)
    found = captured(model, torch.zeros_like(X))
    assert torch.equal(value(found, model, X), model(X))
    assert all(node.meta["val"].shape for node in found.graph.nodes if node.op == "placeholder")


def test_copies_dropouts_and_cuts_into_parts_are_left_out():
    for name, left_out in (("dropouts", aten.dropout.default), ("split and chunk", aten.split_with_sizes.default),
                           ("views", aten.view.default), ("unbind", aten.unbind.int)):  # fmt: skip
        targets = {node.target for node in captured(net(RULES[name]), X).graph.nodes}
        assert left_out not in targets
        assert not {aten.clone.default, aten.feature_dropout.default, aten.alpha_dropout.default} & targets


def test_weights_are_inputs_by_their_names(value):
    model = net(lambda m, x: m.b(m.a(x) * m.seen))
    found = captured(model, X)
    assert sorted(found.weights.values()) == ["a.bias", "a.weight", "b.bias", "b.weight", "seen"]
    other = net(model.rule)
    with torch.no_grad():
        for tensor in (*other.parameters(), *other.buffers()):
            tensor.normal_()
    assert torch.equal(value(found, other, X), other(X))
    assert not torch.allclose(other(X), model(X))


@pytest.mark.parametrize("wrap", [
    nn.utils.spectral_norm, nn.utils.parametrizations.weight_norm, nn.utils.parametrizations.spectral_norm
])  # fmt: skip
def test_weights_that_are_computed_from_others_are_followed(wrap, value):
    model = net(lambda m, x: m.b(m.a(x)))
    wrap(model.a)
    model.double()
    found = captured(model, X)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(torch.rand_like(weight))
    assert torch.allclose(value(found, model, X), model(X), rtol=1e-12)


def test_tied_weights_are_one_value(value):
    model = net(lambda m, x: m.b(m.a(x)) @ m.c.weight)
    model.c = nn.Linear(6, 3).double()
    model.c.weight = model.b.weight
    found = captured(model, X)
    with torch.no_grad():
        model.b.weight.mul_(3)
    assert torch.equal(value(found, model, X), model(X))


def test_a_network_without_weights_is_captured(value):
    model = nn.Softmax(-1)
    assert torch.equal(value(captured(model, X), model, X), model(X))


def test_a_network_may_keep_what_it_makes_at_its_first_call(value):
    kept = {}

    def rule(m, x):
        if x.shape not in kept:
            kept[x.shape] = torch.arange(6).to(x)
        return m.a(x * kept[x.shape])

    model = net(rule)
    found = captured(model, X)
    assert type(model(X)) is torch.Tensor
    assert torch.equal(value(found, model, X), model(X))


def writes_a_buffer(m, x):
    m.seen += 1
    return m.a(x * m.seen)


REFUSED = {
    "control flow": (
        lambda m, x: m.a(x) if x.sum() > 0 else m.b(x),
        "what its forward pass does depends on the values",
    ),
    "a value as a number": (lambda m, x: m.a(x) * x.sum().item(), "depend on the values"),
    "shapes of values": (lambda m, x: m.a(x[x[..., 0] > 0]).sum(0), "depend on the values"),
    "two graphs": (lambda m, x: torch.cond(x.sum() > 0, lambda y: y + 1, lambda y: y * 2, (m.a(x),)), "graphs inside"),
    "a buffer": (writes_a_buffer, "changes its buffers"),
    "its input": (lambda m, x: m.a(x.add_(1)), "changes its buffers or its inputs"),
    "several results": (lambda m, x: (m.a(x), m.b(x)), "does not return one tensor"),
    "a tuple of one": (lambda m, x: (m.a(x),), "does not return one tensor"),
    "a dictionary": (lambda m, x: {"logits": m.a(x)}, "does not return one tensor"),
    "random numbers": (lambda m, x: m.a(x) + torch.rand_like(x), "random"),
    "random attention": (lambda m, x: F.scaled_dot_product_attention(x, x, x, None, 0.5), "random"),
    "an error": (lambda m, x: m.b(m.b(x)), "can't be captured"),
}


@pytest.mark.parametrize(("rule", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_function_of_one_tensor_is_refused_and_nothing_is_printed(rule, reason, capfd):
    with pytest.raises(NotCaptured, match=reason):
        captured(net(rule), X.clone())
    assert capfd.readouterr() == ("", "")


def test_a_copy_that_an_operation_needs_is_missed_and_nothing_is_printed(capfd):
    """Copies are left out; view_as_complex wants its numbers next to each other in memory."""
    model = net(lambda m, x: m.a(x) * torch.view_as_complex(m.pairs.contiguous()).abs().sum())
    model.pairs = nn.Parameter(torch.ones(3, 4, 5, 2, dtype=torch.float64).to(memory_format=torch.channels_last))
    assert model(X).isfinite().all()
    with pytest.raises(NotCaptured, match="stride"):
        captured(model, X)
    assert capfd.readouterr() == ("", "")


def test_a_refused_network_keeps_its_input_as_it_was():
    x = X.clone()
    with pytest.raises(NotCaptured):
        captured(net(REFUSED["its input"][0]), x)
    assert torch.equal(x, X)


def test_a_graph_can_begin_at_its_values(value):
    model = net(lambda m, x: m.b(torch.relu(m.a(x))) * m.seen[:3])
    found = captured(model, X)
    (relu,) = (node for node in found.graph.nodes if node.target is aten.relu.default)
    part = beginning_at(found, [relu])
    assert sorted(part.weights.values()) == ["b.bias", "b.weight", "seen"]
    assert len(part.inputs) == 1
    assert torch.equal(value(part, model, torch.relu(model.a(X))), model(X))
    with pytest.raises(ValueError, match="shorter"):
        value(part, model)


def test_only_what_depends_on_the_input_is_not_fixed():
    found = captured(net(lambda m, x: F.linear(m.a(x), m.b.weight * 2 + m.seen)), X)
    left = [node.target for node in found.graph.nodes if node not in found.fixed() and node.op == "call_function"]
    assert left == [aten.linear.default] * 2

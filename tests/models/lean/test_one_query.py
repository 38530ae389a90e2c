"""Attention of one query is the same without keys and values, however a network writes it."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from models.lean.captured import aten, captured
from models.lean.demanded import demanded
from models.lean.one_query import one_query

B, T, D, H = 3, 7, 8, 2
GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(B, T, D, dtype=torch.float64, generator=GENERATOR)
KEEP = torch.rand(B, 1, T, T, generator=GENERATOR) > 0.3
KEEP[1, :, 0] = False  # this query sees nothing
ADD = torch.randn(H, T, T, dtype=torch.float64, generator=GENERATOR)


class Attention(nn.Module):
    def __init__(self, rule, bias: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rule = rule
        self.q, self.k, self.v = (nn.Linear(D, D, bias) for _ in range(3))
        self.qkv = nn.Linear(D, 3 * D, bias)
        self.packed = nn.MultiheadAttention(D, H, bias, batch_first=True)
        self.tokens_first = nn.MultiheadAttention(D, H, bias)
        for weight in self.parameters():
            nn.init.normal_(weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.rule(self, x)


def heads(x, tokens=-1):
    return x.view(len(x), tokens, H, D // H).transpose(1, 2)


def attended(q, k, v, **options):
    return F.scaled_dot_product_attention(q, k, v, **options).transpose(1, 2).flatten(2)[:, 0]


def separate(**options):
    return lambda m, x: attended(heads(m.q(x)), heads(m.k(x)), heads(m.v(x)), **options)


def timm(m, x):
    q, k, v = m.qkv(x).reshape(len(x), T, 3, H, D // H).permute(2, 0, 3, 1, 4).unbind(0)
    return attended(q, k, v)


def chunked(m, x):
    return attended(*(heads(part.contiguous()) for part in m.qkv(x).chunk(3, dim=-1)))


def tokens_first(m, x, **options):
    x = x.transpose(0, 1)
    return m.tokens_first(x, x, x, need_weights=False, **options)[0][0]


def rows(m, x):
    """On joined tokens, [B * T, D]."""
    flat = x.reshape(-1, D)
    return attended(*(layer(flat).view(len(x), T, H, D // H).transpose(1, 2) for layer in (m.q, m.k, m.v)))


def crossed(m, x):
    """Another sequence asks."""
    return attended(heads(m.q(x[:, 2:4].relu())), heads(m.k(x)), heads(m.v(x)))


WITHOUT = {
    "separate": separate(),
    "with a boolean mask": separate(attn_mask=KEEP),
    "with a mask for all inputs": separate(attn_mask=KEEP[0, 0]),
    "with a mask that is added": separate(attn_mask=ADD, scale=0.7),
    "with a mask that hides all": separate(attn_mask=torch.full((T, T), -torch.inf, dtype=torch.float64)),
    "packed as timm does": timm,
    "packed in chunks": chunked,
    "torch's own": lambda m, x: m.packed(x, x, x, need_weights=False)[0][:, 0],
    "torch's own, tokens first": tokens_first,
    "torch's own, tokens first, masked": lambda m, x: tokens_first(m, x, key_padding_mask=KEEP[:, 0, 2]),
    "joined tokens": rows,
    "another sequence": crossed,
    "one input": lambda m, x: separate()(m, x[:1]),
    "one input, tokens first": lambda m, x: tokens_first(m, x[:1]),
    "dropped in training": separate(dropout_p=0.0, is_causal=False),
}


def attentions(found):
    return sum(node.target is aten.scaled_dot_product_attention.default for node in found.graph.nodes)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rule", WITHOUT.values(), ids=WITHOUT)
def test_one_query_needs_no_keys_and_values(rule, bias, value, work):
    model = Attention(rule, bias).double().eval()
    before = demanded(captured(model, X))
    found = demanded(one_query(before))
    assert (attentions(before), attentions(found)) == (1, 0)
    expected = model(X)
    assert torch.allclose(
        value(found, model, X), expected, rtol=0, atol=1e-12 * float(expected.detach().abs().max() + 1)
    )
    # Keys and values take 2 T D D multiply-adds.
    inputs = 1 if len(expected) == 1 else B
    per_input = (work(value, before, model, X) - work(value, found, model, X)) / inputs
    assert per_input >= 2 * T * D * D - 2 * D * D - 2 * H * T * D


def repeated(m, x):
    """Keys are some of the tokens of an input that others read, too."""
    kv = m.k(x[:1])
    return attended(heads(m.q(x[:1])), heads(kv[:, 1:4]), heads(kv[:, 1:4])) + kv.sum(1)


def cut_per_head(m, x):
    q, k, v = m.qkv(x).view(B, T, H, 3 * D // H).transpose(1, 2).chunk(3, dim=-1)
    return attended(q, k, v)


def shared_keys(m, x):
    k = heads(m.k(x))[:, :1]
    return attended(heads(m.q(x)), k, k, enable_gqa=True)


def eager(m, x):
    share = (heads(m.q(x)) @ heads(m.k(x)).transpose(-2, -1) * 0.5).softmax(-1)
    return (share @ heads(m.v(x))).transpose(1, 2).flatten(2)[:, 0]


WITH = {
    "two queries": lambda m, x: separate()(m, x[:, :2]) + F.scaled_dot_product_attention(x, x, x)[:, 1],
    "values of another sequence": lambda m, x: attended(heads(m.q(x)), heads(m.k(x)), heads(m.v(x.relu()))),
    "normed keys": lambda m, x: attended(heads(m.q(x)), F.layer_norm(heads(m.k(x)), [D // H]), heads(m.v(x))),
    "causal": separate(is_causal=True),
    "some tokens of one input": repeated,
    "keys and values within each head": cut_per_head,
    "a head of keys for two": shared_keys,
    "tokens out of order": lambda m, x: attended(heads(m.q(x)), heads(m.k(x)).flip(2), heads(m.v(x)).flip(2)),
    "by hand": eager,
}


@pytest.mark.parametrize("rule", WITH.values(), ids=WITH)
def test_other_attention_stays_the_same(rule, value):
    model = Attention(rule).double().eval()
    before = demanded(captured(model, X))
    found = one_query(before)
    if rule is not WITH["two queries"]:  # its first part has one query
        assert attentions(found) == attentions(before)
    assert torch.allclose(value(found, model, X), model(X), rtol=1e-12, atol=1e-12)


def test_a_scale_of_0_is_a_scale(value):
    class Even(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.k, self.v, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            q, k, v = (y.view(len(x), 5, 2, 4).transpose(1, 2) for y in (x, self.k(x), self.v(x)))
            out = nn.functional.scaled_dot_product_attention(q, k, v, scale=0.0)
            return self.head(out.transpose(1, 2).flatten(2)[:, 0])

    torch.manual_seed(0)
    model, x = Even().double().eval(), 3 * torch.randn(3, 5, 8).double()
    lean = demanded(one_query(demanded(captured(model, x))))
    with torch.no_grad():
        torch.testing.assert_close(value(lean, model, x), model(x), rtol=0, atol=1e-12)

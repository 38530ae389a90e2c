"""What nobody reads is not computed, and what is read stays the same."""

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F

from models.lean.captured import captured
from models.lean.demanded import demanded, shape_of
from models.text import bert, distilbert
from models.vision import vit_tiny

B, T, D = 3, 5, 8
X = torch.randn(B, T, D, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
TOKEN = D * D  # multiply-adds of a linear layer for one token of one input


class Net(nn.Module):
    def __init__(self, rule) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rule, self.a = rule, nn.Linear(D, D)
        self.norm, self.scale = nn.LayerNorm(D), nn.Parameter(torch.rand(T, 1))
        self.rms = nn.RMSNorm(D)
        nn.init.normal_(self.norm.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.rule(self, x, self.a(x))


def heads(x):
    return x.unflatten(-1, (4, 2)).transpose(1, 2)


def with_mask(shape, kind):
    mask = torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mask = mask > 0.5 if kind is bool else mask

    def rule(m, x, y):
        q, k = heads(y), heads(x)
        return F.scaled_dot_product_attention(q, k, k, mask, scale=0.3).transpose(1, 2).flatten(2)[:, 2]

    return rule


NARROW = {  # a function of x and y = linear(x), and of how many tokens of each input y is needed
    "a token": (lambda m, x, y: y[:, 0], 1),
    "the last token": (lambda m, x, y: y[:, -1], 1),
    "tokens from the end": (lambda m, x, y: y[:, -3:-1], 2),
    "two tokens that are apart": (lambda m, x, y: y[:, 1] + y[:, 3], 3),
    "channels": (lambda m, x, y: y[..., :2], T / 4),
    "one input": (lambda m, x, y: y[1], T / B),
    "pointwise": (lambda m, x, y: torch.where(x > 0, F.gelu(y) * m.scale + 1, m.scale)[:, 2], 1),
    "layer-norm": (lambda m, x, y: m.norm(y)[:, 1], 1),
    "layer-norm, channels": (lambda m, x, y: m.norm(y)[:, 1:3, :2], 2),
    "rms-norm": (lambda m, x, y: m.rms(y)[:, 1], 1),
    "softmax": (lambda m, x, y: y.softmax(-1)[:, 1, :3], 1),
    "softmax, other dimension": (lambda m, x, y: y.softmax(1)[:, 1, :4], T / 2),
    "queries": (with_mask((T, T), bool), 1),
    "queries, mask for all": (with_mask((1, T), float), 1),
    "queries, mask of heads": (with_mask((B, 4, 1, T), float), 1),
    "queries, mask of each": (with_mask((B, 1, T, T), bool), 1),
    "a query for all inputs": (
        lambda m, x, y: F.scaled_dot_product_attention(y[:1, None], x[:, None], x[:, None])[1:, :, 1],
        1 / B,
    ),
    "rows of a product": (lambda m, x, y: (y @ x.transpose(1, 2))[:, 4], 1),
    "columns of a product": (lambda m, x, y: (x @ y.transpose(1, 2))[:, :, 4], 1),
    "a product of batches": (lambda m, x, y: torch.bmm(y, x.transpose(1, 2))[:, 4], 1),
    "a product that broadcasts": (lambda m, x, y: (y[:1, None] @ x[:, None].mT)[2, 0, 1], 1 / B),
    "joined rows": (lambda m, x, y: y.reshape(B * T, D)[:T], T / B),
    "cut channels": (lambda m, x, y: y.reshape(B, T, 4, 2)[:, :, 2:], T / 2),
    "permuted": (lambda m, x, y: y.permute(2, 1, 0)[:, 1], 1),
    "permuted from the end": (lambda m, x, y: y.permute(-1, 0, -2)[:, :, 1], 1),
    "transposed": (lambda m, x, y: y.transpose(-2, 0)[1], 1),
    "new dimensions": (lambda m, x, y: y.unsqueeze(-2).unsqueeze(0)[0, :, 1, 0], 1),
    "fewer dimensions": (lambda m, x, y: y.unsqueeze(1).squeeze(-3)[:, 1], 1),
    "expanded": (lambda m, x, y: y.unsqueeze(1).expand(-1, 6, -1, -1)[:, 2, 1], 1),
    "joined": (lambda m, x, y: torch.cat([x, y, x], 1)[:, T - 1 : T + 2], 2),
    "joined, of none": (lambda m, x, y: torch.cat([x, y, x], 1)[:, :T], 0),
    "joined, of one": (lambda m, x, y: torch.cat([y, x], -1)[:, 1:3, : D // 2], 1),
    "stacked": (lambda m, x, y: torch.cat([x[None], y[None]], 0)[1, :, 0], 1),
    "other types": (lambda m, x, y: y.float().double()[:, 0], 1),
    "nothing at all": (lambda m, x, y: torch.cat([y[:, 5:], y[:, :0]], 1).sum(1) + y[:, 0], T),
}  # fmt: skip


@pytest.mark.parametrize(("rule", "tokens"), NARROW.values(), ids=NARROW)
def test_only_what_is_read_is_computed(rule, tokens, value, work):
    model = Net(rule).double().eval()
    all_of_it, found = captured(model, X), demanded(captured(model, X))
    assert torch.allclose(value(found, model, X), model(X), rtol=1e-12, atol=1e-12)
    linear = [node for node in found.graph.nodes if "linear" in str(node.target)]
    assert sum(node.meta["val"].numel() * D for node in linear) == tokens * B * TOKEN
    assert work(value, found, model, X) <= work(value, all_of_it, model, X) - (T - tokens) * B * TOKEN


WHOLE = {
    "all of it": lambda m, x, y: torch.relu(y),
    "every second token": lambda m, x, y: y[:, ::2],
    "a sum of tokens": lambda m, x, y: y.mean(1),
    "a running sum": lambda m, x, y: y.cumsum(1)[:, 1],
    "causal attention": lambda m, x, y: F.scaled_dot_product_attention(y, x, x, is_causal=True)[:, 2],
    "fewer heads of keys": lambda m, x, y: F.scaled_dot_product_attention(
        heads(y), heads(x)[:, ::2], heads(x)[:, 1::2], enable_gqa=True
    )[:, :, 0],
    "a channel of all rows, joined": lambda m, x, y: y.reshape(-1)[1::D],
    "the other way round": lambda m, x, y: y.flip(1)[:, 0],
    "rows that are looked up": lambda m, x, y: y[torch.arange(B), x[..., 0].argmax(-1)],
}


@pytest.mark.parametrize("rule", WHOLE.values(), ids=WHOLE)
def test_what_does_not_narrow_stays(rule, value):
    model = Net(rule).double().eval()
    before, found = captured(model, X), demanded(captured(model, X))
    assert torch.equal(value(found, model, X), model(X))
    operations = [[(node.target, shape_of(node)) for node in each.graph.nodes if "linear" in str(node.target)]
                  for each in (before, found)]  # fmt: skip
    assert operations[0] == operations[1]


def test_a_network_whose_output_does_not_narrow_is_unchanged():
    model = Net(WHOLE["all of it"]).eval()
    before = captured(model, X.float())
    assert [node.target for node in demanded(before).graph.nodes] == [
        node.target for node in before.graph.nodes if node.op != "placeholder" or node.users
    ]


SMALL = {"vocab_size": 50, "num_attention_heads": 2, "max_position_embeddings": 20}
MODELS = {
    "timm's ViT": lambda: timm.create_model("vit_tiny_patch16_224", num_classes=3, img_size=32, depth=1),
    "torchvision's ViT": lambda: vit_tiny(3, image_size=32, patch_size=16, dim=64, depth=1, heads=2),
    "BERT": lambda: bert(3, hidden_size=16, num_hidden_layers=1, intermediate_size=64, **SMALL),
    "DistilBERT": lambda: distilbert(3, dim=16, hidden_dim=64, n_layers=1, n_heads=2,
                                     vocab_size=50, max_position_embeddings=20),
}  # fmt: skip


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_the_last_block_of_a_transformer_is_computed_for_one_token(make, value, work):
    torch.manual_seed(0)
    model = make().double().eval()
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.1)
    text = hasattr(model, "encoder") and hasattr(model, "pad")
    x = torch.randint(0, 50, (3, 7)) if text else torch.randn(3, 3, 32, 32, dtype=torch.float64)
    before, found = captured(model, x), demanded(captured(model, x))
    assert torch.allclose(value(found, model, x), model(x), rtol=1e-12, atol=1e-12)
    # The MLP is two thirds or more of a block, keys and values a sixth.
    assert work(value, found, model, x) < 0.8 * work(value, before, model, x)

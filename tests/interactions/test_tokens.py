"""Masked tokens are the embeddings of masked inputs, to the last bit."""

import pytest
import torch
from torch import nn

from interactions.dense import masked_values
from interactions.tokens import embedding, tokens
from interactions.variables.masking import masked, membership
from interactions.variables.patches import draw_patches, owner_map
from models.backbone import Classifier
from models.text import bert
from models.vision import conv4, timm_network, torchvision_network, vit_tiny

N = 4
SMALL_BERT = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
              "intermediate_size": 32, "max_position_embeddings": 20}  # fmt: skip


class Patchified(nn.Module):
    """A convolutional network that begins as a vision transformer does, and looks at the input a second time."""

    def __init__(self, twice: bool) -> None:
        super().__init__()
        self.stem, self.twice = nn.Conv2d(3, 4, 4, stride=4), twice
        self.other, self.head = nn.Conv2d(3, 4, 4, stride=4), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.stem(x) + self.other(x) if self.twice else self.stem(x)
        return self.head(out.mean((2, 3)))


IMAGE_MODELS = {
    "vit_tiny": (lambda: vit_tiny(3), "backbone.conv_proj"),
    "torchvision's ViT": (lambda: torchvision_network("vit_b_16", 3, image_size=32), "backbone.conv_proj"),
    "timm's ViT": (lambda: timm_network("vit_tiny_patch16_224", 3, img_size=32), "backbone.patch_embed.proj"),
    "patchified": (lambda: Patchified(twice=False), "backbone.stem"),
}


def sample_set(grid: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    owner = torch.stack([owner_map(draw_patches(N, grid, 0, 32, 32, seed=0, index=i), 32, 32) for i in range(2)])
    return torch.randn(2, 3, 32, 32), torch.randn(3, 32, 32), owner


@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_values_are_those_of_masked_images(name):
    torch.manual_seed(1)
    make, layer = IMAGE_MODELS[name]
    model = Classifier(make()).eval()
    nn.init.normal_(model.head.weight)  # torchvision's ViT begins with a head of zeros
    inputs, baseline, owner = sample_set(grid=2)
    assert embedding(model, inputs[:1]) == layer
    found = tokens(model, layer, inputs, baseline, owner)
    sample, subset = torch.arange(2).repeat_interleave(2**N), torch.arange(2**N).repeat(2)
    given = (model, inputs, baseline, membership(owner), torch.tensor([0, 2]), sample, subset, 8)
    plain = masked_values(*given)
    assert plain.unique().numel() > 16
    torch.testing.assert_close(masked_values(*given, found), plain, rtol=0, atol=1e-4)
    assert isinstance(model.get_submodule(layer), nn.Conv2d), "the model is whole again"


@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_a_masked_token_is_the_embedding_of_the_masked_input(name):
    make, layer = IMAGE_MODELS[name]
    model = Classifier(make()).eval()
    inputs, baseline, owner = sample_set(grid=2)
    found = tokens(model, layer, inputs, baseline, owner)
    which, subset = torch.arange(2).repeat_interleave(2**N), torch.arange(2**N).repeat(2)
    with torch.no_grad():
        expected = model.get_submodule(layer)(masked(inputs[which], baseline, membership(owner)[which], subset))
    torch.testing.assert_close(found.chosen(which, subset), expected, rtol=0, atol=1e-6)


def test_a_token_that_sees_two_variables_is_no_token():
    """28-pixel cells cut through 16-pixel tokens; here cells of 8 through tokens of 16."""
    model = Classifier(torchvision_network("vit_b_16", 3, image_size=32)).eval()
    inputs, baseline, owner = sample_set(grid=4)
    assert tokens(model, "backbone.conv_proj", inputs, baseline, owner) is None


@pytest.mark.parametrize("make", [lambda: conv4(3), lambda: Patchified(twice=True)])
def test_a_model_without_such_an_embedding_has_none(make):
    assert embedding(Classifier(make()).eval(), torch.randn(1, 3, 32, 32)) is None


def test_words_are_tokens():
    torch.manual_seed(0)
    model = Classifier(bert(3, **SMALL_BERT)).eval()
    inputs = torch.randint(5, 50, (2, 9))
    owner = torch.tensor([[-2, 0, 1, 1, -1, 2, -1, 3, -2], [-2, -1, 0, 1, 2, 2, 3, -1, -2]])
    name = embedding(model, inputs[:1])
    assert name == "backbone.encoder.embeddings.word_embeddings"
    found = tokens(model, name, inputs, torch.tensor(4), owner)
    sample, subset = torch.arange(2).repeat_interleave(2**N), torch.arange(2**N).repeat(2)
    given = (model, inputs, torch.tensor(4), membership(owner), torch.tensor([0, 2]), sample, subset, 8)
    torch.testing.assert_close(masked_values(*given, found), masked_values(*given), rtol=0, atol=1e-6)

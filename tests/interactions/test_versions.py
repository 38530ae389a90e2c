"""What is masked in place of the input is what the network makes of the masked input."""

import pytest
import torch
from torch import fx, nn

from interactions.variables.masking import masked, membership
from interactions.variables.patches import draw_patches, owner_map
from interactions.versions import Beginning, alike
from models.backbone import Classifier
from models.lean.captured import captured
from models.lean.straight import straight
from models.text import bert, distilbert
from models.vision import conv4, timm_network, vit_tiny

N, BATCH = 4, 5
SMALL_BERT = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
              "intermediate_size": 32, "max_position_embeddings": 20}  # fmt: skip
SMALL_DISTILBERT = {"vocab_size": 50, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32,
                    "max_position_embeddings": 20}  # fmt: skip


class Patchified(nn.Module):
    """A convolutional network that begins as a vision transformer does, and may look at the input a second time."""

    def __init__(self, twice: bool = False, mean: bool = False) -> None:
        super().__init__()
        self.stem, self.twice, self.mean = nn.Conv2d(3, 4, 4, stride=4), twice, mean
        self.other, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.stem(x).relu()
        if self.twice:
            out = out + self.other(x)[:, :, ::4, ::4]
        return self.head(out.mean((2, 3)) * (x.mean() if self.mean else 1))


MODELS = {
    "torchvision's ViT": (lambda: vit_tiny(3, depth=2, dim=8), 2),
    "timm's ViT": (lambda: timm_network("vit_tiny_patch16_224", 3, img_size=32, depth=2), 2),
    "patchified": (Patchified, 1),
    "twice": (lambda: Patchified(twice=True), 2),
    "its mean, too": (lambda: Patchified(mean=True), 2),
    "convolutional": (lambda: conv4(3, width=4), 1),
    "BERT": (lambda: bert(2, **SMALL_BERT), 5),
    "DistilBERT": (lambda: distilbert(2, **SMALL_DISTILBERT), 5),
}


def sample_set(text: bool, grid: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    if text:
        owner = torch.tensor([[-2, 0, 0, -1, 1, 2, 3, -2], [-2, 3, 1, 1, -1, 0, 2, -2]])
        return torch.randint(5, 50, (2, 8)), torch.tensor(4), owner
    owner = torch.stack([owner_map(draw_patches(N, grid, 0, 32, 32, seed=0, index=i), 32, 32) for i in range(2)])
    return torch.randn(2, 3, 32, 32).double(), torch.randn(3, 32, 32).double(), owner


def begun(model: nn.Module, inputs: torch.Tensor, member: torch.Tensor) -> tuple[Beginning, fx.Graph]:
    graphs = [straight(captured(model, inputs[:1].expand(size, *inputs.shape[1:]).clone())) for size in (2, BATCH)]
    assert alike(*graphs)
    return Beginning(model, *graphs, member), graphs[1]


@pytest.mark.parametrize("name", MODELS)
def test_selected_versions_are_what_the_network_makes_of_masked_inputs(name):
    make, count = MODELS[name]
    torch.manual_seed(1)
    model = Classifier(make()).double().eval()
    inputs, baseline, owner = sample_set("BERT" in name)
    member = membership(owner)
    beginning, whole = begun(model, inputs, member)
    assert len(beginning.cuts) == count
    none = masked(inputs, baseline, member, torch.zeros(2, dtype=torch.long))
    which, subset = torch.tensor([0, 1, 1, 0, 1]), torch.tensor([5, 0, 15, 9, 6])
    x = masked(inputs[which], baseline, member[which], subset)
    run = fx.Interpreter(nn.Module(), graph=whole.graph, garbage_collect_values=False)
    with torch.no_grad():
        run.run(initial_env={**whole.values(model), whole.inputs[0]: x})
        found = [version.of(which, subset) for version in beginning.versions(inputs, none)]
    for node, value in zip(beginning.cuts, found, strict=True):
        expected = run.env[node]
        assert value.shape == expected.shape
        assert not torch.equal(expected[0], expected[1]) or expected.dtype == torch.bool
        torch.testing.assert_close(value, expected, rtol=0, atol=1e-12)


def test_a_transformer_masks_tokens_behind_the_first_projection():
    inputs, _, owner = sample_set(text=False)
    beginning, _ = begun(Classifier(vit_tiny(3, depth=1, dim=8)).double().eval(), inputs, membership(owner))
    assert [tuple(node.meta["val"].shape) for node in beginning.cuts] == [(BATCH, 65, 8), (BATCH, 65, 3 * 8)]
    assert [tuple(member.shape) for member in beginning.members] == [(2, 65, 1)] * 2
    assert (beginning.members[0][:, 0] == 0).all(), "the class token belongs to no variable"


def test_a_token_that_sees_two_variables_is_no_token():
    """Here variables are cells of 8 pixels, and tokens have 16."""
    model = Classifier(vit_tiny(3, depth=1, dim=8, patch_size=16)).double().eval()
    inputs, _, owner = sample_set(text=False, grid=4)
    beginning, whole = begun(model, inputs, membership(owner))
    assert beginning.cuts == whole.inputs


def test_a_token_of_a_variable_and_of_the_background_keeps_the_background():
    torch.manual_seed(1)
    model = Classifier(Patchified()).double().eval()
    inputs, baseline, _ = sample_set(text=False)
    owner = torch.full((1, 1, 32, 32), -1)
    owner[..., :30, :14] = 0  # ends within a window of 4 pixels
    member = membership(owner)
    beginning, _ = begun(model, inputs[:1], member)
    assert all(node.op == "call_function" for node in beginning.cuts)
    none = masked(inputs[:1], baseline, member, torch.zeros(1, dtype=torch.long))
    (version,) = beginning.versions(inputs[:1], none)
    found = version.of(torch.zeros(1, dtype=torch.long), torch.zeros(1, dtype=torch.long))
    with torch.no_grad():
        torch.testing.assert_close(found, model.backbone.stem(none).relu(), rtol=0, atol=1e-12)

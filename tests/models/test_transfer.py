"""What fine-tuning starts from: each word and number by its definition."""

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from conf.errors import BadInput
from models.backbone import Classifier
from models.transfer import blocks, check, start
from models.vision import conv4, vit_tiny

STATISTICS = ("running_mean", "running_var")


def backbone(seed, width=64):
    torch.manual_seed(seed)
    return Classifier(conv4(10, width)).backbone


@pytest.fixture(scope="module")
def trained():
    """Weights with running statistics that differ between channels, as training leaves them."""
    model = backbone(1)
    model.train()
    draw = torch.Generator().manual_seed(0)
    for _ in range(5):
        model(torch.rand(32, 3, 32, 32, generator=draw))
    for parameter in model.parameters():
        parameter.data.mul_(1.7).add_(0.1 * torch.randn(parameter.shape, generator=draw))
    return {key: tensor.clone() for key, tensor in model.state_dict().items()}


def same(one, other):
    """The names of the tensors that are equal."""
    assert one.keys() == other.keys()
    return {key for key in one if torch.equal(one[key], other[key])}


def counters(state):
    return {key for key in state if key.endswith("num_batches_tracked")}


def test_all_and_nothing(trained):
    model = backbone(0)
    assert same(start(model, trained, "all", 0), trained) == set(trained)
    assert same(start(model, trained, "nothing", 0), model.state_dict()) == set(trained)
    assert not same(trained, model.state_dict()), "the two differ everywhere, so that this test can fail"


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_number_is_the_first_blocks(trained, count):
    model = backbone(0)
    found = start(model, trained, count, 0)
    first = {key for key in trained if int(key[len("block")]) <= count}
    assert same(found, trained) == first
    assert same(found, model.state_dict()) == set(trained) - first


def test_shuffled_has_the_same_entries_in_other_places(trained):
    found = start(backbone(0), trained, "shuffled", 0)
    assert same(found, trained) == counters(trained)
    for key, tensor in found.items():
        assert torch.equal(tensor.flatten().sort().values, trained[key].flatten().sort().values)
    weight, statistic = (found[f"block1.1.{name}"].argsort() for name in ("weight", "running_mean"))
    assert not torch.equal(weight, statistic), "each tensor by itself"


def test_moments_are_those_of_each_tensor(trained):
    """A draw of N has a mean within 5 sd / sqrt(N), and about that sd; nothing else of the tensor is left."""
    found = start(backbone(0), trained, "moments", 0)
    assert same(found, trained) == counters(trained)
    for key in set(trained) - counters(trained):
        given, drawn, count = trained[key], found[key], trained[key].numel()
        assert abs(drawn.mean() - given.mean()) < 5 * given.std() / count**0.5, key
        assert 0.55 < drawn.std() / given.std() < 1.8, key
        if count > 1000:
            assert 0.97 < drawn.std() / given.std() < 1.03, key
            assert abs(torch.corrcoef(torch.stack([given.flatten(), drawn.flatten()]))[0, 1]) < 5 / count**0.5


@pytest.mark.parametrize("transfer", ["moments", "shuffled", "nothing", 2])
def test_variances_stay_positive_even_where_they_differ_widely(trained, transfer):
    wide = dict(trained)
    for key in wide:
        if key.endswith("running_var"):
            wide[key] = torch.logspace(-6, 2, 64)
    found = start(backbone(0), wide, transfer, 0)
    assert all((found[key] > 0).all() for key in found if key.endswith("running_var"))
    assert all(torch.isfinite(tensor).all() for tensor in found.values())


def test_what_is_equal_everywhere_stays(trained):
    """Batch-norm before any training: a mean of 0 and a variance of 1."""
    model = backbone(0)
    found = start(model, model.state_dict(), "moments", 0)
    assert {key for key in found if key.endswith(STATISTICS)} <= same(found, model.state_dict())


@pytest.mark.parametrize("transfer", ["moments", "shuffled"])
def test_a_seed_gives_the_same_weights(trained, transfer):
    once, again, other = (start(backbone(0), trained, transfer, seed) for seed in (5, 5, 6))
    assert same(once, again) == set(trained)
    assert same(once, other) == counters(trained)


def test_a_buffer_that_is_a_constant_stays():
    model = nn.Sequential(nn.Linear(40, 40))
    model.register_buffer("positions", torch.arange(5.0))
    state = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    for transfer in ("moments", "shuffled"):
        assert same(start(model, state, transfer, 0), state) == {"positions"}


def test_blocks():
    assert blocks(Classifier(resnet18(num_classes=10)).backbone) == [
        "conv1", "bn1", "layer1", "layer2", "layer3", "layer4"
    ]  # fmt: skip
    assert blocks(backbone(0, width=4)) == ["block1", "block2", "block3", "block4"]
    check(backbone(0, width=4), 4)
    with pytest.raises(BadInput, match=r"^start\.transfer=5 is not allowed: this model has 4 blocks \(block1, block2"):
        check(backbone(0, width=4), 5)


def test_what_the_backbone_holds_itself_comes_with_the_first_block():
    model, other = (Classifier(vit_tiny(10, dim=8, depth=1)).backbone for _ in range(2))
    found = start(model, other.state_dict(), 1, 0)
    assert torch.equal(found["class_token"], other.class_token)
    assert blocks(model)[0] == "conv_proj"
    assert not torch.equal(found["encoder.pos_embedding"], other.encoder.pos_embedding)

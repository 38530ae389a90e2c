import pytest
import torch

from interactions.variables.masking import masked, membership
from interactions.variables.patches import owner_map

BOXES = [(0, 0, 2, 2), (0, 2, 2, 2), (2, 1, 2, 3)]


def test_membership_is_the_bit_of_the_variable():
    owner = torch.tensor([[-1, 0, 1], [19, 2, -1]])
    assert membership(owner).tolist() == [[0, 1, 2], [2**19, 4, 0]]
    assert membership(owner).dtype == torch.int32


@pytest.fixture
def images():
    """Inputs [2, 3, 4, 5], a baseline [3, 4, 5] and members [2, 1, 4, 5]; some numbers are awkward on purpose."""
    torch.manual_seed(0)
    inputs = torch.randn(2, 3, 4, 5)
    inputs[0, 0, 0, 0], inputs[1, 0, 3, 4] = -0.0, 1e-42
    return inputs, torch.randn(3, 4, 5), membership(owner_map(BOXES, 4, 5)).expand(2, 1, 4, 5)


def test_the_full_subset_is_the_input_bit_for_bit(images):
    inputs, baseline, member = images
    kept = masked(inputs, baseline, member, torch.tensor([7, 7]))
    assert torch.equal(kept.view(torch.int32), inputs.view(torch.int32))


def test_the_empty_subset_is_the_baseline_inside_the_variables_only(images):
    inputs, baseline, member = images
    inside = (owner_map(BOXES, 4, 5) >= 0).expand(3, 4, 5)
    for image, x in zip(inputs, masked(inputs, baseline, member, torch.tensor([0, 0])), strict=True):
        assert torch.equal(x[inside], baseline[inside])
        assert torch.equal(x[~inside], image[~inside])


def test_each_image_has_its_own_subset_and_variables(images):
    inputs, baseline, _ = images
    mirrored = [(top, 5 - left - width, height, width) for top, left, height, width in BOXES]
    member = torch.stack([membership(owner_map(boxes, 4, 5)) for boxes in (BOXES, mirrored)])
    x = masked(inputs, baseline, member, torch.tensor([0b101, 0b010]))
    expected = inputs.clone()
    expected[0, :, 0:2, 2:4] = baseline[:, 0:2, 2:4]  # the first image lacks variable 1
    expected[1, :, 0:2, 3:5] = baseline[:, 0:2, 3:5]  # the second lacks variables 0 and 2
    expected[1, :, 2:4, 1:4] = baseline[:, 2:4, 1:4]
    assert torch.equal(x, expected)


def test_does_not_touch_its_input(images):
    inputs, baseline, member = images
    before = inputs.clone()
    masked(inputs, baseline, member, torch.tensor([0, 3]))
    assert torch.equal(inputs, before)


def test_tokens_are_masked_word_by_word():
    owner = torch.tensor([[-1, 0, 0, 1, 2, -1]])  # [CLS], a word of two tokens, two words, [SEP]
    tokens, mask = torch.tensor([[101, 7, 8, 9, 10, 102]]), torch.full((6,), 103)
    x = masked(tokens.expand(3, 6), mask, membership(owner).expand(3, 6), torch.tensor([0, 0b101, 0b111]))
    assert x.tolist() == [[101, 103, 103, 103, 103, 102], [101, 7, 8, 103, 10, 102], tokens[0].tolist()]
    assert x.dtype == torch.int64


def test_twenty_variables_have_bits_of_their_own():
    owner = torch.arange(20)[None]
    inputs, baseline = torch.ones(20, 20), torch.zeros(20)
    x = masked(inputs, baseline, membership(owner).expand(20, 20), 2 ** torch.arange(20))
    assert torch.equal(x, torch.eye(20))

import numpy as np
import pytest
import torch

from data.splits import InMemory, Splits
from interactions.variables.patches import owner_map
from interactions.variables.sample_set import SampleSet
from interactions.variables.samples import Group

CPU = torch.device("cpu")
BOXES = [[0, 0, 2, 2], [2, 2, 2, 2]]  # two of the four quarters of a 4x4 image


@pytest.fixture
def splits():
    torch.manual_seed(0)
    sets = (InMemory(torch.randn(6, 3, 4, 4), np.arange(6) % 2) for _ in range(2))
    return Splits(*sets, classes=("a", "b"))


def read(splits, background):
    samples = [
        {"index": index, "label": index % 2, "class": "ab"[index % 2], "variables": BOXES} for index in (4, 1, 3)
    ]
    about = {"split": "test", "n": 2, "kind": "image", "samples": samples}
    baseline = np.random.default_rng(0).normal(size=(3, 4, 4)).astype(np.float32)
    return SampleSet.read(about, baseline, splits, background, CPU), torch.from_numpy(baseline)


def test_it_is_what_the_files_of_the_samples_say(splits):
    found, baseline = read(splits, "keep")
    (group,) = found.groups
    assert (found.n, found.samples, found.device) == (2, 3, CPU)
    assert torch.equal(found.baseline, baseline)
    assert torch.equal(group.inputs, splits.test.inputs[[4, 1, 3]])
    assert group.labels.tolist() == [0, 1, 1]
    assert torch.equal(group.owner, owner_map(BOXES, 4, 4).expand(3, 1, 4, 4))


def test_a_masked_background_is_the_baseline_in_every_input(splits):
    found, baseline = read(splits, "mask")
    (group,), background = found.groups, (owner_map(BOXES, 4, 4) == -1).expand(3, 4, 4)
    assert background.any()
    for image, original in zip(group.inputs, splits.test.inputs[[4, 1, 3]], strict=True):
        assert torch.equal(image[background], baseline[background])
        assert torch.equal(image[~background], original[~background])


@pytest.fixture
def sentences():
    """Two groups, of two and three samples: what counts here is where they stand."""
    owner = torch.zeros(1)
    groups = [Group(first, torch.zeros(count, 1), owner, torch.zeros(count)) for first, count in ((0, 2), (2, 3))]
    return SampleSet(groups, torch.zeros(()), 2)


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, [[0], [1], [2], [3], [4]]), (2, [[0, 1], [2, 3], [4]]), (9, [[0, 1], [2, 3, 4]])],
)
def test_blocks_are_of_one_shape(sentences, count, expected):
    assert [list(block) for block in sentences.blocks(count)] == expected


def test_samples_are_found_by_their_number(sentences):
    first, second = sentences.groups
    assert [sentences.group_of(sample) for sample in range(5)] == [first, first, second, second, second]
    found = [(group, places.tolist()) for group, places in sentences.by_group(np.array([4, 0, 2, 1]))]
    assert found == [(first, [1, 3]), (second, [0, 2])]
    assert [group for group, _ in sentences.by_group(np.array([3]))] == [second]

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from conf.errors import BadInput
from data.splits import InMemory, Splits, build


def test_in_memory_gives_input_and_label():
    dataset = InMemory(torch.arange(6.0).view(3, 2), np.array([4, 5, 6]))
    assert len(dataset) == 3
    inputs, label = dataset[1]
    assert inputs.tolist() == [2, 3]
    assert (label, type(label)) == (5, int)


def test_a_picture_undoes_the_networks_scale():
    pixels = torch.randint(256, (3, 4, 5), generator=torch.Generator().manual_seed(0))
    splits = Splits(None, None, (), mean=0.4, std=0.2)
    picture = splits.picture((pixels / 255 - 0.4) / 0.2)
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, pixels.permute(1, 2, 0).numpy())


def test_a_picture_is_cut_at_black_and_white_and_grey_becomes_rgb():
    picture = Splits(None, None, ()).picture(torch.tensor([[[-5.0, 5.0, 0.0]]]))
    assert picture.tolist() == [[[0] * 3, [255] * 3, [128] * 3]]


OPTIONS = OmegaConf.create(
    {"_target_": "data.embedded.digits", "train_samples": 20, "test_samples": 20, "image_size": 8, "seed": 0}
)


def test_arguments_alone_are_no_task():
    with pytest.raises(
        BadInput, match=r"^data\.source={train_samples: 5} is not allowed: a _target_ with its arguments"
    ):
        build(OmegaConf.create({"train_samples": 5}), "data.source")


def made(labels):
    return Splits(*(InMemory(torch.zeros(len(labels), 1), np.array(labels)) for _ in range(2)), ("a", "b", "c"))


@pytest.mark.parametrize("wrong", [3, -1])
def test_labels_outside_of_the_classes_are_refused(wrong):
    options = OmegaConf.create({"_target_": f"{__name__}.made", "labels": [0, 1, 2, wrong]})
    with pytest.raises(
        BadInput, match=rf"^data.target: the train set has a label {wrong}, and the 3 classes have .* 0 to 2"
    ):
        build(options, "data.target")


def test_a_class_without_a_sample_is_refused():
    options = OmegaConf.create({"_target_": f"{__name__}.made", "labels": [0, 2, 2]})
    with pytest.raises(BadInput, match=r"^data.target: the train set of 3 has no sample of class b; take more samples"):
        build(options, "data.target")

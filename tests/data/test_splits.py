import numpy as np
import torch

from data.splits import InMemory, Splits


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

import gc

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from torch.utils.data import DataLoader

from conf.errors import BadInput
from data.images import readable, task
from data.pictures import Arrays, Files, Raw, check_there, rgb
from data.splits import balanced_order, build

INPUT = {"size": 16, "mean": 0.5, "std": 0.5}
OPTIONS = {"crop": 1.0, "augment": "none", "train_samples": None, "test_samples": None, "seed": 0}


def arrays(count, title="made, train", side=16):
    pixels = np.random.default_rng(0).integers(256, size=(count, side, side, 3), dtype=np.uint8)
    return Arrays(pixels, np.arange(count) % 3, title)


@pytest.fixture
def raw():
    return Raw(arrays(30), arrays(12, "made, test"), ("a", "b", "c"))


def made(raw, input=INPUT, **changed):
    return task(raw, input, **{**OPTIONS, **changed})


def photograph(path, size, colour=(200, 30, 60), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).convert(mode).save(path)
    return path


def test_an_image_of_the_right_size_is_only_scaled(raw):
    splits = made(raw)
    assert (splits.kind, splits.classes, splits.training) == ("image", ("a", "b", "c"), None)
    for dataset, pictures in ((splits.train, raw.train), (splits.test, raw.test)):
        assert len(dataset) == len(pictures.labels)
        np.testing.assert_array_equal(dataset.labels, pictures.labels)
        image, label = dataset[4]
        assert (image.shape, image.dtype, label, type(label)) == ((3, 16, 16), torch.float32, 1, int)
        pixels = torch.from_numpy(pictures.pixels[4]).permute(2, 0, 1)
        torch.testing.assert_close(image, (pixels / 255 - 0.5) / 0.5)


def test_mean_and_deviation_may_differ_by_channel_and_a_picture_undoes_them(raw):
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    splits = made(raw, OmegaConf.create({"size": 16, "mean": mean, "std": std}))
    assert (splits.mean, splits.std) == (mean, std)
    image = splits.train[0][0]
    pixels = torch.from_numpy(raw.train.pixels[0]).permute(2, 0, 1) / 255
    torch.testing.assert_close(image, (pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None])
    np.testing.assert_array_equal(splits.picture(image), raw.train.pixels[0])


@pytest.mark.parametrize(("crop", "seen"), [(1.0, 24), (0.75, 18), (0.5, 12)])
def test_the_central_square_is_seen(crop, seen):
    """A photograph of 40 x 24 pixels that is white exactly where `crop` says that the model looks."""
    for size in ((40, 24), (24, 40)):
        white = np.zeros((size[1], size[0], 3), np.uint8)
        top, left = (size[1] - seen) // 2, (size[0] - seen) // 2
        white[top : top + seen, left : left + seen] = 255
        splits = made(Raw(Arrays(white[None], [0], "x"), Arrays(white[None], [0], "x"), ("a",)), crop=crop)
        image = splits.train[0][0]
        assert image.shape == (3, 16, 16)
        assert (image[:, 1:-1, 1:-1] > 0.99).all()  # at the border, black is mixed in
        outside = made(Raw(Arrays(white[None], [0], "x"), Arrays(white[None], [0], "x"), ("a",)), crop=crop * 0.6)
        assert (outside.train[0][0] == 1).all()


def test_images_of_different_sizes_and_modes_are_one_batch(tmp_path):
    colour = (60, 60, 60)
    paths = [photograph(tmp_path / "0.png", (50, 20), colour, "L"), photograph(tmp_path / "1.png", (17, 90), colour)]
    paths.append(tmp_path / "2.gif")
    Image.new("RGB", (16, 16), colour).quantize(2).save(paths[2])
    files = Files(paths, [0, 1, 2])
    batch, labels = next(iter(DataLoader(made(Raw(files, files, ("a", "b", "c"))).train, 3)))
    assert batch.shape == (3, 3, 16, 16)
    assert labels.tolist() == [0, 1, 2]
    torch.testing.assert_close(batch, torch.full_like(batch, (60 / 255 - 0.5) / 0.5))


def test_a_grey_image_of_16_bits_keeps_its_greys():
    grey = np.array([[0, 256, 32768, 65535]], dtype=np.uint16)
    assert np.asarray(rgb(Image.fromarray(grey))).tolist() == [[[0] * 3, [1] * 3, [128] * 3, [255] * 3]]


def test_bicubic_is_another_interpolation(raw):
    bilinear, bicubic = (
        made(raw, INPUT | {"size": 24, "interpolation": name}).train[0][0] for name in ("bilinear", "bicubic")
    )
    assert bilinear.shape == bicubic.shape == (3, 24, 24)
    assert not torch.equal(bilinear, bicubic)
    torch.testing.assert_close(made(raw, INPUT | {"size": 24}).train[0][0], bilinear, rtol=0, atol=0)


def seen(dataset, epoch, order=range(10)):
    dataset.set_epoch(epoch)
    return {index: dataset[index][0] for index in order}


@pytest.mark.parametrize("augment", ["imagenet", "crop_flip", "shift_flip"])
def test_augmentation_depends_on_seed_epoch_and_index_only(raw, augment):
    splits = made(raw, augment=augment)
    first = seen(splits.training, 3)
    torch.manual_seed(7)  # the global random numbers have no part in it
    again = seen(made(raw, augment=augment).training, 3, reversed(range(10)))
    assert all(torch.equal(first[i], again[i]) for i in range(10))
    for other in (seen(splits.training, 4), seen(made(raw, augment=augment, seed=1).training, 3)):
        assert sum(torch.equal(first[i], other[i]) for i in range(10)) <= 3
    np.testing.assert_array_equal(splits.training.labels, splits.train.labels)
    plain = [splits.train[i][0] for i in range(10)]
    assert sum(torch.equal(first[i], plain[i]) for i in range(10)) <= 3
    assert all(torch.equal(splits.train[i][0], plain[i]) for i in range(10))


def test_augmentation_is_the_same_in_processes_that_load_data(raw):
    training = made(raw, augment="crop_flip").training
    training.set_epoch(2)
    alone, aside = (torch.cat([x for x, _ in DataLoader(training, 7, num_workers=n)]) for n in (0, 2))
    assert torch.equal(alone, aside)


def test_augmentation_leaves_the_random_numbers_of_training_alone(raw, monkeypatch):
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("seeds the GPU"))
    training = made(raw, augment="shift_flip").training
    torch.default_generator.manual_seed(5)
    before = torch.get_rng_state()
    training[0]
    assert torch.equal(torch.get_rng_state(), before)


def test_shift_flip_moves_the_image_and_crop_flip_enlarges_parts():
    pixels = np.full((1, 16, 16, 3), 255, np.uint8)
    pixels[0, :, :8] = 128
    raw = Raw(Arrays(pixels, [0], "x"), Arrays(pixels, [0], "x"), ("a",))
    shifted, cut = (made(raw, augment=name).training for name in ("shift_flip", "crop_flip"))
    borders, shares = set(), []
    for epoch in range(40):
        image = seen(shifted, epoch, [0])[0][0]
        black = (image == -1).float()
        borders.add((int(black.all(0).sum()), int(black.all(1).sum())))
        assert seen(cut, epoch, [0])[0].min() > -0.01  # nothing black comes in
        shares.append((seen(cut, epoch, [0])[0][0] == 1).float().mean())
    assert {columns for columns, _ in borders} == {rows for _, rows in borders} == {0, 1, 2}  # an eighth of 16
    assert min(shares) < 0.4
    assert max(shares) > 0.6


def test_crops_of_imagenet_are_as_small_as_those_of_its_official_script():
    pixels = np.broadcast_to(np.arange(100, dtype=np.uint8)[:, None, None], (1, 100, 100, 3))
    raw = Raw(Arrays(pixels, [0], "x"), Arrays(pixels, [0], "x"), ("a",))
    for augment, least in (("imagenet", 0.08), ("crop_flip", 0.25)):
        training = made(raw, augment=augment).training
        heights = [np.ptp(seen(training, epoch, [0])[0].numpy()) * 255 / 2 / 100 for epoch in range(200)]
        # A part of share s of the area is at least as high as the root of 3/4 s, as it is no wider than 4:3.
        assert 0.8 * (0.75 * least) ** 0.5 < min(heights) < 1.2 * (0.75 * least) ** 0.5 + 0.1


@pytest.mark.parametrize("samples", [3, 10, 29])
def test_a_draw_is_balanced_and_the_seed_decides(raw, samples):
    one, again, other = (made(raw, train_samples=samples, seed=seed).train.indices for seed in (4, 4, 5))
    assert len(set(one)) == samples
    counts = np.bincount(raw.train.labels[one], minlength=3)
    assert counts.max() - counts.min() <= 1
    assert one.tolist() == again.tolist() == balanced_order(raw.train.labels, 4)[:samples].tolist()
    assert one.tolist() != other.tolist()


def test_training_and_probe_see_the_same_draw(raw):
    splits = made(raw, train_samples=6, test_samples=3, augment="crop_flip")
    assert splits.training.indices.tolist() == splits.train.indices.tolist()
    assert (len(splits.training), len(splits.test)) == (6, 3)


@pytest.mark.parametrize(("changed", "message"), [
    ({"train_samples": 31}, "train_samples=31 is not allowed: a number from 1 to 30 (all train images) is expected"),
    ({"test_samples": 13}, "test_samples=13 is not allowed: a number from 1 to 12 (all test images) is expected"),
])  # fmt: skip
def test_what_cannot_be_used_is_refused(raw, changed, message):
    with pytest.raises(BadInput) as refused:
        made(raw, **changed)
    assert str(refused.value) == message


@pytest.fixture
def damaged(tmp_path):
    """Six files of three classes; the second is cut off, the fourth is no image."""
    paths = [photograph(tmp_path / f"{i}.jpg", (40, 30)) for i in range(6)]
    paths[1].write_bytes(paths[1].read_bytes()[:300])
    paths[3].write_text("no image")
    files = Files(paths, [0, 1, 2, 0, 1, 2])
    return Raw(files, arrays(6, "made, test"), ("a", "b", "c"))


def test_a_damaged_image_is_refused_when_it_is_met(damaged):
    train = made(damaged).train
    assert train[0][0].shape == (3, 16, 16)
    for index in (1, 3):
        with pytest.raises(BadInput) as refused:
            train[index]
        line = str(refused.value)
        assert line.startswith(f"{damaged.train.paths[index]} can't be read as an image (")
        assert line.endswith("): replace it, or leave all such images out with data.skip_corrupt=true")
        assert "\n" not in line


def test_a_damaged_image_is_refused_in_one_line_by_a_process_that_loads_data(damaged, monkeypatch):
    monkeypatch.setattr(torch.utils.data._utils, "MP_STATUS_CHECK_INTERVAL", 0.5)  # 5 s, which the loader waits for it
    training = made(damaged, augment="crop_flip").training
    lines = []
    for num_workers in (0, 1):
        with pytest.raises(BadInput) as refused:
            list(DataLoader(training, 6, num_workers=num_workers))
        lines.append(str(refused.value))
    del refused
    gc.collect()  # the loader and its process end while the shorter time holds
    assert lines[0] == lines[1]
    assert lines[0].startswith(f"{damaged.train.paths[1]} can't be read as an image (")


def test_damaged_images_are_left_out_on_demand(damaged, capsys):
    splits = made(damaged, skip_corrupt=True, augment="shift_flip")
    assert splits.train.indices.tolist() == splits.training.indices.tolist() == [0, 2, 4, 5]
    assert splits.train.labels.tolist() == [0, 2, 1, 2]
    assert len(splits.test) == 6
    assert all(image.shape == (3, 16, 16) for image, _ in splits.train)
    line = f"2 of 6 train images can't be read and are left out, the first is {damaged.train.paths[1]}\n"
    assert capsys.readouterr().out == line


def test_images_are_searched_for_damage_once(damaged, capsys, monkeypatch):
    made(damaged, skip_corrupt=True)
    monkeypatch.setattr(Files, "open", lambda *_: pytest.fail("decoded again"))
    assert len(made(damaged, skip_corrupt=True).train) == 4
    assert capsys.readouterr().out.count("left out") == 1
    assert readable(damaged.train, "train").tolist() == [0, 2, 4, 5]


def test_a_draw_is_from_the_images_that_can_be_read(damaged):
    assert sorted(made(damaged, skip_corrupt=True, train_samples=4).train.indices) == [0, 2, 4, 5]
    with pytest.raises(BadInput, match=r"^train_samples=5 is not allowed: a number from 1 to 4 \(all train images\)"):
        made(damaged, skip_corrupt=True, train_samples=5)


def test_a_task_is_built_from_its_configuration(tmp_path):
    for split, number in (("train", 4), ("test", 2)):
        for name in ("cat", "dog"):
            for i in range(number):
                photograph(tmp_path / "pets" / split / name / f"{i}.jpg", (20 + i, 30))
    cfg = OmegaConf.create({
        "data": {"root": str(tmp_path)},
        "model": {"input": INPUT},
        "target": {"_target_": "data.images.task", **OPTIONS, "input": "${model.input}", "files": {
            "_target_": "data.folder.folder", "root": "${data.root}", "path": "pets"}},
    })  # fmt: skip
    splits = build(cfg.target, "data.target")
    assert (len(splits.train), len(splits.test), splits.classes) == (8, 4, ("cat", "dog"))
    cfg.target.train_samples = 9
    with pytest.raises(BadInput, match=r"^data\.target\.train_samples=9 is not allowed: a number from 1 to 8 "):
        build(cfg.target, "data.target")
    cfg.target.files.path = "pests"
    with pytest.raises(BadInput, match=f"^{tmp_path}/pests was not found: "):
        build(cfg.target, "data.target")


def test_files_that_are_listed_have_to_be_there(tmp_path):
    there = [photograph(tmp_path / "a" / f"{i}.jpg", (4, 4)) for i in range(3)]
    check_there(there, "Birds")
    with pytest.raises(BadInput) as refused:
        check_there([*there, tmp_path / "a" / "4.jpg", tmp_path / "b" / "0.jpg"], "Birds")
    line = f"Birds: 2 of the 5 images are missing, the first is {tmp_path}/a/4.jpg: unpack the archive again"
    assert str(refused.value) == line


def test_a_bad_input_says_its_line_and_nothing_else_after_a_trip_through_another_process():
    line = "a.jpg can't be read"
    text = "Caught BadInput in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n  File x\n"
    text += f"conf.errors.BadInput: {line}\n"
    assert str(BadInput(text)) == line
    assert str(BadInput(line)) == line

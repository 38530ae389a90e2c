"""Images of one's own: any sizes and formats, some of which can't be read."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from studies import Studies, check_refused

TINY = (
    "name=mine", "data=folder", "model=conv4", "model.width=8", "model.weights=scratch", "data.target.crop=1",
    "probe.epochs=1", "finetune.epochs=1", "scratch.epochs=1", "interactions.n=3", "interactions.samples=4",
    "interactions.noise_masks=4", "analysis.permutations=2", "analysis.resamples=20", "analysis.gallery=1",
    "trainer.accelerator=cpu", "interactions.device=cpu", "wandb.mode=disabled",
)  # fmt: skip


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    """Discs and bars, of different sizes, modes and formats."""
    draw = np.random.default_rng(0)
    for split, count in (("train", 8), ("test", 4)):
        for name, level in (("dark", 40), ("light", 200)):
            folder = tmp_path / "shapes" / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                size = tuple(draw.integers(20, 90, size=2))
                pixels = draw.normal(level, 20, (*size, 3)).clip(0, 255).astype(np.uint8)
                image = Image.fromarray(pixels).convert(("RGB", "L", "P", "CMYK")[i % 4])
                file = folder / f"{i}.{('jpg', 'png', 'webp', 'jpg')[i % 4]}"
                image.save(file)
                os.utime(file, (1e9, 1e9))
    return tmp_path / "shapes"


def test_a_study_of_ones_own_images(study: Studies, shapes: Path) -> None:
    """One that can't be read is named; leaving such images out goes on in the same folder."""
    corrupt = shapes / "train" / "dark" / "4.jpg"
    whole = corrupt.read_bytes()
    corrupt.write_bytes(whole[:-200])
    files, remembered = f"data.target.files.path={shapes}", study.output / "results" / "images.npy"
    first = study.start(*TINY, files, tiny=False).wait()
    check_refused(first, "1 of 16 images can't be read", str(corrupt), "data.skip_corrupt=true")
    assert not study.output.exists()
    second = study.start(*TINY, files, "data.skip_corrupt=true", tiny=False).wait()
    assert second.code == 0, second.err
    assert f"1 of 16 train images can't be read and are left out, the first is {corrupt}" in second.out
    assert list(study.output.rglob("report.html"))
    assert not remembered.exists(), "all are decoded"
    corrupt.write_bytes(whole)
    os.utime(corrupt, (time.time() + 60,) * 2)  # however long the next run takes to look at it
    third = study.start(*TINY, files, "stages=[scratch]", tiny=False).wait()
    assert third.code == 0, third.err
    assert len(np.load(remembered)) == 23, "but the one just written, which may change again under the same date"


def test_a_single_class_is_refused(study: Studies, shapes: Path) -> None:
    for split in ("train", "test"):
        (shapes / split / "light").rename(shapes / f"{split}-light")
    result = study.start(*TINY, f"data.target.files.path={shapes}", tiny=False).wait()
    assert result.code == 2, result.err
    assert any("data.target has 1 class: a classifier needs two or more" in line for line in result.err.splitlines())

import io

import numpy as np
import pytest
from PIL import ExifTags, Image

from data.pictures import Files, upright

RED, GREEN, BLUE, WHITE = QUARTERS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]


@pytest.fixture
def stored():
    """Its quarters, row by row: red, green; blue, white."""
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:8, :16], pixels[:8, 16:], pixels[8:, :16], pixels[8:, 16:] = QUARTERS
    return Image.fromarray(pixels)


def quarters(image):
    """Which of QUARTERS is in each quarter of the image, row by row."""
    width, height = image.size
    found = [image.getpixel((x, y)) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    return [min(QUARTERS, key=lambda colour: np.abs(np.subtract(colour, pixel)).sum()) for pixel in found]


@pytest.mark.parametrize("form", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize(("orientation", "size", "seen"), [
    (1, (32, 16), [RED, GREEN, BLUE, WHITE]),
    (2, (32, 16), [GREEN, RED, WHITE, BLUE]),
    (3, (32, 16), [WHITE, BLUE, GREEN, RED]),
    (6, (16, 32), [BLUE, RED, WHITE, GREEN]),  # the camera was turned to the left: the first row is the right side
    (8, (16, 32), [GREEN, WHITE, RED, BLUE]),
])  # fmt: skip
def test_photographs_are_upright(tmp_path, stored, form, orientation, size, seen):
    exif, file = Image.Exif(), tmp_path / f"photograph.{form}"
    exif[ExifTags.Base.Orientation] = orientation
    stored.save(file, exif=exif)
    image = Files([file], [0]).open(0)
    assert (image.mode, image.size, quarters(image)) == ("RGB", size, seen)


def test_exif_that_can_not_be_read_turns_nothing(stored):
    file = io.BytesIO()
    stored.save(file, "JPEG", exif=b"Exif\0\0nonsense")
    assert quarters(upright(file)) == QUARTERS


def test_a_file_that_ends_too_soon_is_no_image(stored):
    file = io.BytesIO()
    stored.save(file, "JPEG")
    with pytest.raises(OSError, match="truncated"):
        upright(io.BytesIO(file.getvalue()[:-20]))

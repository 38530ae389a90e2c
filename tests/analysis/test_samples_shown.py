import base64
import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from analysis import samples_shown
from analysis.samples_shown import STRONGEST, strongest, write
from interactions.mobius import orders

N, SAMPLES = 4, 5


@pytest.fixture
def study(study_of):
    return study_of(*np.random.default_rng(1).normal(size=(1, SAMPLES, 2**N)), [], [])


def pictures(study, side):
    """Splits of pictures of this size, each cut into four boxes."""
    half = side // 2
    for sample in study.about["samples"]:
        sample["variables"] = [(top, left, half, half) for top in (0, half) for left in (0, half)]
    pixels = np.random.default_rng(2).integers(0, 256, (SAMPLES, side, side, 3), dtype=np.uint8)
    return SimpleNamespace(kind="image", test=[(each, 0) for each in pixels], picture=lambda image: image)


def read(path):
    return json.loads(path.read_text())


@pytest.mark.parametrize("most", range(1, N + 1))
def test_the_strongest_of_any_orders_are_among_those_kept(most):
    found = np.random.default_rng(3).normal(size=2**N)
    order = orders(N)
    kept = strongest(found, [np.flatnonzero(order == each) for each in range(N + 1)])
    chosen = np.flatnonzero(order <= most)
    expected = chosen[np.argsort(-abs(found[chosen]))][:STRONGEST]
    allowed = sorted((pair for pair in kept if order[pair[0]] <= most), key=lambda pair: -abs(pair[1]))
    assert [subset for subset, _ in allowed[:STRONGEST]] == expected.tolist()
    assert [value for _, value in allowed[:STRONGEST]] == pytest.approx(found[expected].tolist(), rel=1e-4)


def test_interactions_of_strength_0_are_left_out():
    assert strongest(np.array([0.0, 2.0, 0.0, -1.0]), [np.arange(4)]) == [[1, 2.0], [3, -1.0]]


def test_every_sample_is_there_with_its_values_and_boxes(study, tmp_path):
    found = read(write(study, pictures(study, 8), tmp_path))
    assert len(found["samples"]) == found["of"] == SAMPLES
    assert found["models"] == [{"name": "pretrain", "words": "pre-trained (its linear probe)"}]
    final = study.final("pretrain")
    for sample, strength in zip(found["samples"], final, strict=True):
        assert sample["values"]["pretrain"] == pytest.approx(strength.sum(), rel=1e-6), "v of the whole input"
        assert sample["shown"]["boxes"][1] == [0, 0.5, 0.5, 0.5]
        assert dict(sample["interactions"]["pretrain"])[3] == pytest.approx(strength[3], rel=1e-4)


def test_models_that_were_trained_have_their_last_epoch(study_of, tmp_path):
    probe, early, late = np.random.default_rng(4).normal(size=(3, SAMPLES, 2**N))
    trained = study_of(probe, [early, late], [])
    found = read(write(trained, pictures(trained, 8), tmp_path))["models"]
    last = trained.last("finetune")
    assert [model["words"] for model in found] == ["pre-trained (its linear probe)", f"fine-tuned, epoch {last}"]


@pytest.mark.parametrize(("side", "kind", "shown"), [(8, "png", 8), (400, "jpeg", 192)])
def test_small_pictures_are_exact_and_large_ones_become_small(study, tmp_path, side, kind, shown):
    splits = pictures(study, side)
    picture = read(write(study, splits, tmp_path))["samples"][2]["shown"]["picture"]
    head, content = picture.split(",")
    image = Image.open(io.BytesIO(base64.b64decode(content)))
    assert head == f"data:image/{kind};base64"
    assert image.size == (shown, shown)
    if kind == "png":
        assert (np.asarray(image) == splits.test[2][0]).all()


def test_words_that_occur_twice_are_told_apart(study, tmp_path):
    for sample in study.about["samples"]:
        sample |= {"words": ["so", "good", ",", "so", "so"], "variables": [{"position": at} for at in (0, 1, 3, 4)]}
    shown = read(write(study, SimpleNamespace(kind="text", test=[]), tmp_path))["samples"][0]["shown"]
    assert shown == {"words": ["so", "good", ",", "so", "so"], "variables": [0, 1, 3, 4],
                     "names": ["so₁", "good", "so₃", "so₄"]}  # fmt: skip


def test_samples_that_would_make_the_file_too_large_are_left_out(study, tmp_path, monkeypatch):
    splits = pictures(study, 8)
    size = write(study, splits, tmp_path).stat().st_size
    monkeypatch.setattr(samples_shown, "BUDGET", size // 2)
    found = read(write(study, splits, tmp_path))
    assert 0 < len(found["samples"]) < SAMPLES == found["of"]
    assert (tmp_path / "samples.json").stat().st_size <= size // 2 + 300, "and what says of what they are"

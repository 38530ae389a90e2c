import io
import shutil
import subprocess
import sys
import time
from pathlib import Path

import datasets
import numpy as np
import pytest
from huggingface_hub import constants
from PIL import Image

from conf.errors import BadInput
from data import hub
from data.official import cub200

ROOT = Path(__file__).resolve().parents[2]
NAME = "someone/birds"


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    """Of the libraries: empty ones. No network."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "arrow")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hub, "reachable", lambda url: False)
    datasets.disable_progress_bars()
    return tmp_path / "cache"


def encoded(colour, mode="RGB"):
    file = io.BytesIO()
    Image.new("RGB", (6, 5), (colour, 0, 0)).convert(mode).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


def table(labels, names=("001.Great_Auk", "002.Dodo"), start=0):
    label = datasets.ClassLabel(names=list(names)) if names else datasets.Value("int64")
    features = datasets.Features({"image": datasets.Image(), "label": label, "size": datasets.Value("int64")})
    cells = [encoded(start + i, "L" if i == 1 else "RGB") for i in range(len(labels))]
    return datasets.Dataset.from_dict({"image": cells, "label": labels, "size": labels}, features=features)


def write(folder, **parts):
    """parts: name of a file -> its table."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in parts.items():
        part.to_parquet(folder / f"{name}.parquet")


@pytest.fixture
def local(tmp_path):
    """The repository as `hf download --local-dir` leaves it, the training split in two files."""
    root = tmp_path / "data sets"
    files = {
        "train-00000-of-00002": table([0, 1]),
        "train-00001-of-00002": table([1], start=9),
        "test-00000-of-00001": table([1, 0]),
        "test_noise-00000-of-00001": table([0]),
    }
    write(root / NAME / "data", **files)
    return root


def test_images_come_from_a_local_folder(local):
    raw = hub.images(NAME, "main", str(local))
    assert raw.classes == ("001.Great_Auk", "002.Dodo")
    assert (raw.train.labels.tolist(), raw.test.labels.tolist()) == ([0, 1, 1], [1, 0])
    reds = [np.asarray(raw.train.open(i)) for i in range(3)]
    assert [image.shape for image in reds] == [(5, 6, 3)] * 3
    assert [int(image[0, 0, 0]) for image in reds] == [0, 0, 9]
    assert raw.train.open(1).mode == "RGB"
    assert raw.test.name(1) == f"{NAME}, test image 1"
    assert hub.images(NAME, "main", str(local)) is raw


def test_cub_from_the_hub_has_readable_names(local):
    raw = cub200(str(local), origin="hub", repository=NAME)
    assert raw.classes == ("Great Auk", "Dodo")
    assert raw.train.labels.tolist() == [0, 1, 1]


def test_rows_come_as_they_are(local):
    rows = hub.rows(NAME, None, "test", local)
    assert rows.column_names == ["image", "label", "size"]
    assert list(rows["label"]) == [1, 0]


@pytest.mark.parametrize("layout", ["train.parquet", "default/train/0000.parquet", "sst2/train-0-abc.parquet"])
def test_a_split_is_found_by_its_name(tmp_path, layout):
    file = tmp_path / NAME / layout
    write(file.parent, **{file.stem: table([1, 0, 1])})
    assert list(hub.rows(NAME, "main", "train", tmp_path)["label"]) == [1, 0, 1]


def cached(cache, commit="1234567890123456789012345678901234567890"):
    """The library's cache after a download of main."""
    repository = cache / f"datasets--{NAME.replace('/', '--')}"
    write(repository / "snapshots" / commit / "data", train=table([1, 1, 0]))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    return commit


def test_the_librarys_cache_is_read(caches, tmp_path):
    commit = cached(caches)
    for revision in (None, "main", commit):
        assert list(hub.rows(NAME, revision, "train", tmp_path / "root")["label"]) == [1, 1, 0]
    with pytest.raises(BadInput, match=f"^{NAME} was not found: Parquet files of its split train are expected in "):
        hub.rows(NAME, "other", "train", tmp_path / "root")


def test_the_folder_comes_before_the_cache(local, caches):
    cached(caches)
    assert list(hub.rows(NAME, None, "train", local)["label"]) == [0, 1, 1]


def test_what_is_missing_is_named_with_the_command_that_gets_it(tmp_path, caches):
    with pytest.raises(BadInput) as refused:
        hub.rows(NAME, "v1", "train", tmp_path)
    assert str(refused.value) == (
        f"{NAME} was not found: Parquet files of its split train are expected in {tmp_path}/{NAME} or in the library's "
        f"cache {caches}; get it with data.download=true, or with: "
        f"hf download --repo-type dataset {NAME} --revision v1 --local-dir {tmp_path}/{NAME}"
    )


def test_a_split_that_is_not_there_is_missing(local):
    with pytest.raises(
        BadInput, match=f"^{NAME} was not found: Parquet files of its split validation are expected in "
    ):
        hub.rows(NAME, "main", "validation", local)


def test_half_of_a_split_is_refused(local):
    (local / NAME / "data" / "train-00001-of-00002.parquet").unlink()
    with pytest.raises(BadInput, match=f"^{NAME} is incomplete: file 1 of 2 of split train is missing; get it with"):
        hub.rows(NAME, "main", "train", local)


def test_a_damaged_file_is_refused_in_one_line(local):
    file = local / NAME / "data" / "test-00000-of-00001.parquet"
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(BadInput) as refused:
        hub.rows(NAME, "main", "test", local)
    assert str(refused.value).startswith(f"{file.parent}: split test can't be read (")
    assert "\n" not in str(refused.value)


def test_without_network_a_download_is_refused_at_once(tmp_path):
    with pytest.raises(BadInput) as refused:
        hub.rows(NAME, None, "train", tmp_path, download=True)
    line = (
        f"{constants.ENDPOINT} can't be reached (no network): try again later, or put {NAME} in {tmp_path}/{NAME} by "
    )
    assert str(refused.value) == f"{line}hand"
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("arrow", "cache")] == []


def test_what_is_there_is_not_downloaded_again(local, monkeypatch):
    monkeypatch.setattr(hub, "snapshot_download", lambda *_, **__: pytest.fail("downloads"))
    assert len(hub.rows(NAME, "main", "train", local, download=True)) == 3


def test_a_download_gets_the_split_and_nothing_else(local, tmp_path, monkeypatch):
    asked = []

    def download(repository, repo_type, revision, local_dir=None, allow_patterns=None, local_files_only=False):
        if local_files_only:
            raise FileNotFoundError
        asked.append((repository, repo_type, revision, allow_patterns))
        shutil.copytree(local / NAME, local_dir)

    monkeypatch.setattr(hub, "reachable", lambda url: True)
    monkeypatch.setattr(hub, "snapshot_download", download)
    assert len(hub.rows(NAME, "v1", "train", tmp_path / "root", download=True)) == 3
    assert [call[:3] for call in asked] == [(NAME, "dataset", "v1")]
    assert {"train-*.parquet", "*/train-*.parquet"} <= set(asked[0][3])
    assert not any("test" in pattern for pattern in asked[0][3])


def test_a_download_that_fails_is_told_in_one_line(tmp_path, monkeypatch):
    def fails(*_, **options):
        raise OSError("401 Client Error\nrequest id 7")

    monkeypatch.setattr(hub, "reachable", lambda url: True)
    monkeypatch.setattr(hub, "snapshot_download", fails)
    with pytest.raises(BadInput) as refused:
        hub.rows(NAME, None, "train", tmp_path, download=True)
    line = f"{NAME} can't be downloaded (401 Client Error): try again, or put it in {tmp_path}/{NAME}"
    assert str(refused.value) == line


@pytest.mark.parametrize(("changed", "message"), [
    ({"image": "img"}, f"{NAME}: split train has no column img; columns found: image, label, size"),
    ({"label": "fine"}, f"{NAME}: split train has no column fine; columns found: image, label, size"),
    ({"label": "image"}, f"{NAME}, train: column image does not hold a class number, 0 or above, in every row"),
])  # fmt: skip
def test_columns_have_to_be_there(local, changed, message):
    with pytest.raises(BadInput) as refused:
        hub.images(NAME, "main", str(local), **changed)
    assert str(refused.value) == message


def test_labels_without_names_are_called_by_number(tmp_path):
    write(tmp_path / NAME, train=table([0, 2, 1], names=None), test=table([3], names=None))
    assert hub.images(NAME, None, str(tmp_path)).classes == ("0", "1", "2", "3")


def test_a_hidden_label_is_refused(tmp_path):
    write(tmp_path / NAME, train=table([0, 1], names=None), test=table([-1], names=None))
    with pytest.raises(BadInput, match=f"^{NAME}, test: column label does not hold a class number, 0 or above"):
        hub.images(NAME, None, str(tmp_path))


def test_a_missing_repository_is_known_within_seconds(tmp_path):
    """In a fresh process, with the real libraries and whatever network there is: without `download` it is not asked."""
    code = f"from data.hub import rows; rows({NAME!r}, 'main', 'train', {str(tmp_path)!r})"
    started = time.monotonic()
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env={"HF_HOME": str(tmp_path)}
    )
    assert time.monotonic() - started < 20
    assert f"conf.errors.BadInput: {NAME} was not found: " in result.stderr

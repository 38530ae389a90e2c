"""Which measures of an analysis are kept: those that are whole, and of the same analysis."""

from pathlib import Path

import pytest
from damage import flip

from analysis.kept import Kept


def add(kept: Kept, name: str, digest: str = "one", text: str = "some text of twenty bytes") -> None:
    files = [kept.folder / "tables" / f"{name}.csv", kept.folder / "figures" / f"{name}.png"]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text} of {name}")
    kept.add(name, digest, files, caption=f"about {name}", claims=[])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    kept = Kept(tmp_path, "analysis")
    for name in ("ratio", "noise"):
        add(kept, name)
    (tmp_path / "notes.txt").write_text("the user's")
    return tmp_path


def test_a_measure_is_kept_with_its_files(folder):
    kept = Kept(folder, "analysis")
    assert list(kept.measures) == ["ratio", "noise"], "in the order in which they were computed"
    assert kept.has("ratio", "one")
    assert not kept.has("ratio", "two"), "other code"
    assert not kept.has("jaccard", "one")
    assert kept.file("tables", "noise") == folder / "tables" / "noise.csv"
    assert kept.measures["noise"]["caption"] == "about noise"


@pytest.mark.parametrize("damage", ["gone", "flipped"])
def test_a_measure_with_a_file_that_has_changed_is_not_kept_nor_what_is_left_of_it(folder, damage):
    file = folder / "tables" / "ratio.csv"
    file.unlink() if damage == "gone" else flip(file, 3)
    kept = Kept(folder, "analysis")
    assert list(kept.measures) == ["noise"]
    assert {path.stem for path in folder.rglob("*.*") if path.parent != folder} == {"noise"}


@pytest.mark.parametrize("reason", ["another analysis", "no record"])
def test_what_is_of_another_analysis_is_removed_and_what_is_the_users_stays(folder, reason):
    if reason == "no record":
        (folder / "measures.json").unlink()
    kept = Kept(folder, "other" if reason == "another analysis" else "analysis")
    assert (kept.measures, kept.gallery) == ({}, None)
    assert not list(folder.glob("tables/*")) + list(folder.glob("figures/*"))
    assert (folder / "notes.txt").exists()


def test_a_measure_that_is_computed_again_takes_the_place_of_the_old_one(folder):
    kept = Kept(folder, "analysis")
    (folder / "tables" / "ratio.csv").write_text("new")
    kept.add("ratio", "two", [folder / "tables" / "ratio.csv"], caption="new", claims=[])
    assert not (folder / "figures" / "ratio.png").exists(), "it has none any more"
    kept = Kept(folder, "analysis")
    assert list(kept.measures) == ["noise", "ratio"]
    assert kept.has("ratio", "two")
    assert kept.file("figures", "ratio") is None


def test_the_gallery_is_kept(folder):
    kept, picture = Kept(folder, "analysis"), folder / "gallery" / "sample_00001.png"
    picture.parent.mkdir()
    for file in (picture, picture.with_suffix(".svg")):
        file.write_text("a picture")
    (samples := folder / "gallery" / "samples.json").write_text("{}")
    kept.add_gallery([("a title", picture)], samples)
    assert Kept(folder, "analysis").gallery["cards"] == [["a title", "gallery/sample_00001.png"]]
    assert "gallery/samples.json" in Kept(folder, "analysis").gallery["files"]
    picture.unlink()
    assert Kept(folder, "analysis").gallery is None

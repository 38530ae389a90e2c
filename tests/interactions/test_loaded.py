"""What a notebook gets of a run's folder, wherever that was copied to, and what it is told of a damaged one."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from studies import ROOT, Finished, Studies

import interactions
from conf.errors import BadInput
from data.splits import task
from interactions.loaded import Run
from interactions.mobius import values
from interactions.variables.names import members, names_of
from interactions.variables.patches import draw_patches
from interactions.variables.seen import Seen, with_nothing_fetched
from stages import pack
from stages.reading import Damaged

PLACE = Path("digits", "seed=0")


@pytest.fixture(scope="module")
def run(finished: Finished) -> Run:
    return interactions.load(finished.output / PLACE)


@pytest.fixture
def copied(resumable: Studies) -> Path:
    """The folder of a run that may be changed."""
    return resumable.output / PLACE


def assert_refused(folder: Path, *words: str, kind: type = BadInput) -> None:
    with pytest.raises(kind) as stop:
        interactions.load(folder).values("finetune")
    assert all(word in str(stop.value) for word in words), stop.value
    assert "\n" not in str(stop.value)


def test_to_import_it_takes_no_time() -> None:
    code = "import sys, interactions; print(interactions.load.__doc__[:7], {'numpy', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["Returns", "set()"]


def test_models_epochs_and_samples(run: Run) -> None:
    assert run.models == ("pretrain", "finetune", "scratch")
    assert run.epochs == {"pretrain": [2], "finetune": [0, 1, 2], "scratch": [0, 1, 2]}
    assert (run.name, run.n, run.kind, run.split) == ("digits/seed=0", 3, "image", "test")
    about = json.loads((run.folder / "interactions" / "samples" / "samples.json").read_text())["samples"]
    for key in ("index", "label", "class"):
        assert run.samples[key].tolist() == [sample[key] for sample in about]
    assert "finetune (epoch 0 to 2)" in repr(run)
    assert str(run.folder) not in repr(run)


def test_values_and_interactions_are_those_of_the_store(run: Run) -> None:
    for model, stage in (("pretrain", "probe"), ("finetune", "finetune"), ("scratch", "scratch")):
        for epoch in run.epochs[model]:
            stored = np.load(run.folder / "interactions" / stage / f"epoch_{epoch:03d}" / "values.npy")
            np.testing.assert_array_equal(run.values(model, epoch), stored)
            np.testing.assert_allclose(values(run.interactions(model, epoch)), stored, atol=1e-12)
        np.testing.assert_array_equal(run.values(model), stored)  # of the last epoch


def test_the_strongest_interactions_have_the_names_of_their_variables(run: Run) -> None:
    found, strength, names = (
        run.strongest("scratch", 4, count=3, epoch=1),
        run.interactions("scratch", 1)[4],
        run.names(4),
    )
    assert found["interaction"].abs().is_monotonic_decreasing
    assert found["interaction"].abs().min() >= np.sort(abs(strength))[-3]
    for subset, order, variables, value in found.itertuples(index=False):
        kept = [name for bit, name in enumerate(names) if subset >> bit & 1]
        assert (", ".join(kept), len(kept), strength[subset]) == (variables, order, value)


@pytest.mark.parametrize(("size", "grid"), [((32, 32), 4), ((30, 47), 7), ((17, 23), 16), ((9, 9), 9)])
def test_a_patch_is_named_by_its_row_and_column(size: tuple[int, int], grid: int) -> None:
    n = min(grid * grid, 20)
    boxes = draw_patches(n, grid, 0, *size, seed=0, index=3)
    chosen = np.sort(np.random.default_rng([0, 3]).permutation(grid * grid)[:n])
    expected = [f"patch ({cell // grid + 1}, {cell % grid + 1})" for cell in chosen]
    assert names_of({"variables": boxes}, "image", size, grid) == expected


def test_a_picture_is_the_input_with_the_masked_patches_from_the_baseline(run: Run) -> None:
    splits = task(OmegaConf.load(run.folder / "config.yaml"), "target")
    mean = splits.picture(torch.from_numpy(run.baseline)) / 255
    for sample in range(3):
        about = run.about["samples"][sample]
        image = splits.picture(splits.test[about["index"]][0]) / 255
        np.testing.assert_array_equal(run.picture(sample), image)
        expected = image.copy()
        for top, left, height, width in (about["variables"][0], about["variables"][2]):
            place = slice(top, top + height), slice(left, left + width)
            expected[place] = mean[place]
        np.testing.assert_array_equal(run.picture(sample, keep=[1]), expected)
        np.testing.assert_array_equal(run.picture(sample, keep=np.int64(0b010)), expected)
        np.testing.assert_array_equal(run.picture(sample, keep=0b111), image)
        assert not np.array_equal(expected, image)


@pytest.mark.parametrize("background", ["keep", "mask"])
def test_a_sentence_is_shown_by_its_words(background: str) -> None:
    config = OmegaConf.create({"interactions": {"background": background}})
    sample = {"words": ["a", "not", "good", "film"], "variables": [{"position": 1}, {"position": 3}]}
    seen = Seen(config, {"kind": "text"}, np.zeros(()), Path("run"))
    others = ["a", "good"] if background == "keep" else ["[MASK]", "[MASK]"]
    assert seen.picture(sample, None) == sample["words"]
    assert seen.picture(sample, 0b10) == [others[0], "[MASK]", others[1], "film"]
    assert names_of({"variables": [{"word": "not"}, {"word": "film"}]}, "text", (), 4) == ["not", "film"]


def test_members_of_a_subset() -> None:
    assert [members(subset) for subset in (0, 1, 6, 13)] == [[], [0], [1, 2], [0, 2, 3]]


def test_tables_and_report(run: Run) -> None:
    assert set(run.tables) == {file.stem for file in (run.folder / "analysis" / "tables").glob("*.csv")}
    assert list(run.tables["ratio"].columns[:4]) == ["definition", "mean", "low", "high"]
    assert run.report.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda run: run.values("probe"), "model=probe is not in this run: pretrain, finetune, scratch are"),
        (lambda run: run.values("finetune", 7), "epoch=7 of finetune has no values: 0, 1, 2 have"),
        (lambda run: run.names(10), "sample=10 is not in this run: samples from 0 to 9 are"),
        (lambda run: run.picture(0, keep=[3]), "keep=[3] is not allowed: numbers of variables, 0 to 2, in a list"),
        (lambda run: run.picture(0, keep=8), "keep=8 is not allowed"),
    ],
)
def test_what_a_run_does_not_have_is_refused(run: Run, ask: object, said: str) -> None:
    with pytest.raises(BadInput) as stop:
        ask(run)
    assert str(stop.value).startswith(said)


def test_a_packed_run_has_all_of_it(finished: Finished, run: Run, tmp_path: Path) -> None:
    pack.pack(finished.output / PLACE, tmp_path / "pack")
    check_same(interactions.load(tmp_path / "pack" / PLACE), run)


def test_so_has_a_copy_whose_links_became_folders(copied: Path, run: Run, tmp_path: Path) -> None:
    shutil.copytree(copied, tmp_path / "alone")  # follows links
    shutil.rmtree(copied.parents[1])
    check_same(interactions.load(tmp_path / "alone"), run)


def check_same(found: Run, run: Run) -> None:
    assert found.epochs == run.epochs
    assert found.tables.keys() == run.tables.keys()
    np.testing.assert_array_equal(found.interactions("scratch", 1), run.interactions("scratch", 1))
    np.testing.assert_array_equal(found.picture(1, keep=[0]), run.picture(1, keep=[0]))
    assert found.report.exists()


def test_roles_that_are_not_compared_are_not_there(copied: Path) -> None:
    listed = json.loads((copied / "results.json").read_text())
    del listed["interactions/scratch"]
    (copied / "results.json").write_text(json.dumps(listed))
    assert interactions.load(copied).models == ("pretrain", "finetune")


def test_without_the_files_of_the_data_set_only_pictures_are_refused(copied: Path) -> None:
    config = OmegaConf.load(copied / "config.yaml")
    files = {"_target_": "data.folder.folder", "root": "nowhere", "path": "flowers"}
    config.data.target = {"_target_": "data.images.task", "files": files, "input": config.model.input, "crop": 1.0,
                          "augment": "none", "train_samples": None, "test_samples": None, "seed": 0}  # fmt: skip
    (copied / "config.yaml").write_text(OmegaConf.to_yaml(config))
    found = interactions.load(copied)
    assert found.interactions("finetune").shape == (10, 8)
    assert found.names(0)[0].startswith("patch")
    with pytest.raises(BadInput, match=r"can't be shown without the run's data set \(nowhere/flowers was not found"):
        found.picture(0)


def test_to_look_at_a_picture_downloads_nothing() -> None:
    options = {"files": {"download": True, "root": "datasets"}, "download": True, "crop": 1.0}
    expected = {"files": {"download": False, "root": "datasets"}, "download": False, "crop": 1.0}
    assert with_nothing_fetched(options) == expected


def test_pictures_of_another_data_set_are_refused(copied: Path) -> None:
    config = OmegaConf.load(copied / "config.yaml")
    config.data.target.seed = 5
    (copied / "config.yaml").write_text(OmegaConf.to_yaml(config))
    with pytest.raises(BadInput, match=r"another one lies here, whose test sample \d+ is not of class"):
        [interactions.load(copied).picture(sample) for sample in range(10)]


def test_a_folder_that_is_no_run(tmp_path: Path, copied: Path) -> None:
    assert_refused(tmp_path, "is no run's folder, there is no results.json")
    assert_refused(tmp_path / "missing", "is no run's folder")
    (copied / "results.json").write_text("{")
    assert_refused(copied, "results.json", "damaged")


def test_a_run_without_values(copied: Path) -> None:
    listed = json.loads((copied / "results.json").read_text())
    (copied / "results.json").write_text(json.dumps({"pretrain": listed["pretrain"]}))
    assert_refused(copied, "shows no interactions", "stages=interactions")


def test_damaged_and_missing_files_are_named(copied: Path) -> None:
    values = copied / "interactions" / "finetune" / "epoch_002" / "values.npy"
    content = bytearray(values.read_bytes())
    content[-1] ^= 1
    values.write_bytes(content)
    assert_refused(copied, "epoch_002/values.npy is damaged", "this repairs it: rm", kind=Damaged)
    values.unlink()
    assert_refused(copied, "epoch_002/values.npy was not found")
    shutil.rmtree((copied / "interactions" / "finetune").resolve())
    assert_refused(copied, "there are no values in", "finetune")
    shutil.rmtree((copied / "interactions" / "samples").resolve())
    assert_refused(copied, "samples.json was not found")
    (copied / "config.yaml").write_text("name: digits")
    assert_refused(copied, "config.yaml is damaged", kind=Damaged)
    (copied / "config.yaml").unlink()
    assert_refused(copied, "config.yaml was not found")


def test_tables_that_are_missing_are_named(copied: Path) -> None:
    (copied / "analysis" / "tables" / "ratio.csv").unlink()
    with pytest.raises(BadInput, match=r"tables/ratio.csv was not found"):
        _ = interactions.load(copied).tables
    shutil.rmtree(copied / "analysis")
    found = interactions.load(copied)
    for ask in (lambda: found.tables, lambda: found.report):
        with pytest.raises(BadInput, match=r"has no .* stages=analysis"):
            ask()

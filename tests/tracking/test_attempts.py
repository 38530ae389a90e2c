"""A result that goes on keeps its W&B run; one that is made again gets another. Read back with W&B's own reader."""

import json
import multiprocessing
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from stages import attempts
from tracking.about import About
from tracking.tracker import Tracker
from tracking.wandb_runs import opened

OPTIONS = OmegaConf.create({"wandb": {"mode": "offline", "project": "p", "entity": None, "system": False}})


@pytest.fixture
def about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> About:
    for name in ("DATA", "CACHE", "CONFIG"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / "scrap"))
    return About("0123456789ab", tmp_path / "result", tmp_path / "run", "digits", "finetune", "seed=0 finetune")


def tracked(about: About, use: Callable[[Tracker], None]) -> None:
    """Uses a tracker in a process of its own, as W&B's threads would be in the way of later tests that fork."""

    def child() -> None:
        with opened(OPTIONS, about) as tracker:
            use(tracker)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(timeout=120)
    assert process.exitcode == 0


def log(about: About, rows: int) -> None:
    def use(tracker: Tracker) -> None:
        track = tracker.rows()
        for epoch in range(rows):
            track({"epoch": epoch, "loss": 1.0 / (epoch + 1)})

    tracked(about, use)


def draw(about: About, name: str, digest: str, axis: str, **row: float) -> None:
    tracked(about, lambda tracker: tracker.series(name, digest, axis, [row]))


def folders(about: About) -> list[Path]:
    return sorted((about.place / "wandb").glob("offline-run-*"), key=lambda folder: folder.stat().st_mtime_ns)


def numbers(about: About) -> list[int]:
    """Of the attempts."""
    return [int(folder.name.split("-")[-2]) for folder in folders(about)]


def epochs(folder: Path) -> list[tuple[int, int]]:
    """(step, epoch) of each row."""
    return [(int(row["step"].get("num", 0)), row["item"]["epoch"]) for row in history(folder)]


def history(folder: Path) -> Iterator[dict]:
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(folder)]
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        if (record := json.loads(line))["type"] == "history":
            yield record["history"]


def test_what_was_not_uploaded_is_written_again_as_one(about: About) -> None:
    log(about, 2)
    log(about, 4)
    (folder,) = folders(about)
    assert re.search(r"-0123456789ab-1-[0-9a-f]{4}$", folder.name)
    assert epochs(folder) == [(0, 0), (1, 1), (2, 2), (3, 3)]


def test_what_was_uploaded_is_not_logged_again(about: About) -> None:
    """`wandb sync` leaves a mark beside the file, and appends the second folder to the run."""
    log(about, 2)
    (first,) = folders(about)
    next(first.glob("run-*.wandb")).with_suffix(".wandb.synced").touch()
    log(about, 3)
    log(about, 4)  # the second one, not uploaded, makes way for a whole one
    kept, second = folders(about)
    assert kept == first
    assert epochs(second) == [(2, 2), (3, 3)]
    next(second.glob("run-*.wandb")).with_suffix(".wandb.synced").touch()
    log(about, 4)  # nothing is new
    third = folders(about)[2]
    next(third.glob("run-*.wandb")).with_suffix(".wandb.synced").touch()
    log(about, 5)
    assert (epochs(third), epochs(folders(about)[3])) == ([], [(4, 4)])


def test_the_same_result_in_another_folder_has_a_run_of_its_own(about: About, tmp_path: Path) -> None:
    log(about, 1)
    log(replace(about, folder=tmp_path / "of_a_colleague"), 1)
    assert numbers(about) == [1, 1]
    assert len({folder.name.partition("ab-")[2] for folder in folders(about)}) == 2


def test_what_is_made_again_has_another_run(about: About) -> None:
    log(about, 1)
    attempts.end(about.folder)
    log(about, 1)
    assert numbers(about) == [1, 2]


def test_curves_are_logged_once(about: About) -> None:
    """Of an analysis that gets another measure after an upload, only the new curves are."""
    about = replace(about, parts={"jaccard": "a", "cka": "c", "ratio": "b"}, axis="")

    def two(tracker: Tracker) -> None:
        tracker.series("jaccard", "a", "epoch", [{"epoch": 0, "finetune": 0.5}])
        tracker.series("cka", "c", "epoch", [{"epoch": 0, "block1": 0.75}])

    tracked(about, two)
    (first,) = folders(about)
    next(first.glob("run-*.wandb")).with_suffix(".wandb.synced").touch()

    def all_three(tracker: Tracker) -> None:
        two(tracker)
        tracker.series("ratio", "b", "order", [{"order": 1, "x": 0.25, "y": float("nan")}])

    tracked(about, all_three)
    rows = [row["item"] for folder in folders(about) if folder != first for row in history(folder)]
    assert [{key: row[key] for key in row if not key.startswith("_")} for row in rows] == [{"order": 1, "x": 0.25}]


def test_a_measure_whose_code_has_changed_makes_another_attempt(about: About) -> None:
    draw(replace(about, parts={"jaccard": "a"}), "jaccard", "a", "epoch", epoch=0, finetune=0.5)
    draw(replace(about, parts={"jaccard": "c"}), "jaccard", "c", "epoch", epoch=0, finetune=0.6)
    assert numbers(about) == [1, 2]

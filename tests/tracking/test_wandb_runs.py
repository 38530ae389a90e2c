"""W&B mirrors every stage; offline, so that nothing needs an account. Read back with W&B's own command line."""

import csv
import json
import os
import re
import shutil
from pathlib import Path

import pytest
import wandb_read
from studies import Finished, Studies

TRAINED = ("pretrain", "probe", "finetune", "scratch")


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    output = tmp_path_factory.mktemp("tracked") / "outputs"
    result = Studies(output, output.parent / "scrap")("wandb.mode=offline")
    assert result.code == 0, result.err
    return Finished(output, result)


@pytest.fixture(scope="module")
def runs(tracked: Finished) -> dict[str, list[dict]]:
    """The records of each stage's run."""
    return {wandb_read.run_of(records)["job_type"]: records for records in wandb_read.read_back(tracked.output)}


def test_one_run_per_result(runs: dict[str, list[dict]], tracked: Finished) -> None:
    parts = ("samples", *TRAINED[1:])
    assert sorted(runs) == sorted([*TRAINED, *(f"interactions/{part}" for part in parts), "analysis"])
    assert len(wandb_read.folders(tracked.output)) == len(runs)
    assert {wandb_read.run_of(records)["run_group"] for records in runs.values()} == {"digits"}
    assert {records[-1]["exit"].get("exit_code", 0) for records in runs.values()} == {0}


def test_config_is_what_determines_the_stage(runs: dict[str, list[dict]]) -> None:
    config = {stage: wandb_read.run_of(records)["config"]["update"] for stage, records in runs.items()}
    assert config["finetune"]["finetune"]["batch_size"] == 8
    assert config["finetune"]["pretrain"]["epochs"] == 2
    assert "interactions" not in config["finetune"]
    assert config["analysis"]["interactions"]["n"] == 3
    assert config["analysis"]["analysis"]["permutations"] == 2


@pytest.mark.parametrize("stage", TRAINED)
def test_history_is_metrics_csv(runs: dict[str, list[dict]], tracked: Finished, stage: str) -> None:
    logged = {
        (row["epoch"], split): (row[f"{split}/loss"], row[f"{split}/accuracy"])
        for row in wandb_read.history(runs[stage])
        for split in ("train", "test")
        if f"{split}/loss" in row
    }
    lines = (tracked.output / "digits" / "seed=0" / stage / "metrics.csv").read_text().splitlines()[1:]
    rows = [line.split(",") for line in lines]
    assert logged == {(int(epoch), split): (float(loss), float(right)) for epoch, split, loss, right in rows}
    assert sorted(logged) == [(0, "test"), (1, "test"), (1, "train"), (2, "test"), (2, "train")]


@pytest.mark.parametrize("stage", TRAINED)
def test_checkpoints_are_references(runs: dict[str, list[dict]], tracked: Finished, stage: str) -> None:
    (artifact,) = wandb_read.artifacts(runs[stage], "checkpoints")
    contents = {entry["path"]: entry for entry in artifact["manifest"]["contents"]}
    assert sorted(contents) == [f"checkpoints/epoch_{epoch:03d}.pt" for epoch in range(3)]
    for name, entry in contents.items():
        assert entry["ref"].startswith("file://")
        assert entry["ref"].endswith(f"/{name}")
        assert entry["digest"]
        assert "local_path" not in entry


def test_weights_are_not_copied(tracked: Finished) -> None:
    places = [*tracked.output.rglob("wandb"), tracked.output.parent / "scrap" / "wandb"]
    kept = [file for place in places for file in place.rglob("*") if file.is_file()]
    assert kept
    sizes = {file.stat().st_size for file in tracked.output.rglob("epoch_*.pt")}
    assert [file for file in kept if file.suffix == ".ckpt" or file.stat().st_size in sizes] == []


def test_interactions_are_counted(runs: dict[str, list[dict]]) -> None:
    summary = {}
    for record in runs["interactions/finetune"]:
        summary |= record.get("summary", {}).get("update", {})
    assert summary["checkpoints"] == 3
    assert summary["masked_inputs"] == 3 * 10 * 2**3


def test_tables_and_figures_of_the_analysis(runs: dict[str, list[dict]], tracked: Finished) -> None:
    analysis = tracked.output / "digits" / "seed=0" / "analysis"
    logged = set().union(*wandb_read.history(runs["analysis"]))
    for table in (analysis / "tables").glob("*.csv"):
        assert any(key.startswith(f"tables/{table.stem}") for key in logged), table
    for figure in (analysis / "figures").glob("*.png"):
        assert any(key.startswith(f"figures/{figure.stem}") for key in logged), figure
    assert any(key.startswith("gallery") for key in logged)


def test_logged_table_is_the_table_on_disk(runs: dict[str, list[dict]], tracked: Finished) -> None:
    (logged,) = tracked.output.rglob("wandb/offline-run-*/files/media/table/tables/ratio_*.table.json")
    lines = (tracked.output / "digits" / "seed=0" / "analysis" / "tables" / "ratio.csv").read_text().splitlines()
    table = json.loads(logged.read_text())
    assert table["columns"] == lines[0].split(",")
    assert [row[0] for row in table["data"]] == [line.split(",")[0] for line in lines[1:]]


def test_versions_and_machine_are_there(runs: dict[str, list[dict]]) -> None:
    for records in runs.values():
        versions = wandb_read.run_of(records)["config"]["update"]["versions"]
        assert versions.keys() >= {"program", "commit", "machine", "threads", "torch"}


def test_names_say_what_varies_seed_and_stage(runs: dict[str, list[dict]]) -> None:
    about = {stage: wandb_read.run_of(records) for stage, records in runs.items()}
    assert {stage: run["display_name"] for stage, run in about.items()} == {stage: f"seed=0 {stage}" for stage in runs}
    assert {tuple(run["tags"]) for run in about.values()} == {
        ("tiny", "conv4_narrow", "digits", stage.partition("/")[0]) for stage in runs
    }
    assert all("experiment=tiny" in run["config"]["update"]["overrides"] for run in about.values())


def test_runs_are_joined_by_ids_and_digests(runs: dict[str, list[dict]]) -> None:
    """Offline, W&B can't be told what a run uses: its config says it."""
    about = {stage: wandb_read.run_of(records) for stage, records in runs.items()}
    for stage, of in (("finetune", "pretrain"), ("interactions/finetune", "finetune"), ("analysis", "finetune")):
        used = about[stage]["config"]["update"]["inputs"][of]
        assert used["run"] == about[of]["run_id"]
        assert re.fullmatch(rf"{used['digest']}-1-[0-9a-f]{{4}}", used["run"])


def test_numbers_of_the_analysis_have_intervals_and_references(runs: dict[str, list[dict]], tracked: Finished) -> None:
    summary = wandb_read.summary(runs["analysis"])
    rows = _rows(tracked.output / "digits" / "seed=0" / "analysis" / "tables" / "claims.csv")
    for row in rows:
        key = "preserved_share" if row["key"] == "preserved/share" else row["key"]
        for name, column in ((key, "mean"), (f"{key}/low", "low"), (f"{key}/task", "task")):
            if row[column]:
                assert summary[name] == pytest.approx(float(row[column]), rel=1e-12)
        assert summary.get(f"verdict/{key}", "") == row["verdict"]
    assert {"preserved_share", "preserved_share/task", "ratio/weighted", "jaccard/early", "accuracy/gain"} <= {*summary}


@pytest.mark.parametrize(
    ("measure", "axis", "keys"), [("jaccard", "epoch", ["model"]), ("decomposition", "order", ["quantity"])]
)
def test_curves_have_their_own_axis(
    runs: dict[str, list[dict]], tracked: Finished, measure: str, axis: str, keys: list[str]
) -> None:
    metrics = [record["metric"] for record in runs["analysis"] if record["type"] == "metric"]
    assert {"glob_name": f"{measure}/*", "step_metric": axis}.items() <= next(
        metric for metric in metrics if metric.get("glob_name") == f"{measure}/*"
    ).items()
    history = wandb_read.history(runs["analysis"])
    for row in _rows(tracked.output / "digits" / "seed=0" / "analysis" / "tables" / f"{measure}.csv"):
        name = "/".join([measure, *(row[key] for key in keys)])
        (logged,) = [each for each in history if name in each and each[axis] == float(row[axis])]
        assert logged[name] == pytest.approx(float(row["mean"]), rel=1e-12)
        if row["low"]:
            assert logged[f"{name}/low"] == pytest.approx(float(row["low"]), rel=1e-12)


def test_a_resumed_run_is_complete_by_itself(study: Studies, finished: Finished) -> None:
    """It takes the place of the one that was killed, and has every epoch."""
    options = ("wandb.mode=offline", "stages=[scratch]")
    (moment,) = (name for name in finished.result.replaced
                 if name.startswith("results/scratch/") and name.endswith("checkpoints/epoch_002.pt"))  # fmt: skip
    study(*options, kill_at=("before", moment))
    (killed,) = wandb_read.folders(study.output)
    assert study(*options, "run_dir=" + str(study.output / "elsewhere")).code == 0
    (records,) = wandb_read.read_back(study.output)
    assert killed.name.endswith("-" + wandb_read.run_of(records)["run_id"])
    assert [row["epoch"] for row in wandb_read.history(records)] == [0, 1, 2]
    assert any(record["type"] == "exit" for record in records)


def test_what_is_made_again_has_a_run_of_its_own(tracked: Finished, study: Studies) -> None:
    """But an analysis that lacks a part goes on."""
    shutil.copytree(tracked.output, study.output, symlinks=True)
    run, before = study.output / "digits" / "seed=0", wandb_read.ids(study.output)
    (run / "analysis" / "report.html").unlink()
    (run / "finetune" / "predictions.npy").unlink()
    result = study("wandb.mode=offline")
    assert result.code == 0, result.err
    (again,) = set(wandb_read.ids(study.output)) - set(before)
    digest = os.readlink(run / "finetune").rpartition("-")[2]
    assert re.fullmatch(rf"{digest}-2-[0-9a-f]{{4}}", again)
    assert sorted(wandb_read.ids(study.output)) == sorted([*before, again])


def test_a_failed_stage_is_marked(study: Studies) -> None:
    result = study("wandb.mode=offline", "stages=[scratch]", "scratch.lr=1e30", "scratch.optimizer=sgd")
    assert result.code == 2, result.err
    (records,) = wandb_read.read_back(study.output)
    assert next(record["exit"]["exit_code"] for record in records if record["type"] == "exit") == 1


def test_disabled_leaves_nothing(finished: Finished) -> None:
    assert list(finished.output.rglob("*wandb*")) == []


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as content:
        return list(csv.DictReader(content))

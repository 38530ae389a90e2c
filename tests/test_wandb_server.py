"""The stand-in for a W&B server takes what wandb itself sends: runs, further rows of a run, artifacts, offline
folders."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from wandb_server import WandbServer

WANDB = Path(sys.executable).with_name("wandb")
LOGGING = """
import wandb
def run(id, **more):  # new settings each time: wandb.init writes what it is given into them
    quiet = wandb.Settings(silent=True, console="off", x_disable_stats=True)
    return wandb.init(project="ours", id=id, settings=quiet, **more)
def log(run, epochs, **more):
    for epoch in epochs:
        run.log({"epoch": epoch, "loss": epoch / 8}, **more)

with run("online", resume="allow", group="digits", job_type="finetune", name="seed 0", tags=["tiny"],
         config={"finetune": {"epochs": 5}}) as first:
    log(first, (1, 2, 3))
    first.summary["preserved_share"] = 0.25
    weights = wandb.Artifact("weights", type="checkpoint", metadata={"epoch": 3})
    weights.add_reference("file://" + __file__, name="epoch_003.pt")
    first.log_artifact(weights, aliases=["final"])
with run("online", resume="allow") as second:
    assert (second.resumed, second.starting_step) == (True, 3)
    log(second, (4, 5))
with run("reads") as reads:
    assert reads.use_artifact("weights:final").type == "checkpoint"
for id, resume in (("continued", "allow"), ("again", None)):
    for part, epochs in (("first", (1, 2, 3)), ("second", (4, 5))):
        with run(id, resume=resume, mode="offline", dir=part) as offline:
            log(offline, epochs)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WandbServer]:
    """A server to which runs were logged, and two offline folders of each of two runs were synced."""
    folder = tmp_path_factory.mktemp("wandb")
    for part in ("first", "second"):
        (folder / part).mkdir()
    script = folder / "script.py"
    script.write_text(LOGGING)
    own = {f"WANDB_{name}DIR": str(folder) for name in ("", "DATA_", "CACHE_", "CONFIG_")}
    with WandbServer() as server:
        for command in ([sys.executable, script], [WANDB, "sync", "first/wandb", "second/wandb"]):
            done = subprocess.run(command, cwd=folder, env=os.environ | own | server.environment,
                                  capture_output=True, text=True, timeout=120)  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr
        yield server


def test_every_query_is_known(server: WandbServer) -> None:
    assert server.known.unknown == []


def test_a_run(server: WandbServer) -> None:
    run = server.known.runs["online"]
    assert (run.project, run.group, run.job_type, run.name, run.tags) == (
        "ours", "digits", "finetune", "seed 0", ["tiny"],
    )  # fmt: skip
    assert run.config == {"finetune": {"epochs": 5}}
    assert run.exit_code == 0


def test_further_rows_of_a_run(server: WandbServer) -> None:
    run = server.known.runs["online"]
    assert [(row["_step"], row["epoch"], row["loss"]) for row in run.history] == [
        (epoch - 1, epoch, epoch / 8) for epoch in (1, 2, 3, 4, 5)
    ]
    assert (run.summary["epoch"], run.summary["preserved_share"]) == (5, 0.25)


def test_an_artifact_and_who_reads_it(server: WandbServer) -> None:
    (weights,) = server.known.artifacts
    assert (weights.name, weights.type, weights.run, weights.state) == ("weights", "checkpoint", "online", "COMMITTED")
    assert weights.metadata == {"epoch": 3}
    assert server.known.artifact("weights:final") is server.known.artifact("weights:v0") is weights
    assert server.known.artifact("weights:v1") is None
    assert list(server.known.manifest("weights")) == ["epoch_003.pt"]
    assert server.known.runs["reads"].used == ["weights:v0"]


@pytest.mark.parametrize(("run", "steps"), [("continued", [0, 1, 2, 3, 4]), ("again", [0, 1, 2, 0, 1])])
def test_two_offline_folders_of_a_run(server: WandbServer, run: str, steps: list[int]) -> None:
    """Both parts arrive; but only with resume="allow" are the steps of the second put after those of the first."""
    history = server.known.runs[run].history
    assert [row["epoch"] for row in history] == [1, 2, 3, 4, 5]
    assert [row["_step"] for row in history] == steps

"""Online, a study's runs arrive at a server; where there is none the study goes on. The server is a stand-in."""

import os
import shutil
from pathlib import Path

import pytest
from studies import Finished, Studies
from wandb_server import WandbServer

ONLINE = ("wandb.mode=online", "wandb.system=false")
DASHED = ("preserved_share", "preserved_share/task", "ratio/weighted", "jaccard/early", "accuracy/gain")


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory, finished: Finished) -> WandbServer:
    """A study whose analysis and fine-tuning are made again, online: the rest was made without W&B."""
    output = tmp_path_factory.mktemp("online") / "outputs"
    shutil.copytree(finished.output, output, symlinks=True)
    shutil.rmtree(next((output / "results" / "finetune").iterdir()))
    shutil.rmtree(output / "digits" / "seed=0" / "analysis")
    with WandbServer() as server:
        result = Studies(output, output.parent / "scrap")(*ONLINE, **server.environment)
        assert result.code == 0, result.err
        said = [line for line in result.out.splitlines() if line.startswith("W&B")]
        assert all("still being uploaded" in line for line in said), said  # on a machine with much other work
        yield server


def test_each_result_that_was_made_has_a_run(logged: WandbServer) -> None:
    assert logged.known.unknown == []
    jobs = {run.job_type: run for run in logged.known.runs.values()}
    assert {"finetune", "analysis"} <= jobs.keys() <= {"finetune", "interactions/finetune", "analysis"}
    assert {run.group for run in jobs.values()} == {"digits"}
    assert [row["epoch"] for row in jobs["finetune"].history] == [0, 1, 2]
    assert jobs["analysis"].summary.keys() >= {*DASHED}


def test_the_study_goes_on_without_a_server(finished: Finished, study: Studies) -> None:
    """One line, and the runs are kept offline."""
    shutil.copytree(finished.output, study.output, symlinks=True)
    shutil.rmtree(study.output / "digits" / "seed=0" / "analysis")
    nowhere = {"WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "k" * 40}
    result = study(*ONLINE, **nowhere)
    assert result.code == 0, result.err
    (line,) = [line for line in result.out.splitlines() if line.startswith("W&B")]
    assert "127.0.0.1:9 can't be reached" in line
    assert "wandb sync" in line
    assert len(list(study.output.rglob("wandb/offline-run-*"))) == 1


def test_the_study_goes_on_without_a_place_for_it(finished: Finished, study: Studies) -> None:
    """Where W&B can't write, nothing is logged, and one line says so."""
    shutil.copytree(finished.output, study.output, symlinks=True)
    run = study.output / "digits" / "seed=0"
    shutil.rmtree(run / "analysis")
    (run / "wandb").write_text("a file where W&B wants a folder")
    result = study("wandb.mode=offline", TMPDIR=str(_file(study.scrap / "no_folder")))
    assert result.code == 0, result.err
    assert (run / "analysis" / "report.html").exists()


def _file(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    os.chmod(path, 0o400)
    return path

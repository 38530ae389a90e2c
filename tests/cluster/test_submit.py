"""A study on a real scheduler, by `python -m cluster.submit` and `python -m cluster.status`."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scheduler import Slurm, started
from studies import Finished, Studies

CONF = Path(__file__).resolve().parents[1] / "conf"
SMALL = [f"cluster.{stage}.{key}=1" for key in ("cpus", "memory") for stage in (
    "pretrain", "probe", "finetune", "scratch", "interactions", "representations", "join", "analysis")]  # fmt: skip
NODE = ("scontrol", "update", "nodename=ALL")
SHARDS = 3  # more than this scheduler's largest array


class Cluster:
    """cluster.submit(...), cluster.status(): what they print."""

    def __init__(self, slurm: Slurm, folder: Path) -> None:
        self.slurm, self.folder, self.output = slurm, folder, folder / "outputs"

    def submit(self, *words: str, code: int = 0) -> str:
        tiny = ["experiment=tiny", f"--config-dir={CONF}", "cluster=cpu", f"cluster.interactions.shards={SHARDS}"]
        done = self._python("cluster.submit", *tiny, *SMALL, *words, code=code)
        return done.stdout + done.stderr

    def status(self, *words: str, code: int = 0) -> str:
        return self._python("cluster.status", *words, code=code).stdout

    def _python(self, module: str, *words: str, code: int):
        return self.slurm(sys.executable, "-m", module, *words, cwd=self.folder, code=code)

    def jobs(self, said: str) -> dict[str, str]:
        """Returns what was submitted -> its job, such as {"finetune": "3"}, of what `submit` printed."""
        begin = re.compile(r"(\d+)(?:_\[0-\d\])?(?:,\S+)? +(\S.*?)(?:, \d shards)? of ")
        rows = map(begin.match, said.splitlines())
        return {row[2]: row[1] for row in rows if row}

    def log(self, job: str) -> str:
        return "".join(file.read_text() for file in self.output.glob(f"cluster/logs/*/{job}_0_log.out"))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with started(largest_array=SHARDS - 1) as slurm:
        yield Cluster(slurm, tmp_path_factory.mktemp("cluster"))


def test_a_study_with_shards_a_lost_one_and_a_failing_run(cluster: Cluster, finished: Finished) -> None:
    """Two fine-tunings of one pre-training, of which one fails; a shard of the other's interactions is cancelled."""
    slurm = cluster.slurm
    words = ["stages=[pretrain,finetune,interactions]", "interactions.roles=[finetune]", "finetune.lr=1e-3,1e25"]
    slurm(*NODE, "state=drain", "reason=test", cwd=cluster.folder)
    said = cluster.submit(*words)
    jobs = cluster.jobs(said)
    assert set(slurm.states().values()) == {"PENDING"}
    assert said.count(f"interactions/finetune, {SHARDS} shards") == 2  # of either learning rate
    assert "0 jobs submitted, 14 were queued before" in cluster.submit(*words)
    assert "0 done, 0 running, 14 queued, 0 failed" in cluster.status()
    every = slurm.states()
    [good] = [line for line in said.splitlines() if f"interactions/finetune, {SHARDS} shards" in line][:1]
    array = re.match(r"\d+", good)[0]
    slurm("scancel", f"{array}_1", cwd=cluster.folder)
    slurm(*NODE, "state=resume", cwd=cluster.folder)
    states = slurm.wait_for_all()
    assert len(every) <= len(states)
    shown = cluster.status()
    assert re.search(
        rf"failed +{array}_1 +interactions/finetune, shard 2 of {SHARDS} of .*: it never began: it was cancelled", shown
    )
    assert re.search(rf"join of {SHARDS} shards .*: shard 2 of {SHARDS} is missing: submit the study again", shown)
    assert re.search(r"failed +\d jobs could not begin, as what they need has failed", shown)
    assert re.search(r"failed +\d+ +finetune of .*finetune.lr=1e?[0-9+]+,.*: .+; log: ", shown)
    assert states[jobs["pretrain"]] == "COMPLETED"
    assert list(states.values()).count("FAILED") == 2  # the join and the fine-tuning; what needs these is cancelled

    again = cluster.submit(*words)
    assert re.search(rf"interactions/finetune, {SHARDS} shards of \S+, only 2 ", again)
    assert "pretrain" not in cluster.jobs(again)
    slurm.wait_for_all()
    mine = cluster.output / "digits" / "interactions.roles=finetune" / "seed=0" / "interactions" / "finetune"
    theirs = finished.output / "digits" / "seed=0" / "interactions" / "finetune"
    for epoch in range(3):
        ours = np.load(mine / f"epoch_{epoch:03d}" / "values.npy")
        np.testing.assert_array_equal(ours, np.load(theirs / f"epoch_{epoch:03d}" / "values.npy"))
    assert not list(mine.glob("**/*shard*"))
    third = cluster.jobs(cluster.submit(*words, "dry=true"))
    assert not {name for name in third if "interactions" in name} & {"interactions/samples", "pretrain"}


def test_a_job_that_is_interrupted_goes_on(cluster: Cluster, study: Studies) -> None:
    """USR2 is what Slurm sends before the time limit and before it gives the place to another job."""
    slurm = cluster.slurm
    words = ["stages=pretrain", "seeds.pretrain=3", "pretrain.epochs=12", "data.source.train_samples=512"]
    job = cluster.jobs(cluster.submit(*words))["pretrain"]
    slurm.wait(lambda: "epoch 2/12" in cluster.log(job))
    shown = cluster.status()
    assert re.search(rf"running +{job} +pretrain of \S+: epoch \d+/12, test accuracy \d\.\d+, \d:\d\d left", shown)
    slurm("scancel", "--signal=USR2", job, cwd=cluster.folder)
    slurm.wait(lambda: cluster.log(job).count("pretrain of ") == 2)
    slurm("scontrol", "requeue", job, cwd=cluster.folder)
    assert slurm.wait_for_all()[job] == "COMPLETED"
    said = cluster.log(job)
    assert "queued again, goes on where it was" in said
    assert "\r" not in said
    assert len(re.findall(r"digits\S+ pretrain: epoch 1/12", said)) == 1  # with the run's name
    assert study(*words).code == 0
    [ours], [theirs] = (list(place.glob("results/pretrain/conv4*seed=3*")) for place in (cluster.output, study.output))
    for name in ("metrics.csv", "losses.npy", "checkpoints/epoch_012.pt"):
        assert (ours / name).read_bytes() == (theirs / name).read_bytes()

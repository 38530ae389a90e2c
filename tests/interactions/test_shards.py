"""Shards of one store, in this process: joined they are the whole, byte by byte, whatever happens to one of them."""

import os
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from damage import flip
from omegaconf import OmegaConf

from conf.errors import BadInput
from interactions import fill, verify
from interactions.fill import decided, fill_share, left
from interactions.shards import Shards
from interactions.store import Samples, Store
from interactions.variables.patches import draw_patches, owner_map
from interactions.variables.sample_set import SampleSet
from interactions.variables.samples import Group
from models.backbone import Classifier
from models.vision import conv4
from stages.identity import Result
from stages.locks import locked
from stages.results import begin_share, finish, is_complete, start
from stages.shares import Share
from stages.table import STAGES

N, SAMPLES, EPOCHS, BLOCKS = 4, 7, 3, 4  # 4 blocks of 2 samples or 1: 12 units
STAGE = next(stage for stage in STAGES if stage.name == "interactions")


def network(seed: int) -> Classifier:
    torch.manual_seed(seed)
    model = Classifier(conv4(3, width=4)).train()
    model(torch.randn(16, 3, 32, 32))
    return model.eval()


STATES = {epoch: network(epoch).state_dict() for epoch in range(EPOCHS)}


class Job:
    """What runs share: the inputs of one role's values, and where they lie."""

    def __init__(self, folder: Path, **options: object) -> None:
        torch.manual_seed(0)
        owner = torch.stack([owner_map(draw_patches(N, 8, 1, 32, 32, 0, at), 32, 32) for at in range(SAMPLES)])
        group = Group(0, torch.randn(SAMPLES, 3, 32, 32), owner, torch.arange(SAMPLES) % 3)
        self.sample_set = SampleSet([group], torch.randn(3, 32, 32), N)
        self.source = Result("finetune", STAGE, folder / "source", "f", {}, {})
        self.result = Result("interactions/finetune", STAGE, folder / "values", "0", {}, {"finetune": self.source})
        self.samples = Samples(folder / "samples")
        about = [{"index": at, "label": 0, "class": "a", "variables": []} for at in range(SAMPLES)]
        self.samples.write({"split": "test", "n": N, "kind": "image", "samples": about})
        settings = {
            "precision": "float32",
            "batch_size": 2 * 2**N,
            "compile": False,
            "lean": "auto",
            "engine": "auto",
            "n": N,
        }
        given = {"processes": 1, "noise_masks": 4} | settings | options
        self.cfg = OmegaConf.create({"interactions": given, "seeds": {"samples": 0}})
        self.checkpoints = [self.checkpoint(epoch) for epoch in range(EPOCHS)]
        self.read: list[int] = []  # epochs whose weights were read
        self.train("weights")

    def checkpoint(self, epoch: int) -> SimpleNamespace:
        def read() -> list:
            self.read.append(epoch)
            return [STATES[epoch]]

        def load_into(model: Classifier, states: list) -> None:
            model.load_state_dict(states[0])

        return SimpleNamespace(stage="finetune", epoch=epoch, probed=False, last=epoch == EPOCHS - 1, parts=(),
                               read=read, load_into=load_into)  # fmt: skip

    def train(self, content: str) -> None:
        with locked(self.source.folder):
            (start(self.source) / "weights").write_text(content)
            finish(self.source)

    def shards(self, share: Share | None = None) -> Shards:
        return Shards(self.result, self.samples, share, "cpu")

    def shard(self, number: int, of: int) -> None:
        begin_share(self.result)
        shards = self.shards(Share("interactions.shard", number, of))
        fill_share(self.cfg, network(9), self.sample_set, shards, self.checkpoints)

    def join(self, of: int | None = None) -> dict[str, bytes]:
        """Joins `of` shards; None: makes the whole."""
        with locked(self.result.folder):
            store = Store(start(self.result), self.samples)
            shards = self.shards(of and Share("interactions.shard", None, of))
            engines = decided(network(9), self.sample_set, self.cfg.interactions, store, shards)
            engines.network.about()  # as it is printed before anything is evaluated
            wanted = left(store, shards, self.checkpoints, engines)
            fill.fill(self.cfg, store, self.checkpoints, engines, wanted)
            shards.clean(store)
            finish(self.result, last=EPOCHS - 1)
        return self.values()

    def values(self) -> dict[str, bytes]:
        files = sorted(file for file in self.result.folder.rglob("*") if file.is_file())
        return {str(file.relative_to(self.result.folder)): file.read_bytes() for file in files
                if file.name not in ("inputs.json", "config.yaml", "done.json")}  # fmt: skip

    def files(self) -> list[Path]:
        return sorted(self.result.folder.glob("shards/*/*.values"))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return Job(tmp_path_factory.mktemp("whole")).join()


@pytest.mark.parametrize("engine", ["dense", "local"])
@pytest.mark.parametrize("count", [1, 3, 20])
def test_joined_shards_are_the_whole(tmp_path: Path, engine: str, count: int) -> None:
    """20 are more than there are units, so some are empty."""
    expected = Job(tmp_path / "whole", engine=engine).join()
    job = Job(tmp_path, engine=engine)
    for number in range(1, count + 1):
        job.read.clear()
        job.shard(number, count)
        assert len(set(job.read)) <= EPOCHS // count + 1, "few checkpoints"
    assert len(job.files()) == min(count, EPOCHS * BLOCKS)
    job.read.clear()
    assert job.join(count) == expected
    assert set(job.read) <= {EPOCHS - 1}, "nothing but the noise is evaluated"
    assert is_complete(job.result)


def test_shards_of_other_counts_are_joined_and_nothing_is_made_twice(job: Job, whole: dict) -> None:
    job.shard(1, 3)
    before = {file: file.read_bytes() for file in job.files()}
    job.shard(1, 2)
    job.shard(1, 2)
    assert {file: file.read_bytes() for file in job.files() if file in before} == before
    assert sorted(unit for file in job.files() for unit in units_of(file)) == [(0, 0), (0, 2), (0, 4), (0, 6),
                                                                              (1, 0), (1, 2)]  # fmt: skip
    job.shard(2, 2)
    assert job.join(5) == whole


def units_of(file: Path) -> list[tuple[int, int]]:
    found = re.findall(rb'{"epoch": ([0-9]+), "first": ([0-9]+)', file.read_bytes())
    return [(int(epoch), int(first)) for epoch, first in found]


def test_missing_shards_are_named(job: Job) -> None:
    for number in (1, 2, 5):
        job.shard(number, 6)
    line = "interactions/finetune: shards 3, 4, 6 of 6 are missing (6 of 12 units): run interactions.shard=3/6 and "
    line += "4/6 and 6/6, then interactions.shard=join/6"
    with pytest.raises(BadInput, match=f"^{re.escape(line)}$"):
        job.join(6)
    job.shard(3, 6)
    job.shard(6, 6)
    with pytest.raises(BadInput, match=r"shard 4 of 6 is missing \(2 of 12 units\): run interactions.shard=4/6, then"):
        job.join(6)
    assert not is_complete(job.result)


def test_a_whole_run_takes_over_what_shards_have_made(job: Job, whole: dict) -> None:
    job.shard(2, 3)
    job.read.clear()
    assert job.join() == whole
    assert 1 not in job.read, "its values were there"
    assert not (job.result.folder / "shards").exists()


@pytest.mark.parametrize("cut", [1, 100, 200])
def test_a_torn_record_is_made_again_in_another_file(job: Job, whole: dict, cut: int) -> None:
    job.shard(1, 1)
    (file,) = job.files()
    os.truncate(file, file.stat().st_size - cut)
    with pytest.raises(BadInput, match=r"shard 1 of 1 is missing \(1 of 12 units\)"):
        job.join(1)
    job.shard(1, 1)
    assert [len(units_of(file)) for file in job.files()].count(1) == 1, "a file is never continued by another attempt"
    assert job.join(1) == whole


@pytest.mark.parametrize("place", [10, 700, -3])
def test_a_changed_byte_is_noticed(job: Job, whole: dict, place: int) -> None:
    """In the first line, among the first values, among the last."""
    job.shard(1, 1)
    flip(job.files()[0], place)
    with pytest.raises(BadInput, match="shard 1 of 1 is missing"):
        job.join(1)
    job.shard(1, 1)
    assert job.join(1) == whole


def test_two_attempts_at_once_do_not_disturb_each_other(job: Job, whole: dict) -> None:
    """A stopped one wakes up, while the one that was started in its place works; even after the join."""
    share = Share("interactions.shard", 1, 1)
    job.shard(1, 4)
    blocks, first, second = job.shards().blocks(), job.shards(share), job.shards(share)
    engines = decided(network(9), job.sample_set, job.cfg.interactions, Store(job.result.folder, job.samples))
    for epoch, states in STATES.items():
        engines.network.load(job.checkpoints[epoch], [states])
        for block in blocks:
            v = engines.network.block(block).numpy()
            first.write_part(epoch, block, v)
            second.write_part(epoch, block, v)
    assert len(job.files()) == 3
    assert job.join(1) == whole
    first.write_part(2, blocks[0], v[:2])
    assert job.values() == whole, "its file is open, but has been removed"


def test_a_shard_that_comes_too_late_leaves_nothing(job: Job, whole: dict) -> None:
    job.join()
    job.shard(2, 3)
    assert job.values() == whole


def test_values_of_other_weights_are_never_joined(job: Job, whole: dict) -> None:
    job.shard(1, 2)
    stale = job.shards(Share("interactions.shard", 2, 2))
    job.train("other weights")
    with pytest.raises(BadInput, match="has changed meanwhile: run the same command again"):
        stale.write_part(2, range(6, 7), np.zeros((1, 2**N)))
    with pytest.raises(BadInput, match="shards 1, 2 of 2 are missing"):
        job.join(2)
    job.shard(1, 2)
    job.shard(2, 2)
    assert job.join(2) == whole


def test_all_shards_compute_as_the_first_one(job: Job) -> None:
    job.cfg.interactions.engine = "dense"
    job.shard(1, 2)
    assert job.shards().choices()["network"]["engine"] == "dense"
    job.cfg.interactions.engine, job.cfg.interactions.batch_size = "auto", "auto"
    job.shard(2, 2)
    assert {unit[1] for unit in units_of(job.files()[1])} <= {0, 2, 4, 6}, "whatever the device suggests"
    job.cfg.interactions.engine = "local"
    with pytest.raises(BadInput, match=r"^interactions.engine=local is not allowed: .*engine.json says how all shards"):
        job.shard(1, 2)


@pytest.mark.parametrize("links", [True, False])
def test_of_shards_that_start_together_one_decides(job: Job, links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a disk without links, too."""
    if not links:
        monkeypatch.setattr(os, "link", _refused)
    first, second = job.shards(), job.shards()
    choices = {name: {"network": {"engine": name, "batch_size": 32, "compile": False, "why_dense": ""}}
               for name in ("dense", "local")}  # fmt: skip
    first.decide(choices["local"], [range(2)])
    second.decide(choices["dense"], [range(1)])
    assert first.choices() == second.choices() == choices["local"]
    assert second.blocks() == [range(2)]
    assert [file.name for file in first.folder.iterdir()] == ["engine.json"]


def _refused(*_: object) -> None:
    raise PermissionError


def test_values_computed_in_another_way_are_not_joined(job: Job, whole: dict) -> None:
    job.cfg.interactions.engine = "dense"
    job.shard(1, 1)
    (job.shards().folder / "engine.json").unlink()
    job.cfg.interactions.engine = "local"
    job.shard(1, 2)
    with pytest.raises(BadInput, match=r"shard 2 of 2 is missing \(6 of 12 units\)"):
        job.join(2)
    job.shard(2, 2)
    assert job.join(2) == whole


def test_wrong_values_of_a_checkpoint_are_withdrawn_with_those_of_other_shards(
    job: Job, whole: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: object) -> None:
        raise BadInput("which rounding does not explain")

    job.shard(1, 6)
    monkeypatch.setattr(verify.Verifier, "suspects", lambda self, v, first, checks, plain: checks[:1])
    monkeypatch.setattr(verify.Verifier, "judge", wrong)
    with pytest.raises(BadInput, match="rounding"):
        job.shard(2, 6)
    monkeypatch.undo()
    with pytest.raises(BadInput, match=r"shards 1 to 6 of 6 are missing \(12 of 12 units\)"):
        job.join(6)
    for number in range(1, 7):
        job.shard(number, 6)
    assert job.join(6) == whole


def test_a_run_that_begins_a_result_anew_spares_what_shards_write(job: Job) -> None:
    """It removes half-written files, and all that was made from other inputs."""
    job.shard(1, 2)
    being_written = job.shards().folder / ".engine.json.1-a.tmp"
    for file in (being_written, job.result.folder / ".values.npy.1-a.tmp"):
        file.touch()
    job.train("other weights")
    kept = job.files()
    with locked(job.result.folder):
        start(job.result)
    assert job.files() == kept
    assert being_written.exists()
    assert not (job.result.folder / ".values.npy.1-a.tmp").exists()

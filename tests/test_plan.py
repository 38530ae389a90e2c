"""plan=true and the disk: what a study will take is said before it begins."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from studies import STAGES, Studies, files

from conf.errors import BadInput
from stages.need import Need, check_disk, duration, gigabytes, table
from training.rates import Rates


def _rows(out: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.startswith((*STAGES, "together"))}


def test_a_plan_says_what_there_is_to_do_and_writes_nothing(study: Studies) -> None:
    result = study("plan=true", "interactions.batch_size=auto")
    assert result.code == 0, result.err
    rows = _rows(result.out)
    assert list(rows) == [*STAGES, "together"]
    assert {stage: " ".join(rows[stage][:4]) for stage in STAGES[:5]} == {
        "pretrain": "to do 372 128", "probe": "to do 60 0", "finetune": "to do 120 40", "scratch": "to do 120 40",
        "interactions": "to do 560 0",
    }  # fmt: skip
    assert rows["together"][:2] == ["1,232", "208"]
    assert result.out.splitlines()[-1] == f"in {study.output}/digits/seed=0; nothing was written"
    assert not study.output.exists()


def test_a_plan_of_made_up_data_writes_nothing_either(study: Studies) -> None:
    options = ("trainer.accelerator=cpu", "interactions.device=cpu", "model=resnet18")
    result = study.start("experiment=cub200_resnet50", "debug=tiny", *options, "plan=true", tiny=False).wait()
    assert result.code == 0, result.err
    assert _rows(result.out)["interactions"][:3] == ["to", "do", "160"]
    assert not study.output.exists()


def test_a_plan_knows_what_is_done(resumable: Studies) -> None:
    shutil.rmtree(resumable.output / "digits" / "seed=0" / "scratch")
    (resumable.output / "digits" / "seed=0" / "interactions" / "done.json").unlink()
    before = files(resumable.output)
    result = resumable("plan=true")
    assert result.code == 0, result.err
    states = {stage: row[0] for stage, row in _rows(result.out).items() if stage in STAGES}
    assert states == {"pretrain": "complete", "probe": "complete", "finetune": "complete", "scratch": "to",
                      "interactions": "begun", "analysis": "complete"}  # fmt: skip
    assert files(resumable.output) == before


def test_disk_that_is_not_there_is_refused_before_any_work(study: Studies) -> None:
    """Checkpoints of a hundred million epochs would not fit anywhere."""
    result = study("finetune.epochs=100000", "model.width=256")
    assert result.code == 2, result.err
    (line,) = (line for line in result.err.splitlines() if "this run needs" in line)
    assert "keep fewer checkpoints (checkpoints.epochs=[0,1,2,5,10,20]), or choose another output=..." in line
    assert not study.output.exists()


def test_what_is_there_already_needs_no_more_disk(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=3_000_000))
    with pytest.raises(BadInput, match=r"has 3\.0 MB free and this run needs 5\.0 MB"):
        check_disk(5_000_000, 0, tmp_path / "new")
    check_disk(5_000_000, 2_000_001, tmp_path / "new")
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"disk: 3.0 MB will be used in {tmp_path / 'new'}, 3.0 MB are free"
    )
    assert list(tmp_path.iterdir()) == []


def test_what_training_needs() -> None:
    options = SimpleNamespace(epochs=3, optimizer="adamw")
    need = Need.of_training(options, weights=1000, train=50, test=20, kept=4)
    assert need == Need(forward=80, trained=150, loaded=230, disk=10 * 1000 + 8 * 80)


def test_units() -> None:
    assert [gigabytes(count) for count in (2e6, 1.5e8, 3.26e10)] == ["2.0 MB", "0.1 GB", "32.6 GB"]
    assert [duration(seconds) for seconds in (3.4, 89, 600, 7200)] == ["3 s", "89 s", "10 min", "2.0 h"]


def test_a_table_adds_up() -> None:
    lines = table([("a", "to do", Need(1, 2, 3, 4_000_000), 30.0), ("b", "begun", Need(1000, 0, 0, 0), 60.0)])
    assert lines.splitlines()[-1].split() == ["together", "1,001", "2", "4.0", "MB", "2", "min"]


def test_fewer_forward_passes_take_less_time() -> None:
    rates = Rates(forward=0.5, trained=2.0, loaded=0.25)
    assert rates.seconds(Need(forward=100, trained=10, loaded=4)) == 71
    assert rates.seconds(Need(forward=100, trained=10, loaded=4, speedup=5)) == 31

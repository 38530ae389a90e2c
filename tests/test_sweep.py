"""Several runs: in one sweep, or at the same moment."""

import re
from pathlib import Path

import torch
from studies import Studies

QUICK = ("analysis.measures=[claims,ratio]", "analysis.gallery=0")


def test_sweep_over_seeds_and_models(study: Studies) -> None:
    result = study("-m", "seed=0,1", "model=conv4,vit_tiny", *QUICK)
    assert result.code == 0, result.err
    reports = sorted(study.output.rglob("report.html"))
    assert len(reports) == 4
    assert len(set(re.findall(r"^report: (.*)$", result.out, re.MULTILINE))) == 4
    ratios = {(report.parent / "tables" / "ratio.csv").read_bytes() for report in reports}
    assert len(ratios) == 4, "each run has a seed and a model of its own"
    again = study("-m", "seed=0,1", "model=conv4,vit_tiny", *QUICK)
    assert again.code == 0, again.err
    assert again.replaced == [], "a second sweep finds everything done"


def test_sweep_shares_pretraining(study: Studies) -> None:
    result = study("-m", "finetune.lr=1e-3,1e-2", "stages=[pretrain,finetune]")
    assert result.code == 0, result.err
    (pretrain,) = _pretrainings(study.output)
    assert result.replaced.count(str((pretrain / "done.json").relative_to(study.output))) == 1
    first, second = sorted(study.output.rglob("finetune/done.json"))
    assert not _same_weights(first.parent, second.parent, epoch=2)
    assert (first.parents[1] / "pretrain").resolve() == (second.parents[1] / "pretrain").resolve() == pretrain.resolve()


def test_sweep_over_options_of_the_analysis(study: Studies) -> None:
    result = study("-m", "analysis.tau=0.1,0.2", "analysis.measures=[claims,ratio]", "analysis.gallery=0")
    assert result.code == 0, result.err
    assert len(list(study.output.rglob("report.html"))) == 2
    assert len(list(study.output.rglob("scratch/done.json"))) == 1


def test_sweep_with_a_bad_value(study: Studies) -> None:
    result = study("-m", "finetune.lr=-1,1e-3", "stages=[pretrain]")
    assert result.code == 2
    assert "finetune.lr=-1" in result.err
    assert "Traceback" not in result.err


def test_two_runs_want_the_same_pretraining(study: Studies) -> None:
    options = ("pretrain.epochs=10", "stages=[pretrain,finetune]")
    running = [study.start(f"name={name}", *options) for name in ("one", "two")]
    results = [run.wait() for run in running]
    assert [result.code for result in results] == [0, 0], [result.err for result in results]
    assert sorted("pretrain: complete in" in result.out for result in results) == [False, True]
    replaced = [name for result in results for name in result.replaced]
    (pretrain,) = _pretrainings(study.output)
    assert replaced.count(str((pretrain / "checkpoints" / "epoch_010.pt").relative_to(study.output))) == 1
    assert sum("waiting: another run works in" in result.out for result in results) == 1
    first, second = (study.output / name / "seed=0" / "finetune" for name in ("one", "two"))
    assert _same_weights(first, second, epoch=2)


def test_the_same_run_twice_at_the_same_moment(study: Studies) -> None:
    running = [study.start("stages=[scratch]") for _ in range(2)]
    results = [run.wait() for run in running]
    assert [result.code for result in results] == [0, 0], [result.err for result in results]
    assert sorted(bool(result.replaced) for result in results) == [False, True]


def _pretrainings(output: Path) -> list[Path]:
    return [path for path in (output / "pretrain").iterdir() if path.is_dir()]


def _same_weights(first: Path, second: Path, epoch: int) -> bool:
    states = [
        torch.load(folder / "checkpoints" / f"epoch_{epoch:03d}.pt", weights_only=True) for folder in (first, second)
    ]
    return all(torch.equal(states[0][key], states[1][key]) for key in states[0])

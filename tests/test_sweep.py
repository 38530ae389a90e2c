"""Several runs share results: in one sweep, at the same moment, or one after the other."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import torch
from studies import ROOT, Finished, Studies, check_refused

from analysis.runs.benefit import quantities
from stages.locks import locked

QUICK = ("analysis.measures=[ratio]", "analysis.gallery=0")
TRAININGS = "stages=[pretrain,probe,finetune,scratch]"


def test_sweep_over_seeds_and_models(study: Studies) -> None:
    options = ("-m", "seed=0,1", "model=conv4_narrow,vit_tiny", *QUICK)
    result = study(*options)
    assert result.code == 0, result.err
    reports = sorted(study.output.rglob("analysis/report.html"))
    assert len(reports) == 4
    ends = re.findall(r"^\[(\d)/4\] seed=(\d) model=(\S+): done in 0:\d\d, (.*)$", result.out, re.MULTILINE)
    runs = [(seed, model) for seed in "01" for model in ("conv4_narrow", "vit_tiny")]
    assert [end[:3] for end in ends] == [(str(number), *run) for number, run in enumerate(runs, 1)]
    assert {Path(end[3]) for end in ends} == {report.parent.parent for report in reports}
    assert "\n4 done\n" in result.out
    assert "report: " not in result.out, "the claims of each run are in the summary"
    assert not list(study.output.rglob("multirun.yaml"))
    ratios = {(report.parent / "tables" / "ratio.csv").read_bytes() for report in reports}
    assert len(ratios) == 4, "each run has a seed and a model of its own"
    again = study(*options)
    assert again.code == 0, again.err
    assert again.replaced == [], "a second sweep finds everything done"
    assert f"\nsummary: {study.output / 'digits' / 'summary' / 'report.html'}\n" in again.out
    with (study.output / "digits" / "summary" / "tables" / "ratio.csv").open(newline="") as file:
        found = {(row["model"], row["runs"]) for row in csv.DictReader(file)}
    assert found == {("conv4_narrow", "2"), ("vit_tiny", "2")}, "seeds are no settings, and of models the name is one"


def test_a_sweep_over_the_learning_rate_trains_scratch_once(study: Studies) -> None:
    """Where its settings do not follow fine-tuning's."""
    result = study("-m", "finetune.lr=1e-3,1e-2", "scratch.lr=1e-3", "stages=[pretrain,finetune,scratch,interactions]",
                   "interactions.roles=[finetune,scratch]")  # fmt: skip
    assert result.code == 0, result.err
    made = [name for name in result.replaced if name.endswith("done.json")]
    counts = {stage: sum(name.startswith(f"results/{stage}/") for name in made) for stage in (
        "pretrain", "finetune", "scratch", "interactions/samples", "interactions/finetune", "interactions/scratch",
    )}  # fmt: skip
    assert list(counts.values()) == [1, 2, 1, 1, 2, 1]
    runs = {path.parent.parent.name for path in (study.output / "digits").rglob("results.json")}
    assert runs == {
        "interactions.roles=finetune+scratch",
        "finetune.lr=0.01,interactions.roles=finetune+scratch,scratch.lr=0.001",
    }
    first, second = sorted((study.output / "results" / "finetune").glob("*/done.json"))
    assert not _same_weights(first.parent, second.parent, epoch=2)
    (why,) = (line for line in result.out.splitlines() if line.startswith("finetune: to do; differs from"))
    assert re.search(r" in finetune\.lr: 0\.001 -> 0\.01$", why), why


def test_sweep_over_options_of_the_analysis(study: Studies) -> None:
    result = study("-m", "analysis.tau=0.1,0.2", *QUICK)
    assert result.code == 0, result.err
    assert len(list(study.output.rglob("analysis/report.html"))) == 2
    assert len(list((study.output / "results" / "scratch").glob("*/done.json"))) == 1


CRASH = """
import os
from lightning.pytorch.callbacks import Callback


class Crash(Callback):
    def __init__(self, bad):
        self.bad = bad

    def on_train_epoch_end(self, trainer, model):
        assert not (self.bad and "CRASH" in os.environ), "over\\nthere"
"""


def test_whatever_becomes_of_a_run_the_others_are_made(study: Studies) -> None:
    """A bug, two refusals and a good run; started again, it makes what is missing."""
    study.scrap.mkdir(parents=True)
    (study.scrap / "crash.py").write_text(CRASH)
    callbacks = ",".join(f"[{{_target_:crash.Crash,bad:{bad}}}]" for bad in ("true", "false"))
    options = ("-m", f"+trainer.callbacks={callbacks}", "stages=[pretrain]")
    result = study(*options, "seed=0,-1", PYTHONPATH=str(study.scrap), CRASH="1")
    assert result.code == 1, "not all failures are refusals"
    assert "Traceback" not in result.err
    assert "Error executing job" not in result.err
    (trained,) = (study.output / "results" / "pretrain").glob("*/done.json")
    first, *failed = result.out[result.out.index("\n1 done, ") + 1 :].splitlines()
    assert first == "1 done, 3 failed"
    bug, *refused = (re.fullmatch(r"  \[(\d)/4\] \+trainer\.callbacks=\S* seed=(\S+): (.*)", line) for line in failed)
    assert [line.groups() for line in refused] == [(number, "-1", refused[0][3]) for number in "24"]
    assert refused[0][3].startswith("seed=-1 is not allowed: ")
    assert bug.groups()[:2] == ("1", "0")
    why, _, file = bug[3].partition("; its traceback is in ")
    assert why == "AssertionError: over there (crash.py, line 11)"
    assert Path(file).read_text().endswith("AssertionError: over\nthere\n")
    said = [line for line in result.err.splitlines() if line.startswith("[")]
    assert said == [line.strip().replace(": ", ": failed: ", 1) for line in failed], "when it happens, too"
    again = study(*options, PYTHONPATH=str(study.scrap))
    assert again.code == 0, again.err
    assert f"pretrain: complete in {trained.parent}" in again.out
    assert sum(name.startswith("results/") and name.endswith("done.json") for name in again.replaced) == 1
    assert not Path(file).exists()


def test_a_sweep_of_refusals_is_refused(study: Studies) -> None:
    """Some of which Hydra finds, before the first run."""
    result = study("-m", "model=nonsense,conv4_narrow,5", "seed=-1")
    check_refused(result, "[1/3] model=nonsense: failed: model=nonsense is unknown; choose one of: ", "conv4_narrow")
    check_refused(result, "[2/3] model=conv4_narrow: failed: seed=-1 is not allowed")
    check_refused(result, "[3/3] model=5: failed: model=5 is not allowed")
    assert "\n0 done, 3 failed\n" in result.out
    assert not study.output.exists()


def test_the_folder_of_a_sweep_is_its_own_while_it_runs(study: Studies, tmp_path: Path) -> None:
    """Else two sweeps take each other's records for their own."""
    options, scrap = ("-m", "model=glob(conv4*)"), {"TMPDIR": str(tmp_path / "scrap")}
    (tmp_path / "scrap").mkdir()
    with locked(tmp_path / "sweep"):
        check_refused(study(*options, f"hydra.sweep.dir={tmp_path / 'sweep'}"), "hydra.sweep.dir=", "another sweep")
    result = study(*options, "plan=true", **scrap)
    assert result.code == 0, result.err
    assert result.out.endswith("\n2 planned\n"), "conv4 and conv4_narrow"
    assert not [path for path in (tmp_path / "scrap").iterdir() if "sweep" in path.name], "a plan leaves nothing"


def test_a_key_that_only_one_of_the_swept_models_has(study: Studies) -> None:
    options = ("-m", "model=conv4_narrow,vit_tiny", "plan=true")
    check_refused(study(*options, "model.patch_size=4"), "unknown key model.patch_size", "++model.patch_size=...")
    result = study(*options, "++model.patch_size=4")
    check_refused(result, "[1/2] model=conv4_narrow: failed: model.patch_size is not an argument of")
    assert "\n1 planned, 1 failed\n" in result.out


def test_an_experiment_may_be_a_sweep(resumable: Studies) -> None:
    options = ("experiment=tiny_seeds", "stages=[pretrain,finetune]")
    result = resumable(*options)
    assert result.code == 0, result.err
    runs = [line.rpartition(", ")[2] for line in result.out.splitlines() if ": done in " in line]
    assert runs == [str(resumable.output / "digits" / path) for path in ("seed=0", "seeds.train=1/seed=0")]
    assert result.out.endswith("\n2 done\n")
    assert resumable(*options).replaced == []
    axes = resumable(*options, "seeds.train=1", "plan=true")
    assert axes.code == 0, axes.err
    places = [line for line in axes.out.splitlines() if line.startswith(("[", "the run's folder: "))]
    assert places == ["[1/1]", f"the run's folder: {resumable.output}/digits/seeds.train=1/seed=0"]
    assert axes.out.endswith("\n1 planned\n")
    both = resumable("-m", "experiment=tiny,tiny_seeds", "stages=[pretrain]")
    check_refused(both, "[2/2] experiment=tiny_seeds: failed: ", "seeds.train=0,1", "a command of its own")
    alone = resumable("--cfg=job", "experiment=tiny_seeds")
    assert (alone.code, alone.out[:14]) == (0, "name: digits\ns")
    check_refused(resumable("-m", "--cfg=job"), "leave out -m")


def test_another_number_of_variables_trains_nothing(resumable: Studies) -> None:
    result = resumable("interactions.n=2", "analysis.gallery=0", "analysis.measures=[ratio]")
    assert result.code == 0, result.err
    made = {name.split("/")[1] for name in result.replaced if name.startswith("results/") and name.count("/") > 1}
    assert made == {"interactions"}
    assert any(
        line.startswith("interactions/samples: to do; differs from") and "interactions.n: 3 -> 2" in line
        for line in result.out.splitlines()
    )


def test_another_fine_tuning_evaluates_its_own_checkpoints_only(resumable: Studies) -> None:
    result = resumable("seeds.train=1", "scratch.lr=1e-3", "interactions.roles=[pretrain,finetune]",
                       "stages=[finetune,interactions]")  # fmt: skip
    assert result.code == 0, result.err
    values = {name.split("/")[2] for name in result.replaced if name.startswith("results/interactions/")}
    assert values == {"finetune"}
    assert "interactions/probe: complete in" in result.out


def test_more_checkpoints_are_a_reason_to_train_again_and_the_rest_is_evaluated(study: Studies) -> None:
    only = ("stages=[pretrain,finetune,interactions,analysis]", "interactions.roles=[finetune]", *QUICK)
    few = study("checkpoints.epochs=[2]", *only, "analysis.measures=[jaccard]", study.run_dir("few"))
    assert few.code == 0, few.err
    more = study(*only, "analysis.measures=[jaccard]", study.run_dir("more"))
    assert more.code == 0, more.err
    assert "finetune: to do; epochs 0, 1 were not kept" in more.out
    values = [name for name in more.replaced if name.endswith("values.npy")]
    assert sorted(Path(name).parent.name for name in values) == ["epoch_000", "epoch_001"]
    assert [_epochs(study.output / name) for name in ("few", "more")] == [["2"], ["0", "1", "2"]]
    again = study("checkpoints.epochs=[2]", *only, "analysis.measures=[jaccard]", study.run_dir("few"))
    assert again.replaced == []
    assert _epochs(study.output / "few") == ["2"]


def _epochs(run: Path) -> list[str]:
    with (run / "analysis" / "tables" / "jaccard.csv").open(newline="") as file:
        return [row["epoch"] for row in csv.DictReader(file)]


def test_the_same_once_more_under_another_word(resumable: Studies) -> None:
    result = resumable("repeat=once", "stages=[scratch]")
    assert result.code == 0, result.err
    first, again = sorted((resumable.output / "results" / "scratch").glob("*/done.json"))
    assert _same_weights(first.parent, again.parent, epoch=2), "on a CPU"
    assert (resumable.output / "digits" / "repeat=once" / "seed=0" / "scratch").is_symlink()


def test_probe_and_fine_tuning_start_from_any_epoch(resumable: Studies) -> None:
    result = resumable("start.epoch=0", "stages=[pretrain,probe,finetune]")
    assert result.code == 0, result.err
    assert "pretrain: complete in" in result.out
    pretrain = _only(resumable.output / "results" / "pretrain")
    run = resumable.output / "digits" / "start.epoch=0" / "seed=0"
    start, tuned = (
        torch.load(folder / "checkpoints" / "epoch_000.pt", weights_only=True)
        for folder in (pretrain, run / "finetune")
    )
    backbone = [key for key in start if key.startswith("backbone.")]
    assert backbone
    assert all(torch.equal(start[key], tuned[key]) for key in backbone)


def test_fine_tuning_takes_over_what_it_is_told_to(resumable: Studies) -> None:
    """With the head, and the order of the data, that it has otherwise; the probe is of all pre-trained weights."""
    result = resumable("start.transfer=1", "stages=[pretrain,probe,finetune]")
    assert result.code == 0, result.err
    assert "probe: complete in" in result.out
    name = Path("finetune", "checkpoints", "epoch_000.pt")
    every, first = (
        torch.load(resumable.output / "digits" / run / name, weights_only=True)
        for run in ("seed=0", "start.transfer=1/seed=0")
    )
    same = {key for key in every if torch.equal(every[key], first[key])}
    assert same == {key for key in every if key.startswith(("backbone.block1.", "head."))} != set(every)


def test_fine_tuning_keeps_the_head_if_it_is_told_to(resumable: Studies) -> None:
    target = ["data.target._target_=data.embedded.fixed_glyphs", "data.target.train_samples=62"]
    task = [*target, "data.target.test_samples=62", "stages=[pretrain,finetune]"]
    result = resumable("start.head=kept", *task, resumable.run_dir("kept"))
    assert result.code == 0, result.err
    assert "pretrain: complete in" in result.out
    run = resumable.output / "kept"
    last, first = (
        torch.load(run / stage / "checkpoints" / f"epoch_{epoch:03}.pt", weights_only=True)
        for stage, epoch in (("pretrain", 2), ("finetune", 0))
    )
    assert {"head.weight", "head.bias"} < last.keys() == first.keys()
    assert all(torch.equal(last[key], first[key]) for key in last)


def test_what_graded_starts_are_judged_by_is_among_the_claims_of_a_run(finished: Finished) -> None:
    claims = pd.read_csv(finished.output / "digits" / "seed=0" / "analysis" / "tables" / "claims.csv")
    found, means = quantities(claims), claims.set_index("key")["mean"]
    assert found == {"gain": means["accuracy/gain"], "excess": means["preserved/task"]}


def test_weights_of_several_epochs_are_a_series_to_start_from(resumable: Studies) -> None:
    """Trained elsewhere: a pattern, of which each run takes one file."""
    pretrain = _only(resumable.output / "results" / "pretrain")
    for epoch in (0, 1, 2):
        shutil.copy(pretrain / "checkpoints" / f"epoch_00{epoch}.pt", resumable.output / f"theirs_{epoch}.pt")
    weights = f"model.weights='{resumable.output}/theirs_*.pt'"
    result = resumable("-m", weights, "start.epoch=1,last", "stages=[pretrain,probe]")
    assert result.code == 0, result.err
    assert sum(name.startswith("results/probe/") and name.endswith("done.json") for name in result.replaced) == 2
    (taken,) = (resumable.output / "digits").glob("*start.epoch=1-*/*/pretrain/checkpoints/*.pt")
    ours, theirs = (torch.load(file, weights_only=True) for file in (pretrain / "checkpoints" / "epoch_001.pt", taken))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_a_result_that_was_deleted_is_made_again(resumable: Studies) -> None:
    scratch = _only(resumable.output / "results" / "scratch")
    before = {file.name: file.read_bytes() for file in (scratch / "checkpoints").iterdir()}
    shutil.rmtree(scratch)
    result = resumable()
    assert result.code == 0, result.err
    assert f"scratch: to do; {scratch} has been deleted" in result.out
    assert {file.name: file.read_bytes() for file in (scratch / "checkpoints").iterdir()} == before
    assert "interactions/scratch: complete in" in result.out, "the same weights, bit by bit"


def test_a_report_of_other_settings_is_made_again(resumable: Studies) -> None:
    """In a folder that the user has named."""
    options = (resumable.run_dir("mine"), *QUICK)
    assert resumable(*options).code == 0
    report = resumable.output / "mine" / "analysis" / "report.html"
    before = report.read_text()
    result = resumable(*options, "analysis.tau=0.2")
    assert result.code == 0, result.err
    assert "analysis: to do; it was made with other settings, or from other results" in result.out
    assert report.read_text() != before


def test_a_packed_run_is_complete_elsewhere(resumable: Studies, tmp_path: Path) -> None:
    run, pack = resumable.output / "digits" / "seed=0", tmp_path / "pack"
    command = [sys.executable, "-m", "stages.pack", str(run), str(pack)]
    packed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert packed.returncode == 0, packed.stderr
    shutil.rmtree(resumable.output)
    pack.rename(tmp_path / "moved")
    there = Studies(tmp_path / "moved", tmp_path / "there")
    result = there()
    assert result.code == 0, result.err
    assert not [name for name in result.replaced if name != "digits/seed=0/config.yaml"]


def test_two_parts_of_a_study_at_the_same_moment(study: Studies) -> None:
    """Locks are per result: training from scratch does not wait for pre-training."""
    running = [study.start(f"stages=[{stages}]", "pretrain.epochs=4") for stages in ("pretrain,probe", "scratch")]
    results = [run.wait() for run in running]
    assert [result.code for result in results] == [0, 0], [result.err for result in results]
    assert not any("waiting for" in result.out for result in results)
    (run,) = (study.output / "digits").rglob("results.json")
    assert set(json.loads(run.read_text())) == {"pretrain", "probe", "scratch"}


def test_two_runs_want_the_same_pretraining(study: Studies) -> None:
    options = ("pretrain.epochs=10", "stages=[pretrain,finetune]")
    running = [study.start(f"name={name}", *options) for name in ("one", "two")]
    results = [run.wait() for run in running]
    assert [result.code for result in results] == [0, 0], [result.err for result in results]
    assert sorted("pretrain: complete in" in result.out for result in results) == [False, True]
    replaced = [name for result in results for name in result.replaced]
    pretrain = _only(study.output / "results" / "pretrain")
    assert replaced.count(str((pretrain / "checkpoints" / "epoch_010.pt").relative_to(study.output))) == 1
    assert any("waiting for another run that works in" in result.out for result in results)
    assert len(list((study.output / "results" / "finetune").glob("*/done.json"))) == 1, "that is shared, too"


def test_another_run_is_waited_for_as_long_as_is_allowed(resumable: Studies) -> None:
    scratch = _only(resumable.output / "results" / "scratch")
    (scratch / "done.json").unlink()
    with locked(scratch):
        result = resumable("stages=[scratch]", "wait=0.001")
    who = f"another run that works in {scratch} (process {os.getpid()} on"
    check_refused(result, f"waited 0:00 for {who}", "wait=0.001")
    assert f"waiting for {who}" in result.out
    assert not (scratch / "done.json").exists()


def test_the_same_run_twice_at_the_same_moment(study: Studies) -> None:
    running = [study.start("stages=[scratch]") for _ in range(2)]
    results = [run.wait() for run in running]
    assert [result.code for result in results] == [0, 0], [result.err for result in results]
    trained = [any(name.endswith("epoch_002.pt") for name in result.replaced) for result in results]
    assert sorted(trained) == [False, True]


def _only(folder: Path) -> Path:
    (found,) = (path for path in folder.glob("[!.]*") if path.is_dir())
    return found


def _same_weights(first: Path, second: Path, epoch: int) -> bool:
    states = [
        torch.load(folder / "checkpoints" / f"epoch_{epoch:03d}.pt", weights_only=True) for folder in (first, second)
    ]
    return all(torch.equal(states[0][key], states[1][key]) for key in states[0])

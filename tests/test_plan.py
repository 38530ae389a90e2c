"""plan=true: what a study will take is said before it begins, wherever its files are, and nothing is written."""

import re
from pathlib import Path

import pytest
from studies import STAGES, Studies, check_refused, files, remove

# Studies of data and weights that are not on the machine of any test.
ALL = ("data.target.train_samples=null", "data.target.test_samples=null", "interactions.n=2", "interactions.samples=4")
BIRDS = ("data=cub200", "model=resnet18", "model.weights=torchvision:ResNet18_Weights.IMAGENET1K_V1",
         "model.input.size=32")  # fmt: skip
TEXTS = ("data=sst2", "model=bert", "+model.num_hidden_layers=1", "+model.hidden_size=24",
         "+model.num_attention_heads=2", "+model.intermediate_size=32")  # fmt: skip
NETWORK = {"HF_HUB_CACHE": "/nowhere", "TORCH_HOME": "/nowhere", "https_proxy": "http://127.0.0.1:9"}
TIME = re.compile(r"(\d+(\.\d)? to )?\d+(\.\d)? (s|min|h|days)$")


def rows(out: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.startswith((*STAGES, "together"))}


def states(out: str) -> dict[str, str]:
    return {stage: row[0] for stage, row in rows(out).items() if stage in STAGES}


def test_a_plan_says_what_there_is_to_do_and_where_and_writes_nothing(study: Studies, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    result = study("plan=true", "interactions.batch_size=auto", folder=tmp_path / "here")
    assert result.code == 0, result.err
    found = rows(result.out)
    assert list(found) == [*STAGES, "together"]
    assert {stage: " ".join(found[stage][:4]) for stage in STAGES[:5]} == {
        "pretrain": "to do 372 128", "probe": "to do 60 0", "finetune": "to do 120 40", "scratch": "to do 120 40",
        "interactions": "to do 560 0",
    }  # fmt: skip
    assert found["together"][:2] == ["1,232", "208"]
    lines = result.out.splitlines()
    assert re.fullmatch(r"on cpu \(.+, 1 threads\)", lines[0])
    assert all(TIME.search(line) for line in lines[2:9])
    assert lines[-3].startswith("disk: 10.4 MB would be used in ")
    assert lines[-2:] == [f"the run's folder: {study.output}/digits/seed=0", "nothing was written"]
    assert not study.output.exists()
    assert list((tmp_path / "here").iterdir()) == []


@pytest.mark.parametrize(("options", "data", "weights", "probe"), [
    (BIRDS, r"cub200 can't be read here \(CUB-200-2011 was not found: .*\); assumed: 5,994 training and 5,794 test "
            "images, 200 classes",
     "torchvision:ResNet18_Weights.IMAGENET1K_V1 was not found on this machine, and will be downloaded, 47 MB",
     "11,788"),
    (TEXTS, r"sst2 can't be read here \(no file .*\); assumed: 67,349 training and 872 test sentences of 25 tokens, 2 "
            "classes",
     "transformers:google-bert/bert-base-uncased was not found on this machine, and will be downloaded", "68,221"),
])  # fmt: skip
def test_a_plan_needs_neither_data_nor_weights_nor_a_tokenizer_nor_network(
    study: Studies, options: tuple[str, ...], data: str, weights: str, probe: str
) -> None:
    result = study("plan=true", f"data.root={study.scrap}", *options, *ALL, **NETWORK)
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert re.fullmatch(f"data: {data}", lines[1])
    assert lines[2] == f"weights: {weights}"
    assert rows(result.out)["probe"][:3] == ["to", "do", probe]
    assert lines[-1] == "nothing was written"
    assert not study.output.exists()


def test_data_of_ones_own_that_are_not_there_are_refused_unless_their_size_is_given(study: Studies) -> None:
    options = ("plan=true", "data=folder", "data.target.files.path=/none", "data.source=glyphs", "model=conv4_narrow")
    options += ALL
    check_refused(study(*options), "/none")
    result = study(*options, "data.size={train: 30, test: 12, classes: 3}")
    assert result.code == 0, result.err
    assert rows(result.out)["finetune"][:4] == ["to", "do", "36", "60"]
    assert "assumed: 30 training and 12 test images, 3 classes" in result.out
    check_refused(study(*options, "data.size={train: 30}"), "data.size", "is not allowed")


def test_what_a_run_refuses_a_plan_refuses_as_well(study: Studies) -> None:
    check_refused(study("plan=true", "interactions.n=17"), "interactions.n=17 is more than the 16 cells")


def test_a_plan_of_made_up_data_writes_nothing_either(study: Studies) -> None:
    options = ("trainer.accelerator=cpu", "interactions.device=cpu", "model=resnet18")
    result = study.start("experiment=cub200_resnet50", "debug=tiny", *options, "plan=true", tiny=False).wait()
    assert result.code == 0, result.err
    assert rows(result.out)["interactions"][:3] == ["to", "do", "160"]
    assert "data:" not in result.out, "they are made up, and so are there"
    assert not study.output.exists()


def test_a_sweep_of_plans_leaves_no_file_at_all(study: Studies, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    result = study("-m", "plan=true", "seed=0,1", folder=tmp_path / "here")
    assert result.code == 0, result.err
    folders = [line for line in result.out.splitlines() if line.startswith("the run's folder: ")]
    assert folders == [f"the run's folder: {study.output}/digits/seed={seed}" for seed in (0, 1)]
    assert not study.output.exists()
    assert list((tmp_path / "here").iterdir()) == []


def test_a_plan_says_why_something_is_to_do(resumable: Studies) -> None:
    result = resumable("plan=true", "scratch.lr=0.5", "stages=[scratch,analysis]")
    assert result.code == 2, "the values of other weights are not there"
    result = resumable("plan=true", "scratch.lr=0.5")
    assert result.code == 0, result.err
    (line,) = (line for line in result.out.splitlines() if line.startswith("scratch: to do; differs from"))
    assert line.endswith("scratch.lr: 0.001 -> 0.5")


def test_a_plan_knows_what_is_done_and_counts_the_rest_alone(resumable: Studies) -> None:
    run = resumable.output / "digits" / "seed=0"
    before = rows(resumable("plan=true", "repeat=again").out)
    values = (run / "interactions" / "finetune").resolve()
    (values / "done.json").unlink()
    (values / "epoch_001" / "meta.json").unlink()
    remove(run, "scratch")
    there = files(resumable.output)
    result = resumable("plan=true")
    assert result.code == 0, result.err
    assert states(result.out) == {"pretrain": "complete", "probe": "complete", "finetune": "complete",
                                  "scratch": "to", "interactions": "begun", "analysis": "complete"}  # fmt: skip
    found = rows(result.out)
    assert found["finetune"] == ["complete"]
    assert found["scratch"][:6] == before["scratch"][:6], "which is to be made as a whole"
    assert found["interactions"][:2] == ["begun", "80"], "one of seven checkpoints"
    assert files(resumable.output) == there


def test_a_plan_of_a_complete_study_says_so_at_once(resumable: Studies) -> None:
    result = resumable("plan=true")
    assert result.code == 0, result.err
    assert set(states(result.out).values()) == {"complete"}
    assert rows(result.out)["together"] == ["0", "0", "0.0", "MB", "0", "s"]
    assert result.out.splitlines()[-1] == "nothing was written"


def test_an_output_that_can_not_be_written_can_be_planned(study: Studies, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    where = f"output={tmp_path}/file/outputs"
    check_refused(study(where), "can't write to")
    result = study(where, "plan=true")
    assert result.code == 0, result.err
    assert result.out.splitlines()[-1] == "nothing was written"


def test_disk_that_is_not_there_is_refused_before_any_work(study: Studies) -> None:
    """Checkpoints of a hundred thousand epochs would not fit anywhere."""
    result = study("finetune.epochs=100000", "model.width=256")
    assert result.code == 2, result.err
    (line,) = result.err.splitlines()
    assert line.startswith(f"no space left on {study.output}: ")
    assert line.endswith("keep the checkpoints of fewer epochs (checkpoints.epochs, such as [0,1,2,5]), or choose "
                         "another output=...")  # fmt: skip
    assert not study.output.exists()

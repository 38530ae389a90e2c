"""Interactions of weights that somebody else trained, without any training stage."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from studies import Finished, Studies, check_refused, remove

ONLY = "stages=[interactions,analysis]"
ROLES = {"pretrain": "probe", "finetune": "finetune", "scratch": "scratch"}


@pytest.fixture(scope="module")
def elsewhere(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of the tiny study as another program would have left them: one network each, under its own names."""
    folder, run = tmp_path_factory.mktemp("elsewhere"), finished.output / "digits" / "seed=0"
    for stage in ("finetune", "scratch"):
        for epoch in (0, 1, 2):
            state = torch.load(run / stage / "checkpoints" / f"epoch_{epoch:03d}.pt", weights_only=True)
            state["projector"] = torch.ones(1)  # which the model does not take
            torch.save({"state_dict": _names_of_a_network(state)}, folder / f"{stage}-step{10 * epoch}.pt")
    backbone = torch.load(run / "pretrain" / "checkpoints" / "epoch_002.pt", weights_only=True)
    head = torch.load(run / "probe" / "checkpoints" / "epoch_002.pt", weights_only=True)
    probed = {key: tensor for key, tensor in backbone.items() if key.startswith("backbone.")}
    probed |= {f"head.{key}": tensor for key, tensor in head.items()}
    torch.save(_names_of_a_network(probed), folder / "probed.pt")
    return folder


def _names_of_a_network(state: dict) -> dict:
    """As conv4 names its weights, in the wrapper of parallel training."""
    return {f"module.{key.removeprefix('backbone.')}": tensor for key, tensor in state.items()}


def _given(elsewhere: Path) -> list[str]:
    files = {"pretrain": f"{elsewhere}/probed.pt", "finetune": f"'{elsewhere}/finetune-*.pt'"}
    files["scratch"] = "[" + ",".join(f"{elsewhere}/scratch-step{step}.pt" for step in (0, 10, 20)) + "]"
    return [f"interactions.checkpoints.{role}={value}" for role, value in files.items()]


def test_the_values_and_tables_are_those_of_the_same_weights_trained_here(
    study: Studies, finished: Finished, elsewhere: Path
) -> None:
    result = study(ONLY, *_given(elsewhere), study.run_dir("theirs"))
    assert result.code == 0, result.err
    assert [line.split(": ")[-1] for line in result.out.splitlines() if "does not take" in line] == [
        "state_dict.module.projector"
    ] * 2  # once for finetune, once for scratch
    ours, run = finished.output / "digits" / "seed=0", study.output / "theirs"
    visible = {path.name for path in run.iterdir() if path.suffix != ".lease"}
    assert visible == {"interactions", "analysis", "results.json", "config.yaml", "chosen.json"}
    assert {path.name for path in (study.output / "results").iterdir()} - {"fingerprints.json"} == {"interactions"}
    for stage, there, here in (("probe", 0, 2), ("finetune", 10, 1), ("scratch", 20, 2)):
        values = [np.load(base / "interactions" / stage / f"epoch_{epoch:03d}" / "values.npy")
                  for base, epoch in ((run, there), (ours, here))]  # fmt: skip
        np.testing.assert_array_equal(*values)
    for name in ("decomposition", "ratio"):
        assert (run / "analysis" / "tables" / f"{name}.csv").read_bytes() == (
            ours / "analysis" / "tables" / f"{name}.csv"
        ).read_bytes()
    assert "more accurate" not in (run / "analysis" / "tables" / "claims.csv").read_text()
    assert not (run / "analysis" / "tables" / "accuracy.csv").exists()
    assert (
        "3 checkpoints, epochs 0 to 20, not trained by this program" in (run / "analysis" / "report.html").read_text()
    )


def test_one_role_may_come_from_elsewhere(resumable: Studies, finished: Finished, elsewhere: Path) -> None:
    remove(resumable.output / "digits" / "seed=0", "interactions", "scratch")
    run = resumable.output / "mixed"
    result = resumable(ONLY, _given(elsewhere)[2], resumable.run_dir("mixed"))
    assert result.code == 0, result.err
    ours = finished.output / "digits" / "seed=0" / "interactions"
    for name in ("probe/epoch_002", "finetune/epoch_001"):
        there = run / "interactions" / name / "values.npy"
        np.testing.assert_array_equal(np.load(there), np.load(ours / name / "values.npy"))
    assert (run / "interactions" / "scratch" / "epoch_020" / "values.npy").exists()
    assert not (run / "scratch").exists()


def test_two_roles_are_enough(study: Studies, finished: Finished, elsewhere: Path) -> None:
    given, roles = _given(elsewhere)[:2], "interactions.roles=[pretrain,finetune]"
    check_refused(study(ONLY, *given), "interactions needs what scratch makes", f"leave out that model: {roles}")
    result = study(ONLY, *given, roles, study.run_dir("two"))
    assert result.code == 0, result.err
    ours, run = finished.output / "digits" / "seed=0" / "analysis", study.output / "two" / "analysis"
    assert {path.name for path in (run.parent / "interactions").iterdir()} == {"samples", "probe", "finetune"}
    tables = {path.stem: path.read_text() for path in (run / "tables").iterdir()}
    assert set(tables) == {"decomposition", "jaccard", "faithfulness", "noise", "claims"}
    here, whole = (list(csv.DictReader((folder / "tables" / "decomposition.csv").open())) for folder in (run, ours))
    assert not any("task" in name for name in here[0]), "it takes a model from scratch"
    assert here == [{name: row[name] for name in here[0]} for row in whole]
    assert not any("scratch" in text for text in tables.values())
    assert {path.stem for path in (run / "figures").iterdir()} == set(tables) - {"claims"}
    text = (run / "report.html").read_text()
    (line,) = (line for line in result.out.splitlines() if "left out" in line)
    assert line.startswith("analysis: left out: as there is no model trained from scratch: ratio, the claims on how")
    assert line.removeprefix("analysis: left out: ") in text
    assert "from scratch</dt>" not in text


def test_a_name_that_looks_like_a_pattern_is_a_name(study: Studies, elsewhere: Path) -> None:
    folder = elsewhere / "run[1]"
    shutil.copytree(elsewhere, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("run*"))
    given = [*_given(elsewhere)[:2], f"interactions.checkpoints.scratch='{folder}/scratch-step20.pt'"]
    result = study("stages=[interactions]", *given, study.run_dir("named"))
    assert result.code == 0, result.err
    assert (study.output / "named" / "interactions" / "scratch" / "epoch_020").is_dir()


@pytest.mark.parametrize(("change", "said"), [
    ("finetune={}/nothing-*.pt", "nothing-*.pt: there is no such file"),
    ("pretrain={}/finetune-*.pt", "names 3 files: give one, the pre-trained model with its probe"),
    ("scratch={}/of_100_classes.pt", "of_100_classes.pt has 100 classes and the task 10: check data=..."),
    ("scratch={}/of_another_model.pt", "of_another_model.pt belongs to another model"),
    ('scratch="{}/two.pt#momentum"', "two.pt contains no model momentum, but student, teacher; choose one"),
])  # fmt: skip
def test_files_that_do_not_fit_are_refused(study: Studies, elsewhere: Path, change: str, said: str) -> None:
    state = torch.load(elsewhere / "probed.pt", weights_only=True)
    of_100 = {key: torch.cat([tensor] * 10) if "head" in key else tensor for key, tensor in state.items()}
    torch.save(of_100, elsewhere / "of_100_classes.pt")
    student = torch.load(elsewhere / "scratch-step20.pt", weights_only=True)["state_dict"]
    torch.save({"student": student, "teacher": state}, elsewhere / "two.pt")
    torch.save({"weight": torch.ones(3)}, elsewhere / "of_another_model.pt")
    result = study(ONLY, *_given(elsewhere), "interactions.checkpoints." + change.format(elsewhere))
    assert result.code == 2, result.err
    assert any(said in line for line in result.err.splitlines()), result.err
    assert not study.output.exists()

"""Files that are damaged or not of this study are named, with what to do; nothing is lost."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from studies import Studies, check_refused, contents


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def _overwritten(file: Path) -> None:
    file.write_bytes(b"not a checkpoint at all")


def _emptied(file: Path) -> None:
    file.write_bytes(b"")


def _of_another_model(file: Path) -> None:
    state = torch.load(file, weights_only=True)
    torch.save({key: tensor.repeat_interleave(2, 0) if tensor.dim() else tensor for key, tensor in state.items()}, file)


def _with_nan(file: Path) -> None:
    state = torch.load(file, weights_only=True)
    state["head.bias"][0] = torch.nan
    torch.save(state, file)


DAMAGES = {_cut: "read", _overwritten: "read", _emptied: "read", _of_another_model: "another model", _with_nan: "NaN"}


@pytest.mark.parametrize(("damage", "said"), DAMAGES.items())
def test_damaged_checkpoint_in_the_store(resumable: Studies, damage: callable, said: str) -> None:
    run = resumable.output / "digits" / "seed=0"
    for stage in ("interactions", "analysis"):
        shutil.rmtree(run / stage)
    file = run / "finetune" / "checkpoints" / "epoch_001.pt"
    damage(file)
    before = contents(resumable.output)
    check_refused(resumable(), str(file), said)
    assert contents(resumable.output) == before


@pytest.mark.parametrize("stage", ["probe", "finetune"])
def test_damaged_pretraining(resumable: Studies, stage: str) -> None:
    run = resumable.output / "digits" / "seed=0"
    shutil.rmtree(run / stage)
    _cut(run / "pretrain" / "checkpoints" / "epoch_002.pt")
    before = contents(resumable.output)
    check_refused(resumable(f"stages=[{stage}]"), "epoch_002.pt", "read")
    assert contents(resumable.output) == before


@pytest.mark.parametrize("damage", [_cut, _overwritten, _emptied])
def test_damaged_checkpoint_to_go_on_from(study: Studies, damage: callable) -> None:
    study("stages=[scratch]", kill_at=("before", "digits/seed=0/scratch/checkpoints/epoch_002.pt"))
    last = study.output / "digits" / "seed=0" / "scratch" / "checkpoints" / "last.ckpt"
    damage(last)
    check_refused(study("stages=[scratch]"), str(last), "delete")


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("finetune/epoch_001/values.npy", _cut),
        ("finetune/epoch_001/values.npy", _emptied),
        ("scratch/epoch_002/noise.npz", _overwritten),
        ("samples.json", _cut),
        ("samples.json", _emptied),
    ],
)
def test_damaged_store(resumable: Studies, name: str, damage: callable) -> None:
    run = resumable.output / "digits" / "seed=0"
    shutil.rmtree(run / "analysis")
    damage(run / "interactions" / name)
    result = resumable("stages=[analysis]", "analysis.gallery=0")
    check_refused(result, str(run / "interactions" / name), "delete", "stages=[interactions")


@pytest.mark.parametrize("name", ["finetune/epoch_001/values.npy", "scratch/epoch_002/noise.npz", "samples.json"])
def test_store_with_a_gap(resumable: Studies, name: str) -> None:
    """Without the check, the analysis would take the epoch before for the last one."""
    run = resumable.output / "digits" / "seed=0"
    shutil.rmtree(run / "analysis")
    (run / "interactions" / name).unlink()
    check_refused(resumable("stages=[analysis]"), "analysis", str(run / "interactions"), "run stages=[interactions")


# Damage that leaves the stage marked as complete: what the message says must bring it back all the same.
def test_what_the_message_says_repairs_the_store(resumable: Studies) -> None:
    run = resumable.output / "digits" / "seed=0"
    wanted = (run / "analysis" / "tables" / "jaccard.csv").read_bytes()
    shutil.rmtree(run / "analysis")
    _cut(run / "interactions" / "finetune" / "epoch_001" / "values.npy")
    result = resumable("stages=[analysis]", "analysis.measures=[jaccard]", "analysis.gallery=0")
    check_refused(result, f"delete {run}/interactions/finetune/epoch_001 and run stages=[interactions")
    shutil.rmtree(run / "interactions" / "finetune" / "epoch_001")
    result = resumable("stages=[interactions,analysis]", "analysis.measures=[jaccard]", "analysis.gallery=0")
    assert result.code == 0, result.err
    assert (run / "analysis" / "tables" / "jaccard.csv").read_bytes() == wanted


def test_values_that_are_not_finite(resumable: Studies) -> None:
    run = resumable.output / "digits" / "seed=0"
    shutil.rmtree(run / "analysis")
    file = run / "interactions" / "probe" / "epoch_002" / "values.npy"
    np.save(file, np.full_like(np.load(file), np.nan))
    check_refused(resumable("stages=[analysis]"), str(file), "finite")


def test_damaged_settings(resumable: Studies) -> None:
    file = resumable.output / "digits" / "seed=0" / "finetune" / "config.yaml"
    file.write_text("{")
    check_refused(resumable(), str(file))

"""Files that are damaged or not of this study are named, with what to do; nothing is lost."""

import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from damage import flip
from studies import Finished, Studies, check_refused, contents, remove


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
    with file.open("wb") as open_file:  # without the name, which would be written into it
        torch.save(state, open_file)


CHANGED_SIZE = [_cut, _overwritten, _emptied, _of_another_model, Path.unlink]


@pytest.mark.parametrize("damage", CHANGED_SIZE)
def test_weights_that_have_gone_or_changed_are_made_again(resumable: Studies, damage: callable) -> None:
    """By the same command, and with them nothing else: they are the same, bit by bit."""
    run = resumable.output / "digits" / "seed=0"
    wanted, tables = _weights(run / "finetune"), _tables(run)
    damage(run / "finetune" / "checkpoints" / "epoch_001.pt")
    result = resumable()
    assert result.code == 0, result.err
    folder = (run / "finetune").resolve()
    assert f"finetune: to do; checkpoints/epoch_001.pt in {folder} is missing or changed" in result.out
    assert (_weights(run / "finetune"), _tables(run)) == (wanted, tables)
    made = {name.split("/")[1] for name in result.replaced if name.startswith("results/")}
    assert made == {"finetune"}


@pytest.mark.parametrize("name", ["values.npy", "noise.npz", "meta.json"])
def test_values_that_have_gone_are_computed_again_and_no_others(resumable: Studies, name: str) -> None:
    run = resumable.output / "digits" / "seed=0"
    file = run / "interactions" / "finetune" / "epoch_002" / name
    wanted, tables = np.load(file.with_name("values.npy")), _tables(run)
    file.unlink()
    result = resumable()
    assert result.code == 0, result.err
    np.testing.assert_array_equal(np.load(file.with_name("values.npy")), wanted)
    assert file.exists()
    assert _tables(run) == tables
    epochs = {Path(made).parent.name for made in result.replaced if made.endswith(("values.npy", "noise.npz"))}
    assert epochs == {"epoch_002"}


@pytest.mark.parametrize(
    "name", ["finetune/epoch_001/values.npy", "scratch/epoch_002/noise.npz", "samples/samples.json"]
)
@pytest.mark.parametrize("damage", [_cut, _emptied, Path.unlink])
def test_an_analysis_alone_does_not_take_a_store_with_a_gap(resumable: Studies, name: str, damage: callable) -> None:
    """Without the check, it would take the epoch before for the last one."""
    run = resumable.output / "digits" / "seed=0"
    shutil.rmtree(run / "analysis")
    damage(run / "interactions" / name)
    folder = (run / "interactions" / name.split("/")[0]).resolve()
    check_refused(resumable("stages=[analysis]"), "analysis", str(folder), "run stages=[interactions,analysis]")


@pytest.mark.parametrize("stage", ["probe", "finetune"])
def test_damaged_pretraining(resumable: Studies, stage: str) -> None:
    run = resumable.output / "digits" / "seed=0"
    remove(run, stage)
    _cut(run / "pretrain" / "checkpoints" / "epoch_002.pt")
    before = contents(resumable.output)
    check_refused(resumable(f"stages=[{stage}]"), "results/pretrain", "is not complete", f"stages=[pretrain,{stage}]")
    assert contents(resumable.output) == before


def test_a_checkpoint_to_go_on_from_that_is_damaged_is_not_gone_on_from(study: Studies, finished: Finished) -> None:
    (moment,) = (name for name in finished.result.replaced
                 if name.startswith("results/scratch/") and name.endswith("checkpoints/epoch_002.pt"))  # fmt: skip
    study("stages=[scratch]", kill_at=("before", moment))
    last = (study.output / moment).with_name("last.ckpt")
    for place in range(1000, last.stat().st_size, 1000):  # of some of them nothing depends: what fills up the archive
        flip(last, place)
    result = study("stages=[scratch]")
    assert result.code == 0, result.err
    assert f"{last} is damaged" in result.out
    run = "digits/seed=0/scratch"
    assert _weights(study.output / run) == _weights(finished.output / run)


# All that is read once interactions/finetune, the probe and the analysis are to be made again.
FLIPPED = (
    "pretrain/checkpoints/epoch_002.pt",
    "finetune/checkpoints/epoch_001.pt",
    "scratch/predictions.npy",
    "interactions/samples/samples.json",
    "interactions/probe/epoch_002/values.npy",
    "interactions/scratch/epoch_002/noise.npz",
)


def test_a_changed_bit_is_noticed_when_it_is_read_and_mended_by_the_command_that_is_said(resumable: Studies) -> None:
    """All at once: each command mends one, and meets the next."""
    run = resumable.output / "digits" / "seed=0"
    wanted, weights = _tables(run), _weights(run / "finetune")
    files = [(run / name).resolve() for name in FLIPPED]
    for file in files:
        flip(file, -20)
    remove(run, "probe", "analysis")
    shutil.rmtree((run / "interactions" / "finetune").resolve())
    assert sorted(_mended(resumable)) == sorted(files)
    claims = run / "analysis" / "verdicts.txt"
    flip(claims, -20)
    assert _mended(resumable) == [claims], "by the last line of a complete study"
    assert (_tables(run), _weights(run / "finetune")) == (wanted, weights)


def _mended(study: Studies) -> list[Path]:
    """The files that were said to be damaged, one after the other; what was said to mend each has been done."""
    found, result = [], study()
    while result.code and len(found) <= len(FLIPPED):
        check_refused(result, "is damaged", "this repairs it")
        (line,) = (line for line in result.err.splitlines() if "is damaged" in line)
        _, file, _, _, _, *arguments = shlex.split(
            line.partition("this repairs it: ")[2]
        )  # rm FILE && python run.py ...
        found.append(Path(file).resolve())
        Path(file).unlink()
        result = study(*arguments, tiny=False)
    assert result.code == 0, result.err
    return found


def test_settings_and_records_that_are_damaged_are_written_again_or_left(resumable: Studies) -> None:
    """They say what was done; results are known by their folders' names."""
    run = resumable.output / "digits" / "seed=0"
    for name in ("finetune/config.yaml", "results.json", "config.yaml", "chosen.json"):
        (run / name).write_text("{")
    (resumable.output / "results" / "fingerprints.json").write_text("{")
    result = resumable()
    assert result.code == 0, result.err
    assert not [name for name in result.replaced if not name.startswith("digits/seed=0/")]


def _weights(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (folder / "checkpoints").iterdir()}


def _tables(run: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (run / "analysis" / "tables").iterdir()}

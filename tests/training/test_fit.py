from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from damage import flip
from tiny_training import EPOCHS, Killed, killer, network, same, splits, training
from torch import nn

from checkpoints import disk
from conf.errors import BadInput
from stages.results import epochs_kept
from training import fit


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder of an uninterrupted training, and what was tracked."""
    folder, rows = tmp_path_factory.mktemp("finished"), []
    assert training(folder, rows.append) == EPOCHS
    return folder, rows


def test_every_epoch_is_kept_and_readable_without_running_code(finished):
    folder, _ = finished
    assert epochs_kept(folder) == [0, 1, 2, 3]
    states = [torch.load(disk.path(folder, epoch), weights_only=True) for epoch in range(4)]
    weights = [state["0.weight"] for state in states]
    assert not any(torch.equal(weights[epoch], weights[epoch + 1]) for epoch in range(3))
    torch.manual_seed(5)
    assert torch.equal(weights[0], nn.Linear(4, 16).weight)  # epoch 0 is before training
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoints", "losses.npy", "metrics.csv", "predictions.npy"]  # fmt: skip


def test_predictions_and_losses_are_those_of_the_kept_weights(finished):
    folder, _ = finished
    test = splits().test
    predictions, losses = np.load(folder / "predictions.npy"), np.load(folder / "losses.npy")
    assert predictions.shape == losses.shape == (4, 30)
    model = network().eval()
    for epoch in range(4):
        model.load_state_dict(disk.read(disk.path(folder, epoch)))
        with torch.no_grad():
            logits = model(test.inputs)
        np.testing.assert_array_equal(predictions[epoch], logits.argmax(1))
        expected = nn.functional.cross_entropy(logits, torch.as_tensor(test.labels), reduction="none")
        np.testing.assert_allclose(losses[epoch], expected, rtol=1e-5, atol=1e-6)


def test_metrics_are_the_means_of_the_outcomes_and_are_tracked(finished):
    folder, rows = finished
    table = pd.read_csv(folder / "metrics.csv").set_index(["split", "epoch"])
    right = np.load(folder / "predictions.npy") == splits().test.labels
    np.testing.assert_allclose(table.loc["test", "accuracy"], right.mean(1), rtol=1e-15)
    in_float64 = np.load(folder / "losses.npy").astype(np.float64).mean(1)
    np.testing.assert_allclose(table.loc["test", "loss"], in_float64, rtol=1e-15)
    assert table.loc["train"].index.tolist() == [1, 2, 3]
    assert table.loc[("test", 3), "loss"] < table.loc[("test", 0), "loss"]
    assert [row["epoch"] for row in rows] == [0, 1, 2, 3]
    assert rows[0].keys() == {"epoch", "test/loss", "test/accuracy"}
    for row in rows[1:]:
        assert row == {"epoch": row["epoch"]} | {
            f"{split}/{what}": table.loc[(split, row["epoch"]), what]
            for split in ("train", "test")
            for what in ("loss", "accuracy")
        }


@pytest.mark.parametrize("epoch", [1, 2])
def test_resuming_equals_no_interruption(finished, tmp_path, epoch):
    with pytest.raises(Killed):
        training(tmp_path, killer(epoch))
    assert epochs_kept(tmp_path) == list(range(epoch + 1))
    rows = []
    assert training(tmp_path, rows.append) == EPOCHS
    same(tmp_path, finished[0])
    assert rows == finished[1]  # those before the interruption are tracked again


def test_what_training_goes_on_from_is_readable_without_running_code(tmp_path):
    last, loaded = tmp_path / "checkpoints" / "last.ckpt", []

    def look(row):
        if row["epoch"] == 2:
            loaded.append(torch.load(last, weights_only=True))

    training(tmp_path, look)
    assert loaded[0].keys() >= {"state_dict", "optimizer_states", "lr_schedulers", "epoch"}
    assert not last.exists()


@pytest.mark.parametrize("left", [0, 12, -300])
def test_a_damaged_state_is_refused(tmp_path, left):
    with pytest.raises(Killed):
        training(tmp_path, killer(2))
    last = tmp_path / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:left])
    with pytest.raises(BadInput, match=r"last\.ckpt is damaged .*finetune can't continue from it.*rm "):
        training(tmp_path)


@pytest.mark.parametrize("name", ["metrics.csv", "predictions.npy", "losses.npy"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_bytes(b"x"), lambda file: flip(file, -3)])
def test_what_lies_beside_the_last_epoch_is_written_again(finished, tmp_path, monkeypatch, name, damage):
    """Of a training that was killed when its last epoch was kept, and goes on with nothing to do."""
    with monkeypatch.context() as killed:
        killed.setattr(fit, "_check_last_weights", raiser(Killed))
        with pytest.raises(Killed):
            training(tmp_path)
    damage(tmp_path / name)
    training(tmp_path)
    same(tmp_path, finished[0])


def raiser(error: type[Exception]) -> Callable:
    def fails(*_: object) -> None:
        raise error

    return fails


def test_only_the_wanted_epochs_are_kept(tmp_path):
    training(tmp_path, kept=[1, 3])
    assert epochs_kept(tmp_path) == [1, 3]
    assert len(np.load(tmp_path / "predictions.npy")) == EPOCHS + 1


@pytest.mark.parametrize(
    ("before", "now", "named"),
    [([3], [0, 1, 3], "epochs 0, 1 were"), ([0, 3], [1, 3], "epoch 1 was"), ([3], [0, 3], "epoch 0 was")],
)
def test_training_begins_anew_if_an_epoch_that_is_wanted_now_was_not_kept(
    finished, tmp_path, capsys, before, now, named
):
    with pytest.raises(Killed):
        training(tmp_path, killer(2), kept=before)
    with pytest.raises(Killed):  # and it goes on from its own beginning, not from what it had been before
        training(tmp_path, killer(0), kept=now)
    assert not (tmp_path / "checkpoints" / "last.ckpt").exists()
    training(tmp_path, kept=now)
    assert capsys.readouterr().out.splitlines() == [
        f"finetune: trained again from the beginning, since {named} not kept"
    ]
    assert epochs_kept(tmp_path) == sorted({*before, *now})  # what nobody asks for any more stays
    for epoch in epochs_kept(tmp_path):
        ours, wanted = (disk.path(folder, epoch).read_bytes() for folder in (tmp_path, finished[0]))
        assert ours == wanted
    assert (tmp_path / "metrics.csv").read_bytes() == (finished[0] / "metrics.csv").read_bytes()


def test_training_goes_on_if_all_that_is_wanted_is_there_or_still_to_come(tmp_path, capsys):
    with pytest.raises(Killed):
        training(tmp_path, killer(2), kept=[0, 3])
    training(tmp_path, kept=[0, 2, 3])
    assert capsys.readouterr().out == ""
    assert epochs_kept(tmp_path) == [0, 2, 3]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_training_that_diverges_is_refused_and_keeps_no_bad_epoch(tmp_path):
    with pytest.raises(BadInput, match=r"finetune: the loss is nan in epoch 1.*lower finetune\.lr"):
        training(tmp_path, optimizer="sgd", lr=1e38)
    assert epochs_kept(tmp_path) == [0]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_last_weights_that_are_no_numbers_are_refused_again_and_again(tmp_path):
    """One step, so that the loss, which is measured before it, is a number still."""
    options = {"trainer": {"limit_train_batches": 1}, "epochs": 1, "optimizer": "sgd", "lr": 3e38, "weight_decay": 100}
    for _ in range(2):
        with pytest.raises(BadInput, match=r"finetune: the weights after epoch 1 hold NaN or infinity .*finetune\.lr"):
            training(tmp_path, **options)


def test_half_precision_that_comes_to_nothing_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"finetune: "):
        training(tmp_path, trainer={"precision": "16-true"})


def test_a_training_of_nothing_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"^trainer\.limit_train_batches=0 is not allowed"):
        training(tmp_path, trainer={"limit_train_batches": 0})


def test_a_training_that_left_no_weights_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "write", lambda *_: None)
    with pytest.raises(BadInput, match=r"finetune: the training ended after 3 epochs and left no weights"):
        training(tmp_path)


def test_too_small_a_part_of_an_epoch_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"trainer: Lightning refuses these options: .*limit_train_batches"):
        training(tmp_path, trainer={"limit_train_batches": 0.01})


def test_options_that_lightning_does_not_know_are_refused(tmp_path):
    with pytest.raises(BadInput, match=r"trainer.acelerator=cpu: Lightning refuses these options"):
        training(tmp_path, trainer={"acelerator": "cpu"})


def test_last_weights_that_are_not_of_the_model_are_refused(tmp_path, monkeypatch):
    write = disk.write
    monkeypatch.setattr(disk, "write", lambda folder, epoch, state: write(folder, epoch, dict(list(state.items())[1:])))
    with pytest.raises(BadInput, match=r"epoch_003\.pt belongs to another model: 1 tensors differ"):
        training(tmp_path)


def test_a_state_that_lightning_left_in_a_job_of_slurm_is_not_taken_up(finished, tmp_path, monkeypatch):
    """Of earlier versions; Lightning looks for it wherever it believes to be in such a job."""
    monkeypatch.setenv("SLURM_NTASKS", "1")
    tmp_path.joinpath("hpc_ckpt_1.ckpt").write_bytes(b"of an epoch's middle")
    assert training(tmp_path) == EPOCHS
    same(tmp_path, finished[0])
    assert not list(tmp_path.glob("hpc_*"))

import numpy as np
import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from checkpoints import disk
from conf.errors import BadInput
from data.module import Batches
from data.splits import InMemory, Splits
from training.classifier import LightningClassifier
from training.fit import fit

EPOCHS = 3
OPTIONS = {"optimizer": "adamw", "lr": 0.01, "weight_decay": 0.01, "momentum": 0.9, "schedule": "cosine"}
TRAINER = {"accelerator": "cpu", "devices": 1}


def splits():
    draw = torch.Generator().manual_seed(0)
    centres = torch.randn(3, 4, generator=draw)
    sets = []
    for size in (48, 30):
        labels = np.arange(size) % 3
        sets.append(InMemory(centres[labels] + torch.randn(size, 4, generator=draw), labels))
    return Splits(*sets, classes=("a", "b", "c"))


def training(folder, track=lambda row: None, trainer=TRAINER, kept=range(EPOCHS + 1), **options):
    """Trains a small network with dropout and batch-norm; the same from whatever random state."""
    torch.manual_seed(5)
    model = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3))
    torch.seed()
    module = LightningClassifier(model, OmegaConf.create(OPTIONS | options), 30, seed=0, stage="finetune")
    data = Batches(splits(), 16, seed=0)
    fit(module, data, folder, EPOCHS, set(kept), OmegaConf.create(trainer), track)
    return module


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder of an uninterrupted training, and what was tracked."""
    folder, rows = tmp_path_factory.mktemp("finished"), []
    training(folder, rows.append)
    return folder, rows


def test_every_epoch_is_kept_and_readable_without_running_code(finished):
    folder, _ = finished
    assert disk.epochs(folder) == [0, 1, 2, 3]
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
    model = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3)).eval()
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
    np.testing.assert_allclose(table.loc["test", "accuracy"], right.mean(1))
    np.testing.assert_allclose(table.loc["test", "loss"], np.load(folder / "losses.npy").mean(1), rtol=1e-6)
    assert table.loc["train"].index.tolist() == [1, 2, 3]
    assert [row["epoch"] for row in rows] == [0, 1, 2, 3]
    assert rows[3]["train/loss"] == table.loc[("train", 3), "loss"]
    assert table.loc[("test", 3), "loss"] < table.loc[("test", 0), "loss"]


def same(one, other):
    for epoch in range(EPOCHS + 1):
        left, right = (disk.read(disk.path(folder, epoch)) for folder in (one, other))
        assert all(torch.equal(left[key], right[key]) for key in left), f"epoch {epoch}"
    for name in ("metrics.csv", "predictions.npy", "losses.npy"):
        assert (one / name).read_bytes() == (other / name).read_bytes()


class Killed(Exception):
    pass


@pytest.mark.parametrize("epoch", [1, 2])
def test_resuming_equals_no_interruption(finished, tmp_path, epoch):
    def killer(row):
        if row["epoch"] == epoch:
            raise Killed

    with pytest.raises(Killed):
        training(tmp_path, killer)
    assert disk.epochs(tmp_path) == list(range(epoch + 1))
    rows = []
    training(tmp_path, rows.append)
    same(tmp_path, finished[0])
    assert [row["epoch"] for row in rows] == [0, 1, 2, 3]  # those before the interruption are tracked again


def test_what_training_goes_on_from_is_readable_without_running_code(tmp_path):
    last, loaded = tmp_path / "checkpoints" / "last.ckpt", []

    def look(row):
        if row["epoch"] == 2:
            loaded.append(torch.load(last, weights_only=True))

    training(tmp_path, look)
    assert loaded[0].keys() >= {"state_dict", "optimizer_states", "lr_schedulers", "epoch"}
    assert not last.exists()


def test_a_damaged_state_is_refused(tmp_path):
    last = tmp_path / "checkpoints" / "last.ckpt"
    last.parent.mkdir()
    last.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(BadInput, match=r"last\.ckpt can't be read"):
        training(tmp_path)


def test_only_the_wanted_epochs_are_kept(tmp_path):
    training(tmp_path, kept=[1, 3])
    assert disk.epochs(tmp_path) == [1, 3]
    assert len(np.load(tmp_path / "predictions.npy")) == EPOCHS + 1


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_training_that_diverges_is_refused_and_keeps_no_bad_epoch(tmp_path):
    with pytest.raises(BadInput, match=r"finetune: the loss is nan in epoch 1.*lower finetune\.lr"):
        training(tmp_path, optimizer="sgd", lr=1e38)
    assert disk.epochs(tmp_path) == [0]


def test_options_that_lightning_does_not_know_are_refused(tmp_path):
    with pytest.raises(BadInput, match=r"trainer: Lightning refuses these options.*acelerator"):
        training(tmp_path, trainer=TRAINER | {"acelerator": "cpu"})

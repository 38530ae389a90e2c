"""Lightning's callbacks, and a user's own, in trainer.callbacks."""

import json
import os
import sys
from types import SimpleNamespace

import lightning
import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from omegaconf import OmegaConf
from studies import FORKS
from tiny_training import EPOCHS, TRAINER, Killed, in_two_processes, killer, same, training

from checkpoints import disk
from conf.errors import BadInput
from stages.results import epochs_kept
from training.trainer import make_trainer

LIGHTNING = "lightning.pytorch.callbacks"
OWN = "test_own_callbacks"


def described(name, **options):
    return {"_target_": f"{LIGHTNING}.{name}", **options}


def made(callbacks, **options):
    return make_trainer(OmegaConf.create(TRAINER | {"callbacks": callbacks} | options))


@pytest.fixture
def own(monkeypatch):
    """Descriptions of callbacks of one's own."""

    def descriptions(*classes):
        monkeypatch.setitem(sys.modules, OWN, SimpleNamespace(**{one.__name__: one for one in classes}))
        return [{"_target_": f"{OWN}.{one.__name__}"} for one in classes]

    return descriptions


def test_all_ways_to_describe_callbacks():
    stop = described("EarlyStopping", monitor="test/loss")
    rates = described("LearningRateMonitor")
    ways = (None, []), (stop, ["EarlyStopping"]), ([stop, rates], ["EarlyStopping", "LearningRateMonitor"])
    for given, names in (*ways, ({"rates": rates, "stop": stop}, ["LearningRateMonitor", "EarlyStopping"])):
        built = [type(one).__name__ for one in made(given).callbacks]
        assert [name for name in built if name != "ModelCheckpoint"] == names  # that one is Lightning's own here


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["EarlyStopping"], r"trainer\.callbacks: EarlyStopping does not describe a callback, as \{_target_: "),
        ("EarlyStopping", r"trainer\.callbacks=EarlyStopping is not allowed: a list such as \[\{_target_: "),
        (7, r"trainer\.callbacks=7 is not allowed: a list"),
        ([{"monitor": "test/loss"}], r"trainer\.callbacks: .*monitor.* does not describe a callback"),
        (described("Nonsense"), r"Nonsense can't be built: .*No module named"),
        (described("EarlyStopping"), r"EarlyStopping can't be built: .*missing .*'monitor'"),
        (described("EarlyStopping", monitor="test/loss", mode="up"), r"EarlyStopping can't be built: .*got up"),
        ({"_target_": "torch.nn.Identity"}, r"torch\.nn\.Identity is not a callback of the package lightning"),
        (described("EarlyStopping", monitor="val_loss"),
         r"EarlyStopping monitors val_loss, .*known: train/loss, train/accuracy, test/loss, test/accuracy"),
        (described("ModelCheckpoint", monitor="val_loss", dirpath="elsewhere"), r"ModelCheckpoint monitors val_loss"),
        (described("ModelCheckpoint"), r"ModelCheckpoint with dirpath=None is not allowed: checkpoints\.epochs says"),
        (described("TQDMProgressBar"), r"TQDMProgressBar is not allowed: this program shows its own progress bar"),
        (described("LearningRateFinder"), r"LearningRateFinder is not allowed: set finetune\.lr"),
        (described("EMAWeightAveraging"), r"EMAWeightAveraging is not allowed: it evaluates other weights"),
        ([described("EarlyStopping", monitor="test/loss")] * 2, r"Lightning refuses .*more than one stateful callback"),
    ],
)  # fmt: skip
def test_what_is_no_callback_or_does_not_go_with_us_is_refused_in_one_line(given, named):
    with pytest.raises(BadInput, match=named) as refusal:
        made(given)
    assert "\n" not in str(refusal.value)


class Seen(lightning.Callback):
    """What the metrics are when callbacks can first use them."""

    def __init__(self):
        self.after_test, self.after_training = [], []
        Seen.last = self

    def on_validation_end(self, trainer, module):
        if not trainer.sanity_checking:
            self.after_test.append({key: float(value) for key, value in trainer.callback_metrics.items()})

    def on_train_epoch_start(self, trainer, module):
        if trainer.current_epoch:
            self.after_training.append({key: float(value) for key, value in trainer.callback_metrics.items()})

    def on_train_end(self, trainer, module):
        self.on_train_epoch_start(trainer, module)


def test_callbacks_see_the_metrics_of_every_epoch(tmp_path, own):
    rows = []
    training(tmp_path, rows.append, trainer={"callbacks": own(Seen)})
    assert [set(row) for row in rows[1:]] == [{"epoch", *Seen.last.after_training[0]}] * EPOCHS
    for row, tested, trained in zip(rows[1:], Seen.last.after_test, Seen.last.after_training, strict=True):
        assert tested["test/loss"] == pytest.approx(row["test/loss"], rel=1e-7)
        assert tested["test/accuracy"] == pytest.approx(row["test/accuracy"], rel=1e-7)
        assert trained == pytest.approx({key: row[key] for key in row if key != "epoch"}, rel=1e-7)


def stopping(patience=2, **options):
    """Stops after `patience` + 1 epochs: nothing is 100 better than the first."""
    return {
        "callbacks": [described("EarlyStopping", monitor="test/loss", min_delta=100.0, patience=patience)]
    } | options


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A training of up to 5 epochs that was stopped after 3, and what was tracked."""
    folder, rows = tmp_path_factory.mktemp("stopped"), []
    assert training(folder, rows.append, trainer=stopping(), epochs=5) == 3
    return folder, rows


def test_a_training_that_is_stopped_early_ends_there(stopped, tmp_path):
    folder, rows = stopped
    assert epochs_kept(folder) == [0, 1, 2, 3]
    assert not (folder / "checkpoints" / "last.ckpt").exists()
    assert len(np.load(folder / "predictions.npy")) == len(np.load(folder / "losses.npy")) == 4
    assert pd.read_csv(folder / "metrics.csv").epoch.max() == 3
    assert [row["epoch"] for row in rows] == [0, 1, 2, 3]
    training(tmp_path, epochs=5)  # the schedule is that of the epochs asked for
    for epoch in range(4):
        assert disk.path(folder, epoch).read_bytes() == disk.path(tmp_path, epoch).read_bytes()


@pytest.mark.parametrize(("least", "last"), [(1, 2), (4, 4)])
def test_the_last_epoch_is_kept_whatever_is_wanted(tmp_path, least, last):
    assert training(tmp_path, trainer=stopping(patience=1, min_epochs=least), epochs=5, kept=[0, 5]) == last
    assert epochs_kept(tmp_path) == [0, last]


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_stopped_training_resumes_as_if_it_had_not_been_killed(stopped, tmp_path, epoch):
    with pytest.raises(Killed):
        training(tmp_path, killer(epoch), trainer=stopping(), epochs=5)
    rows = []
    assert training(tmp_path, rows.append, trainer=stopping(), epochs=5) == 3
    same(tmp_path, stopped[0])
    assert rows == stopped[1]


def test_killed_between_stopping_and_being_complete_it_does_nothing_more(stopped, tmp_path, monkeypatch):
    unlink = type(tmp_path).unlink

    def die(path, *arguments, **options):
        if path.name == "last.ckpt" and path.exists():
            raise Killed
        unlink(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(type(tmp_path), "unlink", die)
        with pytest.raises(Killed):
            training(tmp_path, trainer=stopping(), epochs=5)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.pt")}
    rows = []
    assert training(tmp_path, rows.append, trainer=stopping(), epochs=5) == 3
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.pt")} == before
    same(tmp_path, stopped[0])
    assert rows == stopped[1]


class AfterTwo(lightning.Callback):
    def on_train_epoch_end(self, trainer, module):
        trainer.should_stop |= trainer.current_epoch == 1


def test_a_stop_that_must_wait_is_not_forgotten(tmp_path, own):
    """Stopped after 2 epochs, with 4 at the least: killed after 3, it still ends after 4."""
    options = {"trainer": {"callbacks": own(AfterTwo), "min_epochs": 4}, "epochs": 5}
    with pytest.raises(Killed):
        training(tmp_path, killer(4), **options)
    assert training(tmp_path, **options) == 4


def test_learning_rates_join_the_row_of_their_epoch(tmp_path):
    trainer = {"callbacks": described("LearningRateMonitor", logging_interval="epoch")}
    rows, plain = [], []
    training(tmp_path / "with", rows.append, trainer=trainer)
    training(tmp_path / "without", plain.append)
    expected = [0.01 * (1 + np.cos(np.pi * epoch / EPOCHS)) / 2 for epoch in range(EPOCHS)]  # as the epoch begins
    assert [row["lr-AdamW"] for row in rows[1:]] == pytest.approx(expected)
    assert [{key: row[key] for key in row if key != "lr-AdamW"} for row in rows] == plain
    same(tmp_path / "with", tmp_path / "without")
    assert sorted(path.name for path in (tmp_path / "with").iterdir()) == [
        "checkpoints", "losses.npy", "metrics.csv", "predictions.npy"]  # fmt: skip


@pytest.mark.parametrize("accumulated", [1, 2])
def test_learning_rates_of_single_steps_have_rows_of_their_own(tmp_path, accumulated):
    trainer = {"callbacks": described("LearningRateMonitor", logging_interval="step"), "log_every_n_steps": 1}
    trainer["accumulate_grad_batches"] = accumulated
    rows = []
    training(tmp_path, rows.append, trainer=trainer, epochs=2)
    steps = [row for row in rows if "trainer/global_step" in row]
    assert all(row.keys() == {"epoch", "trainer/global_step", "lr-AdamW"} for row in steps)
    assert [row["epoch"] for row in steps] == pytest.approx([batch / 3 for batch in range(6)])
    assert [row["trainer/global_step"] for row in steps] == ([*range(6)] if accumulated == 1 else [0, 0, 1, 2, 2, 3])
    assert [row["epoch"] for row in rows if row not in steps] == [0, 1, 2]
    assert not any("lr-AdamW" in row for row in rows if row not in steps)
    assert [row["epoch"] for row in rows[1:]] == sorted(row["epoch"] for row in rows[1:])


class Own(lightning.Callback):
    """Logs in all ways there are."""

    def on_train_batch_end(self, trainer, module, *_):
        self.log("both", float(trainer.global_step), on_step=True, on_epoch=True, batch_size=1)

    def on_validation_epoch_end(self, trainer, module):
        self.log("tested", trainer.current_epoch + 0.5)

    def on_train_epoch_end(self, trainer, module):
        if trainer.current_epoch != 1:
            self.log("late", float(trainer.current_epoch))
        trainer.logger.log_metrics({"handed": torch.tensor(3.0), "epoch": 77, "test/loss": -1})


def test_all_that_callbacks_log_comes_once(tmp_path, own):
    trainer = {"callbacks": own(Own), "log_every_n_steps": 2}
    with pytest.raises(Killed):
        training(tmp_path, killer(3), trainer=trainer)
    rows, plain = [], []
    training(tmp_path, rows.append, trainer=trainer)
    training(tmp_path / "plain", plain.append)
    steps = [row for row in rows if "trainer/global_step" in row]
    assert all(row.keys() == {"epoch", "trainer/global_step", "both_step"} for row in steps)
    assert [row["both_step"] for row in steps] == [2, 4, 6, 8]
    epochs = [row for row in rows if row not in steps]
    others = [{key: row[key] for key in row.keys() - plain[3].keys()} for row in epochs]
    assert others == [
        {},
        {"both_epoch": 2.0, "tested": 0.5, "late": 0.0, "handed": 3.0},
        {"both_epoch": 5.0, "tested": 1.5, "handed": 3.0},
        {"both_epoch": 8.0, "tested": 2.5, "late": 2.0, "handed": 3.0},
    ]
    assert [{key: row[key] for key in plain[3] if key in row} for row in epochs] == plain


def test_a_metric_of_ones_own_can_be_monitored(tmp_path, own):
    callbacks = [*own(Own), described("EarlyStopping", monitor="late", patience=1)]
    assert training(tmp_path, trainer={"callbacks": callbacks}) == 2  # 0, then 0 still


def test_a_metric_that_is_never_logged_is_refused_in_one_line(tmp_path, own):
    callbacks = [*own(Own), described("EarlyStopping", monitor="nothing")]
    with pytest.raises(BadInput, match=r"^trainer: .*conditioned on metric `nothing` which is not available"):
        training(tmp_path, trainer={"callbacks": callbacks})


class Words(lightning.Callback):
    def on_train_epoch_end(self, trainer, module):
        trainer.logger.log_metrics({"note": "words"})


class Unsafe(lightning.Callback):
    def state_dict(self):
        return {"array": np.ones(2)}


def test_what_is_no_number_is_refused_in_one_line(tmp_path, own):
    with pytest.raises(BadInput, match=r"^a callback logs note='words', which is not a number: .*$"):
        training(tmp_path, trainer={"callbacks": own(Words)})


def test_a_state_that_could_not_be_read_back_is_refused_before_much_is_lost(tmp_path, own):
    trainer = {"callbacks": own(Unsafe)}
    with pytest.raises(BadInput, match=r"^finetune can't continue .*a callback keeps objects of numpy.* in its state"):
        training(tmp_path, trainer=trainer)
    assert epochs_kept(tmp_path) == [0, 1]
    with pytest.raises(
        BadInput, match=r"^finetune can't continue from .*last\.ckpt .*a callback keeps objects of numpy"
    ):
        training(tmp_path)


def test_other_checkpoints_lie_elsewhere(tmp_path):
    elsewhere = described("ModelCheckpoint", dirpath=str(tmp_path / "mine"), filename="{epoch}", monitor="test/loss")
    training(tmp_path / "stage", trainer={"callbacks": elsewhere})
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["epoch=2.ckpt"]
    training(tmp_path / "plain")
    same(tmp_path / "stage", tmp_path / "plain")
    inside = described("ModelCheckpoint", dirpath=str(tmp_path / "inside" / "checkpoints"))
    with pytest.raises(BadInput, match=r"ModelCheckpoint with dirpath=.*inside/checkpoints is not allowed"):
        training(tmp_path / "inside", trainer={"callbacks": inside})
    assert not (tmp_path / "inside").exists()


@pytest.mark.skipif(os.cpu_count() < 2, reason="wants a core for each process")
def test_every_process_sees_the_metrics_of_all(tmp_path):
    process = FORKS.Process(target=in_two_processes, args=(tmp_path, stopping(patience=1)["callbacks"]))
    process.start()
    process.join(120)
    assert process.exitcode == 0
    assert json.loads((tmp_path / "trained.json").read_text()) == 2
    one, other = (json.loads((tmp_path / f"seen_{rank}.json").read_text()) for rank in (0, 1))
    table = pd.read_csv(tmp_path / "stage" / "metrics.csv").set_index(["split", "epoch"]).xs(2, level="epoch")
    expected = {f"{split}/{key}": table.loc[split, key] for split in ("train", "test") for key in ("loss", "accuracy")}
    assert one == other == pytest.approx(expected, rel=1e-6)
    assert expected["test/accuracy"] == pytest.approx(
        (np.load(tmp_path / "stage" / "predictions.npy")[2] == np.arange(30) % 3).mean()
    )


class Late(ModelCheckpoint):
    """Runs as late as a user's callback can."""

    def on_train_epoch_end(self, trainer, module):
        Late.seen.append(len(epochs_kept(Late.folder)))


def test_an_epoch_is_put_on_disk_after_all_other_callbacks(tmp_path, own):
    Late.folder, Late.seen = tmp_path / "stage", []
    (late,) = own(Late)
    training(tmp_path / "stage", trainer={"callbacks": late | {"dirpath": str(tmp_path / "mine")}})
    assert Late.seen == [1, 2, 3]  # of epochs 0 .. e - 1

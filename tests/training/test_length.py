"""How long a training is, and at which rates, in steps of the optimiser."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from tiny_training import EPOCHS, OPTIONS, TRAINER, Killed, killer, network, same, splits, training
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from checkpoints import disk
from conf.errors import BadInput
from stages.results import epochs_kept
from training import fit
from training.classifier import LightningClassifier
from training.length import length, per_device, step
from training.trainer import make_trainer

MONITOR = {"_target_": "lightning.pytorch.callbacks.LearningRateMonitor", "logging_interval": "step"}
RATES = {"callbacks": [MONITOR], "log_every_n_steps": 1}


@pytest.fixture
def steps() -> Iterator[list[int]]:
    """Grows by one with every step of an optimiser."""
    made = []
    handle = register_optimizer_step_post_hook(lambda *_: made.append(1))
    yield made
    handle.remove()


def length_of(samples: int = 48, trainer: dict | None = None, **options: object):
    options = OPTIONS | {"epochs": EPOCHS, "batch_size": 16} | options
    return length(OmegaConf.create({"trainer": TRAINER | (trainer or {}), "finetune": options}), "finetune", samples)


@pytest.mark.parametrize(("iterations", "accumulated", "epochs"), [
    (1, 1, 1), (3, 1, 1), (4, 1, 2), (9, 1, 3), (1, 2, 1), (3, 2, 2), (4, 2, 2), (2, 8, 2),
])  # fmt: skip
def test_a_training_ends_after_its_iterations(tmp_path, steps, iterations, accumulated, epochs):
    """3 batches in an epoch: one step each, or two steps of 2 + 1 batches, or one step."""
    trainer = {"accumulate_grad_batches": accumulated}
    assert training(tmp_path, trainer=trainer, iterations=iterations, kept=[0]) == epochs
    assert len(steps) == iterations
    assert length_of(trainer=trainer, iterations=iterations).epochs == epochs
    assert epochs_kept(tmp_path) == [0, epochs]
    model, test = network().eval(), splits().test
    model.load_state_dict(disk.read(disk.path(tmp_path, epochs)))
    with torch.no_grad():
        predicted = model(test.inputs).argmax(1)
    np.testing.assert_array_equal(np.load(tmp_path / "predictions.npy")[epochs:], predicted[None])


def test_iterations_cut_off_a_training_and_change_nothing_before(tmp_path):
    training(tmp_path / "whole", schedule="constant")
    assert training(tmp_path / "part", schedule="constant", iterations=4) == 2
    whole, part = ([disk.path(tmp_path / name, epoch).read_bytes() for epoch in range(3)] for name in ("whole", "part"))
    assert [one == other for one, other in zip(whole, part, strict=True)] == [True, True, False]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """7 steps with an epoch of 3, and what was tracked."""
    folder, rows = tmp_path_factory.mktemp("finished"), []
    assert training(folder, rows.append, RATES, iterations=7, epochs=5) == 3
    return folder, rows


@pytest.mark.parametrize("epoch", [0, 1, 2, 3])
def test_with_iterations_resuming_equals_no_interruption(finished, tmp_path, epoch):
    with pytest.raises(Killed):
        training(tmp_path, killer(epoch), RATES, iterations=7, epochs=5)
    rows = []
    assert training(tmp_path, rows.append, RATES, iterations=7, epochs=5) == 3
    same(tmp_path, finished[0])
    assert rows == finished[1]


def test_killed_after_the_last_iteration_it_trains_no_more(finished, tmp_path, monkeypatch, steps):
    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(fit, "_check_last_weights", killed)
        with pytest.raises(Killed):
            training(tmp_path, trainer=RATES, iterations=7, epochs=5)
    assert training(tmp_path, trainer=RATES, iterations=7, epochs=5) == 3
    assert len(steps) == 7
    same(tmp_path, finished[0])


def rates(rows: list[dict]) -> list[float]:
    return [row["lr-AdamW"] for row in rows if "lr-AdamW" in row]


def test_the_cosine_ends_with_the_iterations(finished):
    assert rates(finished[1]) == pytest.approx([0.01 * (1 + np.cos(np.pi * step / 7)) / 2 for step in range(7)])


@pytest.mark.parametrize("killed", [None, 2, 3, 4])
def test_the_rate_falls_in_steps_of_epochs(tmp_path, killed):
    options = {"schedule": "step", "step_epochs": 2, "step_factor": 0.1, "epochs": 5}
    if killed:
        with pytest.raises(Killed):
            training(tmp_path, killer(killed), RATES, **options)
    rows = []
    training(tmp_path, rows.append, RATES, **options)
    expected = np.repeat([0.01, 0.01, 0.001, 0.001, 0.0001], 3)
    np.testing.assert_allclose(rates(rows), expected, rtol=1e-12)


@pytest.mark.parametrize(("optimizer", "after"), [("sgd", 2 - 0.1 * 0.5 * 2), ("adam", 2 - 0.1), ("adamw", 2 * 0.95)])
def test_what_weight_decay_does_where_the_gradient_is_0(optimizer, after):
    """sgd and adam add 0.5 w to the gradient, which adam then divides by its size; adamw takes lr * 0.5 w away."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 2)
    model.weight.grad = torch.zeros(1, 1)
    options = {"optimizer": optimizer, "lr": 0.1, "weight_decay": 0.5, "schedule": "constant"}
    module = LightningClassifier(model, OmegaConf.create(OPTIONS | options), 1, 0, "finetune")
    module.configure_optimizers()["optimizer"].step()
    assert model.weight.item() == pytest.approx(after, rel=1e-6)


@pytest.mark.parametrize(("trainer", "iterations", "passes", "samples"), [
    ({}, None, 3, 47), ({}, 4, 4 / 3, 47), ({"accumulate_grad_batches": 2}, 3, 1.5, 47),
    ({"limit_train_batches": 2}, 3, 1.5, 32), ({"limit_train_batches": 0.4}, 3, 3, 16),
    ({"limit_train_batches": 1.0}, 3, 1, 47), ({"limit_train_batches": 9}, 3, 1, 47),
])  # fmt: skip
def test_what_an_epoch_has_and_how_many_there_are(trainer, iterations, passes, samples):
    found = length_of(47, trainer, iterations=iterations)
    assert (found.passes, found.samples) == (passes, samples)


@pytest.mark.parametrize(("devices", "distributed", "steps"), [(2, True, 2), (2, False, 3)])
def test_devices_share_an_epoch(monkeypatch, devices, distributed, steps):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    trainer = {"devices": devices, "strategy": "ddp", "use_distributed_sampler": distributed}
    assert length_of(47, trainer, iterations=1).passes == 1 / steps


def test_epochs_must_be_enough_and_one_more_than_enough_changes_nothing():
    assert length_of(iterations=9, epochs=3) == length_of(iterations=9, epochs=4)
    with pytest.raises(BadInput, match=r"^finetune\.epochs=3 is not enough for finetune\.iterations=10: an epoch has 3 "
                       r"steps, so that 4 epochs are needed; set finetune\.epochs=4 or more$"):  # fmt: skip
        length_of(iterations=10)
    with pytest.raises(BadInput, match=r"an epoch has 1 step, so that 4 epochs"):
        length_of(iterations=4, batch_size=64)


def test_no_more_epochs_can_be_demanded_than_the_iterations_have():
    assert length_of(trainer={"min_epochs": 2}, iterations=4).epochs == 2
    with pytest.raises(
        BadInput, match=r"^trainer\.min_epochs=2 is not allowed with finetune\.iterations=3, which ends"
    ):
        length_of(trainer={"min_epochs": 2}, iterations=3)


def study(devices, stage="finetune", **options):
    trainer = TRAINER | {"devices": devices, "strategy": "ddp"} | options.pop("trainer", {})
    return OmegaConf.create({"trainer": trainer, stage: OPTIONS | {"epochs": 1, "batch_size": 16}, "seed": 0} | options)


@pytest.mark.parametrize(("shared", "accumulated", "each", "said"), [
    (False, 1, 16, "finetune: 2 devices x batch size 16 = 32 samples per step"),
    (True, 1, 8, "finetune: 2 devices x batch size 8 = 16 samples per step"),
    (True, 4, 8, "finetune: 2 devices x batch size 8 x 4 accumulated batches = 64 samples per step"),
])  # fmt: skip
def test_a_step_takes_the_samples_of_all_devices(shared, accumulated, each, said):
    cfg = study(2, global_batch=shared, trainer={"accumulate_grad_batches": accumulated})
    trainer = make_trainer(cfg.trainer)
    assert per_device(cfg, "finetune", trainer) == each
    assert step(cfg, "finetune", trainer) == said
    assert length(cfg, "finetune", 47).samples == 47


def test_one_device_has_nothing_to_say_unless_batches_accumulate():
    cfg = study(1, global_batch=True)
    assert step(cfg, "finetune", make_trainer(cfg.trainer)) == ""
    cfg = study(1, trainer={"accumulate_grad_batches": 2})
    said = "finetune: batch size 16 x 2 accumulated batches = 32 samples per step"
    assert step(cfg, "finetune", make_trainer(cfg.trainer)) == said


@pytest.mark.parametrize(("trainer", "words"), [
    ({"sync_batchnorm": True}, "trainer.sync_batchnorm=true needs GPUs"),
    ({"use_distributed_sampler": False}, "trainer.use_distributed_sampler=false is not allowed with global_batch=true"),
])  # fmt: skip
def test_what_does_not_go_with_common_batches(trainer, words):
    with pytest.raises(BadInput, match=f"^{words}"):
        length(study(2, global_batch=True, trainer=trainer), "finetune", 48)


def test_devices_take_equal_parts_of_a_batch():
    cfg = study(2, global_batch=True)
    cfg.finetune.batch_size = 15
    with pytest.raises(
        BadInput, match=r"^finetune.batch_size=15 can't be shared equally by 2 devices .*multiple of 2$"
    ):
        length(cfg, "finetune", 48)

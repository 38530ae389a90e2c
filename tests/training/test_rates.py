"""How fast a machine is: told from a clock that the tests set."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hydra import compose, initialize_config_dir

from conf import schema
from stages.need import Rates
from stages.span import NO_TIME, Span
from training import rates
from training.machine import devices
from training.rates import READING, measured, per_input, span

CONF = Path(__file__).resolve().parents[2] / "conf"
CPU = torch.device("cpu")
QUICK = ("trainer.accelerator=cpu", "interactions.device=cpu", "model=conv4", "model.width=4")

schema.register()


def study(*overrides: str):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", [*QUICK, *overrides])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """clock(seconds): lets time pass."""
    now = [0.0]
    monkeypatch.setattr(rates, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    return lambda seconds: now.__setitem__(0, now[0] + seconds)


def test_the_fastest_and_the_slowest_window_are_told(clock):
    passes = iter([5.0, *[0.01] * 20, *[0.02] * 1000])  # the first one does not count
    found = span(lambda: clock(next(passes)), CPU)
    assert (found.least, found.most) == pytest.approx((0.01, 0.02))


def test_a_batch_is_as_large_as_in_training(clock):
    sizes = []

    def pass_of(size: int):
        sizes.append(size)
        return lambda: clock(0.001 + 0.002 * size)

    found = per_input(pass_of, 12, CPU)
    assert sizes == [2, 4, 8, 12]
    assert (found.least, found.most) == pytest.approx((0.025 / 12, 0.025 / 12))


def test_a_pass_that_takes_long_is_not_made_larger(clock):
    sizes = []

    def pass_of(size: int):
        sizes.append(size)
        return lambda: clock(0.1 * size)

    found = per_input(pass_of, 64, CPU)
    assert sizes == [2, 4]
    assert (found.least, found.most) == pytest.approx((0.1, 0.1))


def test_only_what_is_wanted_is_measured():
    found = measured(study(), "target", ["forward", "loaded"])
    assert 0 < found.forward.least <= found.forward.most
    assert 0 < found.loaded.least <= found.loaded.most
    assert (found.trained, found.masked) == (NO_TIME, NO_TIME)


@pytest.mark.parametrize("options", [("finetune.optimizer=sgd",), ("trainer.precision=bf16-mixed",),
                                     ("trainer.precision=bf16-true",)])  # fmt: skip
def test_training_is_measured_as_the_trainer_is_told(options):
    found = measured(study(*options), "target", ["forward", "trained"])
    assert 0 < found.forward.least < found.trained.most


@pytest.mark.parametrize(("workers", "loaded"), [(0, READING), (1, Span(0, READING.most))])
def test_reading_of_files_that_are_not_here_is_as_usual_and_may_go_on_beside(workers, loaded):
    target = {"_target_": "data.stand_in.task", "input": {"size": 32}, "train": 6, "test": 6, "classes": 2}
    cfg = study(f"num_workers={workers}")
    cfg.data.target = target
    assert measured(cfg, "target", ["loaded"]) == Rates(loaded=loaded)


def test_devices_have_their_names(monkeypatch):
    monkeypatch.setattr("training.machine.processor", lambda: "AMD EPYC")
    cfg = study()
    assert devices(cfg) == f"on cpu (AMD EPYC, {torch.get_num_threads()} threads)"
    monkeypatch.setattr("training.machine.device", lambda _: torch.device("meta"))
    assert devices(cfg) == f"training on cpu (AMD EPYC, {torch.get_num_threads()} threads), interactions on meta"

"""A model of one's own is tried before any stage begins."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from torch import nn

from conf import schema
from conf.errors import BadInput
from finetune import finetune
from interactions import evaluate
from pretrain_probe import pretrain, probe
from scratch import scratch
from stages.identity import results_of
from stages.need import Need

OWN = "test_train_models"
CONF = Path(__file__).resolve().parents[2] / "conf"

schema.register()


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., DictConfig]:
    """The configuration of a tiny study of the model that a function builds."""

    def configured(make: Callable[[int], nn.Module], *overrides: str) -> DictConfig:
        monkeypatch.setitem(sys.modules, OWN, SimpleNamespace(make=make))
        with initialize_config_dir(str(CONF), version_base="1.3"):
            target = ["data=digits", "model=conv4", f"model._target_={OWN}.make", "~model.width", "~model.image_size"]
            tiny = [
                "trainer.accelerator=cpu",
                "interactions.n=2",
                "interactions.samples=10",
                "data.source.train_samples=70",
            ]
            return compose("config", [f"output={tmp_path}", *target, *tiny, *overrides])

    return configured


class Network(nn.Module):
    def __init__(self, num_classes: int, width: int = 4, random: bool = False) -> None:
        super().__init__()
        self.body, self.hidden, self.fc = nn.Linear(3, 6), nn.Linear(6, width), nn.Linear(width, num_classes)
        self.mix = torch.randn(6) if random else torch.ones(6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.hidden(self.body(x.mean((2, 3))).relu() * self.mix.to(x)))


def checked(module: ModuleType, cfg: DictConfig) -> Need:
    return module.check(cfg, results_of(cfg))


@pytest.mark.parametrize("module", [pretrain, probe, finetune, scratch, evaluate], ids=lambda module: module.__name__)
def test_every_stage_refuses_random_tensors_that_no_checkpoint_holds(study, module):
    assert checked(module, study(Network)).disk > 0
    with pytest.raises(BadInput, match="tensor mix is random and no checkpoint holds it"):
        checked(module, study(lambda num_classes: Network(num_classes, random=True)))


def test_a_backbone_that_fits_the_source_task_alone_is_refused_before_it_is_trained(study):
    def make(num_classes: int) -> nn.Module:
        return Network(num_classes, width=num_classes)

    cfg = study(make, "model.head=fc")
    with pytest.raises(BadInput, match=r"depend on the number of classes: hidden.weight, hidden.bias"):
        checked(pretrain, cfg)


def test_a_model_in_float32_alone_is_refused_whatever_the_batch(study):
    class Single(Network):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x).float()

    for size in (1, 8):
        with pytest.raises(BadInput, match=r"can't run in float64, .*it returns float32"):
            checked(evaluate, study(Single, f"interactions.batch_size={size}"))


def test_a_plan_counts_the_steps_that_are_made(study):
    """256 samples in batches of 64: 4 steps in an epoch."""
    options = ("data.target.train_samples=256", "data.target.test_samples=100", "finetune.batch_size=64")
    options += ("finetune.epochs=3", "trainer.accumulate_grad_batches=2")
    for iterations, tested, trained in (("null", 400, 768), (3, 300, 384), (6, 400, 768)):
        need = checked(finetune, study(Network, *options, f"finetune.iterations={iterations}"))
        assert (need.forward, need.trained) == (tested, trained)


def test_a_start_after_the_iterations_of_pre_training_is_refused_before_it_begins(study):
    """70 samples in batches of 32: 3 steps in an epoch."""
    options = ("pretrain.batch_size=32", "pretrain.iterations=4")
    assert checked(pretrain, study(Network, *options, "start.epoch=2")).trained == 94
    with pytest.raises(
        BadInput, match=r"start\.epoch=3 is not allowed: pre-training has 2 epochs; last, or one up to 2"
    ):
        checked(pretrain, study(Network, *options, "start.epoch=3"))

import pytest
from omegaconf import OmegaConf
from tiny_training import TRAINER

from conf.errors import BadInput
from conf.trainer import OURS
from training.trainer import make_trainer


@pytest.mark.parametrize("key", OURS)
def test_what_this_program_sets_itself_is_refused_in_one_line(key):
    with pytest.raises(BadInput, match=rf"^trainer\.{key}=3 is not allowed: \w.*$"):
        make_trainer(OmegaConf.create(TRAINER | {key: 3}))


@pytest.mark.parametrize(
    ("key", "instead"),
    [
        ("max_epochs", "finetune.epochs"),
        ("max_time", "interval: epoch"),
        ("fast_dev_run", "debug=tiny"),
        ("logger", "wandb.mode"),
        ("default_root_dir", "output"),
        ("enable_checkpointing", "checkpoints.epochs"),
        ("val_check_interval", "after every epoch"),
        ("min_steps", "trainer.min_epochs"),
    ],
)
def test_a_refusal_says_what_to_use_instead(key, instead):
    with pytest.raises(BadInput, match=f"trainer.{key}=.*{instead}"):
        make_trainer(OmegaConf.create(TRAINER | {key: True}))


def test_other_options_are_lightnings():
    trainer = make_trainer(OmegaConf.create(TRAINER | {"min_epochs": 2, "limit_train_batches": 4, "profiler": None}))
    assert (trainer.min_epochs, trainer.limit_train_batches) == (2, 4)
    assert trainer.loggers == []

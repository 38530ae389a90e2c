"""Checkpoints that the user gives."""

import pytest
import torch
from omegaconf import OmegaConf

from checkpoints.roles import check, checkpoints_of
from conf.errors import BadInput
from models.backbone import Classifier
from models.vision import conv4


def weights(seed):
    torch.manual_seed(seed)
    return conv4(3, width=4, image_size=16).state_dict()


def checkpoints(**files):
    return checkpoints_of(OmegaConf.create({"interactions": {"checkpoints": files, "roles": list(files)}}))


@pytest.fixture
def model():
    torch.manual_seed(9)
    return Classifier(conv4(3, width=4, image_size=16))


@pytest.fixture
def folder(tmp_path):
    extra = {"projector.weight": torch.ones(2), "queue": torch.ones(3), "old.num_batches_tracked": torch.tensor(1)}
    torch.save(weights(0) | {"a.position_ids": torch.ones(1)}, tmp_path / "probed.pt")
    for epoch in (1, 2):
        torch.save({"state_dict": weights(epoch) | extra, "epoch": epoch}, tmp_path / f"ft_{epoch}.pt")
        two = {"student": weights(epoch), "teacher": weights(epoch + 2), "centre": {"c": torch.ones(1)}}
        torch.save(two, tmp_path / f"scratch_{epoch}.pt")
    return tmp_path


def test_what_the_model_does_not_take_is_said_once_for_each_role(folder, model, capsys):
    units = checkpoints(pretrain=f"{folder}/probed.pt", finetune=f"{folder}/ft_*.pt", scratch=f"{folder}/s*.pt#teacher")
    check(model, model, units)
    assert capsys.readouterr().out.splitlines() == [
        f"interactions.checkpoints.finetune: {folder}/ft_1.pt holds 2 tensors that the model does not take: "
        f"state_dict.projector.weight, state_dict.queue",
        f"interactions.checkpoints.scratch: {folder}/scratch_1.pt holds 1 tensor that the model does not take: "
        f"centre.c",
    ]


def test_each_epoch_has_the_weights_of_the_model_named(folder, model):
    named = checkpoints(pretrain=f"{folder}/probed.pt", finetune=f"{folder}/ft_*.pt",
                        scratch=[f"{folder}/scratch_1.pt#student", f"{folder}/scratch_2.pt#teacher"])  # fmt: skip
    seeds = {("probe", 0): 0, ("finetune", 1): 1, ("finetune", 2): 2, ("scratch", 1): 1, ("scratch", 2): 4}
    assert {(unit.stage, unit.epoch) for unit in named} == seeds.keys()
    for unit in named:
        unit.load_into(model, unit.read())
        assert torch.equal(model.head.weight, weights(seeds[unit.stage, unit.epoch])["head.weight"])


def test_several_models_in_a_file_are_refused_with_what_to_type(folder, model):
    pattern = f"{folder}/scratch_*.pt"
    units = checkpoints(pretrain=f"{folder}/probed.pt", finetune=f"{folder}/ft_*.pt", scratch=pattern)
    with pytest.raises(BadInput) as refused:
        check(model, model, units)
    assert f"{folder}/scratch_1.pt holds several models: student, teacher;" in str(refused.value)
    assert f"'interactions.checkpoints.scratch=\"{pattern}#student\"'" in str(refused.value)

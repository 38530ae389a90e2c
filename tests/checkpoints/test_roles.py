"""Which checkpoints are evaluated: those that the user gives, and those of our own stages."""

import json
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from checkpoints import disk
from checkpoints.roles import check, checkpoints_of, start_file
from conf import schema
from conf.errors import BadInput
from models.backbone import Classifier, probed
from models.vision import conv4
from stages.identity import Results, results_of
from stages.results import kept
from stages.table import ROLES

CONF = Path(__file__).resolve().parents[2] / "conf"

schema.register()


def weights(seed):
    torch.manual_seed(seed)
    return conv4(3, width=4, image_size=16).state_dict()


def checkpoints(**files):
    """Of each role, in order; no result of ours is needed."""
    cfg = OmegaConf.create({"interactions": {"checkpoints": files, "roles": list(files)}})
    return [unit for role in files for unit in checkpoints_of(cfg, {}, f"interactions/{ROLES[role]}")]


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
    assert [unit.last for unit in named] == [True, False, True, False, True]
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


def study(output: Path, *overrides: str) -> tuple[DictConfig, Results]:
    """A configuration of three epochs each, and its results."""
    epochs = [f"{stage}.epochs=3" for stage in ("pretrain", "probe", "finetune")]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("config", [f"output={output}", f"run_dir={output}/run", *epochs, *overrides])
    return cfg, results_of(cfg)


def ended(results: Results, name: str, last: int) -> None:
    """As if training had been stopped after epoch `last`."""
    results[name].folder.mkdir(parents=True)
    done = {"digest": results[name].digest, "files": {}, "last": last}
    (results[name].folder / "done.json").write_text(json.dumps(done))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [("all", {0, 1, 2, 3, 4}), ([0, 2], {0, 2, 4}), ([], {4}), ([1, 4, 9], {1, 4})],
)
def test_the_last_epoch_is_always_kept(wanted, expected):
    assert kept(wanted, last=4) == expected


@pytest.mark.parametrize(("wanted", "expected"), [("all", [0, 1, 2, 3]), ("[0,2]", [0, 2, 3]), ("[]", [3])])
def test_of_our_own_stages_it_is_every_epoch_that_is_asked_for(tmp_path, wanted, expected):
    cfg, results = study(tmp_path, f"checkpoints.epochs={wanted}")
    for stage in ("finetune", "scratch"):
        units = checkpoints_of(cfg, results, f"interactions/{stage}")
        assert [(unit.stage, unit.epoch, unit.last) for unit in units] == [(stage, e, e == 3) for e in expected]
        files = [disk.path(results[stage].folder, epoch) for epoch in expected]
        assert [unit.parts for unit in units] == [(("", file, ""),) for file in files]
        assert not any(unit.given or unit.probed for unit in units)


def test_of_a_training_that_has_been_stopped_it_is_what_there_is(tmp_path):
    cfg, results = study(tmp_path)
    ended(results, "finetune", last=2)
    units = checkpoints_of(cfg, results, "interactions/finetune")
    assert [(unit.epoch, unit.last) for unit in units] == [(0, False), (1, False), (2, True)]


def test_the_pre_trained_model_is_its_backbone_with_the_last_probe(tmp_path, model):
    cfg, results = study(tmp_path)
    (unit,) = checkpoints_of(cfg, results, "interactions/probe")
    assert (unit.stage, unit.epoch, unit.last, unit.probed) == ("probe", 3, True, True)
    disk.write(results["pretrain"].folder, 3, {f"backbone.{key}": tensor for key, tensor in _backbone(5).items()})
    head = torch.nn.Linear(4, 3).state_dict()
    disk.write(results["probe"].folder, 3, head)
    unit.load_into(probed(model, torch.randn(1, 3, 16, 16)), unit.read())
    assert all(torch.equal(model.backbone.state_dict()[key], tensor) for key, tensor in _backbone(5).items())
    assert torch.equal(model.head.weight, head["weight"])


def _backbone(seed: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return Classifier(conv4(3, width=4, image_size=16)).backbone.state_dict()


def test_probe_and_fine_tuning_start_from_the_epoch_that_is_asked_for(tmp_path):
    for epoch, expected in (("last", 3), (1, 1), (0, 0)):
        cfg, results = study(tmp_path, f"start.epoch={epoch}")
        assert start_file(cfg, results) == disk.path(results["pretrain"].folder, expected)
        (unit,) = checkpoints_of(cfg, results, "interactions/probe")
        assert unit.parts[0] == ("backbone", start_file(cfg, results), "backbone")
    cfg, results = study(tmp_path, "model.weights=scratch")
    assert start_file(cfg, results) == disk.path(results["pretrain"].folder, 0)


def test_of_a_pre_training_that_has_been_stopped_the_last_is_what_there_is(tmp_path):
    cfg, results = study(tmp_path, "start.epoch=3")
    ended(results, "pretrain", last=2)
    with pytest.raises(BadInput, match=r"^start\.epoch=3 is not allowed: pre-training has 2 epochs"):
        start_file(cfg, results)
    cfg, results = study(tmp_path)
    assert start_file(cfg, results) == disk.path(results["pretrain"].folder, 2)

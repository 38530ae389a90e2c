"""Files that the user gives for a role."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf
from training.folder import settings

from conf.errors import BadInput
from stages.given import epochs, given

ROLES = {"roles": ["pretrain", "finetune", "scratch"]}


def files(tmp_path, *names):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()


def configuration(**checkpoints):
    every = {"pretrain": None, "finetune": None, "scratch": None} | checkpoints
    return OmegaConf.create({"interactions": {"checkpoints": every}})


@pytest.mark.parametrize(("names", "expected"), [
    # a word before the number
    (["finetune-step10"], [10]),
    (["epoch=3-step=400"], [3]),
    (["step400_epoch3"], [3]),
    (["Epoch_007"], [7]),
    (["weights-ep12"], [12]),
    (["checkpoint-500"], [500]),
    (["ckpt_20"], [20]),
    (["iter_1000", "iter_2000"], [1000, 2000]),
    (["global_step5", "global_step10"], [5, 10]),
    (["epoch=9-loss=0.12", "epoch=10-loss=0.11"], [9, 10]),
    (["epoch_1_f16", "epoch_2"], [1, 2]),
    (["epoch=0-step=100", "epoch=0-step=200"], [100, 200]),
    # no such word
    (["probed"], [0]),
    (["probe_f16"], [0]),
    (["wide_resnet50"], [0]),
    (["deep5"], [0]),
    (["footstep3"], [0]),
    (["a1_f16", "a2_f16"], [1, 2]),
    (["run2-9", "run2-10"], [9, 10]),
    (["run1-3", "run2-3"], [1, 2]),
    (["run1-1", "run1-2", "run2-1"], [0, 1, 2]),
    (["resnet18", "vgg16"], [0, 1]),
    (["first", "last"], [0, 1]),
    (["epoch_3", "last"], [0, 1]),
    (["epoch=3", "epoch=3-v1"], [0, 1]),
])  # fmt: skip
def test_the_epoch_is_the_number_that_counts_epochs(names, expected):
    assert epochs([Path(f"/runs/2024/seed1/{name}.pt") for name in names]) == expected


def test_folders_name_the_epoch_where_files_do_not():
    for name in ("model.safetensors", "weights.pt"):
        assert epochs([Path(f"/epoch_{epoch}/{name}") for epoch in (2, 7)]) == [2, 7]
    assert epochs([Path("/runs/checkpoint-30/model.safetensors")]) == [30]


def test_a_name_behind_a_pattern_is_that_of_a_model_in_each_file(tmp_path):
    files(tmp_path, "epoch_2.pt", "epoch_10.pt")
    cfg = configuration(finetune=f"{tmp_path}/epoch_*.pt#student",
                        scratch=[f"{tmp_path}/epoch_10.pt#ema", f"{tmp_path}/epoch_2.pt"])  # fmt: skip
    found = given(cfg, "finetune")
    assert [(epoch, address.file.name, address.name) for epoch, address in found.items()] == [
        (2, "epoch_2.pt", "student"),
        (10, "epoch_10.pt", "student"),
    ]
    override = found[2].override("teacher")
    assert override == f"'interactions.checkpoints.finetune=\"{tmp_path}/epoch_*.pt#teacher\"'"
    assert {epoch: address.name for epoch, address in given(cfg, "scratch").items()} == {10: "ema", 2: ""}


def test_a_file_named_twice_counts_once(tmp_path):
    files(tmp_path, "epoch_2.pt", "epoch_10.pt")
    found = given(configuration(scratch=[f"{tmp_path}/epoch_2.pt", f"{tmp_path}/*.pt"]), "scratch")
    assert sorted(found) == [2, 10]


def test_a_file_whose_name_holds_the_sign(tmp_path):
    files(tmp_path, "a#1.pt", "a#2.pt")
    found = given(configuration(finetune=f"{tmp_path}/a#*.pt", pretrain=f"{tmp_path}/a#2.pt"), "finetune")
    assert {epoch: (address.file.name, address.name) for epoch, address in found.items()} == {
        1: ("a#1.pt", ""),
        2: ("a#2.pt", ""),
    }


def test_no_such_file_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"nothing\.pt#ema: no such file"):
        given(configuration(finetune=f"{tmp_path}/nothing.pt#ema"), "finetune")


def test_settings_hold_size_and_date_of_files_and_the_model_named_in_them(tmp_path):
    files(tmp_path, "epoch_2.pt", "epoch_10.pt")
    cfg = OmegaConf.create(
        {
            "seed": 0,
            "model": {"_target_": "a", "weights": f"{tmp_path}/epoch_2.pt#ema"},
            "interactions": ROLES
            | {"checkpoints": {"pretrain": f"{tmp_path}/*.pt#ema", "finetune": None, "scratch": None}},
        }
    )
    assert settings(cfg, "pretrain")["model"]["weights"].startswith(f"{tmp_path}/epoch_2.pt#ema (0 bytes, ")
    listed = settings(cfg, "interactions")["interactions"]["checkpoints"]["pretrain"]
    assert [name.partition(" (")[0] for name in listed] == [f"{tmp_path}/epoch_{e}.pt#ema" for e in (10, 2)]
    assert all("(0 bytes, " in name for name in listed)

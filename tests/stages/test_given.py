"""Files of weights that the user gives."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from conf import schema
from conf.errors import BadInput
from stages.given import epochs, given, of_role, weights_of
from stages.settings import settings_of

CONF = Path(__file__).resolve().parents[2] / "conf"

schema.register()


def files(tmp_path, *names):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()


def configuration(**checkpoints):
    every = {"pretrain": None, "finetune": None, "scratch": None} | checkpoints
    return OmegaConf.create({"interactions": {"checkpoints": every}})


def starting(weights, epoch="last"):
    return OmegaConf.create({"model": {"weights": weights}, "start": {"epoch": epoch}})


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
    found = of_role(cfg, "finetune")
    assert [(epoch, address.file.name, address.name) for epoch, address in found.items()] == [
        (2, "epoch_2.pt", "student"),
        (10, "epoch_10.pt", "student"),
    ]
    override = found[2].override("teacher")
    assert override == f"'interactions.checkpoints.finetune=\"{tmp_path}/epoch_*.pt#teacher\"'"
    assert {epoch: address.name for epoch, address in of_role(cfg, "scratch").items()} == {10: "ema", 2: ""}


@pytest.mark.parametrize(("names", "wanted", "message"), [
    (["epoch_2.pt", "epoch_10.pt"], ["{0}/epoch_2.pt", "{0}/*.pt"], r"=\[.*\] names {0}/epoch_2\.pt twice: leave one"),
    (["a.pt"], ["{0}/a.pt", "{0}/a.pt"], r"=.* names {0}/a\.pt twice: leave one"),
    (["epoch=3.pt", "epoch=3-v1.pt"], "{0}/*.pt", r": {0}/epoch=3.*\.pt and {0}/epoch=3.*\.pt are both of epoch 3: "),
    (["a/epoch_1.pt", "b/epoch_1.pt"], "{0}/*/epoch_1.pt", r": {0}/a/epoch_1.pt and {0}/b/epoch_1.pt are both "),
])  # fmt: skip
def test_what_is_named_twice_is_refused(tmp_path, names, wanted, message):
    files(tmp_path, *names)
    wanted = [one.format(tmp_path) for one in wanted] if isinstance(wanted, list) else wanted.format(tmp_path)
    with pytest.raises(BadInput, match=rf"^interactions\.checkpoints\.scratch{message.format(tmp_path)}"):
        of_role(configuration(scratch=wanted), "scratch")


def test_models_of_one_file_are_told_apart(tmp_path):
    files(tmp_path, "a.pt")
    found = of_role(configuration(scratch=[f"{tmp_path}/a.pt#student", f"{tmp_path}/a.pt#teacher"]), "scratch")
    assert {epoch: address.name for epoch, address in found.items()} == {0: "student", 1: "teacher"}


def test_a_file_whose_name_holds_the_sign(tmp_path):
    files(tmp_path, "a#1.pt", "a#2.pt")
    found = of_role(configuration(finetune=f"{tmp_path}/a#*.pt", pretrain=f"{tmp_path}/a#2.pt"), "finetune")
    assert {epoch: (address.file.name, address.name) for epoch, address in found.items()} == {
        1: ("a#1.pt", ""),
        2: ("a#2.pt", ""),
    }


def test_no_such_file_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"nothing\.pt#ema: there is no such file"):
        of_role(configuration(finetune=f"{tmp_path}/nothing.pt#ema"), "finetune")


@pytest.mark.parametrize("wanted", [3, ["a.pt", 3], {"epoch": 3}])
def test_what_is_no_name_of_a_file_is_refused(wanted):
    cfg = configuration(finetune=wanted)
    with pytest.raises(
        BadInput, match=r"^interactions\.checkpoints\.finetune=.* is not allowed: null or a file, a pattern such"
    ):
        of_role(cfg, "finetune")


def test_no_file_is_given():
    assert given("model.weights", None) == of_role(configuration(), "scratch") == {}


def test_of_a_folder_it_is_the_file_of_weights_in_it(tmp_path):
    files(tmp_path, "epoch_1/model.safetensors", "epoch_2/pytorch_model.bin", "epoch_3/other.bin")
    found = of_role(configuration(finetune=f"{tmp_path}/epoch_*"), "finetune")
    assert {epoch: address.file.name for epoch, address in found.items()} == {
        1: "model.safetensors",
        2: "pytorch_model.bin",
    }


def test_the_pre_trained_model_is_one_file(tmp_path):
    files(tmp_path, "epoch_1.pt", "epoch_2.pt")
    assert list(of_role(configuration(pretrain=f"{tmp_path}/epoch_2.pt"), "pretrain")) == [2]
    message = r"interactions\.checkpoints\.pretrain=.* names 2 files: give one, the pre-trained model with its probe"
    with pytest.raises(BadInput, match=message):
        of_role(configuration(pretrain=f"{tmp_path}/epoch_*.pt"), "pretrain")


@pytest.mark.parametrize("name", ["pretrain", "scratch", "timm:vit_small_patch16_224.augreg_in1k", "/a/b.pt#student"])
def test_weights_that_are_no_pattern_stay_as_they_are(name):
    assert weights_of(starting(name)) == name
    assert weights_of(OmegaConf.create({"model": {}, "start": {"epoch": "last"}})) == "pretrain"


def test_of_several_pre_trainings_it_is_that_of_the_epoch_to_start_from(tmp_path):
    files(tmp_path, "epoch_2.pt", "epoch_10.pt")
    pattern = f"{tmp_path}/epoch_*.pt"
    assert weights_of(starting(pattern)) == f"{tmp_path}/epoch_10.pt"
    assert weights_of(starting(pattern, 2)) == f"{tmp_path}/epoch_2.pt"
    assert weights_of(starting(f"{pattern}#ema", 2)) == f"{tmp_path}/epoch_2.pt#ema"
    assert weights_of(starting([f"{tmp_path}/epoch_2.pt", f"{tmp_path}/epoch_10.pt"], 10)) == f"{tmp_path}/epoch_10.pt"
    with pytest.raises(BadInput, match=r"^start\.epoch=3: model\.weights has the epochs 2, 10$"):
        weights_of(starting(pattern, 3))


def test_weights_of_one_epoch_have_no_other(tmp_path):
    assert weights_of(starting("pretrain", 3)) == "pretrain"  # that stage has epochs
    for name in ("scratch", f"{tmp_path}/a.pt"):
        with pytest.raises(BadInput, match=r"^start\.epoch=3 is not allowed: .* are of one epoch, last is expected"):
            weights_of(starting(name, 3))


def test_settings_hold_what_is_in_the_files_and_the_model_named_in_them(tmp_path):
    """Not where they lie."""
    files(tmp_path, "epoch_2.pt", "epoch_10.pt")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("config", [f'model.weights="{tmp_path}/epoch_2.pt#ema"',
                                 f'interactions.checkpoints.finetune="{tmp_path}/*.pt#ema"'])  # fmt: skip

    def of(name):
        return settings_of(cfg, name, lambda path: f"content of {path.name}")

    assert of("pretrain")["model.weights"] == "content of epoch_2.pt #ema"
    assert of("interactions/finetune")["interactions.checkpoints.finetune"] == {
        "2": "content of epoch_2.pt #ema",
        "10": "content of epoch_10.pt #ema",
    }
    assert "interactions.checkpoints.scratch" not in of("interactions/scratch")
    assert str(tmp_path) not in str(of("pretrain") | of("interactions/finetune"))

from pathlib import Path

import pytest
import yaml
from omegaconf import DictConfig, OmegaConf

from conf.check import STAGES, BadInput
from stages.files import written
from training.folder import (
    INPUTS,
    OWN_SETTINGS,
    check_settings,
    finish,
    inputs,
    is_complete,
    settings,
    stage_folder,
    start,
)

CONF = Path(__file__).resolve().parents[2] / "conf"


@pytest.fixture
def cfg(tmp_path: Path) -> DictConfig:
    """The default configuration, put together without Hydra."""
    page = OmegaConf.load(CONF / "config.yaml")
    del page["defaults"], page["hydra"]
    groups = {group: OmegaConf.load(CONF / group / f"{name}.yaml")
              for group, name in (("data", "digits"), ("model", "conv4"), ("analysis", "paper"))}  # fmt: skip
    return OmegaConf.merge(page, groups, {"name": "test", "output": str(tmp_path)})


def change(cfg, **values):
    other = cfg.copy()
    for key, value in values.items():
        OmegaConf.update(other, key.replace("__", "."), value)
    return other


def test_every_stage_has_settings_that_exist(cfg):
    assert set(OWN_SETTINGS) == set(INPUTS) == set(STAGES)
    for stage, keys in OWN_SETTINGS.items():
        assert settings(cfg, stage)
        for key in keys:
            parent, _, name = key.rpartition(".")
            assert name in (OmegaConf.select(cfg, parent) if parent else cfg), f"{stage}: {key}"


def test_every_key_determines_a_stage_or_says_where_and_how_fast_it_runs(cfg):
    elsewhere = {"name", "stages", "plan", "output", "run_dir", "num_workers", "wandb"}
    elsewhere |= {
        f"data.{key}" for key in ("root", "download", "made", "skip_corrupt")
    }  # reach readers, which are recorded
    elsewhere |= {"trainer.accelerator", "trainer.strategy"}
    elsewhere |= {f"interactions.{key}" for key in ("engine", "batch_size", "compile", "processes", "device")}
    added_later = change(cfg, interactions__roles=["pretrain", "scratch"])  # recorded where they are not neutral
    recorded = [settings(cfg, stage) for stage in STAGES] + [settings(added_later, "interactions")]
    for key in cfg:
        inside = (f"{key}.{part}" for part in cfg[key]) if key in ("trainer", "data", "interactions") else [key]
        for path in inside:
            found = any(_has(node, path.split(".")) for node in recorded)
            assert found != (path in elsewhere), path


def test_leaving_out_corrupt_images_is_no_other_setting_where_all_images_are_taken(cfg):
    """A stage that met one did not end; a draw, however, may not have met it."""
    images = {"train_samples": None, "test_samples": None, "skip_corrupt": False}
    for samples, same in ((None, True), (50, False)):
        runs = [
            change(cfg, data__target=images | {"train_samples": samples, "skip_corrupt": skip})
            for skip in (False, True)
        ]
        assert (settings(runs[0], "scratch") == settings(runs[1], "scratch")) == same


def test_where_a_known_data_set_lies_is_no_setting_but_ones_own_files_are_known_by_it(cfg):
    for files, same in (({"root": "/a", "download": False}, True), ({"root": "/a", "path": "train.csv"}, False)):
        runs = [change(cfg, data__target={"files": files | {"root": root}}) for root in ("/a", "/b")]
        assert (settings(runs[0], "scratch") == settings(runs[1], "scratch")) == same


def test_another_file_in_the_place_of_one_that_was_used_is_noticed(cfg, tmp_path):
    (tmp_path / "weights.pt").write_bytes(b"1234")
    mine = change(cfg, model__weights=str(tmp_path / "weights.pt"))
    folder = start(mine, "finetune")
    check_settings(mine, "finetune")
    (tmp_path / "weights.pt").write_bytes(b"12345")
    with pytest.raises(BadInput, match=r"model\.weights: .*weights\.pt \(4 bytes, .* there, .* \(5 bytes, .* asked"):
        check_settings(mine, "finetune")
    (tmp_path / "weights.pt").unlink()
    check_settings(mine, "finetune")  # what has gone since is no other file
    assert stage_folder(mine, "finetune") == folder


def test_another_checkpoint_in_a_pattern_is_noticed(cfg, tmp_path):
    (tmp_path / "epoch_1.pt").write_bytes(b"1234")
    mine = change(cfg, interactions__checkpoints={"finetune": f"{tmp_path}/epoch_*.pt"})
    start(mine, "interactions")
    check_settings(mine, "interactions")
    (tmp_path / "epoch_2.pt").write_bytes(b"1234")
    with pytest.raises(BadInput, match=r"interactions\.checkpoints\.finetune: .* there, .*epoch_2\.pt .* asked"):
        check_settings(mine, "interactions")


def test_stages_of_roles_that_are_left_out_are_not_read(cfg):
    two = change(cfg, interactions__roles=["finetune", "pretrain"])
    assert inputs(two, "interactions") == ["probe", "finetune"]
    assert inputs(two, "analysis") == ["interactions", "probe", "finetune"]
    assert inputs(change(cfg, interactions__roles=["scratch"]), "interactions") == ["scratch"]
    given = change(two, interactions__checkpoints={"finetune": "a.pt"})
    assert inputs(given, "interactions") == ["probe"]
    for stage in ("pretrain", "probe", "finetune", "scratch"):
        assert inputs(two, stage) == inputs(cfg, stage) == list(INPUTS[stage])


def test_results_of_all_roles_are_those_of_before_there_were_roles(cfg):
    found = settings(change(cfg, interactions__roles=["scratch", "finetune", "pretrain"]), "interactions")
    assert found == settings(cfg, "interactions")
    assert "roles" not in found["interactions"]
    assert settings(change(cfg, interactions__roles=["pretrain"]), "finetune") == settings(cfg, "finetune")


def test_other_roles_are_other_results_in_whatever_order_they_are_given(cfg):
    one, other = (
        change(cfg, interactions__roles=roles) for roles in (["pretrain", "finetune"], ["finetune", "pretrain"])
    )
    found = settings(one, "interactions")
    assert found == settings(other, "interactions")
    assert found["interactions"]["roles"] == ["pretrain", "finetune"]
    assert "scratch" not in found
    start(cfg, "interactions")
    with pytest.raises(BadInput, match=r"interactions.roles: absent there, \['pretrain', 'finetune'\] asked"):
        check_settings(one, "interactions")


def test_a_head_that_is_found_by_itself_is_in_no_settings(cfg):
    """Results are older than the key."""
    found = change(cfg, model__head=None)
    assert all(settings(found, stage) == settings(cfg, stage) for stage in STAGES)
    named = change(cfg, model__head="head")
    assert all(settings(named, stage)["model"]["head"] == "head" for stage in STAGES)


def _has(node, path):
    return not path or (isinstance(node, dict) and path[0] in node and _has(node[path[0]], path[1:]))


@pytest.mark.parametrize(("key", "value", "stages"), [
    ("seed", 1, STAGES),
    ("model.width", 8, STAGES),
    ("pretrain.lr", 0.5, ("pretrain", "probe", "finetune", "interactions", "analysis")),
    ("data.source.train_samples", 9, ("pretrain", "probe", "finetune", "interactions", "analysis")),
    ("data.target.train_samples", 9, ("probe", "finetune", "scratch", "interactions", "analysis")),
    ("probe.l2", 0.5, ("probe", "interactions", "analysis")),
    ("scratch.lr", 0.5, ("scratch", "interactions", "analysis")),
    ("trainer.precision", "bf16-mixed", STAGES),
    ("interactions.n", 3, ("interactions", "analysis")),
    ("analysis.tau", 0.5, ("analysis",)),
    ("interactions.batch_size", 3, ()),
    ("trainer.accelerator", "gpu", ()),
    ("name", "other", ()),
])  # fmt: skip
def test_a_key_changes_the_settings_of_the_stages_it_determines(cfg, key, value, stages):
    other = change(cfg, **{key.replace(".", "__"): value})
    assert {stage for stage in STAGES if settings(cfg, stage) != settings(other, stage)} == set(stages)


def test_settings_are_plain_and_resolved(cfg):
    found = settings(change(cfg, seed=5), "scratch")
    assert found["data"]["target"]["seed"] == 5
    assert found["scratch"]["lr"] == cfg.finetune.lr
    assert yaml.safe_load(yaml.safe_dump(found)) == found


def test_pre_training_is_shared_by_runs_that_start_from_the_same(cfg):
    folder = stage_folder(cfg, "pretrain")
    assert stage_folder(change(cfg, name="other", finetune__lr=0.5), "pretrain") == folder
    for changed in ({"seed": 1}, {"pretrain__lr": 0.5}, {"model__width": 8}, {"data__source__image_size": 16}):
        assert stage_folder(change(cfg, **changed), "pretrain") != folder
    assert stage_folder(cfg, "finetune") == Path(cfg.run_dir) / "finetune"
    assert stage_folder(change(cfg, analysis__name="few"), "analysis") == Path(cfg.run_dir) / "few"


def test_the_same_settings_are_accepted_again(cfg):
    for stage in STAGES:
        check_settings(cfg, stage)  # nothing there yet
        folder = start(cfg, stage)
        check_settings(cfg, stage)
        text = (folder / "config.yaml").read_text()
        assert yaml.safe_load(text) == settings(cfg, stage)
        start(cfg, stage)
        assert (folder / "config.yaml").read_text() == text


def test_other_settings_are_refused_naming_each_key_with_both_values(cfg):
    folder = start(cfg, "finetune")
    with pytest.raises(BadInput) as refused:
        check_settings(change(cfg, finetune__lr=0.5, trainer__gradient_clip_val=1.0), "finetune")
    message = str(refused.value)
    assert "finetune.lr: 0.001 there, 0.5 asked" in message
    assert "trainer.gradient_clip_val: None there, 1.0 asked" in message
    assert message.count(" asked") == 2
    assert str(folder) in message
    assert "name=..." in message


def test_a_key_that_is_new_or_gone_is_named(cfg):
    start(cfg, "analysis")
    other = cfg.copy()
    del other.analysis["salient"]
    other.analysis["depth"] = 3
    with pytest.raises(BadInput, match=r"analysis.depth: absent there, 3 asked; analysis.salient: False there, absent"):
        check_settings(other, "analysis")


def test_a_change_of_type_or_of_a_list_is_a_change(cfg):
    start(cfg, "analysis")
    with pytest.raises(BadInput, match=r"analysis.measures: \['decomposition', .* there, \['ratio'\] asked"):
        check_settings(change(cfg, analysis__measures=["ratio"]), "analysis")


def test_finish_marks_the_folder_complete(tmp_path):
    assert not is_complete(tmp_path)
    finish(tmp_path, gradient=1e-9)
    assert is_complete(tmp_path)
    about = yaml.safe_load((tmp_path / "done.json").read_text())
    assert about.keys() >= {"finished", "python", "torch", "lightning", "numpy", "gradient"}


def test_what_is_written_appears_at_once_and_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with written(path) as beside:
        beside.write_text("new")
        assert beside.parent == tmp_path
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("old", [None, "old"])
def test_a_block_that_raises_leaves_nothing_behind(tmp_path, error, old):
    path = tmp_path / "a.txt"
    if old:
        path.write_text(old)

    def interrupted():
        with written(path) as beside:
            beside.write_text("half")
            raise error

    with pytest.raises(error):
        interrupted()
    assert [file.read_text() for file in tmp_path.iterdir()] == ([old] if old else [])

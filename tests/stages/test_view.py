"""A run's folder: its name, its links, and what it never touches."""

import json
import os
import shutil

import pytest
from changing import changed

from conf.errors import BadInput
from stages.differences import chosen, differences
from stages.identity import results_of
from stages.locks import locked
from stages.records import read_record
from stages.results import finish, start
from stages.view import check_layout, folder_name, recorded, run_folder, show


def named(cfg, own=None, groups=None, **values) -> str:
    folder = run_folder(changed(cfg, run_dir=None, **values), own or cfg, groups or {})
    return str(folder.relative_to(cfg.output))


def test_the_experiments_own_settings_have_no_part_in_the_name(cfg):
    assert named(cfg) == "digits/seed=0"
    assert named(cfg, seed=3) == "digits/seed=3"
    assert named(cfg, name="mine") == "mine/seed=0"


@pytest.mark.parametrize(("values", "name"), [
    ({"finetune__lr": 3e-3}, "finetune.lr=0.003"),
    ({"finetune__lr": 1e-3}, ""),
    ({"scratch__lr": 0.001}, ""),
    ({"scratch__lr": "${pretrain.lr}"}, ""),
    ({"finetune__lr": 3e-3, "scratch__lr": 1e-3}, "finetune.lr=0.003,scratch.lr=0.001"),
    ({"seeds__train": 4}, "seeds.train=4"),
    ({"seeds__train": 0}, ""),
    ({"interactions__processes": 2, "num_workers": 4, "trainer__accelerator": "cpu"}, ""),
    ({"checkpoints__epochs": [6, 0, 2]}, "checkpoints.epochs=0+2+6"),
    ({"analysis__measures": ["noise", "ratio"]}, ""),
    ({"analysis__tau": 0.1}, "analysis.tau=0.1"),
    ({"trainer__limit_train_batches": 0.5}, "trainer.limit_train_batches=0.5"),
    ({"repeat": "again"}, "repeat=again"),
    ({"data__target__train_samples": 50, "model__width": 8}, "data.target.train_samples=50,model.width=8"),
])  # fmt: skip
def test_what_differs_is_named_whatever_was_typed(cfg, values, name):
    assert named(cfg, **values) == "/".join(part for part in ("digits", name, "seed=0") if part)


def test_another_option_of_a_group_is_named_by_itself(cfg):
    other = changed(cfg, model={"_target_": "models.vision.vit_tiny", "depth": 4, "weights": "pretrain"})
    assert differences(other, other) == []
    assert named(other, groups={"model": "vit_tiny"}) == "digits/model=vit_tiny/seed=0"
    assert named(other, own=other, groups={"model": "vit_tiny"}, model__depth=1) == (
        "digits/model=vit_tiny,model.depth=1/seed=0"
    )


def test_a_name_is_safe_and_not_too_long():
    assert folder_name(["a=1", "b=x+y"]) == "a=1,b=x+y"
    slashed, spaced = folder_name(["model.weights=/a/b"]), folder_name(["model.weights=_a_b"])
    assert "/" not in slashed
    assert slashed != spaced, "what was replaced is told apart by a digest"
    assert folder_name(["..=1"])[0] != "."
    long = [f"key{number}=value{number}" for number in range(60)]
    assert len(folder_name(long)) < 140
    assert folder_name(long) != folder_name([*long, "one=more"])
    assert len(folder_name([f"key={'ü' * 200}"]).encode()) < 140


def test_a_run_dir_of_ones_own_is_taken(cfg, tmp_path):
    assert run_folder(changed(cfg, run_dir=str(tmp_path / "x"), finetune__lr=1), cfg, {}) == tmp_path / "x"


@pytest.fixture
def made(cfg):
    """made(cfg, name): leaves a result complete."""

    def make(of, *names):
        results = results_of(of)
        for name in names:
            with locked(results[name].folder):
                (start(results[name]) / "a.txt").write_text(name)
                finish(results[name])
        return results

    return make


def test_links_are_relative_and_listed(cfg, made, tmp_path):
    results, run = made(cfg, "scratch", "interactions/samples"), tmp_path / "outputs" / "run"
    show(run, cfg, results, ["scratch", "interactions/samples", "finetune"])
    assert set(recorded(run)) == {"scratch", "interactions/samples"}
    for name, entry in recorded(run).items():
        assert os.readlink(run / name).startswith("..")
        assert (run / name / "a.txt").read_text() == name
        assert (run / entry["path"]).resolve() == results[name].folder
        assert entry["digest"] == results[name].digest
    moved = tmp_path / "elsewhere"
    (tmp_path / "outputs").rename(moved)
    assert (moved / "run" / "scratch" / "a.txt").read_text() == "scratch"


def test_the_full_configuration_lies_beside(cfg, made, tmp_path):
    run = tmp_path / "outputs" / "run"
    show(run, cfg, made(cfg, "scratch"), ["scratch"])
    text = (run / "config.yaml").read_text()
    assert "lr: 0.001" in text
    assert "${" not in text
    before = (run / "config.yaml").stat().st_mtime_ns, (run / "results.json").stat().st_mtime_ns
    show(run, changed(cfg, stages=["analysis"]), made(cfg), ["scratch"])
    assert ((run / "config.yaml").stat().st_mtime_ns, (run / "results.json").stat().st_mtime_ns) == before


def test_what_was_chosen_lies_beside(cfg, made, tmp_path):
    """Keys that follow a chosen one were not chosen, nor was what decides nothing."""
    run, other = tmp_path / "outputs" / "run", changed(cfg, finetune__lr=3e-3, num_workers=2, seeds__train=1)
    what = chosen(other, cfg, {"model": "conv4", "debug": None})
    assert what == {"groups": {"model": "conv4", "debug": None}, "keys": {"finetune.lr": 3e-3, "seeds.train": 1}}
    show(run, other, made(other, "scratch"), ["scratch"], what)
    assert read_record(run / "chosen.json") == what
    before = (run / "chosen.json").stat().st_mtime_ns
    show(run, other, made(other), ["scratch"], what)
    assert (run / "chosen.json").stat().st_mtime_ns == before
    (run / "chosen.json").write_text("{")
    show(run, other, made(other), ["scratch"], what)
    assert read_record(run / "chosen.json") == what


def test_what_is_shown_stays_as_long_as_it_is_of_this_study(cfg, made, tmp_path):
    run, other = tmp_path / "outputs" / "run", changed(cfg, scratch__lr=0.5)
    show(run, cfg, made(cfg, "scratch", "interactions/samples"), ["scratch", "interactions/samples"])
    show(run, cfg, made(cfg), [])
    assert set(recorded(run)) == {"scratch", "interactions/samples"}
    show(run, other, made(other, "scratch"), ["scratch"])
    assert set(recorded(run)) == {"scratch", "interactions/samples"}
    assert (run / "scratch").resolve() == results_of(other)["scratch"].folder
    shutil.rmtree(results_of(other)["scratch"].folder)
    show(run, other, made(other), [])
    assert set(recorded(run)) == {"interactions/samples"}
    assert not (run / "scratch").is_symlink()


def test_results_of_an_earlier_version_are_named_and_never_touched(cfg, tmp_path, capsys):
    output, run = tmp_path / "outputs", tmp_path / "outputs" / "digits" / "seed=0"
    (output / "pretrain" / "conv4-1234").mkdir(parents=True)
    (output / "pretrain" / "conv4-1234" / "done.json").write_text("{}")
    check_layout(output, run)
    assert f"{output / 'pretrain'} holds 1 pre-training of an earlier version" in capsys.readouterr().out
    for stage in ("finetune", "analysis"):
        (run / stage).mkdir(parents=True)
        (run / stage / "config.yaml").write_text("a: 1")
    with pytest.raises(BadInput, match=r"seed=0 holds results of an earlier version .*\(finetune, analysis\)"):
        check_layout(output, run)
    assert json.loads((output / "pretrain" / "conv4-1234" / "done.json").read_text()) == {}


def test_what_lies_there_of_this_version_is_no_earlier_one(cfg, made, tmp_path, capsys):
    run = tmp_path / "outputs" / "run"
    show(run, cfg, made(cfg, "scratch", "analysis"), ["scratch", "analysis"])
    check_layout(tmp_path / "outputs", run)
    assert capsys.readouterr().out == ""


def test_what_reaches_results_through_others_is_named(cfg):
    assert named(cfg, seeds__data=1) == "digits/seeds.data=1/seed=0"
    assert named(cfg, data__synthetic=2) == "digits/data.synthetic=2/seed=0"


def test_commas_and_plus_signs_in_a_value_are_told_from_ours():
    assert folder_name(["repeat=a,seeds.train=1"]) != folder_name(["repeat=a", "seeds.train=1"])


def test_a_list_is_told_from_a_word_with_a_plus_sign(cfg):
    one, other = (named(cfg, interactions__stop_words=words) for words in (["a+b"], ["a", "b"]))
    assert one != other


@pytest.mark.parametrize("values", [{"trainer__precision": 32}, {"trainer__devices": [0]}, {"finetune__lr": 0.0010}])
def test_another_way_to_say_the_same_is_no_difference(cfg, values):
    assert named(cfg, **values) == "digits/seed=0"


def test_links_lead_to_results_through_other_links(cfg, made, tmp_path):
    place = tmp_path / "another" / "disk" / "runs"
    place.mkdir(parents=True)
    (tmp_path / "linked").symlink_to(place)
    show(tmp_path / "linked" / "mine", cfg, made(cfg, "scratch"), ["scratch"])
    assert (tmp_path / "linked" / "mine" / "scratch" / "a.txt").read_text() == "scratch"

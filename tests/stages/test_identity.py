"""What decides a result, and what does not."""

import json
import os
import re
from pathlib import Path

import pytest
from changing import changed
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from conf.errors import BadInput
from conf.schema import FEATURES, NO_NEUTRAL, SIMILAR, VALUES, keys
from stages.canonical import OURS
from stages.identity import results_of
from stages.table import STAGES, names

CONF = Path(__file__).resolve().parents[2] / "conf"
STORED = Path(__file__).with_name("digests.json")
BEFORE = "digits probe.l2=0.01"  # which l2 was when the default study was first published
ALL = [name for stage in STAGES for name in stage.results if name not in SIMILAR]  # no measure of the default study
SAMPLES = "interactions/samples"
COMPARED = (*VALUES, "analysis")
OF_TARGET = ("probe", "finetune", "scratch", SAMPLES, *FEATURES, *COMPARED)
OF_LABELS = ("probe", "finetune", "scratch", SAMPLES, "representations/finetune", *COMPARED)
OF_FINETUNING = ("finetune", "interactions/finetune", "representations/finetune", "analysis")
OF_START = ("probe", "interactions/probe", "representations/pretrain", *OF_FINETUNING)
OF_PRETRAINING = ("pretrain", *OF_START)
OF_TRAINING = ("scratch", "interactions/scratch", *OF_FINETUNING)


def differ(first: dict[str, str], second: dict[str, str]) -> set[str]:
    return {name for name in first.keys() | second.keys() if first.get(name) != second.get(name)}


@pytest.mark.parametrize(("key", "value", "results"), [
    ("seeds.pretrain", 1, OF_PRETRAINING),
    ("seeds.train", 1, OF_TRAINING),
    ("seeds.samples", 1, (SAMPLES, *COMPARED)),
    ("seeds.data", 1, ALL),
    ("seed", 1, ALL),
    ("model.width", 8, [name for name in ALL if name != SAMPLES]),
    ("pretrain.lr", 0.5, OF_PRETRAINING),
    ("data.source.train_samples", 9, OF_PRETRAINING),
    ("data.target.train_samples", 9, OF_TARGET),
    ("probe.l2", 0.5, ("probe", "interactions/probe", "analysis")),
    ("probe.l2", 0.001, ("probe", "interactions/probe", "analysis")),  # though it may be what auto chooses
    ("finetune.lr", 0.5, OF_TRAINING),
    ("scratch.lr", 0.5, ("scratch", "interactions/scratch", "analysis")),
    *((f"pretrain.{key}", value, OF_PRETRAINING) for key, value in (
        ("iterations", 9), ("optimizer", "adam"), ("schedule", "step"), ("step_epochs", 3), ("step_factor", 0.5))),
    ("finetune.iterations", 9, OF_TRAINING),
    ("scratch.iterations", 9, ("scratch", "interactions/scratch", "analysis")),
    ("start.epoch", 3, OF_START),
    ("start.transfer", "shuffled", OF_FINETUNING),
    ("start.transfer", 2, OF_FINETUNING),
    ("start.head", "kept", OF_FINETUNING),
    ("data.labels.random", 4, OF_LABELS),
    ("data.labels.shift", 4, OF_LABELS),
    ("representations.layers", ["penultimate", "block2"], (*FEATURES, "analysis")),
    ("representations.pool", "none", (*FEATURES, "analysis")),
    ("trainer.precision", "bf16-mixed", [name for name in ALL if name != SAMPLES]),
    ("trainer.devices", 2, [name for name in ALL if name != SAMPLES]),
    ("trainer.gradient_clip_val", 1, [name for name in ALL if name != SAMPLES]),
    ("interactions.n", 3, (SAMPLES, *COMPARED)),
    ("interactions.shared_variables", True, (SAMPLES, *COMPARED)),
    ("interactions.precision", "float64", COMPARED),
    ("interactions.roles", ["pretrain", "finetune"], ("interactions/scratch", "analysis")),
    ("analysis.tau", 0.5, ("analysis",)),
    ("checkpoints.epochs", [0, 2], ("analysis",)),
    ("repeat", "again", ALL),
])  # fmt: skip
def test_a_key_decides_these_results_and_no_others(cfg, digests, key, value, results):
    assert differ(digests(cfg), digests(cfg, **{key.replace(".", "__"): value})) == set(results)


OF_MOVES = {role: f"representations/similarity/{role}" for role in ("pretrain", "finetune", "scratch")}


@pytest.mark.parametrize(("key", "value", "roles"), [
    ("data.target.train_samples", 9, ("pretrain", "finetune", "scratch")),  # other inputs
    ("pretrain.lr", 0.5, ("pretrain", "finetune")), ("finetune.lr", 0.5, ("finetune", "scratch")),
    ("scratch.lr", 0.5, ("scratch",)), ("seeds.samples", 1, ()),
    ("start.epoch", 3, ("finetune",)), ("interactions.n", 3, ()), ("probe.l2", 0.5, ()), ("analysis.tau", 0.5, ()),
    ("representations.layers", ["block2"], ()),
    ("representations.similarity.inputs", 9, ("pretrain", "finetune", "scratch")),
    ("representations.similarity.scratch", ["finetune"], ("scratch",)),
    ("model.layers", ["block2"], ("pretrain", "finetune", "scratch")),
])  # fmt: skip
def test_a_key_decides_these_comparisons_and_no_others(cfg, digests, key, value, roles):
    asked = {"analysis__measures": ["cka"]}
    changed = differ(digests(cfg, **asked), digests(cfg, **asked, **{key.replace(".", "__"): value}))
    assert changed & set(OF_MOVES.values()) == {OF_MOVES[role] for role in roles}


def test_models_that_do_not_exist_are_not_compared(cfg, digests, tmp_path):
    (tmp_path / "weights.pt").write_bytes(b"1234")
    asked = {"analysis__measures": ["cka"]}
    there = digests(cfg, **asked, model__weights=str(tmp_path / "weights.pt"))
    assert set(there) & set(OF_MOVES.values()) == {OF_MOVES["finetune"], OF_MOVES["scratch"]}
    two = digests(cfg, **asked, interactions__roles=["pretrain", "finetune"])
    assert set(two) & set(OF_MOVES.values()) == {OF_MOVES["pretrain"], OF_MOVES["finetune"]}
    assert OF_MOVES["scratch"] not in digests(cfg, **asked, representations__similarity__scratch=[])
    assert not set(digests(cfg)) & set(OF_MOVES.values()), "no measure reads them"


def test_which_epoch_stands_for_the_pre_trained_model_decides(cfg, digests):
    asked = {"analysis__measures": ["cka"], "representations__similarity__scratch": ["pretrain"]}
    assert OF_MOVES["scratch"] in differ(digests(cfg, **asked), digests(cfg, **asked, start__epoch=3))
    asked["representations__similarity__scratch"] = ["pretrain@2"]
    assert OF_MOVES["scratch"] not in differ(digests(cfg, **asked), digests(cfg, **asked, start__epoch=3))


@pytest.mark.parametrize(("key", "value"), [
    ("analysis.measures", ["ratio"]), ("analysis.measures", ["ratio", "logme"]),
    ("name", "other"), ("run_dir", None), ("stages", ["analysis"]), ("num_workers", 3), ("wandb.mode", "disabled"),
    ("data.root", "/elsewhere"), ("data.download", True), ("data.size", {"train": 3}),
    ("trainer.accelerator", "gpu"), ("trainer.strategy", "ddp"), ("trainer.profiler", "simple"),
    *((f"interactions.{key}", value) for key, value in (
        ("engine", "dense"), ("batch_size", 3), ("compile", True), ("processes", 2), ("device", "cpu"))),
])  # fmt: skip
def test_where_and_how_fast_decides_nothing(cfg, digests, key, value):
    assert digests(cfg) == digests(cfg, **{key.replace(".", "__"): value})


@pytest.mark.parametrize(("one", "other"), [
    ({"finetune__lr": 1e-3}, {"finetune__lr": 0.001}),
    ({"finetune__weight_decay": 0}, {"finetune__weight_decay": 0.0}),
    ({"trainer__gradient_clip_val": 1}, {"trainer__gradient_clip_val": 1.0}),
    ({"trainer__precision": 32}, {"trainer__precision": "32-true"}),
    ({"trainer__precision": "bf16"}, {"trainer__precision": "bf16-mixed"}),
    ({"trainer__devices": 2}, {"trainer__devices": "2"}),
    ({"trainer__devices": 2}, {"trainer__devices": [1, 3]}),
    ({"trainer__devices": 2, "trainer__num_nodes": 2}, {"trainer__devices": 4}),
    ({}, {"trainer__devices": "auto", "trainer__accelerator": "cpu"}),
    ({}, {"trainer__limit_train_batches": None}),
    ({}, {"trainer__use_distributed_sampler": True}),
    ({}, {"model__channels": 3}),
    ({"checkpoints__epochs": [12, 0]}, {"checkpoints__epochs": [0, 12, 0]}),
    ({"interactions__stop_words": ["a", "the"]}, {"interactions__stop_words": ["the", "a", "a"]}),
    ({"interactions__roles": ["finetune", "pretrain"]}, {"interactions__roles": ["pretrain", "finetune"]}),
    ({"analysis__measures": ["ratio", "noise"]}, {"analysis__measures": ["noise", "ratio"]}),
    ({"data__target__train_samples": 50}, {"data__target__train_samples": 50.0}),
    ({}, {"model__head": None}), ({}, {"start__epoch": "last"}), ({}, {"start__transfer": "all"}),
    ({}, {"seeds__train": 0}), ({}, {"start__head": "new"}), ({}, {"data__labels__random": 0}),
])  # fmt: skip
def test_what_means_the_same_is_the_same_result(cfg, digests, one, other):
    assert digests(cfg, **one) == digests(cfg, **other)


def test_random_labels_are_those_of_the_seed_of_the_data(cfg, digests):
    own = {"data__target__seed": 0, "data__source__seed": 0}
    for random, results in ((0, set()), (4, set(OF_LABELS))):
        one, other = (digests(cfg, **own, data__labels__random=random, seeds__data=seed) for seed in (0, 1))
        assert differ(one, other) == results


def test_what_is_typed_beside_a_default_counts(cfg, digests):
    for other in ({"model__channels": 1}, {"trainer__limit_train_batches": 0.5}, {"model__head": "head"}):
        assert "scratch" in differ(digests(cfg), digests(cfg, **other))


def test_scratch_is_trained_alike_whatever_is_pre_trained(cfg, digests, tmp_path):
    (tmp_path / "weights.pt").write_bytes(b"1234")
    for other in ({"model__weights": str(tmp_path / "weights.pt")}, {"model__weights": "scratch"}, {"start__epoch": 2}):
        changes = differ(digests(cfg), digests(cfg, **other))
        assert {"finetune", "interactions/probe"} <= changes
        assert not {"scratch", "interactions/scratch", SAMPLES} & changes


def test_weights_are_known_by_what_they_hold(cfg, digests, tmp_path):
    one, other = tmp_path / "a" / "one.pt", tmp_path / "b" / "other.pt"
    for file in (one, other):
        file.parent.mkdir()
        file.write_bytes(b"1234")
    first = digests(cfg, model__weights=str(one))
    assert digests(cfg, model__weights=str(other)) == first
    other.write_bytes(b"1235")
    assert differ(first, digests(cfg, model__weights=str(other))) == set(OF_PRETRAINING)
    one.touch()
    os.utime(one, (0, 0))
    assert digests(cfg, model__weights=str(one)) == first, "dates decide nothing"
    assert "pretrain" in differ(first, digests(cfg, model__weights=f"{one}#teacher"))


def test_of_several_weights_start_epoch_takes_one(cfg, tmp_path):
    for epoch in (1, 5, 12):
        (tmp_path / f"epoch_{epoch}.pt").write_bytes(b"1" * epoch)
    for wanted in (f"{tmp_path}/epoch_*.pt", [f"{tmp_path}/epoch_{epoch}.pt" for epoch in (12, 1, 5)]):
        found = {
            epoch: results_of(changed(cfg, model__weights=wanted, start__epoch=epoch))["pretrain"].settings
            for epoch in (1, 5, "last")
        }
        assert [found[epoch]["model.weights"].split(",")[0] for epoch in (1, 5, "last")] == [
            "1 byte", "5 bytes", "12 bytes",
        ]  # fmt: skip
        with pytest.raises(Exception, match=r"start\.epoch=4: model\.weights has the epochs 1, 5, 12"):
            results_of(changed(cfg, model__weights=wanted, start__epoch=4))


def test_a_data_file_and_folder_are_known_by_what_they_hold(cfg, digests, tmp_path):
    table = tmp_path / "train.csv"
    table.write_text("text,label\na,1\n")
    target = {"_target_": "data.text.task", "files": {"_target_": "data.text.csv", "root": str(tmp_path),
              "path": "train.csv", "test_path": "train.csv"}}  # fmt: skip
    first = digests(cfg, data__target=target)
    moved = tmp_path / "moved"
    moved.mkdir()
    (moved / "other.csv").write_text("text,label\na,1\n")
    target["files"] |= {"root": str(moved), "path": "other.csv", "test_path": "other.csv"}
    assert digests(cfg, data__target=target) == first
    (moved / "other.csv").write_text("text,label\nb,1\n")
    assert differ(first, digests(cfg, data__target=target)) == set(OF_TARGET)


def test_where_a_known_data_set_lies_decides_nothing(cfg, digests):
    files = {"_target_": "data.vision.cifar10", "download": False, "synthetic": 0}
    one, other = ({"_target_": "data.images.task", "files": files | {"root": root}} for root in ("/a", "/b"))
    assert digests(cfg, data__target=one) == digests(cfg, data__target=other)


def test_the_size_that_a_plan_assumes_decides_nothing(cfg, digests):
    images = {"_target_": "data.images.task", "input": {"size": 32}}
    bare, told = (digests(cfg, data__source=images | size) for size in ({}, {"size": {"train": 9, "test": 9}}))
    assert told == bare
    larger = digests(cfg, data__source=images | {"input": {"size": 64}})
    assert differ(bare, larger) >= {"pretrain"}, "the side of an image is another size"
    own = {"_target_": "my.task"}
    assert differ(*(digests(cfg, data__source=own | size) for size in ({}, {"size": 3}))) >= {"pretrain"}


def test_leaving_out_corrupt_images_is_no_other_setting_where_all_images_are_taken(cfg, digests):
    """A stage that met one did not end; a draw, however, may not have met it."""
    for samples, same in ((None, True), (50, False)):
        images = {"_target_": "data.images.task", "train_samples": samples, "test_samples": None}
        one, other = (digests(cfg, data__target=images | {"skip_corrupt": skip}) for skip in (False, True))
        assert (one["scratch"] == other["scratch"]) == same


def test_a_module_of_the_users_own_is_known_by_its_source(cfg, digests, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "my_layers.py").write_text("WIDTH = 3\n")
    (tmp_path / "my_study_models.py").write_text("import my_layers\ndef network(num_classes, width=3): ...\n")
    own = {"model": {"_target_": "my_study_models.network", "head": None, "input": {"size": 32, "mean": 0, "std": 1}}}
    first = digests(cfg, **own)
    assert digests(cfg, model=own["model"] | {"width": 3}) == first, "its own default"
    (tmp_path / "my_layers.py").write_text("WIDTH = 4\n")
    assert differ(first, digests(cfg, **own)) == {name for name in ALL if name != SAMPLES}


def test_a_file_that_the_users_own_data_read_is_noticed(cfg, digests, tmp_path):
    file = tmp_path / "pixels.npy"
    file.write_bytes(b"1")
    target = {"_target_": "my_data.task", "options": {"pixels": str(file)}, "split": "train"}
    first = digests(cfg, data__target=target)
    file.write_bytes(b"2")
    assert differ(first, digests(cfg, data__target=target)) == set(OF_TARGET)


def test_files_of_a_role_take_the_place_of_its_training(cfg, digests, tmp_path):
    for epoch in (1, 2):
        (tmp_path / f"epoch_{epoch}.pt").write_bytes(b"1" * epoch)
    given = {"interactions__checkpoints__finetune": f"{tmp_path}/epoch_*.pt"}
    results = results_of(changed(cfg, **given))
    assert set(results["interactions/finetune"].inputs) == {SAMPLES}
    assert "finetune" not in results["analysis"].inputs
    of_file = {"interactions/finetune", "representations/finetune", "analysis"}
    assert differ(digests(cfg), digests(cfg, **given)) == of_file
    first = digests(cfg, **given)
    assert (
        digests(cfg, **given, finetune__lr=0.5, scratch__lr=1e-3)["interactions/finetune"]
        == (first["interactions/finetune"])
    )
    (tmp_path / "epoch_2.pt").write_bytes(b"33")
    assert differ(first, digests(cfg, **given)) == of_file


def test_a_raised_number_is_another_result(cfg, digests, monkeypatch):
    first = digests(cfg)
    monkeypatch.setattr("stages.identity.STAGES", tuple(
        stage if stage.name != "probe" else type(stage)(**{**vars(stage), "number": 2}) for stage in STAGES
    ))  # fmt: skip
    assert differ(first, digests(cfg)) == {"probe", "interactions/probe", "analysis"}


def test_the_folder_of_a_result_is_readable_and_ends_in_its_digest(cfg):
    found = {name: result.folder.name.removesuffix(f"-{result.digest}") for name, result in results_of(cfg).items()}
    assert found == {
        "pretrain": "conv4-glyphs-seed=0", "probe": "conv4-digits-seed=0", "finetune": "conv4-digits-seed=0",
        "scratch": "conv4-digits-seed=0", SAMPLES: "digits-n=9", "analysis": "analysis",
        **dict.fromkeys(VALUES, "conv4-digits-n=9"), **dict.fromkeys(FEATURES, "conv4-digits"),
    }  # fmt: skip
    for name, result in results_of(cfg).items():
        wanted = Path(cfg.run_dir) if name == "analysis" else Path(cfg.output, "results", name)
        assert result.folder.parent == wanted


def test_what_decided_a_result_is_plain_and_says_its_numbers(cfg):
    decided = results_of(cfg)["interactions/finetune"].decided()
    assert decided["finetune.lr"] == cfg.finetune.lr
    assert decided["pretrain.epochs"] == cfg.pretrain.epochs
    assert {key for key in decided if key.startswith("number.")} == {
        "number.pretrain", "number.finetune", "number.interactions"
    }  # fmt: skip
    assert json.loads(json.dumps(decided)) == decided


def test_everybodys_results_keep_their_names():
    """The digests of all experiments, as they were when they were first published. If one differs, results of users are
    not found again: give a new key a neutral value; a computation that changed, another number in stages/table.py."""
    found = {}
    with initialize_config_dir(str(CONF), version_base="1.3"):
        for name in (*(file.stem for file in (CONF / "experiment").glob("*.yaml")), BEFORE):
            cfg = compose("config", f"experiment={name}".split())
            found[name] = {result: made.digest for result, made in results_of(cfg).items()}
    assert found == json.loads(STORED.read_text())


def test_a_configuration_of_before_a_key_existed_has_the_same_results(default):
    """The default study, as it was composed when it was first published."""
    before = OmegaConf.load(STORED.with_name("configuration.yaml"))
    found = {name: result.digest for name, result in results_of(before).items()}
    assert found == json.loads(STORED.read_text())[BEFORE]
    later = {path for path, known in keys() if OmegaConf.select(before, path, default="absent") == "absent"}
    assert all(dict(keys())[path].neutral is not NO_NEUTRAL for path in later)


def test_every_stage_is_in_the_table_once():
    assert names() == ("pretrain", "probe", "finetune", "scratch", "interactions", "representations", "analysis")


def test_one_and_all_batches_are_told_apart(cfg, digests):
    """1 is one batch to Lightning, and 1.0 are all of them."""
    one, all_of_them = (digests(cfg, trainer__limit_train_batches=share) for share in (1, 1.0))
    assert one["scratch"] != all_of_them["scratch"]


def test_a_users_own_code_may_tell_1_from_1_0(cfg, digests):
    own = {"_target_": "my_data.task", "keep": 2}
    assert digests(cfg, data__target=own) != digests(cfg, data__target=own | {"keep": 2.0})


@pytest.mark.parametrize("given", [
    {"files": ["{0}/a.txt", "other"]}, {"file": "{0}/a.txt"}, {"files": "{0}/*.txt"}, {"_args_": ["{0}/a.txt"]},
    {"inside": {"deeper": ["{0}/a.txt"]}},
])  # fmt: skip
def test_files_are_noticed_wherever_they_stand_in_the_users_own_arguments(cfg, digests, tmp_path, given):
    def filled(node: object) -> object:
        if isinstance(node, dict):
            return {key: filled(value) for key, value in node.items()}
        if isinstance(node, list):
            return [filled(value) for value in node]
        return node.format(tmp_path)

    (tmp_path / "a.txt").write_text("1")
    target = {"_target_": "my_data.task"} | filled(given)
    first = digests(cfg, data__target=target)
    (tmp_path / "a.txt").write_text("2")
    assert differ(first, digests(cfg, data__target=target)) == set(OF_TARGET)


def test_a_file_that_is_a_default_is_noticed(cfg, digests, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_default_data.py").write_text("def task(file='words.txt'): ...\n")
    (tmp_path / "words.txt").write_text("1")
    target = {"_target_": "my_default_data.task", "file": "words.txt"}
    first = digests(cfg, data__target=target)
    (tmp_path / "words.txt").write_text("2")
    assert differ(first, digests(cfg, data__target=target)) == set(OF_TARGET)


def test_code_that_is_reached_by_its_name_is_noticed(cfg, digests, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "my_scaling.py").write_text("def scale(): return 1\n")
    target = {"_target_": "my_data.task", "fn": {"_target_": "hydra.utils.get_method", "path": "my_scaling.scale"}}
    first = digests(cfg, data__target=target)
    (tmp_path / "my_scaling.py").write_text("def scale(): return 2\n")
    assert differ(first, digests(cfg, data__target=target)) == set(OF_TARGET)


def test_modules_that_are_known_by_number_are_those_of_the_programs_own_functions():
    """Any other `_target_` is known by its source, whether it lies among ours or not."""
    targets = set()
    for file in (*(CONF / "data").glob("*.yaml"), *(CONF / "model").glob("*.yaml"), *(CONF / "source").glob("*.yaml")):
        targets |= set(re.findall(r"_target_: ([\w.]+)", file.read_text()))
    assert {target.rpartition(".")[0] for target in targets} | {"data.hub"} >= set(OURS)


def test_data_that_hold_the_output_are_refused(cfg, tmp_path):
    target = {"_target_": "data.images.task", "files": {"_target_": "data.folder.folder", "path": str(tmp_path)}}
    with pytest.raises(BadInput, match="is read as data or weights and contains output="):
        results_of(changed(cfg, data__target=target))


def test_a_folder_of_weights_is_known_by_the_files_that_may_be_read(cfg, digests, tmp_path):
    folder = tmp_path / "encoder"
    folder.mkdir()
    (folder / "pytorch_model.bin").write_bytes(b"1")
    (folder / "notes.txt").write_text("of no effect")
    first = digests(cfg, model__weights=str(folder))
    (folder / "notes.txt").write_text("of no effect at all")
    assert digests(cfg, model__weights=str(folder)) == first
    (folder / "pytorch_model.bin").write_bytes(b"2")
    assert differ(first, digests(cfg, model__weights=str(folder))) == set(OF_PRETRAINING)


def test_the_sizes_of_a_text_encoder_decide_scratch_too(cfg, digests, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"1")
    model = {"_target_": "models.text.bert", "weights": str(tmp_path), "head": None, "input": {"size": 3}}
    first = digests(cfg, model=model)
    (tmp_path / "config.json").write_text('{"hidden_size": 2}')
    assert "scratch" in differ(first, digests(cfg, model=model))


def test_to_start_from_the_last_epoch_by_its_number_is_no_difference(cfg, digests):
    assert digests(cfg, start__epoch=cfg.pretrain.epochs) == digests(cfg)
    fewer = {"pretrain__iterations": 9}  # then there may be no such epoch
    assert "finetune" in differ(digests(cfg, **fewer, start__epoch=cfg.pretrain.epochs), digests(cfg, **fewer))


def test_a_stage_stands_after_those_that_it_reads():
    seen = []
    for stage in STAGES:
        for name, reads in stage.results.items():
            assert set(reads) <= set(seen), name
            seen.append(name)

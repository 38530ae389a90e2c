import pytest

from analysis.runs.settings import in_order

BOTH = {"data": "digits", "model": "conv4"}


def test_what_was_chosen_tells_runs_apart_and_what_follows_is_named(run_of):
    runs = [run_of({"finetune.lr": lr, "scratch.lr": lr, "n": 9}, BOTH, chosen=["finetune.lr"], train=seed)
            for lr in (0.1, 0.01) for seed in (0, 1)]  # fmt: skip
    ordered, settings = in_order(runs)
    assert settings.columns == ("finetune.lr",)
    assert settings.of_run == [(0.01,), (0.01,), (0.1,), (0.1,)], "numbers upwards"
    assert [run.seeds["seeds.train"] for run in ordered] == [0, 1, 0, 1]
    assert settings.also == ["scratch.lr (0.1, 0.01): differs with finetune.lr"]
    assert settings.label(settings.each[0]) == "finetune.lr=0.01"


def test_a_key_that_a_run_did_not_change_has_the_value_that_it_has(run_of):
    runs = [run_of({"finetune.lr": 0.1}, BOTH), run_of({"finetune.lr": 0.001}, BOTH, chosen=[])]
    assert in_order(runs)[1].of_run == [(0.001,), (0.1,)]


def test_groups_are_named_and_what_they_bring_is_not(run_of):
    runs = [run_of({"model.width": width, "data.target.image_size": size}, BOTH | {"model": model, "recipe": model[:3]},
                   chosen=[])
            for model, width, size in (("vit_tiny", None, 16), ("conv4", 64, 32))]  # fmt: skip
    _, settings = in_order(runs)
    assert settings.columns == ("model",), "recipe tells nothing apart that model does not"
    assert settings.each == [("vit_tiny",), ("conv4",)]
    assert settings.also == ["model.*, data.target.image_size (16, 32): differs with model"]


def test_experiments_are_told_apart_by_their_data_and_models(run_of):
    runs = [run_of({}, {"data": data, "model": model, "experiment": f"{data}_{model}"}, name=f"{data}_{model}")
            for data in ("cars", "cub200") for model in ("vgg16", "vit_b")]  # fmt: skip
    _, settings = in_order(runs)
    assert settings.columns == ("data", "model")
    assert settings.label(settings.each[1]) == "data=cars, model=vit_b"


def test_an_experiment_that_stands_for_the_settings_of_another_is_no_setting(run_of):
    runs = [run_of({"n": 9}, BOTH | {"experiment": name}, chosen=[], train=seed)
            for seed, name in enumerate(("digits", "digits_seeds", "digits_seeds"))]  # fmt: skip
    assert in_order(runs)[1].columns == ()
    runs[0] = run_of({"n": 8}, BOTH | {"experiment": "digits"}, chosen=[])
    assert in_order(runs)[1].columns == ("experiment",)


def test_the_name_of_the_study_tells_apart_what_nothing_else_does(run_of):
    assert in_order([run_of({}, BOTH, name=name) for name in "ab"])[1].columns == ("study",)


def test_without_a_record_of_the_choice_what_differs_tells_runs_apart(run_of):
    runs = [run_of({"finetune.lr": lr, "scratch.lr": lr, "probe.l2": l2}, train=seed)
            for lr in (0.1, 0.01) for l2 in (1, 2) for seed in (0, 1)]  # fmt: skip
    _, settings = in_order(runs)
    assert settings.columns == ("finetune.lr", "probe.l2")
    assert len(settings.each) == 4
    assert settings.also == ["scratch.lr (0.1, 0.01): differs with finetune.lr"]


def test_what_differs_unchosen_within_a_setting_makes_another_setting(run_of):
    """As when a file of the configuration was edited between two runs: they are no replicates."""
    runs = [run_of({"finetune.epochs": epochs}, BOTH, chosen=[], train=epochs) for epochs in (10, 20)]
    assert in_order(runs)[1].columns == ("finetune.epochs",)


def test_an_argument_that_follows_a_seed_is_no_setting(run_of):
    runs = [run_of({"data.target.files.draw": seed}, BOTH, chosen=[], data=seed) for seed in (0, 1)]
    _, settings = in_order(runs)
    assert settings.columns == ()
    assert settings.also == []
    assert settings.label(()) == "all runs"


@pytest.mark.parametrize("weights", ["/x1/pre{}/epoch_*.pt", "pre{}.pt", "a10/{}/0.5/{}"])
def test_weights_of_other_pre_trainings_are_a_seed_although_they_were_chosen(run_of, weights):
    runs = [run_of({"model.weights": weights.format(seed, seed), "start.epoch": epoch}, BOTH, pretrain=seed)
            for seed in (0, 1) for epoch in (10, 20)]  # fmt: skip
    _, settings = in_order(runs)
    assert settings.columns == ("start.epoch",)
    assert settings.also == []
    assert [settings.of_run.count(each) for each in settings.each] == [2, 2]


@pytest.mark.parametrize("files", ["/x1/from_{1}/epoch_*.pt", "s{0}/from_{1}.pt", "s{0}.pt"])
def test_files_of_each_seed_and_epoch_of_pre_training_are_no_setting(run_of, files):
    key = "interactions.checkpoints.finetune"
    runs = [run_of({key: files.format(seed, epoch), "start.epoch": epoch}, BOTH, pretrain=seed)
            for seed in (0, 1) for epoch in (10, 20)]  # fmt: skip
    _, settings = in_order(runs)
    assert settings.columns == ("start.epoch",)
    assert settings.also == []


def test_files_of_other_epochs_are_a_setting(run_of):
    key = "interactions.checkpoints.finetune"
    runs = [run_of({key: f"from_{20 - epoch}.pt", "start.epoch": epoch}, BOTH) for epoch in (5, 10, 20)]
    assert in_order(runs)[1].columns == (key, "start.epoch")


@pytest.mark.parametrize("words", [("pre1.pt", "pre0.pt"), ("pre0.pt", "post1.pt"), ("pre10.pt", "pre11.pt"),
                                   ("w0.5", "w1.5"), ("w2.0", "w2.1")])  # fmt: skip
def test_other_weights_are_a_setting(run_of, words):
    runs = [run_of({"model.weights": word}, BOTH, pretrain=seed) for seed, word in enumerate(words)]
    assert in_order(runs)[1].columns == ("model.weights",)


@pytest.mark.parametrize(("key", "chosen"), [("start.epoch", None), ("start.epoch", []), ("model.depth", None)])
def test_a_setting_that_happens_to_equal_a_seed_is_a_setting(run_of, key, chosen):
    runs = [run_of({key: seed}, BOTH, chosen=chosen, train=seed) for seed in (0, 1)]
    assert in_order(runs)[1].columns == (key,)


def test_numbers_go_upwards_and_words_follow(run_of):
    runs = [run_of({"probe.l2": value}, BOTH) for value in ("auto", 0.1, 1e-4, "none", 1)]
    assert in_order(runs)[1].of_run == [(1e-4,), (0.1,), (1,), ("auto",), ("none",)]


def test_lists_flags_and_nothing_are_words(run_of):
    runs = [run_of({"checkpoints.epochs": value}, BOTH) for value in ([0, 1], None, True, "all")]
    assert sorted(in_order(runs)[1].of_run) == [("[0, 1]",), ("all",), ("null",), ("true",)]


def test_a_setting_that_is_called_like_a_column_of_a_table_has_another_header(run_of):
    tables = {"jaccard": {"model": [], "epoch": []}}
    runs = [run_of({}, BOTH | {"model": model}, tables=tables) for model in "ab"]
    _, settings = in_order(runs)
    assert (settings.columns, settings.headers) == (("model",), ("chosen.model",))

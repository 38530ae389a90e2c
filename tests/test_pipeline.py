"""The whole study in small: what it leaves on disk, and its options."""

import csv
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from studies import STAGES, Finished, Studies, files

EPOCHS = range(3)
PARTS = ("samples", "probe", "finetune", "scratch")
INTERVAL = ["mean", "low", "high"]


def _under(*references: str, equal: bool = True) -> list[str]:
    """The columns of a quantity under these references, and of all that at equal strengths."""
    ends = [f"{name}{end}" for name in references for end in ("", "_excess", "_low", "_high")]
    return [*INTERVAL, *ends, *(f"equal_{name}" for name in (*INTERVAL, *ends) if equal)]


OF_CLAIMS = ["measure", "claim", "key", "quantity", *INTERVAL, "above", "below", "verdict"]
OF_CLAIMS += ["vs_placement", "vs_sign", "vs_task", "why", "noise"]
TABLES = {
    "decomposition": ["order", "quantity", *_under("placement", "sign", "task")],
    "ratio": ["definition", *_under("placement", "sign")],
    "jaccard": ["model", "epoch", *_under("placement", "sign")],
    "accuracy": ["model", "epoch", "quantity", *INTERVAL, "chance"],
    "faithfulness": ["model", "epoch", "quantity", *_under("shuffled", equal=False)],
    "noise": ["model", "order", "quantity", *INTERVAL, "explained"],
    "claims": OF_CLAIMS + [name for name in _under("placement", "sign", "task") if name not in INTERVAL],
}
MEASURES = tuple(name for name in TABLES if name != "claims")
UP_TO_THE_STORE = "stages=[pretrain,probe,finetune,scratch,interactions]"
FEW = ("analysis.measures=[ratio,noise]", "analysis.gallery=0")  # for what is about other stages


@pytest.fixture(scope="module")
def run(finished: Finished) -> Path:
    return finished.output / "digits" / "seed=0"


def test_training_is_in_training_mode(run: Path) -> None:
    """Batch-norm learns its statistics."""
    for stage in ("finetune", "scratch"):
        first, last = (
            torch.load(run / stage / "checkpoints" / f"epoch_00{epoch}.pt", weights_only=True) for epoch in (0, 2)
        )
        assert all(not torch.equal(first[key], last[key]) for key in first if key.endswith("running_mean"))


def test_files_are_as_documented(run: Path, finished: Finished) -> None:
    trained = {"config.yaml", "inputs.json", "done.json", "metrics.csv", "predictions.npy", "losses.npy"}
    trained |= {f"checkpoints/epoch_{epoch:03d}.pt" for epoch in EPOCHS}
    features = {name for name in files(run / "pretrain") if name.startswith("features/")}
    assert files(run / "pretrain") - features == trained
    assert files(run / "probe") == trained | {"l2.json"}
    assert files(run / "finetune") == files(run / "scratch") == trained
    assert sorted(Path(name).name for name in features) == ["features_test.npz", "features_train.npz"]
    units = [("probe", 2), *((stage, epoch) for stage in ("finetune", "scratch") for epoch in EPOCHS)]
    stored = {f"{stage}/epoch_{epoch:03d}/{file}" for stage, epoch in units for file in ("values.npy", "meta.json")}
    always = {"config.yaml", "inputs.json", "done.json"}
    stored |= {f"samples/{file}" for file in (*always, "samples.json", "baseline.npy")}
    for stage in ("probe", "finetune", "scratch"):
        stored |= {f"{stage}/{file}" for file in (*always, "engine.json", "epoch_002/noise.npz")}
    assert {f"{part}/{name}" for part in PARTS for name in files(run / "interactions" / part)} == stored
    made = {*always, "measures.json", "report.html", "verdicts.txt", *(f"tables/{name}.csv" for name in TABLES)}
    made |= {f"figures/{name}.{kind}" for name in MEASURES for kind in ("png", "svg")}
    made |= {f"samples/{name}.npz" for name in MEASURES}
    gallery = {name for name in files(run / "analysis") if name.startswith("gallery/")}
    assert files(run / "analysis") - gallery == made
    assert sorted(Path(name).suffix for name in gallery) == [".json", ".png", ".svg"]


def test_the_l2_of_the_probe_is_said_wherever_it_matters(run: Path, finished: Finished) -> None:
    chosen = json.loads((run / "probe" / "l2.json").read_text())
    assert chosen["l2"] == float(min(chosen["losses"], key=chosen["losses"].get))
    text = f"l2 = {chosen['l2']:g}, {chosen['why']}"
    assert chosen["why"].startswith("chosen by 2-fold cross-validation"), "of two samples of each class"
    assert f"probe: {text}\n" in finished.result.out
    assert f"seen through a linear probe with {text}" in (run / "analysis" / "report.html").read_text()


def test_nothing_else_lies_about(run: Path, finished: Finished) -> None:
    """And what a run's folder links is what results.json lists."""
    visible = {path.name for path in run.iterdir() if path.suffix != ".lease"}
    assert visible == {*STAGES, "results.json", "config.yaml", "chosen.json"}
    assert {path.name for path in finished.output.iterdir()} == {"digits", "results"}
    assert {path.name for path in (finished.output / "results").iterdir()} == {*STAGES} - {"analysis"}
    listed = json.loads((run / "results.json").read_text())
    assert set(listed) == {*STAGES, *(f"interactions/{part}" for part in PARTS)} - {"interactions"}
    for name, entry in listed.items():
        assert (run / name).resolve() == (run / entry["path"]).resolve()
        assert json.loads((run / name / "done.json").read_text())["digest"] == entry["digest"]
        if name != "analysis":
            assert not os.readlink(run / name).startswith("/")
            assert (run / name).resolve().name.endswith(entry["digest"])


@pytest.mark.parametrize("name", TABLES)
def test_columns(run: Path, name: str) -> None:
    rows = _table(run / "analysis", name)
    assert rows
    assert list(rows[0]) == TABLES[name]


def test_rows(run: Path) -> None:
    found = {name: _table(run / "analysis", name) for name in TABLES}
    quantities = ("pretrain", "finetune", "preserved", "discarded", "new")
    assert _keys(found["decomposition"], "order", "quantity") == {(str(i), q) for i in range(4) for q in quantities}
    assert _keys(found["ratio"], "definition") == {("paper",), ("positive",), ("weighted",)}
    curves = {(model, str(epoch)) for model in ("finetune", "scratch") for epoch in EPOCHS}
    assert _keys(found["jaccard"], "model", "epoch") == curves
    assert _keys(found["accuracy"], "model", "epoch") == curves | {("pretrain", str(epoch)) for epoch in EPOCHS}
    assert _keys(found["accuracy"], "quantity") == {("accuracy",), ("loss",)}
    assert _keys(found["faithfulness"], "model", "epoch") == curves | {("pretrain", "2")}
    assert _keys(found["noise"], "model", "order") == {
        (model, str(order)) for model in ("pretrain", "finetune", "scratch") for order in range(4)
    }
    assert {row["verdict"] for row in found["claims"]} <= {"met", "not met", "undecided", "not measurable", ""}
    assert {row["vs_sign"] for row in found["claims"]} <= {"more", "less", "equal", "undecided", ""}


def test_what_was_found_for_each_sample_is_kept(run: Path) -> None:
    """With the samples' identities; the tables are means of it."""
    about = json.loads((run / "interactions" / "samples" / "samples.json").read_text())
    means = {(row["order"], row["quantity"]): float(row["mean"]) for row in _table(run / "analysis", "decomposition")}
    with np.load(run / "analysis" / "samples" / "decomposition.npz") as kept:
        assert kept["index"].tolist() == [sample["index"] for sample in about["samples"]]
        assert re.fullmatch(r"digits-[0-9a-f]{12}/test", str(kept["data"]))
        for place, order in enumerate(kept["about/order"]):
            assert kept["preserved"][:, place].mean() == pytest.approx(means[str(order), "preserved"])
        assert kept["sign/preserved"].shape == kept["equal/preserved"].shape == (10, 4)
    with np.load(run / "analysis" / "samples" / "accuracy.npz") as kept:
        assert kept["index"].tolist() == list(range(40))
        assert kept["accuracy/finetune"].shape == (40, 3)


def test_numbers_that_are_known(run: Path) -> None:
    jaccard = {(row["model"], row["epoch"]): float(row["mean"]) for row in _table(run / "analysis", "jaccard")}
    assert jaccard["finetune", "2"] == jaccard["scratch", "2"] == 1
    parts = {(row["order"], row["quantity"]): float(row["mean"]) for row in _table(run / "analysis", "decomposition")}
    for order in map(str, range(4)):
        preserved = parts[order, "preserved"]
        assert preserved + parts[order, "discarded"] == pytest.approx(parts[order, "pretrain"])
        assert preserved + parts[order, "new"] == pytest.approx(parts[order, "finetune"])
    with (run / "finetune" / "metrics.csv").open(newline="") as file:
        metrics = {(row["epoch"], row["split"]): float(row["accuracy"]) for row in csv.DictReader(file)}
    for row in _table(run / "analysis", "accuracy"):
        if (row["model"], row["quantity"]) == ("finetune", "accuracy"):
            assert float(row["mean"]) == pytest.approx(metrics[row["epoch"], "test"])


def test_metrics(run: Path) -> None:
    for stage in ("pretrain", "probe", "finetune", "scratch"):
        with (run / stage / "metrics.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert list(rows[0]) == ["epoch", "split", "loss", "accuracy"]
        wanted = {("0", "test"), *((str(epoch), split) for epoch in (1, 2) for split in ("train", "test"))}
        assert {(row["epoch"], row["split"]) for row in rows} == wanted
        assert all(0 <= float(row["accuracy"]) <= 1 and float(row["loss"]) > 0 for row in rows)


def test_store(run: Path) -> None:
    samples = json.loads((run / "interactions" / "samples" / "samples.json").read_text())
    assert (samples["n"], samples["split"], len(samples["samples"])) == (3, "test", 10)
    assert sorted(sample["label"] for sample in samples["samples"]) == list(range(10))
    values = np.load(run / "interactions" / "scratch" / "epoch_001" / "values.npy")
    assert (values.shape, values.dtype) == ((10, 8), np.float64)


def test_scratch_starts_from_other_weights_than_pretraining(run: Path) -> None:
    rows = [np.load(run / stage / "losses.npy")[0] for stage in ("finetune", "scratch")]
    assert not np.allclose(*rows)


def test_pictures(run: Path) -> None:
    for picture in (run / "analysis").rglob("*.png"):
        assert picture.read_bytes().startswith(b"\x89PNG")
    for picture in (run / "analysis").rglob("*.svg"):
        assert "<svg" in picture.read_text()


def test_report_is_one_file(run: Path) -> None:
    text = (run / "analysis" / "report.html").read_text()
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:|#|https://arxiv.org/)""", text), (
        "it points at something outside"
    )
    assert not re.search(r"@import|url\((?!['\"]?(data:|#))", text)
    assert "<title>digits/seed=0: why does pre-training help?</title>" in text
    assert text.count('src="data:image') == len(MEASURES) + 1, "without those of the sample picker"
    for row in _table(run / "analysis", "claims"):
        assert row["claim"].replace(">", "&gt;") in text
    assert "train_samples: 20" in text, "the settings"
    done = json.loads((run / "analysis" / "done.json").read_text())
    assert done.keys() >= {"program", "commit", "machine", "threads", "torch", "lightning"}
    assert f"pretraining-interactions {done['program']}" in text
    assert f"{done['threads']} threads" in text


def test_it_ends_with_claims_and_report(run: Path, finished: Finished) -> None:
    lines = finished.result.out.splitlines()
    assert lines[-1] == f"report: {run / 'analysis' / 'report.html'}"
    said = " ".join(" ".join(lines).split())
    for row in _table(run / "analysis", "claims"):
        assert row["claim"] in said
        assert f"{row['quantity']}: " in said
    assert " ".join((run / "analysis" / "verdicts.txt").read_text().split()) in said


def test_no_library_warns(finished: Finished) -> None:
    assert "Warning" not in finished.result.err


def test_without_a_terminal_there_is_a_line_per_epoch_and_no_bar(finished: Finished) -> None:
    lines = finished.result.err.split("\n")
    assert not [line for line in lines if "\r" in line or "it/s" in line]
    for stage in ("pretrain", "finetune", "scratch"):
        assert [line.split(",")[0] for line in lines if line.startswith(stage)] == [
            f"{stage}: epoch {epoch}/2" for epoch in (1, 2)
        ]


def test_stages_in_two_calls_and_any_order(study: Studies, run: Path) -> None:
    """And in another folder: the same seed gives the same tables, byte for byte."""
    first = study("stages=[probe,pretrain,scratch]")
    assert first.code == 0, first.err
    assert not (study.output / "digits" / "seed=0" / "finetune").exists()
    second = study("stages=[analysis,interactions,finetune]")
    assert second.code == 0, second.err
    assert not any(name.startswith("results/pretrain/") for name in second.replaced)
    for table in (run / "analysis" / "tables").iterdir():
        there = study.output / "digits" / "seed=0" / "analysis" / "tables" / table.name
        assert there.read_bytes() == table.read_bytes(), table.name


def test_another_probe_of_the_same_features_computes_none(resumable: Studies) -> None:
    result = resumable(resumable.run_dir("other"), "probe.solver=sgd", "stages=[pretrain,probe]")
    assert result.code == 0, result.err
    assert not any("features" in name for name in result.replaced)
    other_data = resumable(resumable.run_dir("third"), "data.target.train_samples=30", "stages=[pretrain,probe]")
    assert other_data.code == 0, other_data.err
    assert sum("features" in name for name in other_data.replaced) == 2


def test_another_model_has_a_folder_of_its_own(resumable: Studies) -> None:
    result = resumable("model=vit_tiny", "model.depth=1", "model.dim=16", *FEW)
    assert result.code == 0, result.err
    differs = "model=vit_tiny,analysis.gallery=0,model.depth=1,model.dim=16"
    assert len(_table(resumable.output / "digits" / differs / "seed=0" / "analysis", "ratio")) == 3
    assert not any(name.startswith("digits/seed=0") for name in result.replaced)


def test_weights_from_a_file_do_what_they_do_from_our_own_stage(study: Studies, run: Path) -> None:
    file = run / "pretrain" / "checkpoints" / "epoch_002.pt"
    weights = f'model.weights="{file}"'  # in quotes for Hydra: there is a = in it
    mine = study.run_dir("mine")
    result = study(weights, UP_TO_THE_STORE, mine)
    assert result.code == 0, result.err
    assert any(
        line.startswith("pretrain: ") and line.endswith(f" tensors from {file}") for line in result.out.splitlines()
    )
    other = study.output / "mine"
    made = {name for name in files(other / "pretrain") if not name.startswith("features/")}
    assert made == {"config.yaml", "inputs.json", "done.json", "checkpoints/epoch_000.pt"}
    keys = set(OmegaConf.load(other / "pretrain" / "config.yaml"))
    assert keys == {"model", "number"}, "it is the same for all seeds and tasks"
    for name in ("probe/epoch_002", "finetune/epoch_002", "scratch/epoch_002"):
        values = (base / "interactions" / name / "values.npy" for base in (run, other))
        np.testing.assert_array_equal(*map(np.load, values))
    again = study(weights, UP_TO_THE_STORE, mine)
    assert again.replaced == []


def test_random_weights_in_the_place_of_pretrained_ones(study: Studies, run: Path) -> None:
    result = study("model.weights=scratch", UP_TO_THE_STORE, study.run_dir("random"))
    assert result.code == 0, result.err
    other = study.output / "random" / "interactions"
    np.testing.assert_array_equal(
        *(np.load(base / "scratch/epoch_002/values.npy") for base in (run / "interactions", other))
    )
    finetune, scratch = (np.load(other / stage / "epoch_000" / "values.npy") for stage in ("finetune", "scratch"))
    assert not np.allclose(finetune, scratch), "its random weights are others than those of scratch"


@pytest.mark.parametrize(
    "options",
    [
        "interactions.baseline=zero interactions.grid=8 interactions.margin=1",
        "interactions.baseline=channel_mean",
        "interactions.precision=float64",
        "interactions.split=train probe.solver=sgd finetune.optimizer=sgd finetune.schedule=constant",
        "trainer.precision=bf16-mixed finetune.optimizer=adam finetune.schedule=step finetune.iterations=4",
    ],
)
def test_options_change_the_values(resumable: Studies, run: Path, options: str) -> None:
    result = resumable(resumable.run_dir("other"), *options.split(), UP_TO_THE_STORE)
    assert result.code == 0, result.err
    assert "stopped after" not in result.out
    for stage in ("probe", "finetune"):
        values = np.load(resumable.output / "other/interactions" / stage / "epoch_002" / "values.npy")
        assert not np.array_equal(values, np.load(run / "interactions" / stage / "epoch_002" / "values.npy"))


@pytest.mark.parametrize("options", ["engine=dense", "engine=local", "engine=dense batch_size=7"])
def test_settings_that_only_change_the_speed_do_not_change_the_values(
    resumable: Studies, run: Path, options: str
) -> None:
    given = (f"interactions.{option}" for option in options.split())
    shutil.rmtree(resumable.output / "results" / "interactions")
    result = resumable(resumable.run_dir("other"), *given, UP_TO_THE_STORE)
    assert result.code == 0, result.err
    for file in (run / "interactions").rglob("values.npy"):
        there = resumable.output / "other" / file.relative_to(run)
        np.testing.assert_allclose(np.load(there), np.load(file), rtol=0, atol=1e-4)


def test_several_processes_compute_the_same_values(resumable: Studies, run: Path) -> None:
    shutil.rmtree(resumable.output / "results" / "interactions" / "finetune")
    result = resumable("interactions.processes=2", "stages=[interactions]")
    assert result.code == 0, result.err
    for file in (run / "interactions" / "finetune").rglob("values.npy"):
        there = resumable.output / "digits" / "seed=0" / file.relative_to(run)
        np.testing.assert_allclose(np.load(there), np.load(file), rtol=0, atol=1e-4)


def test_background_and_baseline_reach_the_masked_input(resumable: Studies, run: Path) -> None:
    """With the background masked too, the empty subset is one and the same input for all ten samples."""
    result = resumable(resumable.run_dir("other"), "interactions.background=mask", UP_TO_THE_STORE)
    assert result.code == 0, result.err
    empty = np.load(resumable.output / "other/interactions/finetune/epoch_002/values.npy")[:, 0]
    assert (1 / (1 + np.exp(-empty))).sum() == pytest.approx(1, abs=1e-5), "one sample of each class: p sums to 1"


def test_thinner_checkpoints(resumable: Studies) -> None:
    result = resumable(resumable.run_dir("other"), "finetune.epochs=3", "checkpoints.epochs=[0,2]", *FEW)
    assert result.code == 0, result.err
    run = resumable.output / "other"
    assert "pretrain: complete in" in result.out, "which epochs were kept decides no training; here are more"
    names = {f"epoch_{epoch:03d}" for epoch in (0, 2, 3)}
    for stage in ("finetune", "scratch"):
        assert {path.stem for path in (run / stage / "checkpoints").iterdir()} == names
        assert {path.parent.name for path in (run / "interactions" / stage).glob("*/values.npy")} == names
    assert (run / "finetune" / "metrics.csv").read_text().splitlines()[-1].startswith("3,")


def test_other_analysis_beside_the_first(resumable: Studies, run: Path) -> None:
    """Of the same results."""
    options = ("salient=true", "empty_set=false", "normalise=true", "measures=[decomposition,ratio]")
    result = resumable(*(f"analysis.{option}" for option in options), "analysis.gallery=0")
    assert result.code == 0, result.err
    (folder,) = (path for path in (resumable.output / "digits").iterdir() if path.name.startswith("analysis."))
    assert {name.split("/")[1] for name in result.replaced if name.startswith("digits")} == {folder.name}
    assert not any(name.startswith("results/") for name in result.replaced if not name.endswith("fingerprints.json"))
    other = folder / "seed=0" / "analysis"
    orders = [{row["order"] for row in _table(of, "decomposition")} for of in (run / "analysis", other)]
    assert orders[0] - orders[1] == {"0"}
    assert _table(run / "analysis", "ratio") != _table(other, "ratio")


def test_half_precision_is_noisier(resumable: Studies, run: Path) -> None:
    result = resumable(resumable.run_dir("half"), "interactions.precision=bfloat16", *FEW)
    assert result.code == 0, result.err
    full, half = (_table(path / "analysis", "noise") for path in (run, resumable.output / "half"))
    noises = [[row for row in rows if row["quantity"] == "noise"] for rows in (full, half)]
    assert len(noises[0]) == 12
    for exact, coarse in zip(*noises, strict=True):
        assert float(coarse["mean"]) > 100 * float(exact["mean"]) > 0


def _table(analysis: Path, name: str) -> list[dict[str, str]]:
    with (analysis / "tables" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def _keys(rows: list[dict[str, str]], *columns: str) -> set[tuple[str, ...]]:
    return {tuple(row[column] for column in columns) for row in rows}

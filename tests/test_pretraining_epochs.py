"""The study of pre-training epochs in small, from its one command: a sweep over start.epoch, features, a summary."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from omegaconf import OmegaConf
from studies import Finished, Studies, check_refused, contents, files

TINY = ("experiment=deng_embedded", "seed=0,1", "data.source.train_samples=62", "data.source.test_samples=62",
        "data.target.train_samples=20", "data.target.test_samples=40", "model.width=8", "pretrain.epochs=3",
        "checkpoints.epochs=[0,1,3]", "finetune.epochs=1", "probe.epochs=1", "analysis.options.tsne.points=20",
        "+analysis.options.transfer.epochs=5", "+analysis.options.spectrum.epochs=5", "analysis.resamples=20",
        "wandb.mode=disabled", "trainer.accelerator=cpu")  # fmt: skip
ONE = (*TINY[:1], *TINY[2:], "hydra.mode=RUN", "seed=0")
MEASURES = ("transfer", "spectrum", "tsne", "logme")
STUDY = "deng_embedded"


def run_of(output: Path, epoch: int) -> Path:
    runs = [path.parent for path in (output / STUDY).glob("*/seed=0/config.yaml")]
    return next(run for run in runs if OmegaConf.load(run / "config.yaml").start.epoch == epoch)


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    output = tmp_path_factory.mktemp("epochs") / "outputs"
    result = Studies(output, tmp_path_factory.mktemp("epochs_scrap"))(*TINY)
    assert result.code == 0, result.err
    return Finished(output, result)


@pytest.fixture
def again(study: Studies, swept: Finished) -> Studies:
    shutil.copytree(swept.output, study.output, symlinks=True)
    return study


def test_one_command_makes_every_run_and_the_summary_over_epochs(swept: Finished) -> None:
    assert "\n6 done\n" in swept.result.out
    counts = {stage: len(list(swept.output.glob(f"results/{stage}/*/done.json"))) for stage in (
        "pretrain", "probe", "finetune", "representations/pretrain", "representations/finetune", "scratch",
        "interactions/samples")}  # fmt: skip
    assert list(counts.values()) == [2, 6, 6, 6, 6, 0, 0], "what no measure reads is not made"
    summary = swept.output / STUDY / "summary"
    assert {*MEASURES, "ranking", "planes", "views"} == {file.stem for file in (summary / "figures").glob("*.png")}
    epochs = pd.read_csv(summary / "tables" / "epochs.csv").set_index("quantity")
    assert list(epochs.index) == ["fe", "fe_converged", "ft"]
    assert set(epochs["best"]) <= {0, 1, 3}
    ranking = pd.read_csv(summary / "tables" / "ranking.csv")
    assert set(ranking["ranker"]) == {"epoch", "source", "logme", "h_score", "leep", "nce", "knn"}
    claims = pd.read_csv(summary / "tables" / "claims.csv")
    assert {"epochs/best/fe", "epochs/fall/fe_converged", "epochs/main/beyond"} <= set(claims["key"])
    assert "the best epoch for frozen features (FE) comes before the best one for fine-tuning (FT)" in swept.result.out


def test_a_run_has_a_report_of_what_it_starts_from(swept: Finished) -> None:
    analysis = run_of(swept.output, 1) / "analysis"
    assert {file.stem for file in (analysis / "tables").glob("*.csv")} == set(MEASURES)
    page = (analysis / "report.html").read_text()
    assert "Inadequately pre-trained models are better feature extractors" in page
    assert "downstream classification tasks" not in page, "no measure here is from that paper"
    text = (analysis / "verdicts.txt").read_text()
    assert text.startswith("Accuracy from epoch 1 of pre-training (")
    found = pd.read_csv(analysis / "tables" / "transfer.csv").set_index("quantity")["mean"]
    assert f"fine-tuned {100 * found['ft']:.1f} %" in " ".join(text.split())


def test_features_of_pre_trained_weights_are_computed_once(swept: Finished) -> None:
    run = run_of(swept.output, 1)
    for split in ("train", "test"):
        mine = (run / "representations" / "pretrain" / f"features_{split}.npz").resolve()
        kept = list((run / "pretrain").resolve().glob(f"features/*/features_{split}.npz"))
        assert [file.samefile(mine) for file in kept].count(True) == 1, "the probe's, under another name"


def test_all_of_it_is_complete(study: Studies, swept: Finished) -> None:
    result = study(*TINY, output=swept.output)
    assert result.code == 0, result.err
    assert result.replaced == []


@pytest.mark.parametrize("file", ["features_test.npz", "source_logits_train.npz", "done.json"])
def test_killed_and_started_again_it_ends_with_the_same_tables(again: Studies, swept: Finished, file: str) -> None:
    run = run_of(again.output, 1)
    for name in ("pretrain", "finetune"):
        shutil.rmtree((run / "representations" / name).resolve())
    shutil.rmtree(run / "analysis")
    kept = (run / "pretrain").resolve() / "features"
    shutil.rmtree(kept)
    (target,) = [name for name in files(swept.output) if name.endswith(file) and "representations/pretrain" in name
                 and (swept.output / name).samefile(run_of(swept.output, 1) / "representations" / "pretrain" / file)
                 and "results/" in name]  # fmt: skip
    killed = again(*ONE, "start.epoch=1", kill_at=("before", target))
    assert killed.code == -9, killed.err
    result = again(*ONE, "start.epoch=1")
    assert result.code == 0, result.err
    for name in MEASURES:
        table = f"analysis/tables/{name}.csv"
        assert (run / table).read_bytes() == (run_of(swept.output, 1) / table).read_bytes()


def test_damaged_features_are_made_again_by_the_command_that_is_said(again: Studies) -> None:
    """They are one file under two names, the probe's and the result's."""
    run = run_of(again.output, 1)
    file, before = run / "representations" / "pretrain" / "features_test.npz", run / "analysis" / "tables" / "logme.csv"
    kept = next(other for other in (run / "pretrain").resolve().glob("features/*/features_test.npz")
                if other.read_bytes() == file.read_bytes())  # fmt: skip
    table, content = before.read_bytes(), bytearray(file.read_bytes())
    content[500] ^= 1
    for damaged in (kept, file):
        damaged.resolve().write_bytes(content)
    shutil.rmtree(run / "analysis")
    check_refused(again(*ONE, "start.epoch=1"), "features_test.npz is damaged", "rm ")
    file.resolve().unlink()
    result = again(*ONE, "start.epoch=1")
    assert result.code == 0, result.err
    assert before.read_bytes() == table


def test_a_measure_that_is_added_is_computed_alone(again: Studies) -> None:
    run = run_of(again.output, 1)
    before = contents(run / "analysis" / "samples")
    result = again(*ONE, "start.epoch=1", "analysis.measures=[transfer,spectrum,tsne,logme,accuracy]")
    assert result.code == 0, result.err
    after = contents(run / "analysis" / "samples")
    assert after.keys() - before.keys() == {"accuracy.npz"}
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize(("override", "words"), [
    ("start.epoch=2", "start.epoch=2 kept the epochs 0, 1, 3"),
    ("representations.layers=[block9]", "representations.layers no layer block9 penultimate block1"),
    ("+analysis.options.logme.layer=block2", "analysis.options.logme.layer=block2 representations.layers penultimate"),
    ("+analysis.options.spectrum.share=1", "analysis.options.spectrum.share=1"),
    ("data.target.train_samples=9", "data.target class"),
    ("analysis.options.tsne.points=11", "analysis.options.tsne.points=11 12"),
    ("analysis.options.logme.layer=block2", "analysis.options.logme +analysis.options.logme"),
    ("representations.layers=[source_logits]", "no layer source_logits"),
])  # fmt: skip
def test_what_can_not_be_measured_is_refused_before_any_work(again: Studies, override: str, words: str) -> None:
    before = files(again.output)
    start = [] if override.startswith("start") else ["start.epoch=1"]
    check_refused(again(*ONE, *start, override), *words.split())
    assert files(again.output) == before


def test_a_plan_counts_the_features(study: Studies) -> None:
    result = study(*ONE, "start.epoch=1", "plan=true")
    assert result.code == 0, result.err
    rows = {line.split()[0]: line.split() for line in result.out.splitlines() if line}
    assert rows["representations"][1:4] == ["to", "do", "120"]  # of 20 and 40 inputs, for two models
    assert "interactions" not in rows

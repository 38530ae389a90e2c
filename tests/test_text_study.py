"""The study of a text model in small: the same pipeline as for images, on sentences of several lengths."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from studies import ROOT, STAGES, Studies, files

from conf import schema
from data.splits import build as build_data
from interactions.dense import log_odds
from models.backbone import build as build_model

TINY = (
    "experiment=phrases", "model.hidden_size=16", "model.num_attention_heads=2", "model.intermediate_size=32",
    "data.source.train_samples=64", "data.source.test_samples=64", "data.target.train_samples=24",
    "data.target.test_samples=40", "pretrain.epochs=1", "finetune.epochs=2", "finetune.batch_size=8", "probe.epochs=2",
    "interactions.n=3", "interactions.samples=12", "interactions.noise_masks=16", "interactions.batch_size=16",
    "analysis.permutations=2", "analysis.resamples=20", "analysis.gallery=2", "trainer.accelerator=cpu",
    "interactions.device=cpu", "wandb.mode=disabled",
)  # fmt: skip

schema.register()


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    study = Studies(tmp_path_factory.mktemp("phrases") / "outputs", tmp_path_factory.mktemp("phrases_scrap"))
    result = study.start(*TINY, study.run_dir("run"), tiny=False).wait()
    assert result.code == 0, result.err
    return study.output


@pytest.fixture(scope="module")
def run(output: Path) -> Path:
    return output / "run"


@pytest.fixture(scope="module")
def cfg() -> object:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("config", list(TINY))


def _values(run: Path, unit: str = "finetune/epoch_002") -> np.ndarray:
    return np.load(run / "interactions" / unit / "values.npy")


def test_all_stages_leave_what_they_leave_for_images(run: Path) -> None:
    visible = {path.name for path in run.iterdir() if path.suffix != ".lease"}
    assert visible == {*STAGES, "results.json", "config.yaml", "chosen.json"}
    for stage in ("probe", "finetune", "scratch"):
        assert {"metrics.csv", "predictions.npy", "done.json"} <= files(run / stage)
    assert "analysis/report.html" in files(run)
    assert len(list((run / "analysis" / "gallery").glob("*.png"))) == 2


def test_samples_are_balanced_and_say_which_words_are_variables(run: Path) -> None:
    about = json.loads((run / "interactions" / "samples" / "samples.json").read_text())
    assert (about["kind"], about["n"], about["sentences"]) == ("text", 3, 40)
    assert sorted(sample["label"] for sample in about["samples"]) == [0] * 6 + [1] * 6
    for sample in about["samples"]:
        for variable in sample["variables"]:
            assert sample["words"][variable["position"]] == variable["word"]


@pytest.mark.parametrize("background", ["keep", "mask"])
def test_every_value_is_that_of_the_sentence_masked_by_hand(output: Path, run: Path, cfg, background: str) -> None:
    """Word by word, from the text: all pieces of a word become [MASK] together, nothing else changes."""
    if background == "mask":
        run = _again(output, "background", "interactions.background=mask")
    splits = build_data(cfg.data.target, "data.target")
    model = build_model(cfg.model, 2).eval()
    model.load_state_dict(torch.load(run / "finetune" / "checkpoints" / "epoch_002.pt", weights_only=True))
    stored, about = _values(run), json.loads((run / "interactions" / "samples" / "samples.json").read_text())
    lengths = []
    for sample, values in zip(about["samples"], stored, strict=True):
        ids = splits.test[sample["index"]][0]
        lengths.append(len(ids))
        words = splits.test.words(sample["index"])
        chosen = {variable["position"]: bit for bit, variable in enumerate(sample["variables"])}
        for subset in range(8):
            masked = ids.clone()
            for position, word in enumerate(words):
                gone = not subset >> chosen[position] & 1 if position in chosen else background == "mask"
                if gone:
                    masked[list(word.tokens)] = splits.mask
            with torch.no_grad():
                v = log_odds(model(masked[None]), torch.tensor([sample["label"]])).item()
            assert values[subset] == pytest.approx(v, abs=2e-5)
    assert lengths == sorted(lengths), "those of one length stand together"
    assert len(set(lengths)) > 2


def _again(output: Path, name: str, *overrides: str) -> Path:
    """The same trainings, other interactions."""
    study = Studies(output, output.parent / f"{name}_scrap")
    result = study.start(*TINY, *overrides, study.run_dir(name), tiny=False).wait()
    assert result.code == 0, result.err
    assert "finetune: complete in" in result.out
    return output / name


def test_the_batch_size_changes_nothing(output: Path, run: Path) -> None:
    """Which decides nothing: results of before are removed."""
    copied = output.parent / "copied"
    shutil.copytree(output, copied, symlinks=True)
    shutil.rmtree(copied / "results" / "interactions")
    other = _again(copied, "batches", "interactions.batch_size=7")
    for unit in ("probe/epoch_002", "finetune/epoch_002", "scratch/epoch_001"):
        np.testing.assert_allclose(_values(other, unit), _values(run, unit), rtol=0, atol=1e-5)


def test_the_report_shows_sentences(run: Path) -> None:
    text = (run / "analysis" / "report.html").read_text()
    assert "data.phrases.sentiment" in text
    assert "0 of 40 are too short" in text


def test_how_many_sentences_are_too_short_is_said(tmp_path: Path) -> None:
    study = Studies(tmp_path / "outputs", tmp_path / "scrap")
    options = ("interactions.n=9", "interactions.samples=2", study.run_dir("long"))
    result = study.start(*TINY, *options, tiny=False).wait()
    assert result.code == 0, result.err
    (line,) = (line for line in result.out.splitlines() if "sentences have fewer than n=9" in line)
    about = json.loads((study.output / "long" / "interactions" / "samples" / "samples.json").read_text())
    assert line.startswith(f"interactions: {about['too_short']} of 40 test sentences")
    assert 0 < about["too_short"] < 40

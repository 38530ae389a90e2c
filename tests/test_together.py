"""Several views of the same checkpoints in small: of our own trainings, and of weights that somebody else trained."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import wandb_read
from studies import Finished, Studies

from analysis.dashboard.kinds import matched, read
from analysis.dashboard.panels import sections

TINY = ("experiment=together", "seed=0", "data.source.train_samples=62", "data.source.test_samples=62",
        "data.target.train_samples=20", "data.target.test_samples=40", "model.width=8", "pretrain.epochs=2",
        "checkpoints.epochs=[0,1,2]", "finetune.epochs=1", "probe.epochs=1", "interactions.n=3",
        "interactions.samples=10", "interactions.noise_masks=8", "representations.similarity.permutations=20",
        "+analysis.options.transfer.epochs=5", "+analysis.options.spectrum.epochs=5", "analysis.resamples=20",
        "wandb.mode=offline", "wandb.system=false", "trainer.accelerator=cpu")  # fmt: skip
VIEWS = {"preserved", "beyond", "cka", "cka/block1", "cka/logits", "main", "rank", "logme", "fe", "ft"}
EPOCHS = (0, 1, 2)


def summed_up(summary: Path) -> dict[str, pd.DataFrame]:
    assert (summary / "figures" / "views.png").exists()
    return {name: pd.read_csv(summary / "tables" / f"{name}.csv") for name in (
        "views", "views_by_run", "trends", "agreement")}  # fmt: skip


def test_one_command_looks_at_the_same_trainings_in_every_way(study: Studies) -> None:
    of_dashboard = "ratio,jaccard"
    result = study(*TINY, f"analysis.measures=[decomposition,accuracy,cka,transfer,spectrum,logme,{of_dashboard}]")
    assert result.code == 0, result.err
    assert "\n3 done\n" in result.out
    found = summed_up(study.output / "together" / "summary")
    assert set(found["views"]["view"]) > VIEWS | {"source"}
    assert found["views_by_run"][["epoch", "seed"]].values.tolist() == [[epoch, 0] for epoch in EPOCHS]
    assert found["views_by_run"][[*VIEWS, "benefit"]].notna().all(axis=None)
    assert set(found["agreement"]["seeds"]) == {1}
    assert found["agreement"]["p"].isna().all()
    text = " ".join(result.out.split())
    assert "views of 3 pairs of checkpoints, pre-trained for 0 to 2 epochs and fine-tuned." in text
    assert "is not measurable: it takes 5 seeds or more; one has nothing to exchange." in text
    assert len(list(study.output.glob("results/scratch/*/done.json"))) == 1, "shared by all epochs"
    check_dashboard(study.output)


def check_dashboard(output: Path) -> None:
    """Every metric that a panel of the dashboard reads is one that a run of that kind has logged."""
    runs = [(wandb_read.run_of(records), wandb_read.keys(records)) for records in wandb_read.read_back(output)]
    of = [run["job_type"] for run, _ in runs]
    assert (of.count("analysis"), of.count("summary"), of.count("scratch")) == (3, 1, 1)
    assert {run["run_group"] for run, _ in runs} == {"together"}
    epochs = {run["config"]["update"]["start"]["epoch"] for run, _ in runs if run["job_type"] == "analysis"}
    names = {run["display_name"] for run, _ in runs if run["job_type"] == "analysis"}
    assert names == {f"start.epoch={epoch} seed=0 analysis" for epoch in EPOCHS}
    assert len(epochs) == 3, "the axis of what is worth an epoch of pre-training"
    for section in sections():
        logged = set().union(*(keys for run, keys in runs if run["job_type"] in section.jobs))
        for panel in section.panels:
            assert read(panel) <= logged, (section.title, read(panel) - logged)
            for pattern in matched(panel):
                assert any(re.search(pattern, key) for key in logged), (section.title, pattern)
    (summary,) = [keys for run, keys in runs if run["job_type"] == "summary"]
    assert {"best_fe_epoch", "tables/transfer", "figures/views", "runs"} <= summary


@pytest.fixture(scope="module")
def theirs(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of three epochs of pre-training, each with a head for the target task, of what was fine-tuned from each,
    and of a model from scratch, as another program would have left them: one network each, under its own names."""
    folder, run = tmp_path_factory.mktemp("theirs"), finished.output / "digits" / "seed=0"

    def trained(stage: str, epoch: int) -> dict:
        return torch.load(run / stage / "checkpoints" / f"epoch_{epoch:03d}.pt", weights_only=True)

    head = {f"head.{name}": tensor for name, tensor in trained("probe", 2).items()}
    for epoch in EPOCHS:
        backbone = {key: tensor for key, tensor in trained("pretrain", epoch).items() if key.startswith("backbone.")}
        (folder / f"from_{epoch}").mkdir()
        _save(backbone | head, folder / f"probed_{epoch}.pt")
        _save(trained("finetune", 0), folder / f"from_{epoch}" / "epoch_1.pt")
        _save(trained("finetune", epoch), folder / f"from_{epoch}" / "epoch_7.pt")
    _save(trained("scratch", 2), folder / "scratch.pt")
    return folder


def _save(state: dict, file: Path) -> None:
    torch.save({re.sub(r"^backbone\.", "", key): tensor for key, tensor in state.items()}, file)


def test_checkpoints_of_somebody_else_are_looked_at_without_any_training(
    study: Studies, finished: Finished, theirs: Path
) -> None:
    given = [f"interactions.checkpoints.{role}='{theirs}/{files}'" for role, files in (
        ("pretrain", "probed_${start.epoch}.pt"), ("finetune", "from_${start.epoch}/epoch_*.pt"),
        ("scratch", "scratch.pt"))]  # fmt: skip
    result = study("-m", "name=theirs", "stages=[representations,interactions,analysis]", "start.epoch=0,1,2", *given,
                   "analysis.measures=[decomposition,cka,transfer,spectrum,logme]",
                   "representations.similarity.permutations=20", "+analysis.options.transfer.epochs=5",
                   "+analysis.options.spectrum.epochs=5")  # fmt: skip
    assert result.code == 0, result.err
    made = {path.name for path in (study.output / "results").iterdir() if path.is_dir()}
    assert made == {"interactions", "representations"}
    found = summed_up(study.output / "theirs" / "summary")
    rows = found["views_by_run"].set_index("epoch")
    assert set(rows) >= VIEWS
    assert rows.loc[0, "cka/block1"] < 1
    run = finished.output / "digits" / "seed=0"
    ours = pd.read_csv(run / "finetune" / "metrics.csv").query("split == 'test'").set_index("epoch")["accuracy"]
    np.testing.assert_allclose(rows.loc[list(EPOCHS), "ft"], ours.loc[list(EPOCHS)])
    probe = pd.read_csv(run / "probe" / "metrics.csv").query("split == 'test'").set_index("epoch")["accuracy"]
    assert rows.loc[2, "fe"] == pytest.approx(probe[2])
    assert "which epoch of pre-training transfers best: not measurable" not in " ".join(result.out.split())
    shutil.rmtree(study.output / "theirs")

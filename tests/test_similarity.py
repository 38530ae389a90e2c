"""The similarity of layers from one command: what is made, the numbers, what a kill leaves, what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from studies import Finished, Studies, check_refused, contents, files

from analysis.inputs import similarity_at
from data.embedded import digits
from models.backbone import Classifier
from models.vision import conv4
from representations.networks import drawn

CKA = ("analysis.measures=[cka]", "representations.similarity.batch=10", "representations.similarity.permutations=20")
PLACE = "results/representations/similarity"
LAYERS = ["block1", "block2", "block3", "block4", "logits"]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    output = tmp_path_factory.mktemp("similarity") / "outputs"
    study = Studies(output, tmp_path_factory.mktemp("similarity_scrap"))
    result = study(*CKA, study.run_dir("run"))
    assert result.code == 0, result.err
    return Finished(output, result)


@pytest.fixture
def again(study: Studies, compared: Finished) -> Studies:
    shutil.copytree(compared.output, study.output, symlinks=True)
    return study


def table_of(output: Path) -> pd.DataFrame:
    return pd.read_csv(output / "run" / "analysis" / "tables" / "cka.csv")


def test_what_no_measure_reads_is_not_made(compared: Finished) -> None:
    made = {str(file.parent.parent.relative_to(compared.output / "results"))
            for file in compared.output.glob("results/**/done.json")}  # fmt: skip
    parts = {f"representations/similarity/{role}" for role in ("pretrain", "finetune", "scratch")}
    assert made == {"pretrain", "finetune", "scratch", *parts}


def test_the_report_asks_and_answers_how_far_layers_move(compared: Finished) -> None:
    folder, rows = compared.output / "run" / "analysis", table_of(compared.output)
    text, said = (folder / "report.html").read_text(), " ".join((folder / "verdicts.txt").read_text().split())
    assert "how far does each layer move?" in text
    assert "what is pre-training worth?" not in text
    assert "of the interactions" not in text
    assert said in " ".join(compared.result.out.split())
    last = rows[(rows["quantity"] == "cka") & (rows["model"] == "scratch") & (rows["epoch"] == rows["epoch"].max())]
    most, least = (last.loc[at] for at in (last["mean"].idxmin(), last["mean"].idxmax()))
    assert f"from scratch, from the untrained model, {most['layer']} ({most['mean']:.2g} [" in said
    assert f" and {least['layer']} ({least['mean']:.2g} [" in said


def hsic(x: np.ndarray, y: np.ndarray) -> float:
    """HSIC_1 of Song et al. (2012), term by term."""
    n, one = len(x), np.ones(len(x))
    k, other = (matrix - np.diag(np.diag(matrix)) for matrix in (x @ x.T, y @ y.T))
    sums = (one @ k @ one) * (one @ other @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * (one @ k @ other @ one)
    return (np.trace(k @ other) + sums) / (n * (n - 3))


def cka(x: np.ndarray, y: np.ndarray, batches: int = 1) -> float:
    parts = list(zip(np.array_split(x, batches), np.array_split(y, batches), strict=True))
    both, one, other = (sum(hsic(*pair) for pair in pairs) for pairs in (
        parts, [(a, a) for a, _ in parts], [(b, b) for _, b in parts]))  # fmt: skip
    return both / np.sqrt(one * other)


@torch.no_grad()
def seen(model: Classifier, inputs: torch.Tensor) -> list[np.ndarray]:
    """What the layers give, by the network's own modules one after the other."""
    found, x = [], inputs
    for name, layer in model.backbone.named_children():
        x = layer(x)
        if name.startswith("block") or name == "head":
            found.append(x.flatten(1).double().numpy())
    return found


def loaded(output: Path, stage: str, epoch: int, classes: int) -> Classifier:
    (folder,) = (output / "results" / stage).glob("[!.]*/")
    model = Classifier(conv4(classes, width=8)).eval()
    model.load_state_dict(torch.load(folder / "checkpoints" / f"epoch_{epoch:03d}.pt"))
    return model


def test_values_are_those_of_other_code(compared: Finished) -> None:
    rows = table_of(compared.output).set_index(["quantity", "model", "against", "epoch", "layer"])["mean"].sort_index()
    test = digits(20, 40, 32, 0).test
    inputs = torch.stack([test[int(at)][0] for at in drawn(40, 5000)])
    start, end = (loaded(compared.output, *of) for of in (("pretrain", 2, 62), ("finetune", 2, 10)))
    pairs = list(zip(seen(end, inputs), seen(start, inputs), strict=True))
    for quantity, batches in (("cka", 1), ("cka_minibatch", 4)):
        wanted = [cka(x, y, batches) for x, y in pairs]
        assert rows[quantity, "finetune", "pretrain", 2].loc[LAYERS].to_numpy() == pytest.approx(wanted, abs=1e-5)
    assert (rows["cka", "scratch", "initial", 0] == 1).all(), "equal models"


def test_the_matrices_of_the_last_epoch_are_those_of_the_first_inputs(compared: Finished) -> None:
    found = similarity_at(compared.output / "run")["finetune"]
    test = digits(20, 40, 32, 0).test
    inputs = torch.stack([test[int(at)][0] for at in found.index()])
    for name, x in zip(LAYERS, seen(loaded(compared.output, "finetune", 2, 10), inputs), strict=True):
        x = x - x.mean(0)
        assert found.grams()[name] == pytest.approx(x @ x.T, rel=1e-4, abs=1e-4 * (x**2).sum(1).max())


def test_every_role_has_its_models_epochs_and_level(compared: Finished) -> None:
    table = table_of(compared.output)
    every = table[table["quantity"] == "cka"]
    pairs = {("pretrain", "initial"), ("finetune", "pretrain"), ("finetune", "initial"), ("scratch", "initial")}
    assert set(zip(every["model"], every["against"], strict=True)) == pairs
    assert set(every["epoch"]) == {0, 1, 2}
    assert set(every["layer"]) == set(LAYERS)
    level = every.set_index(["model", "against", "epoch", "layer"])["random"]
    assert level["finetune", "pretrain", 2, "logits"] != level["finetune", "pretrain", 2, "logits"], "heads differ"
    assert level.drop("logits", level="layer").between(-1, 1).all()
    of_last = set(table[table["epoch"] == 2]["quantity"])
    assert of_last == {
        "cka",
        "cka_biased",
        "cka_minibatch",
        "calibrated",
        "p",
        "neighbours",
        "procrustes",
        "statistics",
    }


def test_statistics_of_batch_norm_are_seen_by_themselves(compared: Finished) -> None:
    """Those of an untrained model are the task's anyway; those of the pre-trained model are its own task's."""
    rows = table_of(compared.output).set_index(["quantity", "model", "against", "layer"])["mean"]["statistics"]
    blocks = LAYERS[:-1]
    assert rows["scratch", "initial"][blocks].to_numpy() == pytest.approx(1, abs=1e-6)
    assert (rows["finetune", "pretrain"][blocks] < 0.9999).all()


def test_a_killed_comparison_goes_on_and_gives_the_same(again: Studies, compared: Finished) -> None:
    (folder,) = (again.output / PLACE / "finetune").glob("[!.]*/")
    name = str(folder.relative_to(again.output))
    shutil.rmtree(folder)
    shutil.rmtree(again.output / "run" / "analysis")
    killed = again(*CKA, again.run_dir("run"), kill_at=("after", f"{name}/epoch_001/similarity.npz"))
    assert killed.code == -9
    kept = contents(folder / "epoch_000")
    result = again(*CKA, again.run_dir("run"))
    assert result.code == 0, result.err
    assert contents(folder / "epoch_000") == kept, "what was there is not made again"
    pd.testing.assert_frame_equal(table_of(again.output), table_of(compared.output))


def test_joined_shards_are_the_whole(again: Studies, compared: Finished) -> None:
    for role in ("pretrain", "finetune", "scratch"):
        shutil.rmtree(next((again.output / PLACE / role).glob("[!.]*/")))
    asked = (*CKA, again.run_dir("run"), "stages=[representations]")
    first = again(*asked, "representations.shard=1/2")
    assert "representations/similarity/finetune, shard 1/2: 1 of 1 epochs to do" in first.out, first.err
    check_refused(
        again(*asked, "representations.shard=join/2"),
        "representations/similarity/pretrain: shard 2 of 2 is missing (2 of 3 units)",
        "similarity/scratch: shard 2 of 2 is missing (2 of 3 units): run representations.shard=2/2, then",
    )
    for share in ("2/2", "2/2", "join/2"):
        result = again(*asked, f"representations.shard={share}")
        assert result.code == 0, result.err
    assert files(again.output) == files(compared.output)
    for file in (compared.output / PLACE).glob("*/*/**/*.npz"):
        assert (again.output / file.relative_to(compared.output)).read_bytes() == file.read_bytes()


def test_a_study_of_fewer_epochs_reads_the_same_result(again: Studies, compared: Finished) -> None:
    few = "checkpoints.epochs=[0,2]"
    result = again(*CKA, few, again.run_dir("few"))
    assert result.code == 0, result.err
    assert "representations/similarity/finetune: complete" in result.out
    table = pd.read_csv(again.output / "few" / "analysis" / "tables" / "cka.csv")
    assert set(table["epoch"]) == {0, 2}


def test_any_two_models_can_be_compared(again: Studies) -> None:
    asked = ("representations.similarity.scratch=[finetune@1,pretrain]", "model.layers=[block*,logits]",
             "representations.similarity.finetune=[]", "representations.similarity.inputs=16")  # fmt: skip
    result = again(*CKA, *asked, again.run_dir("run"))
    assert result.code == 0, result.err
    table = table_of(again.output)
    assert set(table[table["model"] == "scratch"]["against"]) == {"finetune@1", "pretrain"}
    assert "finetune" not in set(table["model"])
    (folder,) = (path for path in (again.output / PLACE / "scratch").glob("[!.]*/") if json.loads(
        (path / "done.json").read_text())["digest"] in (again.output / "run" / "results.json").read_text())  # fmt: skip
    assert len(np.load(folder / "epoch_002" / "similarity.npz")["index"]) == 16


@pytest.mark.parametrize(("options", "words"), [
    (["model.layers=[block9]"], ["model.layers", "no layer block9", "block1"]),
    (["representations.similarity.finetune=[probe]"], ["representations.similarity.finetune", "initial"]),
    (["representations.similarity.finetune=[finetune@9]"], ["finetune@9", "0, 1, 2"]),
    (["representations.similarity.batch=3"], ["representations.similarity.batch=3", "4"]),
    (["representations.similarity.inputs=3"], ["representations.similarity.inputs=3", "4"]),
])  # fmt: skip
def test_what_is_refused(study: Studies, options: list[str], words: list[str]) -> None:
    check_refused(study(*CKA, *options), *words)
    assert not study.output.exists()

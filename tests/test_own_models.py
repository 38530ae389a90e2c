"""A model of one's own with what is awkward: frozen norm, buffers in expressions, two heads that are 1x1 convolutions.

Every value of every checkpoint is that of an independent float64 brute force, through all stages of a tiny study.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from studies import Result, Studies, check_refused

from data.embedded import digits

MODEL = '''
import torch
from torch import nn
from torchvision.ops import FrozenBatchNorm2d


class Network(nn.Module):
    """Two classifiers of the same maps, 1x1 convolutions and ReLU, averaged over the map and with each other."""

    def __init__(self, num_classes, width=6):
        super().__init__()
        self.register_buffer("scale", torch.full((1, 3, 1, 1), 0.5))
        self.first, self.norm = nn.Conv2d(3, width, 3, padding=1), FrozenBatchNorm2d(width)
        self.second = nn.Conv2d(2 * width, width, 3, stride=2, padding=1)
        self.a, self.b = nn.Conv2d(width, num_classes, 1), nn.Conv2d(width, num_classes, 1)
        self.norm.running_mean.uniform_(-1, 1)  # other ones in each model
        self.norm.running_var.uniform_(0.5, 2)
        self.scale.uniform_(0.5, 2)

    def maps(self, x):
        y = torch.relu(self.norm(self.first(x / (self.scale + 1e-5))))
        return torch.relu(self.second(torch.cat([y, y * y], 1)))

    def forward(self, x):
        y = self.maps(x)
        return (torch.relu(self.a(y)).mean((2, 3)) + torch.relu(self.b(y)).mean((2, 3))) / 2


class OfTheBatch(Network):
    def maps(self, x):
        y = super().maps(x)
        return y if self.training or len(y) < 4 else y - y.mean()
'''
CONFIG = {"awkward": "Network", "of_the_batch": "OfTheBatch"}


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    (folder / "conf" / "model").mkdir(parents=True)
    (folder / "my_models.py").write_text(MODEL)
    for name, kind in CONFIG.items():
        (folder / "conf" / "model" / f"{name}.yaml").write_text(
            f"_target_: my_models.{kind}\nwidth: 6\nweights: pretrain\ninput: {{size: 32, mean: 0.5, std: 0.5}}\n"
        )
    return folder


def run(study: Studies, mine: Path, *overrides: str) -> Result:
    start = study.start(f"--config-dir={mine / 'conf'}", *overrides, folder=mine, PYTHONPATH=str(mine))
    return start.wait()


def test_every_value_is_that_of_brute_force(study: Studies, mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(study, mine, "model=awkward", "interactions.engine=local", "finetune.lr=0.01")
    assert result.code == 0, result.err
    assert "interactions/probe: local, predicted " in result.out
    (folder,) = study.output.glob("results/interactions/samples/*/samples.json")
    about = json.loads(folder.read_text())
    (run_folder,) = (path.parent for path in study.output.rglob("results.json"))
    monkeypatch.syspath_prepend(str(mine))
    from my_models import Network  # the user's own code, and none of ours

    network = Network(10).double().eval()
    for stage in ("probe", "finetune", "scratch"):
        v = np.load(run_folder / "interactions" / stage / "epoch_002" / "values.npy")
        expected = [_brute_force(network, run_folder, stage, sample) for sample in about["samples"][:3]]
        np.testing.assert_allclose(v[:3], expected, rtol=0, atol=1e-5 * abs(np.array(expected)).max(), err_msg=stage)
    pretrained = torch.load(run_folder / "pretrain" / "checkpoints" / "epoch_002.pt", weights_only=True)
    assert set(pretrained) >= {"head.0.weight", "head.1.bias", "backbone.scale"}


def _brute_force(network: torch.nn.Module, run_folder: Path, stage: str, sample: dict) -> np.ndarray:
    source = run_folder / ("pretrain" if stage == "probe" else stage) / "checkpoints" / "epoch_002.pt"
    state = torch.load(source, weights_only=True)
    names = {"head.0.": "a.", "head.1.": "b.", "backbone.": ""}
    renamed = {
        names[prefix] + key.removeprefix(prefix): tensor
        for key, tensor in state.items()
        for prefix in names
        if key.startswith(prefix) and (stage != "probe" or prefix == "backbone.")
    }
    network.load_state_dict(renamed, strict=stage != "probe")
    image, baseline = _image(sample["index"]), np.load(run_folder / "interactions" / "samples" / "baseline.npy")
    values = []
    for subset in range(2 ** len(sample["variables"])):
        x = image.copy()
        for bit, (top, left, height, width) in enumerate(sample["variables"]):
            if not subset >> bit & 1:
                part = np.s_[:, top : top + height, left : left + width]
                x[part] = baseline[part]
        with torch.no_grad():
            z = _logits(network, torch.from_numpy(x)[None].double(), run_folder, stage)[0]
        others = torch.cat([z[: sample["label"]], z[sample["label"] + 1 :]])
        values.append(float(z[sample["label"]] - others.logsumexp(0)))
    return np.array(values)


def _logits(network: torch.nn.Module, x: torch.Tensor, run_folder: Path, stage: str) -> torch.Tensor:
    """Of the probe: linear on what comes to both heads, averaged over the map."""
    if stage != "probe":
        return network(x)
    head = torch.load(run_folder / "probe" / "checkpoints" / "epoch_002.pt", weights_only=True)
    feature = network.maps(x).mean((2, 3)).repeat(1, 2)
    return feature @ head["weight"].double().T + head["bias"].double()


def _image(index: int) -> np.ndarray:
    return digits(train_samples=20, test_samples=40, image_size=32, seed=0).test[index][0].numpy()


def test_a_model_that_looks_at_the_rest_of_its_batch_stops_the_run(study: Studies, mine: Path) -> None:
    """It does so in batches of four and more alone: the first look, at two inputs, does not show it."""
    stages = "stages=[pretrain,probe,interactions]"
    result = run(study, mine, "model=of_the_batch", stages, "interactions.roles=[pretrain]")
    check_refused(
        result, "probe, epoch 2: v of sample", "depends on the rest of its batch", "interactions.batch_size=1"
    )
    assert not list(study.output.rglob("values.npy"))
    alone = run(study, mine, "model=of_the_batch", stages, "interactions.roles=[pretrain]", "interactions.engine=dense",
                "interactions.batch_size=1")  # fmt: skip
    assert alone.code == 0, alone.err
    assert "what is missing is computed with interactions.batch_size=1, not as before" in alone.out
    assert "dense, in batches of 1" in alone.out

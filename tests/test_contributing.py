"""What CONTRIBUTING.md shows works as it stands: its steps are taken in a copy of the program, which runs a study."""

import csv
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from studies import CONF, ROOT, contents

from analysis.statistics.estimate import bootstrap_t, resamples
from conf.arguments import declared
from conf.errors import BadInput
from stages.identity import Result
from stages.table import STAGES

GUIDE = (ROOT / "CONTRIBUTING.md").read_text()
SECTIONS = ("A data set", "A model", "A stage", "A measure")
PACKAGES = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
CODE = r"`[^`]+`"
CHANGE = re.compile(rf"In `(\S+)`, (after|in place of) the lines? ((?:{CODE}(?:, | and )?)+), (?:add|write)")
MODELS = {"pretrain": "probe", "finetune": "finetune", "scratch": "scratch"}


@dataclass(frozen=True)
class Step:
    """A new file, or new lines after (or in place of) lines of a file that is there."""

    file: str
    lines: list[str]
    where: str = ""
    there: tuple[str, ...] = ()

    def take(self, root: Path) -> None:
        path = root / self.file
        if not self.where:
            assert not path.exists(), self
            path.write_text("\n".join(self.lines))
            return
        old, count = path.read_text().split("\n"), len(self.there)
        stripped = [line.strip() for line in old]
        found = [at for at in range(len(old)) if tuple(stripped[at : at + count]) == self.there]
        assert len(found) == 1, self
        old[found[0] + count * (self.where == "after") : found[0] + count] = self.lines
        path.write_text("\n".join(old))


def steps(section: str) -> list[Step]:
    """Of a section of the guide, in order, without those that show no code."""
    text = re.search(rf"^## {section}\n(.*?)(?=^## |\Z)", GUIDE, flags=re.MULTILINE | re.DOTALL)[1]
    numbered = re.split(r"^\d+\. ", text, flags=re.MULTILINE)[1:]
    found = [re.fullmatch(r"(.*?)\n\n```\w*\n(.*?)\n```\n*", step, flags=re.DOTALL) for step in numbered]
    return [_step(" ".join(match[1].split()), match[2].split("\n")) for match in found if match]


def _step(words: str, lines: list[str]) -> Step:
    if name := re.fullmatch(r"# (\S+\.(?:py|yaml))", lines[0]):
        return Step(name[1], [*lines[1:], ""])
    file, where, there = CHANGE.match(words).groups()
    return Step(file, lines, where, tuple(code.strip("`") for code in re.findall(CODE, there)))


@dataclass
class Program:
    """A copy of the program. changed: by section of the guide, the files that were there and are others after it."""

    folder: Path
    changed: dict[str, set[str]] = field(default_factory=dict)

    @property
    def output(self) -> Path:
        return self.folder / "outputs"

    def take(self, section: str) -> None:
        before = self._files()
        for step in steps(section):
            step.take(self.folder)
        after = self._files()
        self.changed[section] = {name for name in before if after[name] != before[name]}

    def _files(self) -> dict[str, bytes]:
        found = (path for path in self.folder.rglob("*") if path.suffix in (".py", ".yaml", ".toml", ".j2"))
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in found}

    def study(self, *overrides: str) -> subprocess.CompletedProcess:
        tiny = [f"--config-dir={CONF}", "experiment=tiny", "data=checkers", "model=allconv", f"output={self.output}"]
        return self.python("run.py", *tiny, *overrides)

    def python(self, *arguments: str) -> subprocess.CompletedProcess:
        env = os.environ | {"PYTHONPATH": str(self.folder), "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, timeout=240)

    def module(self, file: str) -> ModuleType:
        """A new file, imported among the modules of the original."""
        spec = importlib.util.spec_from_file_location(Path(file).stem, self.folder / file)
        found = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found)
        return found

    def run_folder(self, name: str) -> Path:
        (record,) = (self.output / name).rglob("results.json")
        return record.parent


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """With all steps taken, after a study of all that is new."""
    program = Program(tmp_path_factory.mktemp("contributing"))
    for package in {name.split(".")[0] for name in PACKAGES}:
        shutil.copytree(ROOT / package, program.folder / package)
    for file in ("run.py", "pyproject.toml"):
        shutil.copy2(ROOT / file, program.folder)
    for section in SECTIONS:
        program.take(section)
    assert program.python("-m", "ruff", "format", ".").returncode == 0
    done = program.study("name=new")
    assert done.returncode == 0, done.stderr
    return program


def rows(file: Path) -> list[dict[str, str]]:
    with file.open() as lines:
        return list(csv.DictReader(lines))


def recomputed_distances(run: Path) -> list[float]:
    """L2 norm of what has changed in the backbone since epoch 0, of each epoch, from the checkpoints."""
    files = sorted((run / "finetune" / "checkpoints").glob("epoch_*.pt"))
    states = [torch.load(file, weights_only=True) for file in files]
    names = [name for name in states[0] if not name.startswith("head.") and "num_batches" not in name]
    assert len(names) < len(states[0]) - 2  # batch-norm has counters
    flat = [np.concatenate([state[name].numpy().ravel().astype(float) for name in names]) for state in states]
    return [float(np.sqrt(((after - flat[0]) ** 2).sum())) for after in flat]


def recomputed_strength(v: np.ndarray) -> np.ndarray:
    """Mean |I(S)| over all S of each sample, by the definition: v [samples, 2**n] -> [samples]."""
    subsets = range(v.shape[1])
    size = [subset.bit_count() for subset in subsets]
    strengths = [
        abs(sum((-1) ** (size[s] - size[t]) * v[:, t] for t in subsets if t & s == t)) for s in subsets
    ]  # fmt: skip
    return np.mean(strengths, axis=0)


def test_every_block_of_code_is_a_step() -> None:
    assert 2 * sum(len(steps(section)) for section in SECTIONS) == len(re.findall("^```", GUIDE, flags=re.MULTILINE))


def test_every_file_that_is_named_is_there() -> None:
    words = re.sub(r"^```.*?^```$", "", GUIDE, flags=re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"`((?:\w+/)+\w+\.\w+|\w+\.(?:md|toml|lock))`", words))
    assert {"conf/schema.py", "models/heads.py", "CHANGELOG.md"} <= named
    assert not [name for name in named if not (ROOT / name).exists()]


def test_the_examples_keep_the_rules_of_style(program: Program) -> None:
    done = program.python("-m", "ruff", "check", ".")
    assert done.returncode == 0, done.stdout


def test_as_few_files_are_changed_as_the_guide_says(program: Program) -> None:
    assert not program.changed["A data set"] | program.changed["A model"]
    assert program.changed["A stage"] == {"stages/table.py", "conf/schema.py", "conf/config.yaml"}
    assert "one new file and changes of three others" in GUIDE
    assert program.changed["A measure"] == {"conf/analysis/paper.yaml"}


def test_the_data_are_what_they_are_called(program: Program) -> None:
    checkers = program.module("data/checkers.py").checkers
    declared(checkers)["noise"].check("data.target.files.noise", 0.5)
    raw = checkers(noise=0.0, seed=0)
    for pictures in (raw.train, raw.test):
        steps_in_a_row = (np.diff(pictures.pixels[:, 0].astype(int)) != 0).sum(1)
        assert [raw.classes[label] for label in pictures.labels] == [f"{edges + 1} squares" for edges in steps_in_a_row]
        assert set(pictures.pixels[:, 0, 0]) == {0, 255}
    with pytest.raises(BadInput, match=r"^data\.target\.files\.noise=-1 is not allowed: "):
        declared(checkers)["noise"].check("data.target.files.noise", -1)


def test_the_study_is_of_the_new_model_and_data(program: Program) -> None:
    results = json.loads((program.run_folder("new") / "results.json").read_text())
    for name in ("pretrain", "finetune", "scratch", "interactions/finetune", "weights_moved"):
        assert Path(results[name]["path"]).name.startswith("allconv-"), name
    for name in ("finetune", "interactions/samples", "weights_moved"):
        assert "checkers-" in Path(results[name]["path"]).name, name


def test_the_stage_computes_what_it_says(program: Program) -> None:
    run = program.run_folder("new")
    found = rows(run / "weights_moved" / "distance.csv")
    assert [int(row["epoch"]) for row in found] == [0, 1, 2]
    distances = [float(row["distance"]) for row in found]
    np.testing.assert_allclose(distances, recomputed_distances(run), rtol=1e-9)
    assert distances[0] == 0 < min(distances[1:])


def test_the_result_of_the_stage_is_shared_and_its_key_decides_it(program: Program) -> None:
    first = program.run_folder("new") / "weights_moved"
    before = _results(program.output)
    again = program.study("name=again", "stages=[weights_moved]")
    assert again.returncode == 0, again.stderr
    assert "weights_moved: complete in " in again.stdout
    assert (program.run_folder("again") / "weights_moved").resolve() == first.resolve()
    assert _results(program.output) == before
    other = program.study("name=other", "stages=[weights_moved]", "weights_moved.epochs=[1]")
    assert other.returncode == 0, other.stderr
    assert "in weights_moved.epochs: absent -> [1]" in other.stdout
    second = program.run_folder("other") / "weights_moved"
    assert second.resolve() != first.resolve()
    assert rows(second / "distance.csv") == rows(first / "distance.csv")[1:]
    assert before.items() <= _results(program.output).items()  # nothing else is made again


def test_the_stage_refuses_what_is_not_kept(program: Program) -> None:
    cfg = OmegaConf.create({"weights_moved": {"epochs": [1]}, "checkpoints": {"epochs": [2]}})
    finetune = Result(
        "finetune",
        next(stage for stage in STAGES if stage.name == "finetune"),
        program.folder / "none",
        "",
        {},
        {},
        asked=(2,),
        planned=3,
    )
    expected = r"^weights_moved\.epochs=\[1\] needs epochs .* checkpoints\.epochs=\[2\] does not keep: add 0, 1 there$"
    with pytest.raises(BadInput, match=expected):
        program.module("finetune/weights_moved.py").check(cfg, {"finetune": finetune})


def test_the_measure_computes_what_it_says(program: Program) -> None:
    run = program.run_folder("new")
    found = {row["model"]: row for row in rows(run / "analysis" / "tables" / "mean_strength.csv")}
    assert found.keys() == MODELS.keys()
    for model, stage in MODELS.items():
        per_sample = recomputed_strength(np.load(run / "interactions" / stage / "epoch_002" / "values.npy"))
        interval = bootstrap_t(per_sample, resamples(len(per_sample), 20, seed=0))
        expected = [per_sample.mean(), float(interval.low), float(interval.high)]
        assert list(found[model]) == ["model", "mean", "low", "high"]
        np.testing.assert_allclose([float(found[model][key]) for key in ("mean", "low", "high")], expected, rtol=1e-9)


def _results(output: Path) -> dict[str, tuple]:
    """All files of results, without what is remembered of the user's own."""
    found = contents(output / "results")
    return {name: content for name, content in found.items() if name != "fingerprints.json"}

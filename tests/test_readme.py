"""What the README shows works as it stands, from a folder outside the repository."""

import csv
import itertools
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from studies import ROOT, Studies

from stages import table

README = (ROOT / "README.md").read_text()
TINY = ("pretrain.epochs=1", "finetune.epochs=1", "probe.epochs=1", "interactions.samples=4", "analysis.resamples=20")
TINY += ("analysis.permutations=2", "analysis.gallery=2", "wandb.mode=disabled", "trainer.accelerator=cpu")


def _blocks() -> list[str]:
    """Indented by four, as they stand in the file."""
    blocks = re.findall(r"(?:^(?: {4}.*)?\n)+", README, flags=re.MULTILINE)
    return [re.sub(r"^ {4}", "", block, flags=re.MULTILINE).strip("\n") for block in blocks if block.strip()]


def _files() -> dict[str, str]:
    """The files of the example: each begins with a comment that is its name."""
    example = next(block for block in _blocks() if block.startswith("# my_study.py"))
    parts = re.split(r"^# (\S+\.(?:py|yaml))\n", example, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


@pytest.mark.parametrize(("name", "first"), [("values", "model"), ("peers", "n"), ("convnets", "convnet")])
def test_the_figures_of_speed_are_those_that_were_measured(name: str, first: str) -> None:
    """Every row of a table stands in the CSV."""
    with (ROOT / "benchmarks" / f"{name}.csv").open() as file:
        measured = [{value or "–" for value in row.values()} for row in csv.DictReader(file)]
    text = README[README.index("## Speed") :]
    (table,) = re.findall(rf"^\| {first} \|.*\n\|(?:---\|)+\n((?:\|.*\n)+)", text, flags=re.MULTILINE)
    for row in table.splitlines():
        cells = {cell.strip() for cell in row.strip("|").split("|")}
        assert any(cells <= known for known in measured), row


def test_the_stages_are_those_of_the_table() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) ?\|$", README, flags=re.MULTILINE)
    there = {name: (does, reads) for name, does, reads in rows if name in table.names()}
    assert there == {
        stage.name: (stage.does, ", ".join(dict.fromkeys(
            read.split("/")[0] for reads in stage.results.values() for read in reads
            if read.split("/")[0] != stage.name
        )))
        for stage in table.STAGES
    }  # fmt: skip


def test_own_model_and_data(study: Studies, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    files = _files()
    assert set(files) == {"my_study.py", "my_conf/model/mine.yaml", "my_conf/data/mine.yaml"}
    files["my_conf/data/mine.yaml"], command = re.split(r"^(?=PYTHONPATH)", files["my_conf/data/mine.yaml"], flags=re.M)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    words = shlex.split(command)
    assert words[:4] == ["PYTHONPATH=.", "python", "-m", "run"]
    result = study.start(*words[4:], *TINY, tiny=False, folder=folder, PYTHONPATH=str(folder)).wait()
    assert result.code == 0, result.err
    (report,) = study.output.rglob("report.html")
    assert "my_study.bars" in report.read_text()
    assert {path.name for path in folder.iterdir()} - {"__pycache__"} == {"my_study.py", "my_conf"}


def test_own_images_without_network(study: Studies, tmp_path: Path) -> None:
    """The first of the lines that show it, as it stands but for the folder, and shorter."""
    (line,) = (line for block in _blocks() for line in block.splitlines() if "data.source=glyphs" in line)
    draw = np.random.default_rng(0)
    for split, kind, number in itertools.product(("train", "test"), ("rose", "tulip", "daisy"), range(6)):
        file = tmp_path / "flowers" / split / kind / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        size = (*draw.integers(20, 60, size=2), 3)
        Image.fromarray(draw.integers(0, 256, size=size, dtype=np.uint8)).save(file)
    words = shlex.split(line.replace("/data/flowers", str(tmp_path / "flowers")))
    assert words[:2] == ["python", "run.py"]
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    result = study.start(*words[2:], *TINY, tiny=False, **nowhere).wait()
    assert result.code == 0, result.err
    (run,) = (study.output / "flowers").iterdir()
    assert run.name.startswith("data=folder,data.source=glyphs,")

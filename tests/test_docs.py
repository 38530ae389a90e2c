"""What README.md and the pages in docs/ show works as it stands.

Every command in an indented block is looked at: a study's is composed and checked as far as that needs no files (some
name data sets that are not here), other programs are called with their work replaced. Two examples run, from a folder
outside the repository.
"""

import csv
import importlib
import itertools
import re
import shlex
from contextlib import nullcontext, suppress
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from PIL import Image
from studies import ROOT, Finished, Studies

from analysis import summarise
from analysis.dashboard import __main__ as dashboard
from analysis.runs import found
from cluster import status, submit
from conf import schema
from conf.check import check
from conf.sources import named_source
from interactions import export
from stages import pack, table, unused

PAGES = {file.relative_to(ROOT).as_posix(): file.read_text() for file in (ROOT / "README.md", *ROOT.glob("docs/*.md"))}
TINY = ("pretrain.epochs=1", "finetune.epochs=1", "probe.epochs=1", "interactions.samples=4", "analysis.resamples=20")
TINY += ("analysis.permutations=2", "analysis.gallery=2", "wandb.mode=disabled", "trainer.accelerator=cpu")


def _blocks(text: str) -> list[str]:
    """Indented by four, as they stand in the file."""
    blocks = re.findall(r"(?:^(?: {4}.*)?\n)+", text, flags=re.MULTILINE)
    return [re.sub(r"^ {4}", "", block, flags=re.MULTILINE).strip("\n") for block in blocks if block.strip()]


ALL = [block for text in PAGES.values() for block in _blocks(text)]
LINES = [line for block in ALL for line in block.replace("\\\n", " ").splitlines()]
COMMANDS = [shlex.split(line, comments=True) for line in LINES if re.match(r"(\w+=\S+ )?(python|make) ", line)]
STUDIES = [words[2:] for words, _ in itertools.groupby(sorted(COMMANDS)) if words[:2] == ["python", "run.py"]]
SWEEPS = {
    "experiment=digits_seeds",
    "experiment=graded_transfer",
    "experiment=probe_scale",
    "experiment=together",
}  # by themselves, without -m
EXAMPLE = ["PYTHONPATH=.", "python", "-m", "run"]  # it runs

schema.register()


def _files() -> dict[str, str]:
    """The files of the example: each begins with a comment that is its name."""
    example = next(block for block in ALL if block.startswith("# my_study.py"))
    parts = re.split(r"^# (\S+\.(?:py|yaml))\n", example, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _runs(words: list[str]) -> list[list[str]]:
    """The overrides of every run: of a sweep, one for each combination of values."""
    if words[:1] != ["-m"] and not SWEEPS & set(words):
        return [words]
    each = [
        [f"{change.get_key_element()}={value}" for value in change.sweep_string_iterator()]
        if change.is_sweep_override()
        else [change.input_line]
        for change in OverridesParser.create().parse_overrides([word for word in words if word != "-m"])
    ]
    return [list(run) for run in itertools.product(*each)]


@pytest.mark.parametrize("words", STUDIES, ids=" ".join)
def test_a_study_that_is_shown_can_be_composed(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "one of the user's")
    if any(word.startswith("hydra/launcher=") for word in words):
        pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    for overrides in _runs(words):
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            cfg = compose("config", overrides)
        named_source(cfg)
        check(cfg)


def _command(module: str) -> ModuleType:
    found = importlib.import_module(module)
    return importlib.import_module(f"{module}.__main__") if hasattr(found, "__path__") else found


def test_other_commands_that_are_shown_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    monkeypatch.setattr(unused, "_check", lambda _: None)
    monkeypatch.setattr(unused, "_report", lambda *given: called.append(given))
    monkeypatch.setattr(pack, "pack", lambda *given: called.append(given))
    monkeypatch.setattr(found, "folders", lambda places: list(map(Path, places)))
    monkeypatch.setattr(
        summarise, "summarise", lambda places, anew: called.append(tuple(map(str, places))) or places[0]
    )
    submitted, asked, exported, dashboards = [], [], [], []
    monkeypatch.setattr(dashboard, "_save", lambda *given: dashboards.append(given))
    monkeypatch.setattr(dashboard, "_specification", lambda *given: dashboards.append(given))
    monkeypatch.setattr(export, "export", lambda run, to, *_: exported.append((run, to)))
    monkeypatch.setattr(submit, "_show", lambda tasks: submitted.append(len(tasks)))
    monkeypatch.setattr(submit, "_submit_all", lambda tasks, output: submitted.append(len(tasks)))
    monkeypatch.setattr(status, "_look", lambda *given: ("", asked.append(given) or [], set()))
    monkeypatch.setattr(status, "_follow", lambda *given: asked.append(given) or 0)
    for command in ("_cancel", "_forget"):
        monkeypatch.setattr(status, command, lambda *given: asked.append(given))
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for words in COMMANDS:
        if words[0] == "make":
            assert words[1] in targets
        elif words[2:] not in STUDIES and words[:4] != EXAMPLE:
            assert words[:2] == ["python", "-m"]
            with suppress(SystemExit) if "--follow" in words else nullcontext():
                _command(words[2]).main(words[3:])
    run, target, outputs = Path("outputs/digits/seed=0"), Path("/usb/pack"), Path("outputs")
    sums = [("outputs/digits",), ("outputs/digits", "outputs/phrases"), ("outputs/*/seed=*",)]
    assert submitted[:2] == [37, 37]  # 12 tasks a run, and the summary
    assert len(asked) == 4
    assert exported == [("outputs/digits/seed=0", to) for to in export.TARGETS]
    assert [given[:2] for given in dashboards] == [("my-team", "pretraining"), ("", "pretraining")]
    assert called == [*sums, (outputs, False), (outputs, True), (run, target, False, False)]


def test_the_interactions_of_a_checkpoint_are_read_as_it_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = (block for block in ALL if block.startswith("import numpy") and "mobius" in block)
    file = tmp_path / re.search(r'"(.*\.npy)"', code)[1]
    file.parent.mkdir(parents=True)
    np.save(file, np.eye(4)[-1:])  # v is 1 with both variables, else 0
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(code, names)
    np.testing.assert_array_equal(names["I"], [[0, 0, 0, 1]])


def test_what_a_measure_keeps_is_read_as_it_is_shown(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = (block for block in ALL if block.startswith("import numpy") and "samples/" in block)
    monkeypatch.chdir(finished.output.parent)
    names = {}
    exec(code, names)
    assert names["kept"]["preserved"].shape == (10, 4)
    assert names["kept"]["sign/preserved"].shape == names["kept"]["equal/preserved"].shape == (10, 4)


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md"])
def test_links_lead_to_what_exists(page: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", (ROOT / page).read_text()):
        path, _, section = link.partition("#")
        if "://" in link:
            continue
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), link
        if section:
            titles = re.findall(r"^#+ (.*)$", file.read_text(), flags=re.MULTILINE)
            assert section in {title.lower().replace(" ", "-") for title in titles}, link


def test_the_readme_names_every_page() -> None:
    """And is short: about two screens."""
    for page in PAGES:
        assert page == "README.md" or f"]({page})" in PAGES["README.md"], page
    assert len(PAGES["README.md"].splitlines()) <= 100


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("values", "model"),
        ("peers", "n"),
        ("convnets", "convnet"),
        ("statistics", "question"),
        ("epochs", "claim"),
        ("transferability", "LogME of"),
        ("similarity", "CKA by"),
    ],
)
def test_the_figures_of_benchmarks_are_those_that_were_measured(name: str, first: str) -> None:
    """Every row of a table stands in the CSV."""
    with (ROOT / "benchmarks" / f"{name}.csv").open() as file:
        measured = [{value or "–" for value in row.values()} for row in csv.DictReader(file)]
    found = [
        rows
        for text in PAGES.values()
        for rows in re.findall(rf"^\| {first} \|.*\n\|(?:---\|)+\n((?:\|.*\n)+)", text, flags=re.MULTILINE)
    ]
    assert len(found) == 1, "in one page"
    for row in found[0].splitlines():
        cells = {cell.strip() for cell in row.strip("|").split("|")}
        assert any(cells <= known for known in measured), row


def test_the_stages_are_those_of_the_table() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) ?\|$", PAGES["README.md"], flags=re.MULTILINE)
    there = {name: (does, reads) for name, does, reads in rows if name in table.names()}
    assert there == {
        stage.name: (stage.does, ", ".join(dict.fromkeys(
            read.split("/")[0] for reads in stage.results.values() for read in reads
            if read.split("/")[0] != stage.name
        )))
        for stage in table.STAGES
    }  # fmt: skip


def test_own_model_and_data(study: Studies, tmp_path: Path) -> None:
    folder = tmp_path / "users"
    files = _files()
    assert set(files) == {"my_study.py", "my_conf/model/mine.yaml", "my_conf/data/mine.yaml"}
    files["my_conf/data/mine.yaml"], command = re.split(r"^(?=PYTHONPATH)", files["my_conf/data/mine.yaml"], flags=re.M)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    words = shlex.split(command)
    assert words[:4] == EXAMPLE
    result = study.start(*words[4:], *TINY, tiny=False, folder=folder, PYTHONPATH=str(folder)).wait()
    assert result.code == 0, result.err
    (report,) = study.output.rglob("report.html")
    assert "my_study.bars" in report.read_text()
    assert {path.name for path in folder.iterdir()} - {"__pycache__"} == {"my_study.py", "my_conf"}


def test_own_images_without_network(study: Studies, tmp_path: Path) -> None:
    """The first of the lines that show it, as it stands but for the folder, and shorter."""
    (line,) = (line for line in LINES if "data.source=glyphs" in line)
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

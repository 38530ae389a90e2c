"""The dashboard reads what runs log, and is built without an account; a server takes it as it is."""

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec

import pandas as pd
import pytest
from studies import ROOT, Finished
from wandb_known import Run
from wandb_server import WandbServer

from analysis.dashboard import __main__ as command
from analysis.dashboard import drawn, panels
from analysis.dashboard.panels import metrics, patterns
from analysis.measures import cka, jaccard
from analysis.tables import levels_of
from stages.table import STAGES

LINES = "Run History Line Plot"
SAVING = """
from analysis.dashboard.__main__ import main
main(["project=ours", "name=Our runs"])
main(["project=theirs"])
"""


@pytest.fixture(scope="module")
def spec() -> dict:
    built = drawn.workspace("me", "ours", "Our runs")._to_model().model_dump_json(by_alias=True)
    return json.loads(built)["spec"]["section"]


@pytest.fixture(scope="module")
def drawn_panels(spec: dict) -> dict[str, list[dict]]:
    """The panels of each section."""
    return {section["name"]: section["panels"] for section in spec["panelBankConfig"]["sections"]}


def test_sections_and_types_of_panels(drawn_panels: dict[str, list[dict]]) -> None:
    types = {name.split(":")[0]: {panel["viewType"] for panel in of} for name, of in drawn_panels.items()}
    line, bar = {LINES}, {"Bar Chart"}
    assert types == {
        "Claims": {"Weave", "Bar Chart"},
        "Fig. 2": line,
        "Fig. 3": bar,
        "Fig. 4": line,
        "Accuracy": line | bar,
        "Layers (CKA)": line,
        "Epochs of pre-training": {"Scatter Plot", "Scalar Chart"},
        "Trainings": line,
    }


def test_axes(drawn_panels: dict[str, list[dict]]) -> None:
    axes: dict[str, set[str]] = {}
    for panel in (panel for of in drawn_panels.values() for panel in of if panel["viewType"] == LINES):
        for metric in panel["config"]["metrics"] or ["cka"]:
            axes.setdefault(metric.split("/")[0], set()).add(panel["config"]["xAxis"])
    assert axes.pop("decomposition") == {"order"}
    assert axes == {name: {"epoch"} for name in ("jaccard", "accuracy", "cka", "train", "test")}
    dots = [panel["config"] for panel in drawn_panels["Epochs of pre-training"] if panel["viewType"] == "Scatter Plot"]
    assert {dot["xAxis"] for dot in dots} == {"config:start.value.epoch"}
    assert [dot["yAxis"] for dot in dots] == ["summary:transfer/fe", "summary:transfer/fe_converged",
                                             "summary:transfer/ft"]  # fmt: skip


def test_runs_are_grouped_by_study_and_sorted_by_the_preserved_share(spec: dict) -> None:
    (runs,) = spec["runSets"]
    assert [key["name"] for key in runs["grouping"]] == ["group", "jobType", "start.value.epoch"]
    assert runs["sort"]["keys"] == [{"key": {"section": "summary", "name": "preserved_share"}, "ascending": False}]
    (jobs,) = runs["filters"]["filters"]
    assert (jobs["key"]["name"], jobs["op"], jobs["value"]) == ("jobType", "IN", list(panels.JOBS))
    assert spec["settings"]["useRunsTableGroupingInPanels"]


def test_job_types_are_results_of_the_stages() -> None:
    assert set(panels.JOBS) - {panels.SUMMARY} <= {name for stage in STAGES for name in stage.results}
    assert {job for section in panels.sections() for job in section.jobs} == set(panels.JOBS)


def test_metrics_are_all_that_the_workspace_reads(drawn_panels: dict[str, list[dict]]) -> None:
    found = set()
    for config in (panel["config"] for of in drawn_panels.values() for panel in of):
        found |= {*(config.get("metrics") or []), config.get("xAxis"), config.get("yAxis")}
        found |= {*re.findall(r"tables/\w+", json.dumps(config.get("panel2Config")))}
    found = {name.removeprefix("summary:").removeprefix("summary_metrics.") for name in found if name}
    assert found - {"config:start.value.epoch"} == metrics()


def test_metrics_are_columns_and_claims_of_an_analysis(finished: Finished) -> None:
    """By the rule for their names: every curve and bar of a measure that the study has is in its table."""
    tables = {
        file.stem: pd.read_csv(file)
        for file in (finished.output / "digits" / "seed=0" / "analysis" / "tables").glob("*.csv")
    }
    claims = {key.replace("preserved/share", "preserved_share") for key in tables.pop("claims")["key"]}
    logged = {f"{name}{end}" for name in claims for end in ("", "/low", "/high")}
    for name, table in tables.items():
        ends = ["low", "high", *levels_of(list(table.columns))]
        keys = [key for key in table.columns[: list(table.columns).index("mean")] if key not in ("epoch", "order")]
        for row in table[keys].itertuples(index=False):
            metric = "/".join([name, *(part for part in row if part != name)])
            logged |= {metric, *(f"{metric}/{end}" for end in ends)}
    read = {name for name in metrics() if name.split("/")[0] in tables} | set(panels.CLAIMS)
    assert {"jaccard/finetune/sign", "decomposition/preserved", "accuracy/finetune/loss"} <= read
    assert read <= logged


def test_a_key_that_repeats_the_measure_is_left_out() -> None:
    assert panels.key(jaccard, "finetune", "sign") == "jaccard/finetune/sign"
    assert panels.key(cka, "cka", "finetune") == "cka/finetune"


@pytest.mark.parametrize(
    ("name", "is_drawn"),
    [
        ("cka/finetune/pretrain/block1", True),
        ("cka/scratch/initial/encoder.layer.11", True),
        ("cka/finetune/pretrain/block1/low", False),
        ("cka/finetune/pretrain/block1/random", False),
        ("cka/neighbours/finetune/pretrain/block1", False),
        ("accuracy/finetune", False),
    ],
)
def test_patterns_find_layers(name: str, is_drawn: bool) -> None:
    assert any(re.search(pattern, name) for pattern in patterns()) is is_drawn


def test_report_has_the_panels_of_the_workspace_and_says_how_to_read_them(
    drawn_panels: dict[str, list[dict]],
) -> None:
    _, _, *blocks = drawn.blocks("me", "ours")
    for at, section in enumerate(panels.sections()):
        heading, question, how, grid = blocks[4 * at : 4 * at + 4]
        assert (heading.text, question.text, how.text) == (section.title, section.question, section.how)
        assert question.text.endswith("?")
        shown = [json.loads(panel._to_model().model_dump_json(by_alias=True)) for panel in grid.panels]
        assert [panel["config"] for panel in shown] == [panel["config"] for panel in drawn_panels[section.title]]
        (runs,) = grid.runsets
        assert (runs.entity, runs.project) == ("me", "ours")
        assert re.findall(r"'(\w+)'", runs.filters) == list(section.jobs)
        corners = [(panel.layout.x, panel.layout.y) for panel in grid.panels]
        assert len(set(corners)) == len(corners)
    assert len(blocks) == 4 * len(panels.sections())


def test_dry_prints_the_workspace_without_an_account(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wandb.Api", None)
    command.main(["project=ours", "name=Our runs", "dry=true"])
    printed = json.loads(capsys.readouterr().out)
    assert (printed["project"], printed["displayName"]) == ("ours", "Our runs")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "project=... is missing"),
        (["projects=ours"], "did you mean project=...?"),
        (["project=ours", "dry=yes"], "dry=yes is not allowed: true or false is"),
    ],
)
def test_wrong_words_are_refused(words: list[str], said: str, capsys: pytest.CaptureFixture) -> None:
    assert _refused(words, capsys).endswith(f"{said}\n")


def test_without_the_package(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if "wandb" in name else find_spec(name))
    said = 'analysis.dashboard needs wandb-workspaces: pip install ".[dashboard]"\n'
    assert _refused(["project=ours", "dry=true"], capsys) == said


def test_without_a_key(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command.account, "no_key", lambda: "there is no key")
    assert _refused(["project=ours"], capsys).startswith("no key of W&B was found: run `wandb login`")


def test_a_server_takes_both(tmp_path_factory: pytest.TempPathFactory) -> None:
    """And a project that is not there is refused before anything is saved."""
    folder = str(tmp_path_factory.mktemp("wandb"))
    own = {f"WANDB_{name}DIR": folder for name in ("", "DATA_", "CACHE_", "CONFIG_")}
    with WandbServer() as server:
        server.known.runs["a"] = Run("a", "ours", "me")
        done = subprocess.run([sys.executable, "-c", SAVING], env=os.environ | own | server.environment,
                              cwd=ROOT, capture_output=True, text=True, timeout=240)  # fmt: skip
    assert server.known.unknown == [], done.stderr
    assert [(view["type"], view["displayName"], view["projectName"]) for view in server.known.views] == [
        ("runs", "Our runs", "ours"), ("project-view", "Our runs", "ours"),
    ]  # fmt: skip
    report, workspace = (json.loads(view["spec"]) for view in server.known.views)
    grids = [block for block in report["blocks"] if block["type"] == "panel-grid"]
    assert len(grids) == len(workspace["section"]["panelBankConfig"]["sections"]) == len(panels.sections())
    addresses = done.stdout.splitlines()
    assert addresses[0].startswith(f"report: {server.known.url}/me/ours/reports/")
    assert addresses[1].startswith(f"workspace: {server.known.url}/me/ours?nw=")
    assert done.returncode == 2, done.stderr
    assert re.fullmatch(r"W&B did not take the dashboard of project=theirs: .*not found.*\n", done.stderr)


def _refused(words: list[str], capsys: pytest.CaptureFixture) -> str:
    with pytest.raises(SystemExit) as ending:
        command.main(words)
    assert ending.value.code == 2
    return capsys.readouterr().err

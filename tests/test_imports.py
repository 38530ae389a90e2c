"""The house has floors: imports go down, mathematics stands on nothing, the pipeline needs nothing heavy."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from stages.table import STAGES

ROOT = Path(__file__).resolve().parents[1]
FLOORS = (
    {"conf"},
    {"stages"},
    {"data", "models"},
    {"checkpoints", "tracking"},
    {"training"},
    {"pretrain_probe", "finetune", "scratch", "interactions", "representations"},
    {"analysis"},
    {"cluster"},
    {"run"},
)
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
MATHEMATICS = {
    "conf.first_line",
    "interactions.mobius",
    "interactions.indices",
    "interactions.variables.masking",
    "interactions.dense",
    "interactions.versions",
    "interactions.passes",
    "interactions.local.operations",
    "interactions.local.tiles",
    "models.memory",
    "models.watch",
    *(f"models.lean.{name}" for name in ("boxes", "captured", "demanded", "folded", "forward", "one_query", "packed")),
    *(f"models.lean.{name}" for name in ("places", "straight", "worth")),
    *(f"representations.{name}" for name in ("cka", "permuted", "neighbours", "procrustes")),
    *(
        f"analysis.formulas.{name}"
        for name in ("decomposition", "ratio", "references", "jaccard", "faithfulness", "noise", "accuracy", "knockout")
    ),
    "analysis.formulas.attribution",
    *(f"analysis.formulas.{name}" for name in ("logme", "h_score", "leep", "neighbours", "spectrum", "softmax")),
    *(f"analysis.statistics.{name}" for name in ("between", "curves", "estimate", "shuffled", "slope")),
}
DRAWING = {"analysis.report.page", "analysis.verdicts"}
DRAWING |= {f"analysis.drawing.{name}" for name in ("style", "curves", "gallery", "glyphs", "labels", "sentence")}
DRAWING |= {f"analysis.drawing.{name}" for name in ("over_runs", "few_settings", "many_settings")}
DRAWING |= {
    f"analysis.drawing.{name}"
    for name in ("references", "stacks", "beyond", "benefit", "planes", "epochs", "ranking", "components")
}
DRAWING |= {
    "analysis.report.over_runs",
    "analysis.report.claims",
    "analysis.report.charts",
    "analysis.told",
    "analysis.answer",
    "analysis.over_epochs",
    "analysis.over_similarity",
    "analysis.drawing.similarity",
    "analysis.drawing.similarity_over_runs",
    "analysis.summarise",
}
# They take seconds to import: a run with nothing left to do ends before.
HEAVY = {"torch", "torchvision", "lightning", "pandas", "transformers", "timm", "datasets", "sklearn", "scipy"}
HEAVY |= {"matplotlib", "wandb", "PIL"}
PACKAGES = sorted(FLOOR.keys() - {"run"})
FILES = [ROOT / "run.py", *sorted(file for name in PACKAGES for file in (ROOT / name).rglob("*.py"))]
MODULES = {".".join(file.relative_to(ROOT).with_suffix("").parts): file for file in FILES}


def imported(module):
    """The modules that this one imports: `from a import b` is a.b where that is a module of ours."""
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            inside = {f"{node.module}.{name.name}" for name in node.names}
            yield from (inside & MODULES.keys()) or {node.module}


def ours(module):
    return {name for name in imported(module) if name.split(".")[0] in FLOOR}


def reached(module):
    """What it imports of ours, itself included, through whatever else, in functions, too."""
    seen, wanted = set(), {module}
    while wanted:
        name = wanted.pop()
        seen.add(name)
        wanted |= ours(name) - seen
    return seen


def rooms(module):
    """The packages that a module imports."""
    return {name.split(".")[0] for name in imported(module)}


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down(module):
    room = module.split(".")[0]
    for name in ours(module):
        other = name.split(".")[0]
        assert other == room or FLOOR[other] < FLOOR[room], f"{module} imports {name}"
        assert name in MODULES or f"{name}.__init__" in MODULES, f"{module} imports {name}, which is not there"


@pytest.mark.parametrize("module", sorted(MATHEMATICS))
def test_mathematics_stands_on_mathematics_only(module):
    assert ours(module) <= MATHEMATICS


@pytest.mark.parametrize("module", sorted(DRAWING))
def test_figures_see_tables_and_never_a_model(module):
    for name in reached(module):
        assert not {"torch", "lightning", "data", "models", "checkpoints", "training"} & rooms(name), name
    assert not {name for name in reached(module) if name.startswith("interactions.")} - MATHEMATICS


LIGHT = sorted(name for name in MODULES if name.split(".")[0] in ("conf", "stages", "run"))


@pytest.mark.parametrize("module", LIGHT)
def test_the_pipeline_imports_nothing_heavy(module):
    for name in reached(module):
        assert not HEAVY & rooms(name), f"{module} imports {name}"


def test_nothing_heavy_is_imported_with_the_pipeline():
    """By other packages than ours, either."""
    names = [name.removesuffix(".__init__") for name in LIGHT]
    code = f"import sys, {', '.join(names)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(names) <= set(done.stdout.split())
    assert not HEAVY & set(done.stdout.split())


def defined(module):
    return {node.name for node in ast.parse(MODULES[module].read_text()).body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_every_stage_of_the_table_has_its_module(stage):
    """The table names it as a string, so that to know the stages does not mean to import them."""
    assert {"check", "run"} <= defined(stage.module)


def test_there_are_no_circles():
    graph = {module: ours(module) for module in MODULES}
    while leaves := {module for module, names in graph.items() if not names & graph.keys()}:
        graph = {module: names for module, names in graph.items() if module not in leaves}
    assert not graph


def test_stages_do_not_import_each_other():
    modules = {stage.module for stage in STAGES}
    assert modules <= MODULES.keys()
    for module in MODULES:
        assert not ours(module) & modules, module


def test_every_package_is_installed():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {".".join(file.relative_to(ROOT).parent.parts) for file in FILES} - {""}
    assert set(listed["packages"]) >= folders
    assert {name.split(".")[0] for name in listed["packages"]} <= FLOOR.keys() | {"benchmarks"}
    assert "run" in listed["py-modules"]
    for folder in folders:
        assert (ROOT / folder.replace(".", "/") / "__init__.py").exists(), folder


def test_every_package_has_its_floor():
    found = {file.parent.name for file in ROOT.glob("*/__init__.py")}
    assert found - {"tests", "benchmarks"} == set(PACKAGES)

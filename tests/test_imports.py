"""The house has floors: imports go down, mathematics stands on nothing."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = (
    {"conf"},
    {"stages"},
    {"data", "models"},
    {"checkpoints"},
    {"training"},
    {"interactions", "pretrain_probe", "finetune", "scratch"},
    {"analysis"},
    {"run"},
)
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
MATHEMATICS = {
    "interactions.mobius",
    "interactions.variables.masking",
    "interactions.tokens",
    "interactions.dense",
    "models.memory",
    "models.watch",
    *(f"analysis.{name}" for name in ("decomposition", "ratio", "jaccard", "chance", "estimate", "faithfulness")),
    *(f"analysis.{name}" for name in ("noise", "accuracy")),
}
DRAWING = {f"analysis.{name}" for name in ("drawing", "figures", "gallery", "glyphs", "labels", "report", "sentence")}
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
    seen, wanted = set(), {module}
    while wanted:
        name = wanted.pop()
        seen.add(name)
        assert not {"torch", "lightning", "data", "models", "training"} & {i.split(".")[0] for i in imported(name)}, (
            name
        )
        wanted |= ours(name) - seen
    assert not {name for name in seen if name.startswith("interactions.")} - MATHEMATICS


def test_there_are_no_circles():
    graph = {module: ours(module) for module in MODULES}
    while leaves := {module for module, names in graph.items() if not names & graph.keys()}:
        graph = {module: names for module, names in graph.items() if module not in leaves}
    assert not graph


def test_stages_do_not_import_each_other():
    stages = {"pretrain_probe.pretrain", "pretrain_probe.probe", "finetune.finetune", "scratch.scratch"}
    stages |= {"interactions.evaluate", "analysis.analyse"}
    assert stages <= MODULES.keys()
    for module in MODULES.keys() - {"run"}:
        assert not ours(module) & stages, module


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

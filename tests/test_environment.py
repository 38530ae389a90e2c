"""The pinned environment: complete, in step with pyproject.toml and environment.yml, free of addresses."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCK = (ROOT / "requirements.lock").read_text()
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
BROUGHT = {"yaml", "threadpoolctl"}  # by omegaconf, which reads with it; by scikit-learn, which computes with it


def pinned():
    found = {}
    for name, number in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", LOCK, flags=re.MULTILINE):
        found.setdefault(canonicalize_name(name), []).append(number)
    return found


def test_lock_pins_every_dependency_within_its_range():
    versions = pinned()
    wanted = PROJECT["dependencies"] + [text for texts in PROJECT["optional-dependencies"].values() for text in texts]
    for requirement in map(Requirement, wanted):
        found = versions[canonicalize_name(requirement.name)]
        assert all(requirement.specifier.contains(number) for number in found), requirement


def imported():
    """The packages that the program imports, without its own and those of Python."""
    rooms = [name for name in PYPROJECT["tool"]["setuptools"]["packages"] if "." not in name]
    found = set()
    for file in (ROOT / "run.py", *(file for room in rooms for file in (ROOT / room).rglob("*.py"))):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [name.name for name in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            found |= {name.split(".")[0] for name in names}
    return found - set(rooms) - sys.stdlib_module_names


def test_every_package_that_is_imported_is_a_dependency_and_the_other_way_round():
    provided = packages_distributions()
    needed = {canonicalize_name(provided[name][0]) for name in imported() - BROUGHT}
    extras = [texts for name, texts in PROJECT["optional-dependencies"].items() if name != "dev"]
    extra = {canonicalize_name(Requirement(text).name) for texts in extras for text in texts}
    assert needed - extra == {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}


def test_every_pin_has_hashes():
    for entry in re.split(r"\n(?=[A-Za-z0-9])", LOCK):
        if "==" in entry.split("\n")[0] and not entry.startswith("#"):
            assert "--hash=sha256:" in entry, entry.split("\n")[0]


def test_lock_holds_no_address():
    assert not re.search(r"https?://", LOCK)


def test_conda_installs_the_same_lock():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, packages = environment["dependencies"]
    assert packages == {"pip": ["-r requirements.lock"]}
    assert pip == "pip"
    compiled_for = re.search(r"--python-version (\S+)", LOCK)[1]
    assert python == f"python={compiled_for}"
    assert PROJECT["requires-python"] == f">={compiled_for}"

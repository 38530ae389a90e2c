"""What is written down of program, packages and machine: true, and never in the way."""

import json
import os
import platform
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from stages import versions

ROOT = Path(__file__).resolve().parents[2]


def git(folder, *arguments):
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    clean = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    told = subprocess.run(["git", "-C", str(folder), *who, *arguments], env=clean, capture_output=True, check=True)
    return told.stdout.decode().strip()


def checkout(folder):
    """A repository with the file that tells the program's own. Returns its commit."""
    (folder / "stages").mkdir(parents=True)
    (folder / "stages" / "versions.py").write_text("once\n")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "first")
    return git(folder, "rev-parse", "HEAD")


def in_new_process(code, **environment):
    known = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=known | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_versions_are_those_installed_and_nothing_is_imported_for_them():
    code = "import json, sys; from stages.versions import about; print(json.dumps([about(), sorted(sys.modules)]))"
    found, modules = in_new_process(code)
    assert list(found)[:3] == ["program", "commit", "machine"]
    assert found["program"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    for package in ("torch", "torchvision", "lightning", "numpy", "transformers"):
        assert found[package] == version(package)
        assert package not in modules
    host, _, processor = found["machine"].partition(", ")
    assert host == platform.node()
    assert processor


def test_threads_are_those_that_torch_takes():
    code = ("import json; from stages.versions import about; before = about()['threads']; import torch; "
            "usual = torch.get_num_threads(); torch.set_num_threads(3); "
            "print(json.dumps([before, usual, about()['threads']]))")  # fmt: skip
    assert in_new_process(code, OMP_NUM_THREADS="1") == [1, 1, 3]
    assert in_new_process(code, OMP_NUM_THREADS="2,4") == [2, 2, 3]


@pytest.mark.parametrize("wanted", [None, "", "many", "0"])
def test_threads_without_torch_or_a_number_are_the_processors(monkeypatch, wanted):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if wanted is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    assert versions.threads() == os.cpu_count()


def test_a_commit_is_named_and_so_are_changes_of_tracked_files(tmp_path):
    commit = checkout(tmp_path)
    assert len(commit) == 40
    (tmp_path / "new.txt").write_text("no file of the commit\n")
    assert versions.commit_of(tmp_path) == commit
    (tmp_path / "stages" / "versions.py").write_text("twice\n")
    assert versions.commit_of(tmp_path) == f"{commit}+changes"
    git(tmp_path, "add", "stages/versions.py")
    assert versions.commit_of(tmp_path) == f"{commit}+changes"
    git(tmp_path, "checkout", "--quiet", "HEAD", "--", "stages/versions.py")
    assert versions.commit_of(tmp_path) == commit


def test_a_linked_folder_is_the_one_it_leads_to(tmp_path):
    commit = checkout(tmp_path / "program")
    (tmp_path / "link").symlink_to(tmp_path / "program")
    assert versions.commit_of(tmp_path / "link") == commit


def test_the_repository_around_is_not_the_programs(tmp_path):
    checkout(tmp_path)
    inside = tmp_path / "lib" / "program"
    (inside / "stages").mkdir(parents=True)
    (inside / "stages" / "versions.py").write_text("a copy\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "second")
    assert versions.commit_of(inside) is None


def test_a_repository_that_lacks_the_program_is_not_its_own(tmp_path):
    (tmp_path / "notes.txt").write_text("something else\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "notes.txt")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "versions.py").write_text("a copy\n")
    assert versions.commit_of(tmp_path) is None


def test_another_repository_in_the_environment_is_not_meant(tmp_path, monkeypatch):
    commit = checkout(tmp_path / "program")
    other = tmp_path / "other"
    checkout(other)
    (other / "more.txt").write_text("more\n")
    git(other, "add", ".")
    git(other, "commit", "--quiet", "--message", "second")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert versions.commit_of(tmp_path / "program") == commit


def test_without_a_checkout_or_git_there_is_no_commit(tmp_path, monkeypatch):
    assert versions.commit_of(tmp_path / "nowhere") is None
    (tmp_path / "program").mkdir()
    assert versions.commit_of(tmp_path / "program") is None
    checkout(tmp_path / "checkout")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert versions.commit_of(tmp_path / "checkout") is None


@pytest.fixture
def known(monkeypatch):
    """What `about` tells of a process whose facts are given."""

    def given(**facts):
        monkeypatch.setattr(versions, "_of_process", lambda: facts)

    return given


def test_the_line_has_a_short_commit_and_none_if_there_is_none(known):
    known(program="0.1.0", commit=f"{'0123456789' * 4}+changes")
    assert versions.version_line() == "pretraining-interactions 0.1.0 (commit 0123456+changes)"
    known(program="0.1.0", commit="0123456789" * 4)
    assert versions.version_line() == "pretraining-interactions 0.1.0 (commit 0123456)"
    known(program="0.1.0", commit=None)
    assert versions.version_line() == "pretraining-interactions 0.1.0"


def test_the_version_is_that_of_the_files_that_run_or_else_the_installed_one(tmp_path):
    assert versions._program(tmp_path) == version("pretraining-interactions")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "pretraining-interactions"\nversion = "7.0"\n')
    assert versions._program(tmp_path) == "7.0"
    for other in ('[project]\nname = "another"\nversion = "7.0"\n', "[tool.ruff]\n", "not = a = table"):
        (tmp_path / "pyproject.toml").write_text(other)
        assert versions._program(tmp_path) == version("pretraining-interactions")


def test_the_commit_is_asked_for_once_and_the_rest_of_the_record_can_be_changed(monkeypatch):
    first = versions.about()
    monkeypatch.setattr(versions, "commit_of", lambda _: pytest.fail("asked again"))
    first["machine"] = "another"
    assert versions.about()["machine"] != "another"

"""Says which program made a result, with which packages, on which machine: this is written down beside every result.

It imports neither torch nor any other package that it names: reading their versions takes milliseconds.
"""

import os
import platform
import subprocess
import sys
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

NAME = "pretraining-interactions"
PACKAGES = ("torch", "torchvision", "lightning", "numpy", "transformers")
ROOT = Path(__file__).resolve().parents[1]
SECONDS = 5  # the limit for git, which takes milliseconds, but on some file systems never answers


def about() -> dict[str, str | int | None]:
    """Returns program: its version; commit: see `commit_of`; machine: host and processor; threads: of torch; python;
    and the version of each of PACKAGES, None if it is not installed. Unknown values are None; it raises nothing."""
    return {**_of_process(), "threads": threads()}


def version_line() -> str:
    """Returns a line such as "pretraining-interactions 0.1.0 (commit 1214085+changes)"."""
    known = _of_process()
    if known["commit"] is None:
        return f"{NAME} {known['program']}"
    commit, plus, changes = known["commit"].partition("+")
    return f"{NAME} {known['program']} (commit {commit[:7]}{plus}{changes})"


def threads() -> int:
    """Returns the number of threads that torch computes with or, before it is imported, will use by default."""
    torch = sys.modules.get("torch")
    if hasattr(torch, "get_num_threads"):
        return torch.get_num_threads()
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # of nested levels the first one counts
    return int(wanted) if wanted.isdecimal() and int(wanted) > 0 else os.cpu_count() or 1


def commit_of(folder: Path) -> str | None:
    """Returns the commit that is checked out in the program's `folder`, with "+changes" if tracked files differ from
    it.

    Returns None without git, and if the folder is not the program's own checkout: when the program is installed in,
    or copied into, another repository, the commit of that repository says nothing about the program.
    """
    try:
        found = _git(folder, "rev-parse", "--show-toplevel", "HEAD", "HEAD:stages/versions.py")
        top, commit, _ = found.stdout.splitlines()
        if found.returncode or not os.path.samefile(top, folder):
            return None
        changed = _git(folder, "diff", "--quiet", "HEAD").returncode  # 1: they differ; others: git has failed
        return {0: commit, 1: f"{commit}+changes"}.get(changed)
    except (OSError, ValueError, subprocess.SubprocessError):  # no git, other output, no answer in time
        return None


@cache
def _of_process() -> dict[str, str | None]:
    """Returns what stays the same while the process runs: later changes of files do not affect what it has loaded."""
    return {
        "program": _program(ROOT),
        "commit": commit_of(ROOT),
        "machine": f"{platform.node()}, {processor()}",
        "python": platform.python_version(),
        **{package: _installed(package) for package in PACKAGES},
    }


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # A hook or an outer tool that names its repository in the environment does not mean this one; and git is not to
    # refresh its index on the way, for which it would lock it: many processes ask at once.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment["GIT_OPTIONAL_LOCKS"] = "0"
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, encoding="utf-8", errors="surrogateescape", timeout=SECONDS
    )


def _program(folder: Path) -> str | None:
    """Returns the version in the pyproject.toml beside the running files: an installed package may be another copy."""
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        if project["name"] == NAME:
            return project["version"]
    except (OSError, ValueError, KeyError):
        pass
    return _installed(NAME)


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def processor() -> str:
    """Returns the processor's model name on Linux, otherwise the system's name for it, as Python knows no more."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, names), platform.processor() or platform.machine())

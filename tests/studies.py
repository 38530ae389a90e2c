"""Runs `python run.py ...` as often as the end-to-end tests need it.

Importing torch and Lightning takes longer than a tiny study. A fork server imports them once, and every run is forked
from it: a process of its own, with its own exit code, output and global state, that can be killed.
"""

import itertools
import multiprocessing
import multiprocessing.connection
import os
import runpy
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from omegaconf import OmegaConf

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("pretrain", "probe", "finetune", "scratch", "interactions", "analysis")
CONF = ROOT / "tests" / "conf"  # experiment=tiny
IMPORTED_ONCE = ["pytest", "run", "data.embedded", "models.vision", "finetune.finetune", "scratch.scratch"]
IMPORTED_ONCE += ["pretrain_probe.pretrain", "pretrain_probe.probe", "interactions.evaluate", "analysis.analyse"]
IMPORTED_ONCE += [
    "requests",
    "sklearn.linear_model",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
]
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(IMPORTED_ONCE)
# Starting a process asks all others whether they have ended, and an exit code can be read once only.
ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class Result:
    """code: the exit code, -9 if the run was killed; replaced: what it renamed into place, in order."""

    code: int
    out: str
    err: str
    replaced: list[str]


class Running:
    """A run that has been started; `log` is a folder for what it says."""

    def __init__(
        self, arguments: list[str], output: Path, log: Path, kill_at: tuple | None, folder: Path, env: dict
    ) -> None:
        self.log = log
        self.process = FORKS.Process(target=_python_run, args=(arguments, output, log, kill_at, folder, env))
        with ONE_AT_A_TIME:
            self.process.start()

    def replaced(self) -> list[str]:
        file = self.log / "replaced"
        return file.read_text().splitlines() if file.exists() else []

    def ended(self, seconds: float = 0) -> bool:
        multiprocessing.connection.wait([self.process.sentinel], seconds)
        with ONE_AT_A_TIME:
            return not self.process.is_alive()

    def says(self, text: str) -> bool:
        return text in "".join(file.read_text() for file in self.log.glob("*") if file.name in ("out", "err"))

    def processes(self) -> dict[int, str]:
        """The run's own process and all that it started, zombies aside -> their command lines."""
        found = {}
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has ended meanwhile
                state, _, _, session = (place / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(session) == self.process.pid and state != "Z":
                    found[int(place.name)] = (place / "cmdline").read_text().replace("\0", " ")
        return found

    def wait(self, seconds: float = 240) -> Result:
        if not self.ended(seconds):
            self.process.kill()
            pytest.fail(f"still running after {seconds} s: {(self.log / 'err').read_text()[-2000:]}")
        out, err = ((self.log / name).read_text() for name in ("out", "err"))
        return Result(self.process.exitcode, out, err, self.replaced())


def arguments(*overrides: str) -> list[str]:
    """The command line of the tiny study, changed by `overrides`; flags (`-m`) go first."""
    if any(override.startswith("--config-dir") for override in overrides):
        tiny = _as_overrides()
    else:
        tiny = [
            f"--config-dir={CONF}",
            *([] if any(o.startswith("experiment=") for o in overrides) else ["experiment=tiny"]),
        ]
    return sorted([*tiny, *overrides], key=lambda argument: not argument.startswith("-"))


def _as_overrides() -> list[str]:
    """The tiny experiment for where another folder of configurations is given."""
    page = OmegaConf.load(CONF / "experiment" / "tiny.yaml")
    del page["defaults"]
    return [f"{key}={value}" for key, value in _flat(OmegaConf.to_container(page))]


def _flat(node: object, path: str = "") -> Iterator[tuple[str, object]]:
    if not isinstance(node, dict):
        yield path, node
        return
    for key, child in node.items():
        yield from _flat(child, f"{path}.{key}" if path else key)


def _python_run(arguments: list[str], output: Path, log: Path, kill_at: tuple | None, folder: Path, env: dict) -> None:
    """What `python run.py *arguments` does, in a forked process, started in `folder`."""
    import torch
    import tqdm

    multiprocessing.set_start_method("fork", force=True)  # a fork server's own children would take it for theirs, too
    os.setsid()  # what it starts is found, and can be sent a signal together, as a terminal does
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(log / name, os.O_WRONLY | os.O_CREAT), descriptor)
    os.environ.update(env)
    os.chdir(folder)
    sys.path[:0] = env.get("PYTHONPATH", "").split(":")
    torch.set_num_threads(1)  # two cores are shared by several runs, and results must not depend on who has how many
    tqdm.tqdm.set_lock(threading.RLock())  # its own is a semaphore of the system's, which a killed run leaves behind
    os.replace = _watched(os.replace, output, log / "replaced", kill_at)
    sys.argv = ["run.py", *arguments]
    runpy.run_path(str(ROOT / "run.py"), run_name="__main__")


def _watched(replace: callable, output: Path, record: Path, kill_at: tuple | None) -> callable:
    """os.replace that notes each target under `output`, and kills the process just before or after a given one."""

    def watched(source: str | Path, target: str | Path) -> None:
        path = Path(target)
        name = str(path.relative_to(output)) if path.is_relative_to(output) else None
        if name and kill_at == ("before", name):
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)
        if name:
            with record.open("a") as file:
                file.write(f"{name}\n")
        if name and kill_at == ("after", name):
            os.kill(os.getpid(), signal.SIGKILL)

    return watched


class Studies:
    """Starts runs of the tiny study whose results lie in `output`; everything else they write lies in `scrap`."""

    def __init__(self, output: Path, scrap: Path) -> None:
        self.output, self.scrap, self.count = output, scrap, itertools.count()

    def run_dir(self, name: str) -> str:
        """The override by which a run's folder is output/<name>, whatever its settings."""
        return f"run_dir={self.output / name}"

    def start(
        self,
        *overrides: str,
        output: Path | None = None,
        kill_at: tuple | None = None,
        tiny: bool = True,
        folder: Path = ROOT,
        **env: str,
    ) -> Running:
        """tiny: the options that make the default study tiny; folder: where the program is started."""
        log = self.scrap / f"run_{next(self.count)}"
        log.mkdir(parents=True)
        output = output or self.output
        places = {f"WANDB_{name}_DIR": str(self.scrap / "wandb") for name in ("DATA", "CACHE", "CONFIG")}
        quiet = {"WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false", "MPLBACKEND": "agg"}
        given = arguments(f"output={output}", *overrides) if tiny else [*overrides, f"output={output}"]
        return Running(given, output, log, kill_at, folder, places | quiet | env)

    def __call__(self, *overrides: str, **options: object) -> Result:
        return self.start(*overrides, **options).wait()


@dataclass(frozen=True)
class Finished:
    """A tiny study that ran to its end without interruption."""

    output: Path
    result: Result


def files(folder: Path) -> set[str]:
    """What lies in a folder, without the locks of runs."""
    found = (path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())
    return {str(path.relative_to(folder)) for path in found if path.parent.suffix != ".lease"}


def check_refused(result: Result, *words: str) -> None:
    """By the program itself, with a line that has all the words."""
    assert "Traceback" not in result.err, result.err
    assert result.code == 2, result.err
    lines = result.err.splitlines()
    assert any(all(word in line for word in words) for line in lines), f"{words} in one line of:\n{result.err}"


def contents(folder: Path) -> dict[str, tuple]:
    names = (name for name in files(folder) if not (folder / name).is_symlink())
    return {name: (os.stat(folder / name).st_mtime_ns, (folder / name).read_bytes()) for name in names}


def remove(run: Path, *names: str) -> None:
    """The results that a run's folder shows under these names, with all parts of a stage."""
    for name in names:
        for link in [run / name] if (run / name).is_symlink() or name == "analysis" else (run / name).iterdir():
            shutil.rmtree(link.resolve())

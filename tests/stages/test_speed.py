"""Freed memory is kept and waiting threads sleep, however the program is started, unless the user wants otherwise."""

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stages import speed

ROOT = Path(__file__).resolve().parents[2]
VARIABLES = ("OMP_WAIT_POLICY", *speed.KEEP)
LOOK = """
import ctypes, json, os, runpy, sys

def megabytes():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

{start}
before = megabytes()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
for _ in range(2):
    block = libc.malloc(100_000_000)
    ctypes.memset(block, 1, 100_000_000)
    libc.free(block)
policy = os.environ.get("OMP_WAIT_POLICY")
print("\\n" + json.dumps([policy, megabytes() - before > 90, "torch" in sys.modules]))
"""
RUN = """
sys.argv[1:] = ["--version"]
try:
    runpy.run_path("run.py", run_name="__main__")
except SystemExit:
    pass
"""
BENCHMARK = "import benchmarks"


def found(start: str, **env: str) -> list:
    """Of a new process: how threads wait, whether freed memory is kept, whether torch has been imported."""
    known = {key: value for key, value in os.environ.items() if key not in VARIABLES} | env
    code = LOOK.format(start=start)
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=known, capture_output=True, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="glibc only")
@pytest.mark.parametrize("start", [RUN, BENCHMARK], ids=["run.py", "benchmarks"])
def test_it_is_done_before_torch_is_imported(start: str) -> None:
    assert found(start) == ["passive", True, False]


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="glibc only")
def test_what_the_user_has_set_stays() -> None:
    assert found("") == [None, False, False], "what happens without it"
    assert found(BENCHMARK, OMP_WAIT_POLICY="active", MALLOC_MMAP_THRESHOLD_="1000000") == ["active", False, False]


@pytest.mark.parametrize("largest", [2**25, 2**31])
def test_processes_that_are_started_and_an_older_glibc(monkeypatch: pytest.MonkeyPatch, largest: int) -> None:
    """largest: the threshold from which glibc refuses. What is in the environment is read by those that are started."""
    taken = {}

    def mallopt(option: int, value: int) -> int:
        if option == speed.MMAP_THRESHOLD and value >= largest:
            return 0
        taken[option] = value
        return 1

    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(speed, "_mallopt", lambda: mallopt)
    speed.prepare()
    kept = {speed.MMAP_MAX: 0} if largest == 2**25 else {speed.MMAP_THRESHOLD: 2**31 - 1}
    assert taken == kept | {speed.TRIM_THRESHOLD: -1}
    taken.clear()
    speed.prepare()  # as in a process that has been started by this one, which has it from its environment
    assert taken == {}

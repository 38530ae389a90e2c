"""Locks between processes that are killed, stopped, or on other machines."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from conf.errors import BadInput
from stages import lease, signals
from stages.files import remove, replace, write_text
from stages.lease import TakenOver, look, place_of
from stages.locks import check_held, check_owner, forget, is_held, locked
from stages.view import make_link

ROOT = Path(__file__).resolve().parents[2]
BEGIN = """
import os, shutil, sys, time
from pathlib import Path
from stages import ending, lease, locks, signals
from stages.files import remove, replace, write_text
from stages.view import make_link
lease.BEAT, folder = 0.1, Path(sys.argv[1])
"""
HOLDS = """
signals.watch()
with ending.errors_in_one_line(), locks.locked(folder):
    write_text(folder / "a.txt", "theirs")
    print(flush=True)
    input()
    write_text(folder / "b.txt", "theirs")
"""


def started(code: str, *arguments: object) -> subprocess.Popen:
    command = [sys.executable, "-c", BEGIN + code, *map(str, arguments)]
    pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
    return subprocess.Popen(command, cwd=ROOT, text=True, **pipes)


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "result"


@pytest.fixture
def holder(folder):
    """Another process that holds the lock and has written a.txt. On a line of input it writes b.txt, and ends."""
    with started(HOLDS, folder) as process:
        process.stdout.readline()
        yield process
        process.kill()


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(lease, "STALE", 1)


def newest(folder: Path) -> Path:
    return place_of(folder) / str(look(place_of(folder)).number)


def moved(folder: Path) -> None:
    """The holder looks like one on another machine."""
    file, seen = newest(folder), look(place_of(folder))
    file.write_text(json.dumps(seen.holder | {"host": "elsewhere"}))


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("waited_for", [True, False])
def test_a_killed_holder_is_followed_at_once(folder, holder, waited_for):
    """Also if its parent has not asked yet how it ended."""
    holder.kill()
    os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)
    if waited_for:
        holder.wait()
    assert not is_held(folder)
    with locked(folder, wait=False) as got:
        assert got


def test_a_killed_holder_elsewhere_is_followed_when_it_was_silent(folder, holder, impatient, capsys):
    moved(folder)
    holder.kill()
    holder.wait()
    assert is_held(folder)
    with locked(folder, wait=False) as got:
        assert not got
    began = time.monotonic()
    with locked(folder):
        assert 1 <= time.monotonic() - began < 10
    assert f"(process {holder.pid} on elsewhere since " in capsys.readouterr().out


def test_a_holder_elsewhere_that_lives_is_waited_for(folder, holder, impatient):
    """Its content was changed here, but not its signs of life."""
    moved(folder)
    with pytest.raises(BadInput), locked(folder, minutes=2.5 / 60):
        pass


@pytest.mark.parametrize("elsewhere", [True, False])
def test_who_was_silent_for_an_hour_is_followed_at_once_if_elsewhere(folder, holder, elsewhere):
    """On this machine it is known to be there."""
    holder.send_signal(signal.SIGSTOP)
    if elsewhere:
        moved(folder)
    then = time.time() - lease.LONG - 60
    os.utime(newest(folder), (then, then))
    assert is_held(folder) == (not elsewhere)
    with locked(folder, wait=False) as got:
        assert got == elsewhere


def test_who_was_stopped_itself_has_seen_no_silence(folder, holder, monkeypatch):
    moment, mine = [0.0], lease.Lease(folder)
    monkeypatch.setattr(lease.time, "monotonic", lambda: moment[0])
    holder.send_signal(signal.SIGSTOP)
    for _ in range(lease.STALE // lease.BEAT):
        assert not mine.take()
        moment[0] += 1000
    assert mine.take()


LATE = """
def tried(name, act):
    try:
        act()
    except lease.TakenOver:
        print(name, flush=True)
made = folder.parent / "made"
made.touch()
with ending.errors_in_one_line(), locks.locked(folder):
    write_text(folder / "a.txt", "theirs")
    print(flush=True)
    input()
    tried("write", lambda: write_text(folder / "a.txt", "late"))
    tried("write deeper", lambda: write_text(folder / "deeper" / "a.txt", "late"))
    tried("replace", lambda: replace(made, folder / "a.txt"))
    tried("remove", lambda: remove(folder / "a.txt"))
    tried("remove all", lambda: remove(folder))
    tried("link", lambda: make_link(folder / "link", folder.parent))
    tried("check", lambda: locks.check_held(folder))
    tried("forget", lambda: locks.forget(folder))
    write_text(folder.parent / "free.txt", "is no part of it")
    (folder / "not there").read_text()
"""


def test_a_stopped_holder_that_continues_writes_nothing(folder, impatient):
    with started(LATE, folder) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        with locked(folder):
            write_text(folder / "a.txt", "mine")
            number = look(place_of(folder)).number
            process.send_signal(signal.SIGCONT)
            out, err = process.communicate("\n", timeout=60)
            assert texts(folder) == {"a.txt": "mine"}
            check_held(folder)
    assert out.split("\n")[:-1] == [
        "write",
        "write deeper",
        "replace",
        "remove",
        "remove all",
        "link",
        "check",
        "forget",
    ]
    assert process.returncode == 1
    assert err.count("\n") == 1
    assert err.startswith(f"{folder} was taken over by process {os.getpid()} on ")
    assert err.endswith("; run the same command to go on\n")
    assert os.listdir(place_of(folder)) == [str(number)], "nothing came back"


COUNTS = """
locks.PAUSE = 0.02  # they look often, and let each other in between
with open(folder / "acknowledged", "a") as said:
    while True:
        with locks.locked(folder / "lock"):
            lines = (folder / "lines").read_text().split()
            if len(lines) >= int(sys.argv[2]):
                break
            time.sleep(0.002)
            mine = f"{os.getpid()}-{len(lines)}"
            write_text(folder / "lines", "\\n".join([*lines, mine]))
            os.write(said.fileno(), f"{mine}\\n".encode())
        time.sleep(0.02)
"""


def test_no_turn_is_lost_among_many_that_are_killed(tmp_path):
    draw, processes, killed = random.Random(0), [], 0
    for name in ("lines", "acknowledged"):
        (tmp_path / name).touch()
    while len((tmp_path / "lines").read_text().split()) < 200:
        processes += [started(COUNTS, tmp_path, 200) for _ in range(8 - len(processes))]
        time.sleep(draw.uniform(0.1, 0.5))
        if killed < 8 and len((tmp_path / "lines").read_text().split()) > 10 * killed:
            process = processes.pop(draw.randrange(8))
            process.kill()
            process.communicate()
            killed += 1
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert not any(errors)
    lines = (tmp_path / "lines").read_text().split()
    assert [int(line.split("-")[1]) for line in lines] == [*range(200)]
    acknowledged = (tmp_path / "acknowledged").read_text().split()
    assert len(acknowledged) == len(set(acknowledged)) >= 200 - killed
    assert set(acknowledged) <= set(lines)
    assert killed > 3
    assert len({line.split("-")[0] for line in lines}) > 8, "they took turns"


def test_numbers_grow_and_one_file_is_left(folder):
    (folder.parent / ".result.lock").write_text("of an earlier version")
    for number in (1, 2, 3):
        with locked(folder):
            assert os.listdir(place_of(folder)) == [str(number)]
            assert look(place_of(folder)).holder["pid"] == os.getpid()
            assert is_held(folder)
        assert look(place_of(folder)).released
        assert not is_held(folder)
        with pytest.raises(RuntimeError, match="is written to without its lock"):
            check_held(folder)


def test_a_thread_that_would_wait_for_itself_is_an_error(folder):
    with locked(folder):
        with pytest.raises(RuntimeError, match="is already locked"), locked(folder):
            pass
        with locked(folder, wait=False) as got:
            assert not got
        check_held(folder)


def test_threads_wait_for_each_other(folder):
    count = [0]

    def turn() -> None:
        for _ in range(5):
            with locked(folder):
                before = count[0]
                time.sleep(0.001)
                count[0] = before + 1

    threads = [threading.Thread(target=turn) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert count == [20]


def followed(folder: Path) -> None:
    """Another process has taken over."""
    number = look(place_of(folder)).number + 1
    (place_of(folder) / str(number)).write_text('{"pid": 4711, "host": "node3"}')


def test_two_locks_are_lost_one_by_one(tmp_path):
    with locked(tmp_path / "a"), locked(tmp_path / "b"):
        write_text(tmp_path / "b" / "first", "")
        followed(tmp_path / "b")
        write_text(tmp_path / "a" / "second", "")
        with pytest.raises(TakenOver, match=r"/b was taken over by process 4711 on node3: this process was stopped"):
            write_text(tmp_path / "b" / "third", "")
    assert [*texts(tmp_path / "a"), *texts(tmp_path / "b")] == ["second", "first"]


def test_what_a_lock_guards_beside_its_own_name(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "run")
    with locked(tmp_path / "run" / "results", guards=tmp_path / "run"):
        write_text(tmp_path / "link" / "results.json", "{}")
        followed(tmp_path / "run" / "results")
        for path in (tmp_path / "run" / "results.json", tmp_path / "link" / "results.json"):
            with pytest.raises(TakenOver):
                check_owner(path)
        check_owner(tmp_path / "run2" / "results.json")
        check_owner(tmp_path / "link")
        with pytest.raises(TakenOver):
            make_link(tmp_path / "run" / "a", tmp_path)


def test_any_error_of_one_that_was_taken_over_follows_from_that(folder):
    def fails(lost: bool) -> None:
        with locked(folder):
            if lost:
                followed(folder)
            raise FileNotFoundError

    with pytest.raises(FileNotFoundError):
        fails(lost=False)
    with pytest.raises(TakenOver):
        fails(lost=True)


def test_a_lock_that_was_deleted_is_lost(folder):
    with locked(folder):
        newest(folder).unlink()
        with pytest.raises(TakenOver, match=r"/.result.lease was deleted while this process worked in "):
            write_text(folder / "a.txt", "")


def test_a_lock_is_removed_with_what_it_was_for(folder):
    with locked(folder):
        (other := folder.with_name("made")).touch()
        replace(other, folder.with_name("elsewhere"))
        remove(folder)
        forget(folder)
    assert not place_of(folder).exists()


def test_an_interrupted_process_gives_back_what_it_held(folder, holder):
    """Those on other machines do not have to wait until it was silent for long enough."""
    holder.terminate()
    assert holder.wait(30) == 128 + signal.SIGTERM
    assert look(place_of(folder)).released
    assert look(place_of(folder)).holder["pid"] == holder.pid


def test_a_fork_gives_nothing_back(folder):
    with locked(folder):
        child = os.fork()
        if not child:
            for act in signals.last_acts:
                act()
            os._exit(0)
        os.waitpid(child, 0)
        check_held(folder)


def refuses(number: int) -> callable:
    def call(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return call


def test_a_disk_without_links_will_do(folder, monkeypatch):
    monkeypatch.setattr(os, "link", refuses(errno.EPERM))
    for number in (1, 2):
        with locked(folder), locked(folder, wait=False) as again:
            assert not again
            check_held(folder)
            assert os.listdir(place_of(folder)) == [str(number)]


def test_a_disk_on_which_no_file_is_made_by_one_alone_is_refused(folder, monkeypatch):
    monkeypatch.setattr(os, "link", refuses(errno.EPERM))
    monkeypatch.setattr("builtins.open", lambda *_, **__: refuses(errno.ENOTSUP)())
    refusal = pytest.raises(BadInput, match="has neither links nor files that one process alone can make")
    with refusal as refused, locked(folder):
        pass
    assert "\n" not in str(refused.value)


def test_other_errors_of_a_disk_are_passed_on(folder, monkeypatch):
    monkeypatch.setattr(os, "link", refuses(errno.EROFS))
    with pytest.raises(OSError, match=os.strerror(errno.EROFS)), locked(folder):
        pass

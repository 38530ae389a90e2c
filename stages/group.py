"""Keeps the processes that train together in touch: who has come, what is trained next, and whether one has gone.

On several devices several processes train together, started by Lightning (on one machine), by hand (one on each
machine, trainer.num_nodes) or by srun and torchrun. The first one decides and writes, and computes alone what is no
training, which may take hours. The others wait for its word in a read from a socket: that has no limit and takes no
core. Whoever ends closes its connection, so that all end within seconds. PyTorch's own connections begin with the first
training, wait half an hour at most, and say nothing of a process that computes alone.

    another process says    hello TOKEN NAME     NAME: such as "process 1 on node7"; "child": Lightning has started it
    the first one answers   port 41234           where PyTorch connects the processes (MASTER_PORT); 0: known already
                            train finetune       each time a training begins
                            end                  there is none left
    another process         any line             why it ends, if it has failed
"""

import io
import os
import queue
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout, suppress
from functools import partial
from typing import TextIO

from conf.errors import BadInput
from stages import ending, place, processes, signals
from stages.waiting import turns

PLACE = "STUDY_GROUP"  # in the environment of processes that Lightning starts: host, port and token
MINUTES = 10  # the time to wait until all have come, unless `wait` is set
PAUSE, LOOK = 0.2, 5  # seconds between two looks, and for a look
GRACE = 2  # seconds in which the first process may end by itself, when another one has gone
ALIVE = {"SO_KEEPALIVE": 1, "TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 6}  # a dead machine says nothing

_first: "First | None" = None


class First:
    """The first process's side. kind, count: it is the first of so many "process"es or "node"s."""

    def __init__(self, host: str, port: int, token: str, kind: str = "", count: int = 1) -> None:
        self.server, self.token, self.kind, self.count = _listening(host, port), token, kind, count
        self.port = self.server.getsockname()[1]
        self.training, self.word, self.open = 0, "", True
        self.lock, self.others = threading.Lock(), {}
        if kind and not processes.under_torchrun():  # which has a port for PyTorch
            with _listening("", 0) as free:
                self.training = free.getsockname()[1]
            os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = place.host(), str(self.training)
        threading.Thread(target=self._accept, daemon=True).start()

    def missing(self) -> list[int]:
        """Returns the numbers of those that have not come yet."""
        here = {int(name.split()[1]) for name in self.others if name != "child"}
        return [number for number in range(1, self.count) if number not in here]

    def say(self, word: str) -> None:
        """Tells all others, those that come later included."""
        with self.lock:
            self.word = word
            for one in self.others.values():
                _tell(one, word)

    def close(self) -> None:
        self.open = False
        signals.members.clear()
        self.server.close()
        with self.lock:
            for one in self.others.values():
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                threading.Thread(target=self._follow, args=(self.server.accept()[0],), daemon=True).start()

    def _follow(self, other: socket.socket) -> None:
        with other, suppress(OSError):
            _keep(other)
            lines = other.makefile()
            hello, token, name = lines.readline(200).strip().split(" ", 2)
            if (hello, token) != ("hello", self.token):
                return
            with self.lock:
                self.others[name] = other
                if name != "child":
                    signals.members[name] = ""
                _tell(other, f"port {self.training}", *filter(None, [self.word]))
            why = ""
            with suppress(OSError):
                why = "".join(lines)  # until it ends
            if name != "child" and self.open:  # training/processes.py knows how a child has ended
                _has_gone(name, why.strip())


def _has_gone(name: str, why: str) -> None:
    signals.members[name] = f"{name}: {why}" if why else ending.gone(f"{name} of the training")
    time.sleep(GRACE)
    if name in signals.members:
        signals.let_it_end()
        ending.say(signals.members[name])
        signals.leave(1)


def listen(nodes: int) -> None:
    """Makes this process, the first one, reachable for others that are started by hand or by a scheduler, if there are
    any. nodes: trainer.num_nodes."""
    global _first
    if processes.tasks() > 1:
        _first = First("", place.port(), place.token(), "process", processes.tasks())
    elif nodes > 1:
        place.check_nodes(nodes)
        _first = First("", place.port(), place.token(), "node", nodes)
    if _first:
        os.environ[PLACE] = f"{place.host()} {_first.port} {_first.token}"


def meet(minutes: float | None) -> None:
    """Returns when all have come. minutes: the time to wait, None for the usual one. Raises BadInput when it is
    over."""
    if _first is None:
        return

    def others() -> str:
        return _named(_first.kind, _first.missing(), _first.count, _first.port)

    _wait(lambda: not _first.missing(), others, minutes)


def expect_children() -> None:
    """Makes this process reachable for those that Lightning will start."""
    global _first
    if _first is None and PLACE not in os.environ:
        _first = First("127.0.0.1", 0, secrets.token_hex(8))
        os.environ[PLACE] = f"127.0.0.1 {_first.port} {_first.token}"


def by_hand() -> bool:
    """Tells whether the user has started this process, one of several machines."""
    return PLACE not in os.environ and processes.tasks() == 1


def tell(word: str) -> None:
    """Tells all others what begins, if this is the first process and there are others."""
    if _first:
        _first.say(word)


def close() -> None:
    """Lets the others go, and forgets them."""
    global _first
    if _first:
        _first.close()
        os.environ.pop(PLACE, None)
    _first = None


def trainings(nodes: int, minutes: float | None) -> Iterator[str]:
    """Yields the name of each training that the first process begins; waits for the next one without limit.

    nodes, minutes: as above. Raises BadInput if the first process can't be reached in time.
    """
    child = PLACE in os.environ
    if by_hand():
        place.check_nodes(nodes)
    words: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_hear, args=(_joined(child, nodes, minutes), words), daemon=True).start()
    while (word := words.get()) != "end":
        yield word.removeprefix("train ")
    if processes.tasks() > 1:  # where a task has ended, Slurm may end the others soon after
        words.get()


def _hear(lines: TextIO, words: queue.SimpleQueue) -> None:
    word = ""
    with suppress(OSError):
        for line in lines:
            word = line.strip()
            words.put(word)
    if word != "end":
        signals.leave(1)  # the first process has gone, and says why
    words.put("")


def _joined(child: bool, nodes: int, minutes: float | None) -> TextIO:
    """Returns the words of the first process. It may not have begun to listen."""
    host, port, token = os.environ[PLACE].split() if child else (place.host(), place.port(), place.token())
    several = processes.tasks() > 1
    me = f"process {processes.number()}" if several else f"node {os.environ.get('NODE_RANK')}"
    found: list[TextIO] = []

    def reached() -> bool:
        with suppress(OSError, ValueError):
            first = socket.create_connection((host, int(port)), timeout=LOOK)
            _keep(first)
            _tell(first, f"hello {token} {'child' if child else f'{me} on {socket.gethostname()}'}")
            lines = first.makefile()
            word, training = lines.readline().split()
            if word == "port" and int(training):
                os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = host, training
            os.environ[PLACE] = f"{host} {port} {token}"
            first.settimeout(None)
            ending.to_first = partial(_tell, first)
            found.append(lines)
        return bool(found)

    kind, count = ("process", processes.tasks()) if several else ("node", nodes)
    with redirect_stdout(io.StringIO() if several else sys.stdout):  # the first of them says whom it waits for
        _wait(reached, lambda: _named(kind, [0], count, port), minutes)
    return found[0]


def _wait(until: Callable[[], bool], what: Callable[[], str], minutes: float | None) -> None:
    if until():
        return
    for seconds in turns(what, MINUTES if minutes is None else minutes):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if until():
                return
            time.sleep(PAUSE)


def _named(kind: str, numbers: list[int], count: int, port: int) -> str:
    which = f"{kind}{('es' if kind == 'process' else 's') * (len(numbers) > 1)} {', '.join(map(str, numbers))}"
    return f"{which} of {count} (counted from 0) at {place.host()}:{port}"


def _listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise BadInput(f"MASTER_PORT={port} can't be used ({error.strerror}): choose a free port") from error


def _keep(connection: socket.socket) -> None:
    for name, value in ALIVE.items():
        if hasattr(socket, name):  # not on every system
            level = socket.SOL_SOCKET if name.startswith("SO_") else socket.IPPROTO_TCP
            connection.setsockopt(level, getattr(socket, name), value)


def _tell(connection: socket.socket, *words: str) -> None:
    with suppress(OSError):  # it has gone
        connection.sendall("".join(f"{word}\n" for word in words).encode())

import errno
import os
from multiprocessing import Pipe

import pytest

from conf.errors import BadInput
from interactions import workers
from interactions.workers import _work
from stages import signals

UNITS = [(0, range(2)), (0, range(2, 4))]


@pytest.fixture
def work(monkeypatch):
    """What the first process is told by another one that evaluates UNITS as `share` does."""

    def told(share) -> list:
        monkeypatch.setattr(workers, "_share", share)
        monkeypatch.setattr(signals, "watch", lambda **_: None)  # this process hears signals as ever,
        monkeypatch.setattr(workers, "silence", lambda: None)  # and is not silent from now on
        answers, answer = Pipe(duplex=False)
        _work("{}", None, [], 0, 1, UNITS, answer, os.getppid())
        answer.close()
        found = []
        while True:
            try:
                found.append(answers.recv())
            except EOFError:
                return found

    return told


def test_a_process_repeats_nothing_that_the_first_has_said(work, capsys):
    def share(cfg, store, checkpoints, rank, count, units):
        print("1 file is left out")
        yield from units

    assert work(share) == UNITS
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (BadInput("no such file"), BadInput),
        (OSError(errno.ENOSPC, "No space left on device", "/disk/part_0-1.npy"), OSError),
        (ValueError("a bug"), RuntimeError),
    ],
)
def test_what_the_user_can_mend_is_handed_on_as_it_is(work, error, kind):
    def share(cfg, store, checkpoints, rank, count, units):
        yield units[0]
        raise error

    unit, handed_on = work(share)
    assert unit == UNITS[0]
    assert type(handed_on) is kind
    assert str(error) in str(handed_on)
    assert getattr(handed_on, "filename", None) == getattr(error, "filename", None)

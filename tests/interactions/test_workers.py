from queue import Queue

from interactions import workers
from interactions.workers import _work


def test_a_process_repeats_nothing_that_the_first_has_said(monkeypatch, capsys):
    def share(cfg, store, checkpoints, rank, count, units):
        print("1 file is left out")
        yield from units

    monkeypatch.setattr(workers, "_share", share)
    done = Queue()
    _work("{}", None, [], 0, 1, [(0, range(2)), (0, range(2, 4))], done)
    assert [done.get(), done.get()] == [(0, range(2)), (0, range(2, 4))]
    assert capsys.readouterr().out == ""

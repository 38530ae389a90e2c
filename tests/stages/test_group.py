import socket
import time

import pytest
from omegaconf import OmegaConf
from studies import Studies

from conf.errors import BadInput
from training import nodes
from training.nodes import meet


@pytest.fixture
def port():
    """Of this machine, where nobody listens."""
    with socket.socket() as listening:
        listening.bind(("localhost", 0))
        return listening.getsockname()[1]


def node(number, port, monkeypatch, **options):
    """That node meets the other one, for less than a second."""
    for name, value in {"NODE_RANK": number, "MASTER_ADDR": "localhost", "MASTER_PORT": port}.items():
        monkeypatch.setenv(name, str(value))
    trainer = {"accelerator": "cpu", "devices": 1, "num_nodes": 2}
    return OmegaConf.create({"trainer": trainer, "wait": 0.01} | options)


def test_nodes_that_cannot_find_each_other_are_refused(port, monkeypatch):
    cfg = node(0, port, monkeypatch)
    monkeypatch.delenv("MASTER_ADDR")
    with pytest.raises(BadInput, match=r"^trainer.num_nodes=2 needs 2 machines .*, and MASTER_ADDR is not set: "):
        meet(cfg)


def test_a_node_has_a_number_below_their_count(port, monkeypatch):
    with pytest.raises(BadInput, match=r"^NODE_RANK=2 is not allowed: trainer.num_nodes=2 has 0 to 1$"):
        meet(node(2, port, monkeypatch))


@pytest.mark.parametrize(("me", "other"), [(0, 1), (1, 0)])
def test_a_node_alone_says_whom_it_waits_for_and_gives_up(port, monkeypatch, capsys, me, other):
    with pytest.raises(BadInput) as refused:
        meet(node(me, port, monkeypatch))
    who = f"node {other} of 2 (counted from 0) at localhost:{port}"
    assert capsys.readouterr().out == f"waiting for {who}; Ctrl-C stops waiting\n"
    assert str(refused.value).startswith(f"waited 0:01 for {who}, and wait=0.01 allows no longer: ")


def test_a_port_that_is_taken_is_refused(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        with pytest.raises(BadInput, match=r"^MASTER_PORT=\d+ can't be used \(.*\): choose a free port$"):
            meet(node(0, taken.getsockname()[1], monkeypatch))


def test_further_processes_of_a_node_leave_it_to_the_first(port, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(nodes, "_store", None)
    began = time.monotonic()
    meet(node(1, port, monkeypatch))  # nobody listens there
    assert nodes._store is None
    assert time.monotonic() - began < 5, "it did not wait"


def test_two_nodes_train_together(study: Studies, port) -> None:
    """Whichever comes first; the training takes over the port at which they met."""
    options = ("stages=[scratch]", "scratch.epochs=1", "trainer.num_nodes=2", "trainer.strategy=ddp", "wait=1")
    place = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    results = [run.wait(100) for run in [study.start(*options, NODE_RANK=rank, **place) for rank in ("1", "0")]]
    assert [result.code for result in results] == [0, 0], [result.err for result in results]
    assert not results[0].replaced, "node 0 alone writes"
    assert len(list((study.output / "results" / "scratch").glob("*/done.json"))) == 1
    assert "epoch" not in results[0].err, "node 0 alone says how far they are"
    assert "scratch: epoch 1/1" in results[1].err

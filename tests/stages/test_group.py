"""Processes that train together: which each is, how they meet, and that they end together."""

import os
import socket
import subprocess
import sys
import time

import pytest
from studies import ROOT, Studies

from conf.errors import BadInput
from stages import group, place, processes

NUMBERS = ("LOCAL_RANK", "NODE_RANK", "RANK", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_STEP_ID", "SLURM_STEP_NUM_TASKS")


@pytest.fixture(autouse=True)
def apart(monkeypatch):
    """Not in a job of Slurm, with nobody else, and with an environment that is restored."""
    for name in (*NUMBERS, "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID", "WORLD_SIZE", group.PLACE):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    yield
    group.close()


@pytest.fixture
def port():
    """Of this machine, where nobody listens."""
    with socket.socket() as listening:
        listening.bind(("localhost", 0))
        return listening.getsockname()[1]


@pytest.mark.parametrize(("variables", "first"), [
    ({}, True),
    ({"LOCAL_RANK": "0", "NODE_RANK": "0"}, True),
    ({"LOCAL_RANK": "1", "NODE_RANK": "0"}, False),
    ({"NODE_RANK": "1"}, False),
    # The tasks of a step; Slurm numbers the script of a job and a single task, too.
    ({"SLURM_PROCID": "1", "SLURM_NTASKS": "2", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "2"}, False),
    ({"SLURM_PROCID": "0", "SLURM_NTASKS": "2", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "2"}, True),
    ({"SLURM_PROCID": "1", "SLURM_NTASKS": "2"}, True),
    ({"SLURM_PROCID": "0", "SLURM_NTASKS": "1", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "1", "LOCAL_RANK": "1"},
     False),
    # torchrun numbers over all machines, and comes before Slurm.
    ({"TORCHELASTIC_RUN_ID": "a", "RANK": "0", "SLURM_PROCID": "1", "SLURM_NTASKS": "2", "SLURM_STEP_ID": "0",
      "SLURM_STEP_NUM_TASKS": "2"}, True),
    ({"TORCHELASTIC_RUN_ID": "a", "RANK": "4", "LOCAL_RANK": "0"}, False),
])  # fmt: skip
def test_which_process_is_the_first(monkeypatch, variables, first):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert processes.is_first_process() is first


@pytest.mark.parametrize(
    ("nodes", "first"), [("vm", "vm"), ("n[03-05,9],m", "n03"), ("a,b", "a"), ("n[1-2]-ib", "n1-ib")]
)
def test_slurm_names_the_machine_of_the_first_process(monkeypatch, nodes, first):
    monkeypatch.setenv("SLURM_STEP_NODELIST", nodes)
    assert place.host() == first


def node(number, port, monkeypatch):
    """This process is that one of two nodes."""
    for name, value in {"NODE_RANK": number, "MASTER_ADDR": "localhost", "MASTER_PORT": port}.items():
        monkeypatch.setenv(name, str(value))


def meet(number, minutes=0.01):
    """As that one of two nodes does, for less than a second."""
    if number == 0:
        group.listen(nodes=2)
        group.meet(minutes)
    else:
        next(group.trainings(2, minutes))


def test_nodes_that_cannot_find_each_other_are_refused(port, monkeypatch):
    node(0, port, monkeypatch)
    monkeypatch.delenv("MASTER_ADDR")
    with pytest.raises(BadInput, match=r"^trainer.num_nodes=2 needs 2 machines .*, and MASTER_ADDR is not set: "):
        meet(0)


def test_a_node_has_a_number_below_their_count(port, monkeypatch):
    node(2, port, monkeypatch)
    with pytest.raises(BadInput, match=r"^NODE_RANK=2 is not allowed: trainer.num_nodes=2 has 0 to 1$"):
        meet(2)


@pytest.mark.parametrize(("me", "other"), [(0, 1), (1, 0)])
def test_a_node_alone_says_whom_it_waits_for_and_gives_up(port, monkeypatch, capsys, me, other):
    node(me, port, monkeypatch)
    with pytest.raises(BadInput) as refused:
        meet(me)
    who = f"node {other} of 2 (counted from 0) at localhost:{port}"
    assert capsys.readouterr().out == f"waiting for {who}; Ctrl-C stops waiting\n"
    assert str(refused.value).startswith(f"waited 0:01 for {who}, and wait=0.01 allows no longer: ")


def test_a_port_that_is_taken_is_refused(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        node(0, taken.getsockname()[1], monkeypatch)
        with pytest.raises(BadInput, match=r"^MASTER_PORT=\d+ can't be used \(.*\): choose a free port$"):
            meet(0)


WAITS = """
import os, sys, time
from stages import group
try:
    for name in group.trainings(2, 1):
        print(name, os.environ["MASTER_PORT"], flush=True)
    print("end", time.process_time() < 1)
except BaseException as error:
    print(repr(error))
"""


def other(token=None):
    """Another process, the second node."""
    environment = os.environ | {"NODE_RANK": "1", "PYTHONPATH": str(ROOT)}
    environment.pop(group.PLACE, None)
    environment |= {group.PLACE: token} if token else {}
    return subprocess.Popen([sys.executable, "-c", WAITS], env=environment, stdout=subprocess.PIPE, text=True)


def test_others_learn_what_is_trained_and_that_nothing_is_left(port, monkeypatch):
    node(0, port, monkeypatch)
    waiting = other()  # whichever comes first
    time.sleep(0.3)
    group.listen(nodes=2)
    assert int(os.environ["MASTER_PORT"]) != port, "PyTorch has a port of its own"
    group.meet(1)
    group.tell("train pretrain")
    time.sleep(0.2)
    group.tell("train scratch")
    late = other(os.environ[group.PLACE])  # one that Lightning has started for the second training
    assert late.stdout.readline().split()[0] == "scratch"
    group.tell("end")
    # On a busy machine it may have looked before this process listened, and have said so.
    lines = waiting.communicate(timeout=20)[0].splitlines()
    said = [word for line in lines if not line.startswith("waiting for") for word in line.split()]
    assert said == ["pretrain", os.environ["MASTER_PORT"], "scratch", os.environ["MASTER_PORT"], "end", "True"]
    assert late.communicate(timeout=20)[0] == "end True\n"


def test_others_end_when_the_first_has_gone(port, monkeypatch):
    node(0, port, monkeypatch)
    waiting = other()
    group.listen(nodes=2)
    group.meet(1)
    group.close()
    assert waiting.wait(10) == 1
    assert waiting.stdout.read() == ""


def test_a_process_of_another_run_is_not_let_in(port, monkeypatch):
    node(0, port, monkeypatch)
    group.listen(nodes=2)
    with socket.create_connection(("localhost", port)) as stranger:
        stranger.sendall(b"hello other node 1\n")
        assert stranger.recv(10) == b""
        assert group._first.missing() == [1]


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

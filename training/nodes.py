"""Lets several machines that train together (trainer.num_nodes) meet before any work, and prints who is missing.

The same command runs on each node, with NODE_RANK=0, 1, ... and the address and port of node 0. Lightning alone would
let them meet silently in the first training, and end with a traceback after half an hour without success. Here node 0
listens from the start, each node reports that it has come, and all continue when the last one has.
"""

import os
import socket
import time
from contextlib import suppress
from datetime import timedelta

from lightning.fabric.plugins.environments import ClusterEnvironment, LightningEnvironment, TorchElasticEnvironment
from omegaconf import DictConfig
from torch.distributed import DistError, TCPStore

from conf.errors import BadInput
from models.unreadable import first_line
from stages.waiting import turns
from training.trainer import make_trainer, quiet_lightning

MINUTES = 10  # the time to wait, unless `wait` is set
PAUSE, LOOK, ANSWER = 0.2, 5, 30  # seconds between two looks, for a look, and for an answer

_store: TCPStore | None = None  # kept, as the trainings use its listening socket later


def meet(cfg: DictConfig) -> None:
    """Returns when all nodes have come. Raises BadInput if one has not come in time, or can't."""
    global _store
    if int(os.environ.get("LOCAL_RANK", 0)) > 0:  # the first process of its node speaks for all of them
        return
    quiet_lightning()
    environment = getattr(make_trainer(cfg.trainer).strategy, "cluster_environment", None)
    if environment is None or isinstance(environment, TorchElasticEnvironment):  # torchrun has its own way to meet
        return
    _check(environment, cfg.trainer.num_nodes)
    _store = _met(environment, cfg.trainer.num_nodes, MINUTES if cfg.wait is None else cfg.wait)


def _check(environment: ClusterEnvironment, nodes: int) -> None:
    unset = [name for name in ("MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if isinstance(environment, LightningEnvironment) and unset:
        raise BadInput(
            f"trainer.num_nodes={nodes} needs {nodes} machines that can find each other, and {' and '.join(unset)} "
            f"{'are' if len(unset) > 1 else 'is'} not set: on each of them set MASTER_ADDR and MASTER_PORT (of the "
            f"first one, with a free port) and NODE_RANK=0 to {nodes - 1}, and start the same command"
        )
    if not 0 <= environment.node_rank() < nodes:
        raise BadInput(
            f"NODE_RANK={environment.node_rank()} is not allowed: trainer.num_nodes={nodes} has 0 to {nodes - 1}"
        )


def _met(environment: ClusterEnvironment, nodes: int, minutes: float) -> TCPStore:
    me, host, port = environment.node_rank(), environment.main_address, environment.main_port
    store, missing = _listening(port) if me == 0 else None, [0]

    def others() -> str:
        which = f"node{'s' * (len(missing) > 1)} {', '.join(map(str, missing))}"
        return f"{which} of {nodes} (counted from 0) at {host}:{port}"

    def all_here() -> bool:
        nonlocal store, missing
        store = store or _connected(host, port)
        if store is None:
            return False
        try:
            store.set(_key(me), "here")
            missing = [node for node in range(nodes) if not store.check([_key(node)])]
        except DistError as error:
            raise BadInput(
                f"node 0 at {host}:{port} has ended before all nodes had joined: see its messages"
            ) from error
        return not missing

    if all_here():
        return store
    for seconds in turns(others, minutes):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if all_here():
                return store
            time.sleep(PAUSE)  # waiting in the store would block Ctrl-C
    raise AssertionError("turns end by an error")


def _listening(port: int) -> TCPStore:
    try:
        return _open("localhost", port, is_master=True)
    except DistError as error:
        raise BadInput(f"MASTER_PORT={port} can't be used ({first_line(error)}): choose a free port") from error


def _connected(host: str, port: int) -> TCPStore | None:
    """Connects to node 0; returns None if it does not listen yet."""
    with suppress(OSError, DistError):
        socket.create_connection((host, port), timeout=LOOK).close()
        return _open(host, port, is_master=False)
    return None


def _open(host: str, port: int, is_master: bool) -> TCPStore:
    return TCPStore(
        host, port, is_master=is_master, timeout=timedelta(seconds=ANSWER), wait_for_workers=False, multi_tenant=True
    )


def _key(node: int) -> str:
    return f"here/{node}"

"""A job of submitit's that is interrupted leaves at once: it is queued again, or says in one line why not."""

import subprocess
import sys
import textwrap

import pytest
from studies import ROOT

pytest.importorskip("submitit")

JOB = """
import os, signal, sys, time
from types import SimpleNamespace
from submitit.core import job_environment
from submitit.core.job_environment import SignalHandler
from submitit.slurm.slurm import SlurmJobEnvironment
from stages import requeue, signals
from stages.signals import doing

def queue(self, countdown):
    {queue}

os.environ |= {{"SLURM_JOB_ID": "7", "SLURM_PROCID": "{rank}"}}
SlurmJobEnvironment._requeue = queue
delayed = SimpleNamespace(_timeout_min={minutes}, _timeout_countdown={left}, function=SimpleNamespace(checkpoint=None))
theirs = SignalHandler(SlurmJobEnvironment(), SimpleNamespace(submitted_pickle=None), delayed)
theirs._logger.disabled = True
job_environment._checkpoint = lambda *given: ""
signal.signal(signal.SIGTERM, theirs.bypass)
signal.signal(signal.SIGUSR2, theirs.checkpoint_and_try_requeue)
requeue.heed(gave_up=lambda why: print(f"written down: {{why}}", flush=True))
requeue.expect_the_end()
try:
    with doing("in pretrain"):
        os.kill(os.getpid(), signal.SIG{signal})
        time.sleep(0.1)
except BaseException as error:
    print("raised", error)
print("went on", "to an end that is announced" * (signals._end_by > time.monotonic()))
"""


def ended(minutes=240, left=3, queue="pass", rank=0, signal="USR2"):
    text = textwrap.dedent(JOB).format(minutes=minutes, left=left, queue=queue, rank=rank, signal=signal)
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, cwd=ROOT, timeout=60)
    return done.returncode, done.stdout, done.stderr


def test_it_is_queued_again():
    line = "interrupted by the {} in pretrain: queued again, goes on where it was\n"
    assert ended() == (255, "", line.format("scheduler"))
    assert ended(minutes=0) == (255, "", line.format("time limit"))
    assert ended(queue="sys.exit(144)")[0] == 144, "by which submitit's local launcher knows it"


def test_it_can_not_be_queued_again():
    often = "not queued again, as that was done hydra.launcher.max_num_timeout times: run the same command to go on\n"
    line = f"interrupted by the time limit in pretrain: {often}"
    assert ended(minutes=0, left=0) == (1, f"written down: interrupted by the time limit: {often}", line)
    code, said, line = ended(queue="raise OSError('no scontrol')")
    assert (code, line.count("\n")) == (1, 1)
    assert "it could not be queued again (no scontrol): run the same command to go on" in line
    assert said.startswith("written down: interrupted by the scheduler: it could not")


def test_what_is_left_to_others():
    """The first process of a training queues it for all, and SIGTERM alone ends nothing."""
    assert ended(rank=1) == (0, "went on \n", "")
    assert ended(signal="TERM") == (0, "went on to an end that is announced\n", "")

"""Makes the processes of a training on several devices end together.

Lightning starts the program once more for each further device. If one of them is killed, its own observer kills the
others within 5 s and says nothing; here a line is said. And it makes SIGTERM a flag, which ends a training at some
later moment with exit code 0; here the signal ends the program (stages/signals.py).
"""

import subprocess
import threading
import time

import lightning
from lightning.pytorch.strategies.launchers import subprocess_script

from stages import signals
from stages.ending import lost, say

GRACE = 3  # seconds for the first process to hear of it from the others, and to end


def speak_for_all(trainer: lightning.Trainer) -> None:
    """Further processes of this training are observed here, and hear no signal before they know what to do then."""
    launcher = trainer.strategy.launcher
    if isinstance(launcher, subprocess_script._SubprocessScriptLauncher):
        subprocess_script._launch_process_observer = _observe
        launcher._call_children_scripts = signals.held()(launcher._call_children_scripts)


def _observe(processes: list[subprocess.Popen]) -> None:
    signals.started.extend(processes)
    threading.Thread(target=_wait, args=(processes,), daemon=True).start()


def _wait(processes: list[subprocess.Popen]) -> None:
    while not (line := lost()):
        time.sleep(0.1)
    time.sleep(GRACE)
    if processes[0] in signals.started:  # else this one has ended them, and goes on with the next run of a sweep
        say(line)
        signals.leave(1)

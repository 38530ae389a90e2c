"""Makes the processes of a training on several devices end together.

Lightning starts the program again for each further device. If one of these processes is killed, Lightning's observer
kills the others within 5 s without a message; ours prints a line. And Lightning turns SIGTERM into a flag, which ends a
training later with exit code 0; here the signal ends the program at once (stages/signals.py).
"""

import subprocess
import threading
import time

import lightning
from lightning.pytorch.strategies.launchers import subprocess_script

from stages import group, signals
from stages.ending import lost, say
from stages.processes import is_first_process

GRACE = 3  # seconds in which the first process learns of it from the others, and ends


def speak_for_all(trainer: lightning.Trainer, stage: str) -> None:
    """Tells the other processes that this training begins, if it has more than one.

    Replaces Lightning's observer of further processes, and holds signals back while these are started.
    """
    launcher = trainer.strategy.launcher
    if isinstance(launcher, subprocess_script._SubprocessScriptLauncher):
        subprocess_script._launch_process_observer = _observe
        launcher._call_children_scripts = signals.held()(launcher._call_children_scripts)
        if is_first_process() and not launcher.cluster_environment.creates_processes_externally:
            group.expect_children()
        group.tell(f"train {stage}")


def _observe(processes: list[subprocess.Popen]) -> None:
    signals.started.extend(processes)
    threading.Thread(target=_wait, args=(processes,), daemon=True).start()


def _wait(processes: list[subprocess.Popen]) -> None:
    while not (line := lost()):
        time.sleep(0.1)
    time.sleep(GRACE)
    if processes[0] in signals.started:  # otherwise this process has ended them, and continues with a sweep's next run
        say(line)
        signals.leave(1)

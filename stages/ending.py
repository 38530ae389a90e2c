"""How the program ends when it fails: one line on stderr for anything that is not a bug.

exit code 1     a bug, with its traceback; or in one line: a process that computed with this one was lost, or another
                run took over what this one worked on
          2     refused, or no space left on the disk
          130   Ctrl-C, 143 SIGTERM, 138 SIGUSR1 (stages/signals.py)

Hydra by itself prints "Error executing job with overrides" before an error and advice after it, with exit code 1 for
everything. With HYDRA_FULL_ERROR=1 it passes errors on unchanged, so that is set here. A user who has set it wants
to see tracebacks.
"""

import argparse
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from omegaconf.errors import InterpolationResolutionError

from conf.errors import BadInput
from conf.refusals import COMPOSING, is_refused, refusal
from stages import processes, signals
from stages.lease import TakenOver
from stages.processes import is_first_process
from stages.space import is_no_space, no_space

DATA_WORKER = re.compile(r"DataLoader worker \(pid\(?s?\)? ([\d, ]+)\)")
WITHIN_A_RUN = (InterpolationResolutionError,)  # this error of OmegaConf is bad input: a ${...} that leads nowhere
_tracebacks = False  # whether the user wants to see them
to_first: Callable[[str], None] | None = None  # tells the first process of those that train together (stages/group.py)


class ProcessLost(Exception):
    """A process that computed with this one was lost, which is not a bug of either."""


@contextmanager
def errors_in_one_line(refused: tuple = WITHIN_A_RUN) -> Iterator[None]:
    """Ends a program, or a run of it, at any exception. refused: what Hydra and OmegaConf raise for bad input."""
    try:
        yield
    except Exception as error:
        if not is_first_process():
            time.sleep(2)  # if the first one has ended, this error follows from it: then this process ends silently
        line, code = line_and_code(error, refused)
        signals.let_it_end()
        if line is None or _tracebacks:
            traceback.print_exception(error)
        elif is_first_process() or processes.tasks() == 1:
            say(line)
        elif to_first:  # before it is known, it refuses the same
            to_first(line)
        if code == 1 and line:  # others may wait for the lost process
            signals.leave(code)
        sys.exit(code)


@contextmanager
def whole() -> Iterator[None]:
    """Turns it into an ordinary error if the user's code leaves a study in the middle, for example by sys.exit: the
    study has not ended well."""
    try:
        yield
    except Exception:
        raise
    except BaseException as error:
        what = f"sys.exit({error.code!r})" if isinstance(error, SystemExit) else type(error).__name__
        raise RuntimeError(f"the study was left in the middle by {what}") from error


@contextmanager
def hydras_errors_in_one_line() -> Iterator[None]:
    """Does the same as `errors_in_one_line` for what Hydra runs."""
    global _tracebacks
    _tracebacks = os.environ.get("HYDRA_FULL_ERROR") == "1" and is_first_process()  # the others inherit it
    argparse.ArgumentParser.error = _unknown_flag  # Hydra's parser would print its usage in many lines
    before, os.environ["HYDRA_FULL_ERROR"] = os.environ.get("HYDRA_FULL_ERROR", ""), "1"
    try:
        with errors_in_one_line(COMPOSING):
            yield
    finally:
        os.environ["HYDRA_FULL_ERROR"] = before


def _unknown_flag(_: argparse.ArgumentParser, message: str) -> NoReturn:
    if "unrecognized arguments" in message and "=" in message:
        raise BadInput(f"{message}: put flags such as -m before all KEY=VALUE, or behind them")
    raise BadInput(f"{message}: keys are set as KEY=VALUE, such as plan=true; flags are listed by --hydra-help")


def show_traceback(error: Exception) -> None:
    """Prints the traceback if the user wants to see it."""
    if _tracebacks:
        traceback.print_exception(error)


def say(line: str) -> None:
    for bar in signals.open_bars():
        bar.close()
    print(line, file=sys.stderr, flush=True)


def line_and_code(error: Exception, refused: tuple = WITHIN_A_RUN) -> tuple[str | None, int]:
    """Returns the message for an error, None for a bug, and the exit code."""
    try:
        return _line_and_code(error, refused)
    except Exception:  # a user's error whose text can't be made
        return lost(), 1


def _line_and_code(error: Exception, refused: tuple) -> tuple[str | None, int]:
    if isinstance(error, BadInput):
        return str(error), 2
    if is_refused(error, refused):
        return str(refusal(error)), 2
    if is_no_space(error):
        return str(no_space(error, Path.cwd())), 2
    if isinstance(error, (ProcessLost, TakenOver)):
        return str(error), 1
    if DATA_WORKER.search(str(error)):
        return "a process that loads data has gone: run the same command to go on", 1
    return lost(), 1


def lost() -> str | None:
    """Returns the message if a further process of a training was lost, otherwise None."""
    if signals.started or signals.members:
        time.sleep(0.5)  # others notice its end before its exit code is known
    codes = [code for code in (process.poll() for process in signals.started) if code]
    if codes:
        return gone("a further process of the training", codes[0])
    return next(filter(None, signals.members.values()), None)


def gone(what: str, code: int | None = None) -> str:
    """Returns the message for a lost process. code: its exit code, or below 0 the signal that killed it, if known."""
    how = "has gone"
    if code is not None:
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return f"{what} {how}: run the same command to go on"

"""Tells once per process, within two seconds, whether the W&B server can be logged to.

A process that has lost it goes on offline: whoever wants a mirror of a study does not want to wait for it.
"""

import urllib.error
import urllib.request
from threading import Thread

from tracking import account

PATIENCE = 2  # seconds
_found: dict[str, str] = {}  # server -> why it can't be logged to, or "", as found by this process


def lacking(again: bool = False) -> str:
    """Says why nothing can be logged online; returns "" if it can. It prints the reason once. again: ask the server
    once more, if it has answered before: what comes next would wait for it."""
    host = account.host()
    if host not in _found or (again and not _found[host]):
        lost(account.no_key() or no_answer(host))
    return _found[host]


def lost(why: str) -> None:
    """Notes why the server can't be logged to from now on, and prints it."""
    _found[account.host()] = why
    if why:
        print(f"W&B: {why}. Its runs are kept offline; `wandb sync` uploads them later", flush=True)


def look_again() -> None:
    """Lets the next result look whether the server is still there."""
    _found.clear()


def no_answer(host: str) -> str:
    """Says why the server does not answer; returns "" if it does, whatever it answers."""
    found = [f"{host} has not answered within {PATIENCE} seconds"]
    thread = Thread(target=_ask, args=(host, found), daemon=True)  # looking up a name has no time limit of its own
    thread.start()
    thread.join(PATIENCE)
    return found[-1]


def _ask(host: str, found: list[str]) -> None:
    try:
        urllib.request.urlopen(host, timeout=PATIENCE).close()
        found.append("")
    except urllib.error.HTTPError:  # an answer, too
        found.append("")
    except (OSError, ValueError) as error:
        found.append(f"{host} can't be reached ({getattr(error, 'reason', error)})")

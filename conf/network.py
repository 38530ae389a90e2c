"""Checks for a network connection before any download, since libraries try again for minutes without one."""

import socket
from urllib.parse import urlsplit
from urllib.request import getproxies


def reachable(url: str, seconds: float = 5) -> bool:
    """Returns whether a connection to the host of `url`, or to the proxy set for it, is made within `seconds`."""
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    host = urlsplit(proxy if proxy and "://" in proxy else f"http://{proxy}") if proxy else parts
    port = host.port or (443 if host.scheme == "https" else 80)
    try:
        socket.create_connection((host.hostname, port), timeout=seconds).close()
    except OSError:
        return False
    return True

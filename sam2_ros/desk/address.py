"""The address that a desk listens on."""

from __future__ import annotations

import errno
import socket

MAX_PORT = 2**16 - 1

BACKLOG = 1024
"""Connections that wait to be accepted. Others are dropped without a word, and whoever waits for one waits long."""


class CannotListen(Exception):
    """The address cannot be listened on; the message says what to do."""


def listening(host: str, port: int) -> socket.socket:
    """A socket bound to this host and port.

    Raises:
        CannotListen: it cannot.
    """
    if not 0 <= port <= MAX_PORT:
        raise CannotListen(f"port {port} is none; give one from 1024 to {MAX_PORT} (0: any free one)")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, ValueError):  # also if it is no name at all
        raise CannotListen(
            f"there is no host {host!r} here; give 127.0.0.1, 0.0.0.0, or an address of this machine"
        ) from None
    family, kind, protocol, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # of a desk that ended a moment ago
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise CannotListen(_explain(error, host, port)) from None
    return listener


def _explain(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is in use, maybe by another desk; open that one, or give another port (0: any free one)"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine; give 127.0.0.1, 0.0.0.0, or one that `ip address` lists"
    if error.errno == errno.EACCES:
        return f"port {port} is for administrators; give one from 1024 on (0: any free one)"
    return f"cannot listen on port {port} of {host}: {error}"


def outside_address() -> str:
    """The address under which others reach this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # of documentation; nothing is sent
            return probe.getsockname()[0]
        except OSError:
            return socket.gethostname()

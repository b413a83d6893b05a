"""Chooses loopback ports that stay free while the program that uses them is started again."""

from __future__ import annotations

import random
import socket
from contextlib import closing
from pathlib import Path

LOWEST_PORT = 10_240
HIGHEST_PORT = 65_535


def candidate_ports(ephemeral: tuple[int, int]) -> list[int]:
    """Return the ports outside the range from which the kernel serves outgoing connections.

    A port of that range may be lent to a connection in the moment in which its program is restarted.
    """
    first, last = ephemeral
    outside = [port for port in range(LOWEST_PORT, HIGHEST_PORT + 1) if not first <= port <= last]
    return outside or list(range(LOWEST_PORT, HIGHEST_PORT + 1))


def read_ephemeral_range() -> tuple[int, int]:
    """Return the kernel's range of ports for outgoing connections, or Linux's default where it cannot be read."""
    try:
        first, last = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()
    except OSError:
        return 32_768, 60_999
    return int(first), int(last)


def is_free(host: str, port: int) -> bool:
    """Tell whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


class LoopbackPorts:
    """Hands out different free ports of 127.0.0.1."""

    def __init__(self) -> None:
        self._candidates = candidate_ports(read_ephemeral_range())
        random.shuffle(self._candidates)

    def take(self) -> int:
        """Return a port that is free now and that was not handed out before; raise `OSError` when none is left."""
        while self._candidates:
            port = self._candidates.pop()
            if is_free("127.0.0.1", port):
                return port
        raise OSError("no free port on 127.0.0.1")

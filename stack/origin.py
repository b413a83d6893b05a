"""The one address at which people and programs find Muster."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from stack.errors import StackError
from stack.ports import is_free

EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - recognised, not bound
LOOPBACK = ("127.0.0.1", "localhost")


@dataclass(frozen=True)
class Origin:
    """Where Caddy listens. `public_url` is what people open, `local_url` what programs of this machine use."""

    addresses: Sequence[str]
    public_url: str
    local_url: str


def choose_origin(host: str, port: int, *, has_ipv6_loopback: bool) -> Origin:
    """Return the origin for `--host` and `--port`.

    A browser may take `localhost` for ::1, so the default listens on both loopback addresses where there are two.
    """
    local = f"http://localhost:{port}"
    if host in LOOPBACK:
        addresses = [f"127.0.0.1:{port}"] + ([f"[::1]:{port}"] if has_ipv6_loopback else [])
        return Origin(addresses, local, f"http://127.0.0.1:{port}")
    if host in EVERY_ADDRESS:
        return Origin([f":{port}"], local, f"http://127.0.0.1:{port}")
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return Origin([shown], f"http://{shown}", f"http://{shown}")


def has_ipv6_loopback() -> bool:
    """Tell whether this machine has the address ::1."""
    return socket.has_ipv6 and is_free("::1", 0)


def require_free(origin: Origin) -> None:
    """Raise `StackError` unless Caddy could listen on every address of the origin."""
    for address in origin.addresses:
        host, _, port = address.rpartition(":")
        try:
            _try_to_listen(host.strip("[]"), int(port))
        except OSError as error:
            raise StackError(_reason(error, host.strip("[]"), port)) from error


def _try_to_listen(host: str, port: int) -> None:
    for family, kind, protocol, _, target in socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    ):
        if family == socket.AF_INET6 and not has_ipv6_loopback():
            continue
        with closing(socket.socket(family, kind, protocol)) as attempt:
            # as Caddy does: connections that have ended do not count
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                attempt.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            attempt.bind(target)
            attempt.listen()


def _reason(error: OSError, host: str, port: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken: choose another one with --port"
    if error.errno == errno.EACCES:
        return f"port {port} is not allowed for an ordinary user: choose one from 1024 with --port"
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return f"this machine has no address {host}: choose another one with --host"
    return f"cannot listen on {host}, port {port}: {os.strerror(error.errno or 0)}"

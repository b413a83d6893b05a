"""The file that says where a running stack is: `ready.json`."""

from __future__ import annotations

from pathlib import Path

import msgspec

from stack.errors import StackError
from stack.folders import write_private
from stack.supervisor import Running


class Process(msgspec.Struct, frozen=True):
    """A running process; `url` is where it answers by itself, behind Caddy's back."""

    pid: int
    url: str | None


class Ready(msgspec.Struct, frozen=True):
    """A stack that is ready. The URLs of the servers carry their passwords, so the file is private (mode 0600)."""

    url: str
    redis_url: str
    database_url: str
    services: dict[str, list[Process]]


class ReadyFile:
    """Keeps the file true from the moment in which everything is ready until it is removed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ready: Ready | None = None

    def publish(self, ready: Ready, running: Running) -> None:
        """Say that the stack is ready, with these processes."""
        self._ready = ready
        self.update(running)

    def update(self, running: Running) -> None:
        """Replace the processes in one step; say nothing while the stack is not ready."""
        if self._ready is not None:
            content = msgspec.structs.replace(self._ready, services=by_role(running))
            write_private(self._path, msgspec.json.format(msgspec.json.encode(content), indent=2).decode() + "\n")

    def remove(self) -> None:
        """Take the file away: the stack is not ready any more."""
        self._ready = None
        self._path.unlink(missing_ok=True)


def by_role(running: Running) -> dict[str, list[Process]]:
    """Group running programs by what they are; replicas keep the order of their names."""
    services: dict[str, list[Process]] = {}
    for program, pid in sorted(running, key=lambda item: item[0].name):
        services.setdefault(program.role, []).append(Process(pid, program.url))
    return services


def read(path: Path) -> Ready | None:
    """Return what the file says, or nothing when there is none. Raises `StackError` when it cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Ready)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.ValidationError, msgspec.DecodeError) as error:
        raise StackError(f"cannot read {path}: {error}") from error

"""Asks a container engine over its socket: HTTP, plain, on the same machine. Imported only where there is one."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

TIMEOUT_S = 3.0
LARGEST_ANSWER_BYTES = 4_000_000


class EngineFailed(Exception):
    """The engine answered with an error, or with more than is read."""


class _SocketConnection(http.client.HTTPConnection):
    """HTTP over a socket of the file system."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Engine:
    """The engine that listens at this socket.

    The requests are those that Docker and Podman share: https://docs.docker.com/reference/api/engine/
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def containers(self) -> object:
        """Give all containers, those that do not run among them.

        Raises OSError, HTTPException, ValueError or EngineFailed.
        """
        with contextlib.closing(self._asked("/containers/json?all=true")) as connection:
            return _answer(connection)

    def stats(self, container_ids: Sequence[str]) -> dict[str, object]:
        """Give the counters of running containers as they are now, without those that cannot be had.

        All are asked for before the first is waited for: Docker reads the counters of all once a second, and answers
        each request when it has done so. Raises OSError when the engine is gone.
        """
        with contextlib.ExitStack() as stack:
            asked = {}
            for each in container_ids:
                target = f"/containers/{quote(each, safe='')}/stats?stream=false&one-shot=true"
                asked[each] = stack.enter_context(contextlib.closing(self._asked(target)))
            found = {}
            for each, connection in asked.items():
                # it may have ended meanwhile
                with contextlib.suppress(http.client.HTTPException, ValueError, EngineFailed, socket.timeout):
                    found[each] = _answer(connection)
            return found

    def _asked(self, target: str) -> http.client.HTTPConnection:
        """Give a connection over which this was asked; what comes of it is for one answer only."""
        connection = _SocketConnection(self._path)
        try:
            connection.request("GET", target, headers={"Connection": "close"})
        except BaseException:
            connection.close()
            raise
        return connection


def _answer(connection: http.client.HTTPConnection) -> object:
    answer = connection.getresponse()
    body = answer.read(LARGEST_ANSWER_BYTES + 1)
    if len(body) > LARGEST_ANSWER_BYTES:
        raise EngineFailed(f"more than {LARGEST_ANSWER_BYTES} bytes of an answer")
    if answer.status != http.client.OK:
        raise EngineFailed(f"the engine answers {answer.status}")
    return json.loads(body)

"""Asks a container engine over its socket: HTTP, plain, on the same machine. Imported only where there is one."""

from __future__ import annotations

import http.client
import json
import socket
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
    """A connection to the engine that listens at this socket, to be closed in the end.

    The requests are those that Docker and Podman share: https://docs.docker.com/reference/api/engine/
    All raise OSError, HTTPException, ValueError or EngineFailed.
    """

    def __init__(self, path: Path) -> None:
        self._connection = _SocketConnection(path)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def containers(self) -> object:
        """Give all containers, those that do not run among them."""
        return self._get("/containers/json?all=true")

    def stats(self, container_id: str) -> object:
        """Give the counters of a running container as they are now."""
        return self._get(f"/containers/{quote(container_id, safe='')}/stats?stream=false&one-shot=true")

    def _get(self, target: str) -> object:
        try:
            return self._asked(target)
        except BaseException:
            # What is left of an answer would be taken for the next one.
            self.close()
            raise

    def _asked(self, target: str) -> object:
        self._connection.request("GET", target)
        answer = self._connection.getresponse()
        body = answer.read(LARGEST_ANSWER_BYTES + 1)
        if len(body) > LARGEST_ANSWER_BYTES:
            raise EngineFailed(f"more than {LARGEST_ANSWER_BYTES} bytes of {target.partition('?')[0]}")
        if answer.status != http.client.OK:
            raise EngineFailed(f"the engine answers {answer.status}")
        return json.loads(body)

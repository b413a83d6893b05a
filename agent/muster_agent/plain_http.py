"""One HTTP request after another over a connection that is kept open."""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping
from typing import Callable, Protocol

from muster_agent.answers import Answer
from muster_agent.route import CONNECT_TIMEOUT_S, Route

# Longer than the default interval, so that a connection (and its TLS handshake) serves many samples.
KEEP_ALIVE_S = 60.0
# What a server has to say fits in; whatever else answers is not read to its end.
LARGEST_ANSWER = 1024 * 1024

# The server closed the connection while it was idle, which shows only when it is used again.
STALE = (http.client.RemoteDisconnected, ConnectionResetError, ConnectionAbortedError, BrokenPipeError)


class Network(Protocol):
    """What carries requests. Every method may raise OSError and http.client.HTTPException."""

    def post(self, path: str, body: bytes, headers: Mapping[str, str], timeout_s: float, *, repeats: bool) -> Answer:
        """Make a request; where it `repeats`, it may be made twice when an idle connection turns out to be closed."""

    def close(self) -> None:
        """Close the connection; the next request opens another."""


class PlainHttp:
    """A connection to one server, to be used by one thread."""

    def __init__(self, route: Route, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._route = route
        self._monotonic = monotonic
        self._connection: http.client.HTTPConnection | None = None
        self._used_s = 0.0

    def post(self, path: str, body: bytes, headers: Mapping[str, str], timeout_s: float, *, repeats: bool) -> Answer:
        """See Network. `timeout_s` is for each step: connecting (5 s at most), sending, each part of the answer."""
        if self._monotonic() - self._used_s > KEEP_ALIVE_S:
            self.close()
        is_reused = self._connection is not None
        try:
            return self._post(path, body, headers, timeout_s)
        except STALE:
            self.close()
            # RFC 9110, 9.2.2: repeat at once what may safely arrive twice.
            if not (is_reused and repeats):
                raise
            return self._post(path, body, headers, timeout_s)

    def close(self) -> None:
        """See Network."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def _post(self, path: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> Answer:
        connection = self._connection or self._connect(min(timeout_s, CONNECT_TIMEOUT_S))
        try:
            connection.sock.settimeout(timeout_s)
            connection.request("POST", self._route.target(path), body, self._route.request_headers(headers))
            response = connection.getresponse()
            content = response.read(LARGEST_ANSWER)
        except BaseException:
            self.close()
            raise
        if response.will_close or not response.isclosed():
            self.close()
        self._used_s = self._monotonic()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, content)

    def _connect(self, timeout_s: float) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(self._route.host, self._route.port)
        connection.sock = self._route.open(timeout_s, is_tunnel=False)
        self._connection = connection
        return connection

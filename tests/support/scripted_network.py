"""A network for httpx on which every answer is written beforehand."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx


class ScriptedNetwork(httpx.BaseTransport):
    """Gives its answers in order, or raises them, and keeps the requests. Running out of answers fails the test.

    `on_request` is called before each answer, for tests in which the network takes its time.
    """

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.requests: list[httpx.Request] = []
        self.on_request: Callable[[], None] = lambda: None
        self._answers = list(answers)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Take the next answer."""
        request.read()
        self.requests.append(request)
        self.on_request()
        assert self._answers, f"nobody expected {request.method} {request.url}"
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def then(self, *answers: httpx.Response | Exception) -> None:
        """Write more answers."""
        self._answers += answers

    def paths(self) -> list[str]:
        """Give the paths of the requests so far, after `/ingest/v1`."""
        return [request.url.path.removeprefix("/ingest/v1") for request in self.requests]

    def body(self, index: int = -1) -> Any:  # noqa: ANN401 - JSON is of any type
        """Give the JSON of a request."""
        return json.loads(self.requests[index].content)


def answer(
    status: int, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
) -> httpx.Response:
    """Write an answer with a JSON body."""
    return httpx.Response(status, json=body, headers=headers)

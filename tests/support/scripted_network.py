"""A network for the agent's plain requests on which every answer is written beforehand."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from muster_agent.answers import Answer


@dataclass(frozen=True)
class Posted:
    """A request as it was made."""

    path: str
    body: bytes
    headers: Mapping[str, str]
    timeout_s: float
    repeats: bool


class ScriptedNetwork:
    """Gives its answers in order, or raises them, and keeps the requests. Running out of answers fails the test.

    `on_request` is called before each answer, for tests in which the network takes its time.
    """

    def __init__(self, *answers: Answer | Exception) -> None:
        self.requests: list[Posted] = []
        self.on_request: Callable[[], None] = lambda: None
        self._answers = list(answers)

    def post(self, path: str, body: bytes, headers: Mapping[str, str], timeout_s: float, *, repeats: bool) -> Answer:
        """Take the next answer."""
        self.requests.append(Posted(path, body, headers, timeout_s, repeats))
        self.on_request()
        assert self._answers, f"nobody expected {path}"
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """There is nothing to close."""

    def then(self, *answers: Answer | Exception) -> None:
        """Write more answers."""
        self._answers += answers

    def paths(self) -> list[str]:
        """Give the paths of the requests so far, after `/ingest/v1`."""
        return [request.path.removeprefix("/ingest/v1") for request in self.requests]

    def body(self, index: int = -1) -> Any:  # noqa: ANN401 - JSON is of any type
        """Give the JSON of a request."""
        return json.loads(self.requests[index].body)


def answer(status: int, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None) -> Answer:
    """Write an answer with a JSON body."""
    lower_case = {name.lower(): value for name, value in (headers or {}).items()}
    return Answer(status, lower_case, b"" if body is None else json.dumps(body).encode())

"""What every service answers on its own port: /health, /readiness and /metrics; and the id of every request."""

import asyncio
import itertools
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import msgspec
import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Check = Callable[[], Awaitable[object]]
"""Raises when what it checks does not answer."""

CHECK_TIMEOUT_S = 2.0

REQUEST_ID = "muster.request_id"
"""Where a scope has the id of its request."""

_BEGINNINGS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
"""What an answer begins with."""

log = structlog.get_logger(__name__)
_PROCESS = secrets.token_hex(6).encode()
_numbers = itertools.count(1)
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class Probes:
    """Wraps a service's ASGI application; `checks` name what must answer for the service to be ready."""

    def __init__(self, app: AsgiApp, checks: Mapping[str, Check]) -> None:
        self._app = app
        self._checks = checks
        self._answers = {"/health": self._health, "/readiness": self._readiness, "/metrics": self._metrics}
        self.draining = False

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer the probes, pass everything else on with a request id: requests, and upgrades to WebSocket."""
        if scope["type"] not in {"http", "websocket"}:
            return self._app(scope, receive, send)
        answer = self._answers.get(scope["path"]) if scope["type"] == "http" else None
        if answer is not None:
            return answer(send)
        return self._app(scope, receive, _with_request_id(scope, send))

    async def _health(self, send: Send) -> None:
        await _answer(send, 200, b'{"status":"ok"}')

    async def _readiness(self, send: Send) -> None:
        failed = {"draining": "the process is stopping"} if self.draining else await self._failed_checks()
        status = 503 if failed else 200
        await _answer(send, status, msgspec.json.encode({"ready": not failed, "failed": failed}))

    async def _metrics(self, send: Send) -> None:
        await _answer(send, 200, generate_latest(), CONTENT_TYPE_LATEST)

    async def _failed_checks(self) -> dict[str, str]:
        async def failure(check: Check) -> str | None:
            try:
                async with asyncio.timeout(CHECK_TIMEOUT_S):
                    await check()
            except Exception as error:  # noqa: BLE001  (whatever it is, it is the answer)
                return f"{type(error).__name__}: {error}"
            return None

        results = await asyncio.gather(*(failure(check) for check in self._checks.values()))
        return {name: result for name, result in zip(self._checks, results, strict=True) if result}


def _with_request_id(scope: Scope, send: Send) -> Send:
    """Give the answer the caller's own X-Request-Id where it is a sane one, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            request_id = value
            break
    else:
        # unique, not secret: a random number for each request would cost a system call
        request_id = b"%b-%x" % (_PROCESS, next(_numbers))
    scope[REQUEST_ID] = request_id.decode()
    header = (b"x-request-id", request_id)

    def send_with_id(message: Message) -> Awaitable[None]:
        if message["type"] in _BEGINNINGS:
            message["headers"] = [*message.get("headers", ()), header]
        return send(message)

    return send_with_id


async def _answer(send: Send, status: int, body: bytes, content_type: str = "application/json") -> None:
    headers = [(b"content-type", content_type.encode()), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

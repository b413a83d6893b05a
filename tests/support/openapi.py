"""Holds answers against the OpenAPI document of who gives them."""

import re
from typing import Any

import httpx
import msgspec


class Documented(httpx.AsyncBaseTransport):
    """Passes requests on; fails the test whose answer is not one that the document at `path` promises."""

    def __init__(self, transport: httpx.AsyncBaseTransport, path: str) -> None:
        self._transport = transport
        self._path = path
        self._operations: dict[tuple[str, str], dict[str, Any]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        if not self._operations:
            await self._read(request)
        response = await self._transport.handle_async_request(request)
        operation = self._operation_for(request)
        if operation is not None:
            _require_promised(operation, response)
        return response

    async def _read(self, request: httpx.Request) -> None:
        url = request.url.copy_with(raw_path=self._path.encode())
        answer = await self._transport.handle_async_request(httpx.Request("GET", url))
        for path, operations in msgspec.json.decode(await answer.aread())["paths"].items():
            for method, operation in operations.items():
                self._operations[method.upper(), path] = operation

    def _operation_for(self, request: httpx.Request) -> dict[str, Any] | None:
        exact = self._operations.get((request.method, request.url.path))
        if exact is not None:
            return exact
        for (method, path), operation in self._operations.items():
            pattern = re.sub(r"\{[^}]*\}", "[^/]+", path)
            if method == request.method and re.fullmatch(pattern, request.url.path):
                return operation
        return None


def _require_promised(operation: dict[str, Any], response: httpx.Response) -> None:
    name, status = operation["operationId"], str(response.status_code)
    assert status in operation["responses"], f"{name} answers {status}, which is not in its document"
    # a body that is streamed has no length
    is_empty = status in {"204", "304"} or response.headers.get("content-length") == "0"
    # an empty message of protobuf has a type all the same
    kind = response.headers.get("content-type", "").partition(";")[0] if not is_empty or status == "200" else ""
    promised = operation["responses"][status].get("content") or {"": None}
    assert kind in promised, f"{name} answers {status} with {kind!r}, promised is {list(promised)}"

"""Reads the body of an ASGI request within bounds of size and time, whatever its headers promise."""

import asyncio

from shared.io.probes import Receive
from shared.io.problem import HttpError

READ_TIMEOUT_S = 30.0


class ClientGone(Exception):
    """The client went away before its request was complete: nobody waits for an answer."""


async def read_body(receive: Receive, *, limit_bytes: int, timeout_s: float = READ_TIMEOUT_S) -> bytes:
    """Return the whole body; raises HttpError 413 and 408, and ClientGone."""
    message = await receive()
    body: bytes = message.get("body", b"")
    if message["type"] == "http.disconnect":
        raise ClientGone
    if message.get("more_body", False):
        try:
            async with asyncio.timeout(timeout_s):
                body = await _read_rest(receive, body, limit_bytes)
        except TimeoutError:
            raise HttpError(
                408, "too_slow", f"the body was not complete after {timeout_s:g} s", headers=CLOSE
            ) from None
    if len(body) > limit_bytes:
        raise too_large(limit_bytes)
    return body


async def _read_rest(receive: Receive, first: bytes, limit_bytes: int) -> bytes:
    parts, size_bytes, more = [first], len(first), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        parts.append(message.get("body", b""))
        size_bytes += len(parts[-1])
        more = message.get("more_body", False)
        if size_bytes > limit_bytes:
            raise too_large(limit_bytes)
    return b"".join(parts)


CLOSE = (("Connection", "close"),)
"""Headers of an answer after which the rest of the request is not read."""


def too_large(limit_bytes: int) -> HttpError:
    """Return the error for a body that is, or promises to be, larger than this."""
    return HttpError(413, "too_large", f"a body has at most {limit_bytes} bytes here", headers=CLOSE)

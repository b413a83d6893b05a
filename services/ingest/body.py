"""Reads the body of an ASGI request within bounds of size and time, whatever its headers promise."""

from services.ingest.account import Account
from shared.io.probes import Receive
from shared.io.problem import HttpError
from shared.io.reading import CLOSE, in_time


class ClientGone(Exception):
    """The client went away before its request was complete: nobody waits for an answer."""


async def read_body(receive: Receive, *, limit_bytes: int, timeout_s: float | None = None) -> bytes:
    """Return the whole body; raises HttpError 413 and 408, and ClientGone."""
    message = await receive()
    body: bytes = message.get("body", b"")
    if message["type"] == "http.disconnect":
        raise ClientGone
    if message.get("more_body", False):
        body = await in_time(_read_rest(receive, body, limit_bytes), timeout_s)
    if len(body) > limit_bytes:
        raise too_large(limit_bytes)
    return body


async def read_paid_body(receive: Receive, account: Account, *, limit_bytes: int) -> bytes:
    """Let a sender in and return the body, at its expense; raises HttpError 429 as well."""
    account.let_in()
    body = await read_body(receive, limit_bytes=limit_bytes)
    account.weigh(len(body))
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


def too_large(limit_bytes: int) -> HttpError:
    """Return the error for a body that is, or promises to be, larger than this."""
    return HttpError(413, "too_large", f"a body has at most {limit_bytes} bytes here", headers=CLOSE)

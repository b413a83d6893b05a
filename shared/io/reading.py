"""How long a body may take to come, at whatever door."""

import asyncio
from collections.abc import Awaitable

from shared.io.problem import HttpError

READ_TIMEOUT_S = 30.0
"""Who sends a body bit by bit holds a connection, and what has come of it."""

CLOSE = (("Connection", "close"),)
"""Headers of an answer after which the rest of the request is not read."""


async def in_time(body: Awaitable[bytes], timeout_s: float | None = None) -> bytes:
    """Return a body once it is complete; raises HttpError 408 after `timeout_s`, by default `READ_TIMEOUT_S`."""
    limit_s = READ_TIMEOUT_S if timeout_s is None else timeout_s
    try:
        async with asyncio.timeout(limit_s):
            return await body
    except TimeoutError:
        detail = f"the body was not complete after {limit_s:g} s"
        raise HttpError(408, "too_slow", detail, headers=CLOSE) from None

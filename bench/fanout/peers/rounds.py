"""Tells a peer when to send."""

import asyncio
import sys
from collections.abc import AsyncIterator


async def rounds() -> AsyncIterator[None]:
    """Give one round for each byte on standard input, until that ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(1):
        yield

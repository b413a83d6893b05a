"""The adapter of the Python client: see `tests/conformance/clients.py`."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from contextlib import suppress
from itertools import count
from typing import Any

muster_client: Any = importlib.import_module("muster_client")


async def main(url: str, name: str, delivery: str) -> None:
    """Follow a topic, and write what is held of it whenever a line is read."""
    numbers = count(1)

    async def token() -> str:
        return f"token-{next(numbers)}"

    async with muster_client.MusterClient(url, token=token) as muster:
        topic = muster.topic(name, delivery=delivery)
        watching = asyncio.create_task(watch(muster, name))
        while await asyncio.to_thread(sys.stdin.readline):
            items = {item.id: {"version": item.version, "data": item.data} for item in topic.items.values()}
            state = {"items": items, "epoch": topic.epoch, "version": topic.version, "is_over": watching.done()}
            sys.stdout.write(f"{json.dumps(state)}\n")
            sys.stdout.flush()
        watching.cancel()


async def watch(muster: Any, name: str) -> None:  # noqa: ANN401  (the client is not always there to be typed)
    """Take the changes of a topic, until there are no more to come."""
    with suppress(muster_client.MusterError):
        async for _ in muster.watch(name):
            pass


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))

"""Appending to the change log: Muster's own path against the bare script, pipelined on one socket.

    python -m bench.append [--seconds 5]

Both append change sets of 100 records of 200 B to one partition of a real Valkey, in turns of half a second.
"""

import argparse
import asyncio
import itertools
import socket
import tempfile
import time
from pathlib import Path
from statistics import median

import hiredis

from shared.io.changelog.append import ChangeLog
from shared.io.changelog.script import append_script, encode_call
from shared.io.redis import open_redis
from shared.names import Topic, partition_of
from shared.operation import Draft, Operation
from tests.support.log import open_log
from tests.support.valkey import ValkeyServer

CHANGES = 100
PIPELINED = 16
TURN_S = 0.5
TOPIC = Topic("w_bench", "servers")
_numbers = itertools.count()


def operation() -> Operation:
    """One change set: 100 records out of 1,000, 200 B each."""
    first = next(_numbers)
    drafts = tuple(
        Draft(id=f"s_{(first * CHANGES + i) % 1000}", action="put", data=b'{"x":"%b"}' % (b"y" * 192))
        for i in range(CHANGES)
    )
    return Operation(topic=TOPIC, drafts=drafts, actor="bench", id=f"op-{first}")


def packed(*words: str | bytes | int) -> bytes:
    """Return a command as it goes over the wire."""
    return hiredis.pack_command(words)  # type: ignore[arg-type, no-any-return]  # its stub knows one word only


def bare_turn(connection: socket.socket, sha: str) -> float:
    """Return change sets a second of prepared EVALSHA commands, `PIPELINED` under way at a time."""
    batches = [
        b"".join(packed("EVALSHA", sha, "0", *encode_call([operation()])) for _ in range(PIPELINED)) for _ in range(20)
    ]
    reader = hiredis.Reader()
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < TURN_S and batches:
        connection.sendall(batches.pop())
        answers = 0
        while answers < PIPELINED:
            reader.feed(connection.recv(1 << 20))
            while (answer := reader.gets()) is not False:
                if isinstance(answer, hiredis.ReplyError):
                    raise answer
                answers += 1
        done += answers
    return done / (time.perf_counter() - began)


async def muster_turn(changes: ChangeLog) -> float:
    """Return change sets a second through ChangeLog.append, by as many concurrent producers; encoding included."""
    done, began = 0, time.perf_counter()
    until = began + TURN_S

    async def produce() -> None:
        nonlocal done
        while time.perf_counter() < until:
            await changes.append(operation())
            done += 1

    await asyncio.gather(*(produce() for _ in range(PIPELINED)))
    return done / (time.perf_counter() - began)


async def measure(url: str, seconds: float) -> None:
    """Print both rates and their ratio, as medians of the turns."""
    redis = open_redis(url)
    await open_log(redis)
    _, sha = append_script(partition_of(TOPIC.workspace_id), 1)
    port = int(url.rsplit(":", 1)[1].split("/", maxsplit=1)[0])
    changes = ChangeLog(redis)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        password = redis.connection_pool.connection_kwargs.get("password")
        if password:
            connection.sendall(packed("AUTH", password))
            connection.recv(100)
        turns = [(bare_turn(connection, sha), await muster_turn(changes)) for _ in range(max(1, int(seconds)))]
    await redis.aclose()
    bare, muster = (median(column) * CHANGES for column in zip(*turns, strict=True))
    print(f"bare script, pipelined      {bare:>10,.0f} changes/s")
    print(f"ChangeLog.append            {muster:>10,.0f} changes/s")
    print(f"ratio                       {median(m / b for b, m in turns):>10.0%}   (target: at least 40%)")


def main() -> None:
    """Run the benchmark on a Valkey of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = ValkeyServer(Path(folder), durable=True)
        server.start()
        try:
            asyncio.run(measure(server.url, arguments.seconds))
        finally:
            server.stop()


if __name__ == "__main__":
    main()

"""Processor time of a server for each frame of 200 B that it sends to one of 500 clients, in alternating turns."""

import asyncio
import time
from contextlib import ExitStack
from itertools import count
from statistics import median

from bench.fanout.contenders import NO_COMPILER, SHORTEST_BYTES, Contender, Peers
from bench.fanout.crowd import Counts
from bench.fanout.peers import install
from bench.fanout.process import CrowdProcess, crowd
from bench.fanout.report import Row, show
from bench.fanout.stage import Stage, paced, padded, plan_for
from shared.names import Topic
from shared.operation import Draft

CLIENTS = 500
FRAME_BYTES = 200
ROUNDS_PER_S = 40
TURN_S = 0.5
TICK_S = 0.001  # so that each append becomes one frame
_PAYLOAD_BYTES = FRAME_BYTES - 4
_QUIET_S = 0.5
_ATTEMPTS = 3
_WORTH = 0.95  # of the frames that a turn is to bring
_TOPIC = Topic("w_frames", "servers")
_CHANGE_BYTES = _PAYLOAD_BYTES - len(
    '{"op":"changes","topic":"servers","workspace":"w_frames","epoch":"1","prev":1234,"version":1234,"changes":['
    '{"id":"s_1","action":"updated","version":1234,"data":}]}'
)
_TARGETS = {"floor": 1.7, "uvloop": 1.15, "uvicorn": 0.6}
_NAMES = {
    "floor": "floor: a loop of write()",
    "uvloop": "uvloop: a ready frame to every transport",
    "uvicorn": "uvicorn: await send, one by one",
    "litestar": "Litestar: await send_json, one by one",
    "socket.io": "Socket.IO, Redis Streams adapter",
    "nats": "NATS server",
    "broadcaster": "broadcaster",
}


async def broadcaster(stage: Stage, stack: ExitStack) -> Contender:
    """Start ours, with a tick so short that it sends one frame for each append."""
    tokens = await stage.people(_TOPIC.workspace_id, CLIENTS)
    # a thousand changes first: then versions have four digits, and the frames are of one size
    await stage.fill(_TOPIC, [padded(_CHANGE_BYTES, n=number) for number in range(1000)])
    server = stack.enter_context(stage.broadcaster(tick_s=TICK_S))
    numbers = count(1)

    async def feed() -> None:
        await stage.append(_TOPIC, [Draft(id="s_1", action="put", data=padded(_CHANGE_BYTES, n=next(numbers)))])

    plan = plan_for(_TOPIC, server, tokens, count=CLIENTS, shortest=SHORTEST_BYTES)
    return Contender("broadcaster", server, plan, feed)


async def turn(clients: CrowdProcess, contender: Contender) -> tuple[float, float]:
    """Return the µs of processor time that a frame cost, and its bytes; all are with the clients when it returns.

    A server that is kept from its core may put two rounds into one frame; a turn in which much of that happened is
    repeated. Raises RuntimeError when that does not help.
    """
    wanted = round(ROUNDS_PER_S * TURN_S) * contender.plan.count
    for _ in range(_ATTEMPTS):
        before, before_s = clients.counts(contender.plan.group), contender.server.cpu_s()
        async for _ in paced(ROUNDS_PER_S, TURN_S):
            await contender.feed()
        after = await arrivals(clients, contender.plan.group, before.frames + wanted)
        used_s, frames = contender.server.cpu_s() - before_s, after.frames - before.frames
        if after.lost:
            break
        if frames >= _WORTH * wanted:
            return used_s / frames * 1e6, (after.size_bytes - before.size_bytes) / frames
    raise RuntimeError(f"{contender.name} delivered {frames} of {wanted} frames, lost {after.lost} connections")


async def arrivals(clients: CrowdProcess, group: str, frames: int) -> Counts:
    """Return the counts when so many frames have arrived, or when none has for a while."""
    counts, quiet_at = clients.counts(group), time.monotonic() + _QUIET_S
    while counts.frames < frames and time.monotonic() < quiet_at:
        await asyncio.sleep(0.01)
        before, counts = counts, clients.counts(group)
        if counts.size_bytes > before.size_bytes:
            quiet_at = time.monotonic() + _QUIET_S
    return counts


async def run(stage: Stage, turns: int) -> None:
    """Measure and print."""
    with ExitStack() as stack:
        clients = stack.enter_context(crowd())
        peers = Peers(stage, stack, clients=CLIENTS, payload_bytes=_PAYLOAD_BYTES)
        contenders = [peers.floor(), peers.uvloop(), peers.uvicorn(), peers.litestar(), await broadcaster(stage, stack)]
        notes = [] if install.floor() else [NO_COMPILER]
        for name, start in (("Socket.IO", peers.socketio), ("NATS", peers.nats)):
            try:
                contenders.append(start())
            except (install.Missing, RuntimeError) as error:
                notes.append(f"{name} is left out: {error}")
        for contender in contenders:
            clients.open(contender.plan)
        results: dict[str, list[tuple[float, float]]] = {contender.name: [] for contender in contenders}
        for number in range(turns + 1):
            for contender in contenders:
                result = await turn(clients, contender)
                if number:  # the first turn warms up
                    results[contender.name].append(result)
    report(results, notes)


def report(results: dict[str, list[tuple[float, float]]], notes: list[str]) -> None:
    """Print the medians of the turns, and the ratios of neighbours in time."""
    rows = []
    for name in (name for name in _NAMES if name in results):
        costs = results[name]
        ratio = median(ours / its for (ours, _), (its, _) in zip(results["broadcaster"], costs, strict=True))
        target = f"at most {_TARGETS[name]:.2f}x" if name in _TARGETS else ""
        figures = (f"{median(c[0] for c in costs):.2f} µs", f"{median(c[1] for c in costs):.0f} B", f"{ratio:.2f}x")
        rows.append(Row(_NAMES[name], figures, target))
    notes.append("of the targets, either that of the floor or that of uvloop is to be met, and that of uvicorn")
    columns = ("CPU for a frame", "bytes", "ours to it")
    show(f"frames: {CLIENTS} clients, {ROUNDS_PER_S} rounds/s", columns, rows, notes)

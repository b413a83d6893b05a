"""A whole fleet: 10,000 clients of 1,000 servers with a sample every 5 s each; the share of a core, and the delay.

The floor sends frames as large as those of the broadcaster, as often, to as many clients; and, because a broadcaster
that is late sends fewer and larger ones, also those that a tick is to bring. The delay is that of clients
spread among the others, who live in a process of their own: from before the append until the frame has been read.
"""

import asyncio
import time
from contextlib import ExitStack
from statistics import quantiles

import msgspec

from bench.fanout.contenders import NO_COMPILER, SHORTEST_BYTES, Contender, Peers
from bench.fanout.peers import install
from bench.fanout.process import CrowdProcess, Server, crowd
from bench.fanout.report import Row, show
from bench.fanout.stage import Stage, paced, padded, plan_for
from shared.names import Topic
from shared.operation import Draft

CLIENTS = 10_000
SERVERS = 1_000
EVERY_S = 5.0
SAMPLE_BYTES = 560  # what a sample with all its numbers has
BLOCKS = 20  # each with one client whose delays are measured
WARM_UP_S = 3.0
RUN_S = 15.0
FLOOR_S = 5.0
TARGET_SHARE, TARGET_P99_MS = 0.6, 400
_TOPIC = Topic("w_fleet", "metrics")
_FRAMES_PER_S = 10  # the default tick
_CHANGE_BYTES = SAMPLE_BYTES + len('{"id":"s_123","action":"updated","version":12345,"data":},')
_DUE_FRAME_BYTES = round(SERVERS / EVERY_S / _FRAMES_PER_S) * _CHANGE_BYTES


class Traffic(msgspec.Struct, frozen=True):
    """What a client got in a second, what share of a core that took, and how many connections were lost.

    `waited` and `clients_waited` are the shares of the time for which the server, and the clients, had to wait for a
    core: where that is much for the server, the machine had something else to do, and the figures are worth little.
    """

    frames: float
    size_bytes: float
    share: float
    lost: int
    waited: float
    clients_waited: float


async def append_samples(stage: Stage, seconds: float) -> None:
    """Append the samples of the fleet, evenly spread."""
    async for number in paced(SERVERS / EVERY_S, seconds):
        data = padded(SAMPLE_BYTES, sent_ns=time.monotonic_ns())
        await stage.append(_TOPIC, [Draft(id=f"s_{number % SERVERS}", action="put", data=data)])


async def feed_peer(peer: Contender, rounds_per_s: float, seconds: float) -> None:
    """Let a peer send at this rate."""
    async for _ in paced(rounds_per_s, seconds):
        await peer.feed()


def totals(clients: CrowdProcess, groups: list[str]) -> tuple[int, int, int]:
    """Return frames, bytes and lost connections of these groups."""
    counts = [clients.counts(group) for group in groups]
    return sum(c.frames for c in counts), sum(c.size_bytes for c in counts), sum(c.lost for c in counts)


async def observe(
    clients: CrowdProcess, groups: list[str], connections: int, server: Server, work: asyncio.Task[None]
) -> Traffic:
    """Return what there was while some work was done."""
    began_s, before_s = time.monotonic(), server.cpu_s()
    waited_s, clients_waited_s = server.waited_s(), clients.waited_s()
    frames, size_bytes, _ = await asyncio.to_thread(totals, clients, groups)
    await work
    took_s, used_s = time.monotonic() - began_s, server.cpu_s() - before_s
    frames_after, bytes_after, lost = await asyncio.to_thread(totals, clients, groups)
    waits = (server.waited_s() - waited_s) / took_s, (clients.waited_s() - clients_waited_s) / took_s
    each = took_s * connections
    return Traffic((frames_after - frames) / each, (bytes_after - size_bytes) / each, used_s / took_s, lost, *waits)


async def ours(stage: Stage, clients: CrowdProcess, timed: CrowdProcess) -> tuple[Traffic, list[float], float]:
    """Return the broadcaster's traffic, the delays, and how long it took to let all clients in."""
    tokens = await stage.people(_TOPIC.workspace_id, CLIENTS)
    await stage.fill(_TOPIC, [padded(SAMPLE_BYTES, sent_ns=0)] * SERVERS)
    blocks = [f"block {number}" for number in range(BLOCKS)]
    others = CLIENTS // BLOCKS - 1
    with stage.broadcaster() as server:
        began_s = time.monotonic()
        for number, block in enumerate(blocks):
            own = tokens[number * len(tokens) // BLOCKS :] + tokens
            plan = plan_for(_TOPIC, server, own, group=block, count=others, shortest=SHORTEST_BYTES)
            clients.open(plan)
            timed.open(msgspec.structs.replace(plan, count=1, timed=True))
        opened_s = time.monotonic() - began_s
        await append_samples(stage, WARM_UP_S)
        for block in blocks:
            timed.latencies_s(block)
        work = asyncio.create_task(append_samples(stage, RUN_S))
        traffic = await observe(clients, blocks, others * BLOCKS, server, work)
        await asyncio.sleep(1)
        delays_s = [delay for block in blocks for delay in timed.latencies_s(block)]
        for block in blocks:
            clients.close(block)
            timed.close(block)
    return traffic, delays_s, opened_s


async def floor_of(stage: Stage, clients: CrowdProcess, frame_bytes: int, frames_per_s: float) -> Traffic:
    """Return what frames of this size cost the floor."""
    with ExitStack() as stack:
        floor = Peers(stage, stack, clients=CLIENTS, payload_bytes=frame_bytes).floor()
        clients.open(floor.plan)
        work = asyncio.create_task(feed_peer(floor, frames_per_s, FLOOR_S))
        traffic = await observe(clients, [floor.plan.group], CLIENTS, floor.server, work)
        clients.close(floor.plan.group)
    return traffic


async def run(stage: Stage, turns: int) -> None:
    """Measure and print; one turn that is long enough."""
    del turns
    notes = [] if install.floor() else [NO_COMPILER]
    with ExitStack() as stack:
        clients, timed = stack.enter_context(crowd()), stack.enter_context(crowd())
        traffic, delays_s, opened_s = await ours(stage, clients, timed)
        frame_bytes = round(traffic.size_bytes / traffic.frames)
        alike = await floor_of(stage, clients, frame_bytes, traffic.frames)
        due = await floor_of(stage, clients, _DUE_FRAME_BYTES, _FRAMES_PER_S)
    rows = [
        Row(
            name,
            (f"{one.frames:.1f}/s", f"{one.size_bytes / one.frames:,.0f} B", f"{one.share:.0%}"),
            target,
        )
        for name, one, target in (
            ("floor: write() of a frame each tick", due, ""),
            ("floor: write() of frames like ours", alike, ""),
            ("broadcaster", traffic, f"at most {TARGET_SHARE:.0%}"),
        )
    ]
    rows.append(Row("ours to frames like ours", ("", "", f"{traffic.share / alike.share:.2f}x")))
    cuts = quantiles(delays_s, n=100)
    p50, p99, longest = (value * 1000 for value in (cuts[49], cuts[98], max(delays_s)))
    figures = (f"p50 {p50:.0f} ms", f"p99 {p99:.0f} ms", f"max {longest:.0f} ms")
    rows.append(Row("append to receipt", figures, f"p99 at most {TARGET_P99_MS} ms"))
    notes.append(f"all clients were in after {opened_s:.1f} s; {traffic.lost} connections were lost")
    notes.append(
        f"ready to run but without a core: the broadcaster {traffic.waited:.0%} of the time,"
        f" the clients {traffic.clients_waited:.0%}"
    )
    title = f"fleet: {CLIENTS:,} clients, {SERVERS:,} servers"
    show(title, ("frames a client", "of", "of a core"), rows, notes)

"""Processor time for each delivered change at 5,000 changes a second in one topic, with 500 clients.

The floor sends frames as large as those of the broadcaster, as often; the NATS server delivers the changes as messages
of its own, as many at a time as are appended together.
"""

import asyncio
import time
from contextlib import ExitStack
from statistics import median

from bench.fanout.contenders import NO_COMPILER, SHORTEST_BYTES, Contender, Peers
from bench.fanout.peers import install
from bench.fanout.process import CrowdProcess, Server, crowd
from bench.fanout.report import Row, show
from bench.fanout.stage import Stage, paced, padded, plan_for
from shared.names import Topic
from shared.operation import Draft

CLIENTS = 500
CHANGES_PER_S = 5_000
APPENDED_TOGETHER = 100
RECORDS = 5_000  # as many as a turn changes, so that no frame holds two changes of one
RECORD_BYTES = 100
TURN_S = 1.0
TICKS_PER_S = 10
TARGET_US = 0.5
_TOPIC = Topic("w_changes", "servers")
_TIMED = "timed"
_CHANGE_BYTES = RECORD_BYTES + len('{"id":"s_1234","action":"updated","version":12345,"data":},')
_QUIET_S = 0.5
_QUIET_WITHIN_S = 30.0


async def until_quiet(clients: CrowdProcess, group: str) -> None:
    """Wait until nothing comes any more; raises RuntimeError when connections were lost."""
    give_up_at = time.monotonic() + _QUIET_WITHIN_S
    seen = -1
    while (counts := clients.counts(group)).size_bytes > seen and time.monotonic() < give_up_at:
        seen = counts.size_bytes
        await asyncio.sleep(_QUIET_S)
    if counts.lost:
        raise RuntimeError(f"{group} lost {counts.lost} connections")


async def our_turn(stage: Stage, clients: CrowdProcess, server: Server) -> float:
    """Return the µs that a delivered change cost."""
    before_s = server.cpu_s()
    async for number in paced(CHANGES_PER_S / APPENDED_TOGETHER, TURN_S):
        first = number * APPENDED_TOGETHER
        data = padded(RECORD_BYTES, sent_ns=time.monotonic_ns())
        drafts = [Draft(id=f"s_{(first + n) % RECORDS}", action="put", data=data) for n in range(APPENDED_TOGETHER)]
        await stage.append(_TOPIC, drafts)
    await until_quiet(clients, str(_TOPIC))
    used_s = server.cpu_s() - before_s
    delivered = len(clients.latencies_s(_TIMED))
    if delivered != round(CHANGES_PER_S * TURN_S):
        raise RuntimeError(f"a client got {delivered} of {CHANGES_PER_S * TURN_S:.0f} changes")
    return used_s / (delivered * (CLIENTS + 1)) * 1e6


async def peer_turn(clients: CrowdProcess, peer: Contender, rounds_per_s: float) -> float:
    """Return the µs that a peer used for each change of a turn."""
    before_s = peer.server.cpu_s()
    async for _ in paced(rounds_per_s, TURN_S):
        await peer.feed()
    await until_quiet(clients, peer.plan.group)
    return (peer.server.cpu_s() - before_s) / (CHANGES_PER_S * TURN_S * CLIENTS) * 1e6


async def run(stage: Stage, turns: int) -> None:
    """Measure and print."""
    tokens = await stage.people(_TOPIC.workspace_id, CLIENTS + 1)
    await stage.fill(_TOPIC, [padded(RECORD_BYTES)] * RECORDS)
    notes = [] if install.floor() else [NO_COMPILER]
    with ExitStack() as stack:
        clients = stack.enter_context(crowd())
        server = stack.enter_context(stage.broadcaster())
        clients.open(plan_for(_TOPIC, server, tokens, count=CLIENTS, shortest=SHORTEST_BYTES))
        clients.open(plan_for(_TOPIC, server, tokens[-1:], group=_TIMED, count=1, timed=True))
        frame_bytes = CHANGES_PER_S // TICKS_PER_S * _CHANGE_BYTES
        floor = Peers(stage, stack, clients=CLIENTS, payload_bytes=frame_bytes).floor()
        peers = [(floor, float(TICKS_PER_S))]
        try:
            nats = Peers(stage, stack, clients=CLIENTS, payload_bytes=_CHANGE_BYTES).nats(messages=APPENDED_TOGETHER)
            peers.append((nats, CHANGES_PER_S / APPENDED_TOGETHER))
        except (install.Missing, RuntimeError) as error:
            notes.append(f"NATS is left out: {error}")
        for peer, _ in peers:
            clients.open(peer.plan)
        costs: dict[str, list[float]] = {name: [] for name in ("broadcaster", *(peer.name for peer, _ in peers))}
        for number in range(turns + 1):
            turn = {"broadcaster": await our_turn(stage, clients, server)}
            for peer, rounds_per_s in peers:
                turn[peer.name] = await peer_turn(clients, peer, rounds_per_s)
            for name, cost in turn.items():
                costs[name] += [cost] if number else []  # the first turn warms up
    ours = costs["broadcaster"]
    names = {
        "floor": f"floor: write() of {frame_bytes / 1000:.0f} kB",
        "nats": "NATS server",
        "broadcaster": "broadcaster",
    }
    rows = []
    for name in (name for name in names if name in costs):
        ratio = median(mine / its for mine, its in zip(ours, costs[name], strict=True))
        target = f"at most {TARGET_US} µs" if name == "broadcaster" else ""
        rows.append(Row(names[name], (f"{median(costs[name]):.3f} µs", f"{ratio:.2f}x"), target))
    show(f"changes: {CLIENTS} clients, {CHANGES_PER_S:,} changes/s", ("CPU for a change", "ours to it"), rows, notes)

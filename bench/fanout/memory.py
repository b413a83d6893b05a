"""Memory of the broadcaster for each idle connection that is subscribed to a small topic, beside a bare uvicorn's."""

import asyncio
from contextlib import ExitStack

import msgspec

from bench.fanout.contenders import Peers
from bench.fanout.dialects import Plan
from bench.fanout.process import CrowdProcess, Server, crowd
from bench.fanout.report import Row, show
from bench.fanout.stage import Stage, padded, plan_for
from shared.names import Topic

FEW, MANY = 2_000, 6_000
RECORDS = 10
TARGET_KB = 20
_SETTLE_S = 3.0
_TOPIC = Topic("w_memory", "servers")


async def slope_kb(clients: CrowdProcess, server: Server, plan: Plan) -> tuple[float, float, float]:
    """Return kB with few and with many connections, and those of one connection more."""
    sizes = []
    for group, count in (("few", FEW), ("many", MANY - FEW)):
        clients.open(msgspec.structs.replace(plan, group=f"{plan.group} {group}", count=count))
        await asyncio.sleep(_SETTLE_S)
        sizes.append(server.rss_bytes() / 1000)
    return sizes[0], sizes[1], (sizes[1] - sizes[0]) / (MANY - FEW)


async def run(stage: Stage, turns: int) -> None:
    """Measure and print; memory needs one turn only."""
    del turns
    tokens = await stage.people(_TOPIC.workspace_id, MANY)
    await stage.fill(_TOPIC, [padded(200)] * RECORDS)
    with ExitStack() as stack:
        clients = stack.enter_context(crowd())
        server = stack.enter_context(stage.broadcaster())
        ours = await slope_kb(clients, server, plan_for(_TOPIC, server, tokens, count=MANY))
        peer = Peers(stage, stack, clients=MANY, payload_bytes=200).uvicorn()
        theirs = await slope_kb(clients, peer.server, peer.plan)
    rows = [
        Row(name, (f"{few / 1000:.0f} MB", f"{many / 1000:.0f} MB", f"{one:.1f} kB", f"{ours[2] / one:.2f}x"), target)
        for name, (few, many, one), target in (
            ("uvicorn: nothing but the connection", theirs, ""),
            ("broadcaster", ours, f"at most {TARGET_KB} kB"),
        )
    ]
    columns = (f"with {FEW:,}", f"with {MANY:,}", "a connection", "ours to it")
    show("memory: idle connections", columns, rows)

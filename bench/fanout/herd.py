"""The broadcaster dies and comes back: 5,000 clients return at once and resume, until all are live again.

They missed changes meanwhile; every tenth comes for the first time and needs a snapshot. The peer is a bare uvicorn to
which as many connect at once: what it costs to let them in alone.
"""

from contextlib import ExitStack

import msgspec

from bench.fanout.contenders import SHORTEST_BYTES, Peers
from bench.fanout.process import crowd
from bench.fanout.report import Row, show
from bench.fanout.stage import Stage, padded, plan_for
from shared.names import Topic
from shared.operation import Draft

CLIENTS = 5_000
NEW_EVERY = 10
RECORDS = 500
RECORD_BYTES = 300
MISSED = 200
TARGET_S = 10
DISTINCT_SNAPSHOTS = 1
_TOPIC = Topic("w_herd", "servers")


async def run(stage: Stage, turns: int) -> None:
    """Measure and print; a herd comes once."""
    del turns
    tokens = await stage.people(_TOPIC.workspace_id, CLIENTS)
    version = await stage.fill(_TOPIC, [padded(RECORD_BYTES)] * RECORDS)
    port = stage.ports.take()
    with ExitStack() as stack:
        clients = stack.enter_context(crowd())
        with stage.broadcaster(port=port) as server:
            plan = plan_for(_TOPIC, server, tokens, group="before", count=CLIENTS)
            first = clients.open(plan)
            server.kill()
        clients.close("before")
        until = version
        for number in range(MISSED):
            draft = Draft(id=f"s_{number % RECORDS}", action="put", data=padded(RECORD_BYTES, n=number))
            until = await stage.append(_TOPIC, [draft])
        with stage.broadcaster(port=port) as server:
            options = {"since": version, "until": until, "new_every": NEW_EVERY, "shortest": SHORTEST_BYTES}
            herd = plan_for(_TOPIC, server, tokens, group="after", count=CLIENTS, at_once=CLIENTS, **options)
            before_s = server.cpu_s()
            back = clients.open(herd)
            used_s = server.cpu_s() - before_s
            encodes = server.metric("muster_broadcaster_snapshot_encodes_total")
            recovered = server.metric('muster_broadcaster_resumes_total{recovered="true"}')
            clients.close("after")
        peer = Peers(stage, stack, clients=CLIENTS, payload_bytes=200).uvicorn()
        before_s = peer.server.cpu_s()
        bare = clients.open(msgspec.structs.replace(peer.plan, at_once=CLIENTS))
        bare_s = peer.server.cpu_s() - before_s
    rows = [
        Row("uvicorn: handshakes alone", (f"{bare.took_s:.1f} s", f"{bare_s:.1f} s", "1.00x")),
        Row(
            "broadcaster: until all are live",
            (f"{back.took_s:.1f} s", f"{used_s:.1f} s", f"{used_s / bare_s:.2f}x"),
            f"at most {TARGET_S} s",
        ),
        Row("snapshots encoded", (f"{encodes:.0f}", "", ""), f"at most {DISTINCT_SNAPSHOTS}, the distinct ones"),
    ]
    notes = [
        f"{recovered:.0f} of {CLIENTS - CLIENTS // NEW_EVERY} resumed without a snapshot; {MISSED} changes were missed",
        f"before, {plan.at_once} at a time, they came in {first.took_s:.1f} s",
        *(f"turned away {times} times: {why}" for why, times in back.refusals.items()),
    ]
    show(f"herd: {CLIENTS:,} clients at once", ("by the clock", "of its core", "CPU to it"), rows, notes)

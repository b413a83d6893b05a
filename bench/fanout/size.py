"""Processor time for a change in a topic of 10 servers and in one of 10,000, with a few clients each."""

from contextlib import ExitStack
from itertools import count
from statistics import median

from bench.fanout.changes import until_quiet
from bench.fanout.contenders import SHORTEST_BYTES
from bench.fanout.process import CrowdProcess, Server, crowd
from bench.fanout.report import Row, show
from bench.fanout.stage import Stage, paced, padded, plan_for
from shared.names import Topic
from shared.operation import Draft

SIZES = {10: Topic("w_small", "servers"), 10_000: Topic("w_large", "servers")}
CLIENTS = 5
CHANGES_PER_S = 400
TURN_S = 1.0
TICK_S = 0.001  # so that about each change is a frame
TARGET = 1.5
_numbers = count()


async def turn(stage: Stage, clients: CrowdProcess, server: Server, records: int) -> float:
    """Return the µs that a change cost."""
    topic = SIZES[records]
    before_s = server.cpu_s()
    async for _ in paced(CHANGES_PER_S, TURN_S):
        number = next(_numbers)
        await stage.append(topic, [Draft(id=f"s_{number % records}", action="put", data=padded(200, n=number))])
    await until_quiet(clients, str(topic))
    return (server.cpu_s() - before_s) / (CHANGES_PER_S * TURN_S) * 1e6


async def run(stage: Stage, turns: int) -> None:
    """Measure and print."""
    with ExitStack() as stack:
        clients = stack.enter_context(crowd())
        server = stack.enter_context(stage.broadcaster(tick_s=TICK_S))
        for records, topic in SIZES.items():
            tokens = await stage.people(topic.workspace_id, CLIENTS)
            await stage.fill(topic, [padded(200)] * records)
            clients.open(plan_for(topic, server, tokens, count=CLIENTS, shortest=SHORTEST_BYTES))
        costs = [[await turn(stage, clients, server, records) for records in SIZES] for _ in range(turns + 1)][1:]
    rows = []
    for column, records in enumerate(SIZES):
        ratio = median(cost[column] / cost[0] for cost in costs)
        target = f"at most {TARGET}x" if column else ""
        figures = (f"{median(cost[column] for cost in costs):.0f} µs", f"{ratio:.2f}x")
        rows.append(Row(f"{records:,} servers", figures, target))
    show(f"size: {CLIENTS} clients, {CHANGES_PER_S} changes/s", ("CPU for a change", "to the small"), rows)

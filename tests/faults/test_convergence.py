"""Whatever happens in whatever order: no client ever holds what never was, and at rest all hold what the log says.

CONVERGENCE_EXAMPLES=200 CONVERGENCE_STEPS=100 .venv/bin/python -m pytest tests/faults/test_convergence.py

runs it longer; `python -m tests.faults.convergence` runs it for a time. Processes have their own timing, so that a
schedule that has failed may pass when it is repeated: Hypothesis then says that it is flaky, and shows the failure all
the same. It is shrunk only with CONVERGENCE_SHRINK=1, which takes long.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from shared.names import Topic
from tests.support.convergence import (
    IDS,
    LARGE_IDS,
    PARTITIONS,
    PRODUCERS,
    REPLICAS,
    SEATS,
    TOPICS,
    UNRULY_SEATS,
    WORKSPACES,
    Edit,
    Ground,
    World,
)
from tests.support.logins import create_login
from tests.support.valkey import ValkeyServer

EXAMPLES = int(os.environ.get("CONVERGENCE_EXAMPLES", "6"))
STEPS = int(os.environ.get("CONVERGENCE_STEPS", "60"))
PHASES = [Phase.explicit, Phase.reuse, Phase.generate]
if os.environ.get("CONVERGENCE_SHRINK"):
    PHASES.append(Phase.shrink)

actions = st.sampled_from(["put", "put", "create", "update", "delete"])
edits = st.lists(st.builds(Edit, actions, st.sampled_from(IDS)), min_size=1, max_size=5)
large_edits = st.lists(st.builds(Edit, st.just("put"), st.sampled_from(LARGE_IDS)), min_size=1, max_size=2)
flows = st.lists(edits, min_size=4, max_size=12)
topics, partitions = st.sampled_from(TOPICS), st.sampled_from(PARTITIONS)
trimmed = st.lists(st.tuples(topics, st.builds(Edit, st.just("put"), st.sampled_from(IDS))), min_size=1, max_size=5)
producers, replicas = st.integers(0, PRODUCERS - 1), st.integers(0, REPLICAS - 1)
clients, unruly_clients = st.integers(0, len(SEATS) - 1), st.sampled_from(UNRULY_SEATS)
lost = st.integers(0, 6)
pauses_s = st.sampled_from([0.0, 0.0, 0.02, 0.15])


class Convergence(RuleBasedStateMachine):
    """The schedule: what happens when, over a World. `loop`, `ground`, `failures` and `seen` outlive it."""

    loop: asyncio.AbstractEventLoop
    ground: Ground
    failures: list[Exception]
    seen: Counter[str]

    def __init__(self) -> None:
        super().__init__()
        self.states = ["up"] * REPLICAS

    def run(self, step: Coroutine[object, object, object]) -> None:
        with self.remembering():
            self.loop.run_until_complete(step)

    @contextmanager
    def remembering(self) -> Iterator[None]:
        """Keep what fails: Hypothesis loses it where the same steps do not fail again."""
        try:
            yield
        except Exception as error:
            self.failures.append(error)
            raise

    @initialize(seed=st.integers(0, 2**32), batches=flows)
    def begin(self, seed: int, batches: list[list[Edit]]) -> None:
        world = World(self.ground, Random(seed))
        self.run(world.__aenter__())
        self.world = world
        for topic in TOPICS:
            self.run(world.flow(topic, batches))

    @rule(producer=producers, topic=topics, batch=edits, pause_s=pauses_s)
    def produce(self, producer: int, topic: Topic, batch: list[Edit], pause_s: float) -> None:
        self.run(self.world.produce(producer, topic, batch))
        self.run(asyncio.sleep(pause_s))  # time that passes between two steps is a part of the schedule

    @rule(topic=topics, batches=flows)
    def flow(self, topic: Topic, batches: list[list[Edit]]) -> None:
        self.run(self.world.flow(topic, batches))

    @rule(batches=flows)
    def flow_to_the_unruly(self, batches: list[list[Edit]]) -> None:
        self.run(self.world.flow(TOPICS[0], batches))

    @rule(topic=topics, batches=st.lists(edits, min_size=PRODUCERS, max_size=2 * PRODUCERS))
    def produce_at_once(self, topic: Topic, batches: list[list[Edit]]) -> None:
        for number, batch in enumerate(batches):
            self.run(self.world.produce(number % PRODUCERS, topic, batch))

    @rule(producer=producers, topic=topics, batch=large_edits)
    def produce_large(self, producer: int, topic: Topic, batch: list[Edit]) -> None:
        self.run(self.world.produce(producer, topic, batch))

    @rule(partition=partitions)
    def trim_read(self, partition: int) -> None:
        self.run(self.world.trim_read(partition))

    @rule(changes=trimmed)
    def trim_unread(self, changes: list[tuple[Topic, Edit]]) -> None:
        self.run(self.world.trim_unread(changes))

    @rule(fault=st.sampled_from(["cut_redis", "restart_redis", "open_epoch"]), partition=partitions, lost_versions=lost)
    def break_log(self, fault: str, partition: int, lost_versions: int) -> None:
        if fault == "cut_redis":
            self.run(self.world.cut_redis())
        elif fault == "restart_redis":
            self.run(self.world.restart_redis(lost_versions))
        else:
            self.run(self.world.open_epoch(partition, lost_versions))

    @precondition(lambda self: self.states.count("up") == REPLICAS)
    @rule(replica=replicas)
    def pause_replica(self, replica: int) -> None:
        self.world.pause_replica(replica)
        self.states[replica] = "paused"

    @precondition(lambda self: "paused" in self.states)
    @rule()
    def resume_replica(self) -> None:
        replica = self.states.index("paused")
        self.world.resume_replica(replica)
        self.states[replica] = "up"

    @precondition(lambda self: self.states.count("up") == REPLICAS)
    @rule(replica=replicas)
    def hold_replica(self, replica: int) -> None:
        self.world.hold_replica(replica)
        self.states[replica] = "held"

    @precondition(lambda self: "held" in self.states)
    @rule()
    def release_replica(self) -> None:
        replica = self.states.index("held")
        self.world.release_replica(replica)
        self.states[replica] = "up"

    @precondition(lambda self: self.states.count("up") == REPLICAS)
    @rule(replica=replicas)
    def kill_replica(self, replica: int) -> None:
        self.world.kill_replica(replica)
        self.states[replica] = "dead"

    @precondition(lambda self: "dead" in self.states)
    @rule()
    def start_replica(self) -> None:
        replica = self.states.index("dead")
        self.world.start_replica(replica)
        self.states[replica] = "up"

    @rule(client=clients, replica=replicas)
    def move(self, client: int, replica: int) -> None:
        self.world.move(client, replica)

    @rule(replica=replicas)
    def move_everyone(self, replica: int) -> None:
        for client in range(len(SEATS)):
            self.world.move(client, replica)

    @rule(client=clients)
    def cut(self, client: int) -> None:
        self.world.cut(client)

    @rule(client=clients, is_cut_in_snapshot=st.booleans())
    def begin_anew(self, client: int, is_cut_in_snapshot: bool) -> None:
        self.world.begin_anew(client, is_cut_in_snapshot=is_cut_in_snapshot)

    @rule(client=unruly_clients, is_unruly=st.booleans())
    def set_unruly(self, client: int, is_unruly: bool) -> None:
        self.world.set_unruly(client, is_unruly=is_unruly)

    @rule(pause_s=pauses_s)
    def let_time_pass(self, pause_s: float) -> None:
        self.run(asyncio.sleep(pause_s))

    @invariant()
    def nobody_holds_what_never_was(self) -> None:
        with self.remembering():
            self.world.check()

    def teardown(self) -> None:
        """At rest everyone holds what the log says."""
        if not hasattr(self, "world"):
            return
        try:
            self.run(self.world.rest())
        finally:
            self.seen.update(self.world.seen())
            self.run(self.world.__aexit__(None, None, None))


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Give a loop that runs only while a step is taken."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


@pytest.fixture
def machine(
    loop: asyncio.AbstractEventLoop, private_valkey: ValkeyServer, database_url: str, tmp_path: Path
) -> Iterator[type[Convergence]]:
    """Give the schedule over a ground of its own."""
    loop.run_until_complete(create_login(database_url, WORKSPACES))
    ground = Ground(tmp_path, private_valkey, database_url)
    yield type("Convergence", (Convergence,), {"loop": loop, "ground": ground, "failures": [], "seen": Counter()})
    ground.close()


def test_everyone_converges(machine: type[Convergence]) -> None:
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=STEPS,
                deadline=None,
                phases=PHASES,
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
            ),
        )
    except Flaky as flaky:
        raise machine.failures[0] from flaky


def test_everyone_converges_after_each_fault_in_turn(machine: type[Convergence]) -> None:
    """The schedules above are random and few: this one leaves nothing out."""
    schedule = machine()
    batches = [[Edit("put", record_id), Edit("put", "a")] for record_id in IDS]
    large = [Edit("put", record_id) for record_id in LARGE_IDS]
    in_parts = [number for number, seat in enumerate(SEATS) if seat.topic == TOPICS[2]]
    steps: list[Callable[[], object]] = [
        lambda: schedule.produce_large(0, TOPICS[2], large),
        lambda: [schedule.begin_anew(client, is_cut_in_snapshot=True) for client in in_parts],
        lambda: [schedule.cut(client) for client in range(len(SEATS))],
        lambda: schedule.trim_read(PARTITIONS[0]),
        lambda: schedule.trim_unread([(topic, Edit("put", "a")) for topic in (TOPICS[0], TOPICS[1], TOPICS[0])]),
        lambda: schedule.break_log("cut_redis", PARTITIONS[0], 0),
        lambda: schedule.break_log("open_epoch", PARTITIONS[0], 3),
        lambda: schedule.break_log("restart_redis", PARTITIONS[0], 3),
        lambda: schedule.pause_replica(0),
        lambda: schedule.move_everyone(1),
        lambda: [schedule.resume_replica(), schedule.hold_replica(0)],
        lambda: schedule.move_everyone(0),  # it is behind what they have seen
        schedule.release_replica,
        lambda: schedule.kill_replica(1),
        schedule.start_replica,
        lambda: [schedule.set_unruly(client, is_unruly=False) for client in UNRULY_SEATS],
    ]
    schedule.begin(1, batches)
    try:
        for step in steps:
            step()
            for topic in TOPICS:
                schedule.flow(topic, batches)
            schedule.nobody_holds_what_never_was()
    finally:
        schedule.teardown()
    met = ("snapshots", "snapshots cut", "recovered", "changes", "duplicates", "gaps", "epochs", "bookmarks")
    assert [] == [what for what in met if not machine.seen[what]], machine.seen

"""Runs the schedules of `test_convergence.py` for a time: `python -m tests.faults.convergence --minutes 60`.

Prints its seed, which `--seed` takes: the steps are then the same, though processes keep their own timing. Ends with
the first client that holds what never was, or does not converge, and says which steps have led there.
"""

import argparse
import asyncio
import secrets
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

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
from tests.support.postgres import PostgresServer
from tests.support.valkey import ValkeyServer

STEPS_OF_A_RUN = 150
REMEMBERED_STEPS = 60
ACTIONS = ("put", "put", "put", "create", "update", "delete")
PAUSES_S = (0.0, 0.0, 0.02, 0.15)

Step = Callable[[], Awaitable[None] | None]


class Schedule:
    """Draws the steps of one run; `last` has the newest ones."""

    def __init__(self, world: World, random: Random) -> None:
        self.last: deque[str] = deque(maxlen=REMEMBERED_STEPS)
        self._world = world
        self._random = random
        self._states = ["up"] * REPLICAS

    async def take_step(self) -> None:
        """Take the next step, and look at everyone."""
        (draw,) = self._random.choices(list(self._weights()), list(self._weights().values()))
        name, step = draw()
        self.last.append(name)
        done = step()
        if done is not None:
            await done
        await asyncio.sleep(self._random.choice(PAUSES_S))  # time that passes is a part of the schedule
        self._world.check()

    def _weights(self) -> dict[Callable[[], tuple[str, Step]], int]:
        return {
            self._produce: 15,
            self._flow: 15,
            self._produce_large: 4,
            self._trim: 6,
            self._open_epoch: 2,
            self._break_redis: 2,
            self._break_replica: 4,
            self._move: 10,
            self._cut: 6,
            self._begin_anew: 6,
            self._set_unruly: 6,
        }

    def _produce(self) -> tuple[str, Step]:
        choice, world = self._random.choice, self._world
        producer, topic = self._random.randrange(PRODUCERS), choice(TOPICS)
        edits = [Edit(choice(ACTIONS), choice(IDS)) for _ in range(self._random.randint(1, 5))]
        return f"produce({producer}, {topic}, {edits})", lambda: world.produce(producer, topic, edits)

    def _flow(self) -> tuple[str, Step]:
        choice, world, topic = self._random.choice, self._world, self._random.choice(TOPICS)
        batches = [[Edit(choice(ACTIONS), choice(IDS)) for _ in range(2)] for _ in range(self._random.randint(2, 20))]
        return f"flow({topic}, {batches})", lambda: world.flow(topic, batches)

    def _produce_large(self) -> tuple[str, Step]:
        topic, edit, world = self._random.choice(TOPICS), Edit("put", self._random.choice(LARGE_IDS)), self._world
        return f"produce(0, {topic}, [{edit}])", lambda: world.produce(0, topic, [edit])

    def _trim(self) -> tuple[str, Step]:
        world = self._world
        if self._random.random() < 0.5:
            partition = self._random.choice(PARTITIONS)
            return f"trim_read({partition})", lambda: world.trim_read(partition)
        topics = [self._random.choice(TOPICS) for _ in range(self._random.randint(1, 5))]
        changes = [(topic, Edit("put", self._random.choice(IDS))) for topic in topics]
        return f"trim_unread({changes})", lambda: world.trim_unread(changes)

    def _open_epoch(self) -> tuple[str, Step]:
        partition, lost, world = self._random.choice(PARTITIONS), self._random.randint(0, 6), self._world
        return f"open_epoch({partition}, {lost})", lambda: world.open_epoch(partition, lost)

    def _break_redis(self) -> tuple[str, Step]:
        lost, world = self._random.randint(0, 6), self._world
        if self._random.random() < 0.5:
            return "cut_redis()", world.cut_redis
        return f"restart_redis({lost})", lambda: world.restart_redis(lost)

    def _break_replica(self) -> tuple[str, Step]:
        """Break one of the replicas, or mend the one that is broken."""
        world, states = self._world, self._states
        broken = next((number for number, state in enumerate(states) if state != "up"), None)
        if broken is None:
            replica = self._random.randrange(REPLICAS)
            states[replica] = self._random.choice(["paused", "dead", "held"])
            breaks = {"paused": world.pause_replica, "dead": world.kill_replica, "held": world.hold_replica}[
                states[replica]
            ]
            return f"{breaks.__name__}({replica})", lambda: breaks(replica)
        mends = {"paused": world.resume_replica, "dead": world.start_replica, "held": world.release_replica}[
            states[broken]
        ]
        states[broken] = "up"
        return f"{mends.__name__}({broken})", lambda: mends(broken)

    def _move(self) -> tuple[str, Step]:
        client, replica, world = self._random.randrange(len(SEATS)), self._random.randrange(REPLICAS), self._world
        return f"move({client}, {replica})", lambda: world.move(client, replica)

    def _cut(self) -> tuple[str, Step]:
        client, world = self._random.randrange(len(SEATS)), self._world
        return f"cut({client})", lambda: world.cut(client)

    def _begin_anew(self) -> tuple[str, Step]:
        client, is_cut, world = self._random.randrange(len(SEATS)), self._random.random() < 0.5, self._world
        text = f"begin_anew({client}, is_cut_in_snapshot={is_cut})"
        return text, lambda: world.begin_anew(client, is_cut_in_snapshot=is_cut)

    def _set_unruly(self) -> tuple[str, Step]:
        client, is_unruly, world = self._random.choice(UNRULY_SEATS), self._random.random() < 0.7, self._world
        text = f"set_unruly({client}, is_unruly={is_unruly})"
        return text, lambda: world.set_unruly(client, is_unruly=is_unruly)


async def soak(minutes: float, seed: int, folder: Path) -> bool:
    """Run schedules until the time is over; False as soon as one fails."""
    postgres = await PostgresServer.create(folder / "postgres")
    valkey = ValkeyServer(folder / "valkey", durable=True)
    valkey.start()
    seen: Counter[str] = Counter()
    ends_at = time.monotonic() + 60 * minutes
    try:
        async with postgres.new_database() as database_url:
            await create_login(database_url, WORKSPACES)
            ground = Ground(folder, valkey, database_url)
            try:
                runs = 0
                while time.monotonic() < ends_at:
                    if not await _run(ground, f"{seed}-{runs}", seen):
                        return False
                    runs += 1
                    print(f"{runs} runs, {dict(seen)}", flush=True)
            finally:
                ground.close()
    finally:
        valkey.stop()
        postgres.stop()
    return True


async def _run(ground: Ground, seed: str, seen: Counter[str]) -> bool:
    random = Random(seed)
    world = World(ground, random)
    async with world:
        schedule = Schedule(world, random)
        try:
            for _ in range(STEPS_OF_A_RUN):
                await schedule.take_step()
            await world.rest()
        except AssertionError as error:
            print(f"run {seed} failed after these steps:", *schedule.last, "", error, sep="\n", file=sys.stderr)
            return False
        finally:
            seen += world.seen()
    return True


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.convergence", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        return 0 if asyncio.run(soak(arguments.minutes, arguments.seed, Path(folder))) else 1


if __name__ == "__main__":
    sys.exit(main())

"""Everything between a producer and a client's screen as real processes, with all that may go wrong on the way.

`Ground` is what stays: Valkey, two broadcasters. `World` is one run over it: producers, clients, and faults as methods,
to be called in any order. After each, `check` says whether anyone holds what never was; `rest` ends all faults and
waits until everyone holds what the log says.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.exceptions import RedisError
from websockets.exceptions import ConnectionClosed

from shared.change import decode_entry
from shared.errors import LogSealed
from shared.io.changelog.append import ChangeLog
from shared.io.changelog.script import append_script, encode_call
from shared.io.redis import open_redis
from shared.names import PartitionKeys, Topic, partition_of
from shared.operation import Draft, Operation
from shared.protocol import Delivery
from tests.support.broadcaster_process import BroadcasterProcess
from tests.support.client_topic import ClientTopic
from tests.support.forgiving_topic import ForgivingTopic
from tests.support.late_line import LateLine
from tests.support.log import open_partition, seal_partition
from tests.support.log_truth import Fold, LogTruth
from tests.support.logins import fresh_token
from tests.support.sync_client import SyncClient
from tests.support.unruly_proxy import UnrulyProxy
from tests.support.valkey import ValkeyServer

WORKSPACES = ("w_first", "w_second")
TOPICS = [Topic("w_first", "servers"), Topic("w_first", "agents"), Topic("w_second", "servers")]
PARTITIONS = [partition_of(workspace) for workspace in WORKSPACES]
REPLICAS = 2
PRODUCERS = 3
IDS = ["a", "b", "c", "d", "e", "f"]
LARGE_IDS = ["large-1", "large-2", "large-3", "large-4"]
LARGE_BYTES = 90_000
"""With all of them a snapshot comes in parts; a whole list stays below the 1 MiB that clients commonly take."""

READY_WITHIN_S = 30.0
REST_WITHIN_S = 30.0
"""By when everyone agrees, where nothing is broken any more; the protocol's own waits take up to 7 s of it."""

_LOOK_S = 0.05
_CHECK_S = 0.5
_FLOW_PAUSES_S = (0.0, 0.02, 0.12)
_MAX_UNFINISHED = 200


class Edit(NamedTuple):
    """A draft to be: `put`, `create`, `update` or `delete` of a record."""

    action: Any
    record_id: str


class Seat(NamedTuple):
    """What a client has subscribed to, and whether its network may be unruly."""

    topic: Topic
    delivery: Delivery
    may_be_unruly: bool


SEATS = [
    *(Seat(TOPICS[0], delivery, unruly) for delivery in Delivery for unruly in (False, True)),
    Seat(TOPICS[1], Delivery.BATCH, may_be_unruly=False),
    *(Seat(TOPICS[2], delivery, may_be_unruly=False) for delivery in Delivery),
    Seat(TOPICS[2], Delivery.BATCH, may_be_unruly=True),
]
UNRULY_SEATS = [number for number, seat in enumerate(SEATS) if seat.may_be_unruly]


class Ground:
    """The servers of all runs: a durable Valkey, and broadcasters over a database with one login."""

    def __init__(self, folder: Path, valkey: ValkeyServer, database_url: str) -> None:
        self.valkey = valkey
        url = urlsplit(valkey.url)
        assert url.port is not None
        at = url.netloc.removesuffix(f":{url.port}")
        self.lines = [LateLine(url.port) for _ in range(REPLICAS)]
        """What each broadcaster hears of the log comes over one of these."""
        environment = {"DATABASE_URL": database_url, "LOG_LEVEL": "warning"}
        self.replicas = [
            BroadcasterProcess(
                {**environment, "REDIS_URL": url._replace(netloc=f"{at}:{line.port}").geturl()},
                folder / f"broadcaster-{number}.log",
            )
            for number, line in enumerate(self.lines)
        ]

    def close(self) -> None:
        """End the broadcasters."""
        for replica, line in zip(self.replicas, self.lines, strict=True):
            replica.kill()
            line.close()


class WitnessedClient(SyncClient):
    """A client that is looked at after every message: it must hold what was true at its own epoch and version."""

    def __init__(self, seat: Seat, proxy: UnrulyProxy, truth: LogTruth) -> None:
        super().__init__(
            proxy.url,
            fresh_token,
            topic=seat.topic.resource,
            workspace=seat.topic.workspace_id,
            delivery=seat.delivery.value,
            state=_fresh_state(seat),
        )
        self.seat = seat
        self.proxy = proxy
        self.forgets = False
        """Whether it knows nothing any more when it connects next, like a page that is loaded again."""
        self.seen: Counter[str] = Counter()
        """What it met with before it has forgotten everything."""
        self._truth = truth

    async def _connect(self) -> None:
        if self.forgets:
            self.forgets = False
            self.seen += self.state.seen
            self.state = _fresh_state(self.seat)
        await super()._connect()

    async def _receive(self, socket: Any, message: dict[str, Any]) -> None:  # noqa: ANN401  (a connection)
        before = self.state.epoch
        await super()._receive(socket, message)
        if before is not None and self.state.epoch is not None and int(self.state.epoch) < int(before):
            # allowed, but worth counting: a replica that is behind has led it back into an epoch that is over
            self.seen["steps back"] += 1
        await self._truth.confirm(self.seat.topic, self.state)

    def raise_fault(self) -> None:
        """Raise what has ended it, if anything."""
        assert self._task is not None
        if self._task.done():
            self._task.result()

    async def ask_where_it_stands(self) -> None:
        """Ask for a bookmark where there is a subscription to ask about."""
        if self.state.is_current and self._socket is not None:
            with suppress(ConnectionClosed):
                await self.check()


def _fresh_state(seat: Seat) -> ClientTopic:
    return ForgivingTopic() if seat.may_be_unruly else ClientTopic()


class World:
    """One run over a ground. Use it as a context; every method is one step of what may happen."""

    def __init__(self, ground: Ground, random: Random) -> None:
        self.ground = ground
        self.clients: list[WitnessedClient] = []
        self._random = random
        self._stack = AsyncExitStack()
        self._numbers = count(1)
        self._unfinished: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._redis = self._open_redis()
        self.truth = LogTruth(self._redis, TOPICS)
        self._logs = [ChangeLog(self._open_redis()) for _ in range(PRODUCERS)]
        for partition in PARTITIONS:
            await self.truth.skip_to_end(partition)
        for partition in PARTITIONS:
            await self._open(partition, self.truth.positions[partition].epoch + 1, lost_versions=None)
        for number, seat in enumerate(SEATS):
            proxy = UnrulyProxy(self.ground.replicas[number % REPLICAS].url, self._random)
            proxy.is_unruly = seat.may_be_unruly
            await self._stack.enter_async_context(proxy.serving())
            client = WitnessedClient(seat, proxy, self.truth)
            await self._stack.enter_async_context(client)
            self.clients.append(client)
        await self._heal_replicas()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._unfinished:
            task.cancel()
        await asyncio.gather(*self._unfinished, return_exceptions=True)
        await self._stack.aclose()

    def _open_redis(self) -> Redis:
        redis = open_redis(self.ground.valkey.url)
        self._stack.push_async_callback(redis.aclose)
        return redis

    # what producers do

    async def produce(self, producer: int, topic: Topic, edits: Sequence[Edit]) -> None:
        """Begin to append one operation; it ends when the log takes it."""
        if len(self._unfinished) >= _MAX_UNFINISHED:
            await asyncio.wait(self._unfinished, return_when=asyncio.FIRST_COMPLETED)
        drafts = tuple(self._draft(edit) for edit in edits)
        operation = Operation(topic=topic, drafts=drafts, actor=f"producer-{producer}")
        task = asyncio.create_task(_append(self._logs[producer], operation))
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)

    async def flow(self, topic: Topic, batches: Sequence[Sequence[Edit]]) -> None:
        """Append one operation after the other, some of them within a tick of their predecessor, others not."""
        for number, batch in enumerate(batches):
            await self.produce(number % PRODUCERS, topic, batch)
            await asyncio.sleep(self._random.choice(_FLOW_PAUSES_S))  # the pace is a part of the schedule

    def _draft(self, edit: Edit) -> Draft:
        if edit.action == "delete":
            return Draft(id=edit.record_id, action="delete")
        data: dict[str, Any] = {"number": next(self._numbers)}
        if edit.record_id in LARGE_IDS:
            data["padding"] = "x" * LARGE_BYTES
        return Draft(id=edit.record_id, action=edit.action, data=json.dumps(data).encode())

    # what happens to the log

    async def trim_read(self, partition: int) -> None:
        """Trim all but the newest entry, as of a moment at which the replicas may or may not have read it."""
        await self.truth.read()
        await self._when_redis_is_there(
            lambda: self._redis.xtrim(PartitionKeys(partition).log, minid=str(self.truth.positions[partition]))
        )

    async def trim_unread(self, changes: Sequence[tuple[Topic, Edit]]) -> None:
        """Append to topics of the first one's partition, and trim all but the last entry in the same step.

        No replica has read what is trimmed, and what is left may be of another topic.
        """
        await self._settled()
        partition = partition_of(changes[0][0].workspace_id)
        await self.truth.read()
        async with self.truth.lock:
            position = self.truth.positions[partition]
            _, sha = append_script(partition, position.epoch)
            log = PartitionKeys(partition).log
            calls = [
                encode_call([Operation(topic=topic, drafts=(self._draft(edit),), actor="trimmed")])
                for topic, edit in changes
                if partition_of(topic.workspace_id) == partition
            ]
            async with self._redis.pipeline(transaction=True) as pipe:
                for call in calls:
                    pipe.evalsha(sha, 0, *call)  # type: ignore[arg-type]  # redis-py wants text
                pipe.xrange(log, min=f"({position}")
                pipe.xtrim(log, maxlen=1, approximate=False)
                *_, entries, _ = await pipe.execute()
            for entry_id, fields in entries:
                self.truth.take(partition, decode_entry(entry_id, fields))

    async def open_epoch(self, partition: int, lost_versions: int) -> None:
        """Open the next epoch, in which the newest versions of every topic have never happened."""
        await self._open(partition, self.truth.positions[partition].epoch + 1, lost_versions=lost_versions)

    async def _open(self, partition: int, epoch: int, *, lost_versions: int | None) -> None:
        """Open an epoch; where `lost_versions` is None, everything is lost."""
        await self._when_redis_is_there(lambda: seal_partition(self._redis, partition, epoch))
        topics = [topic for topic in TOPICS if partition_of(topic.workspace_id) == partition]
        states: dict[Topic, tuple[int, Fold]] = {topic: (0, {}) for topic in topics}
        if lost_versions is not None:
            await self.truth.read()
            states = {topic: self.truth.fold(topic, behind=lost_versions) for topic in topics}
        self.truth.plan(partition, epoch, states)
        encoded = {
            topic: (
                version,
                {key: b"%d " % item.version + json.dumps(item.data).encode() for key, item in fold.items()},
            )
            for topic, (version, fold) in states.items()
        }
        await open_partition(self._redis, partition, epoch, encoded)
        await self.truth.read()

    async def cut_redis(self) -> None:
        """Drop every connection to Redis."""
        await self._redis.client_kill_filter(_type="normal", skipme=True)
        await self._redis.connection_pool.disconnect(inuse_connections=False)

    async def restart_redis(self, lost_versions: int) -> None:
        """Kill Redis and start it again; the log stays closed until a guardian has opened the next epoch."""
        self.ground.valkey.kill()
        self.ground.valkey.start()
        await self._redis.connection_pool.disconnect(inuse_connections=False)
        for partition in PARTITIONS:
            await self.open_epoch(partition, lost_versions)

    async def _when_redis_is_there(self, call: Callable[[], Awaitable[Any]]) -> None:
        async with asyncio.timeout(READY_WITHIN_S):
            while True:
                try:
                    await call()
                except (RedisError, OSError):
                    await asyncio.sleep(_LOOK_S)
                else:
                    return

    # what happens to broadcasters

    def pause_replica(self, replica: int) -> None:
        """Let a broadcaster stand still: it falls behind."""
        self.ground.replicas[replica].pause()

    def resume_replica(self, replica: int) -> None:
        """Let it go on from where it stood."""
        self.ground.replicas[replica].resume()

    def hold_replica(self, replica: int) -> None:
        """Let a broadcaster hear nothing new of the log: it falls behind, and goes on serving."""
        self.ground.lines[replica].hold()

    def release_replica(self, replica: int) -> None:
        """Let it hear what it has missed."""
        self.ground.lines[replica].release()

    def kill_replica(self, replica: int) -> None:
        """End a broadcaster."""
        self.ground.replicas[replica].kill()

    def start_replica(self, replica: int) -> None:
        """Start it again."""
        self.ground.replicas[replica].start()

    # what happens to clients

    def move(self, client: int, replica: int) -> None:
        """Let a client lose its connection, and come back to this broadcaster."""
        proxy = self.clients[client].proxy
        proxy.target = self.ground.replicas[replica].url
        proxy.cut()

    def cut(self, client: int) -> None:
        """Let a client lose its connection."""
        self.clients[client].proxy.cut()

    def begin_anew(self, client: int, *, is_cut_in_snapshot: bool) -> None:
        """Let a client forget everything, and maybe lose its next connection in the middle of a snapshot."""
        chosen = self.clients[client]
        chosen.forgets = True
        chosen.proxy.cuts_next_snapshot = is_cut_in_snapshot
        chosen.proxy.cut()

    def set_unruly(self, client: int, *, is_unruly: bool) -> None:
        """Let a client's messages come late, twice, or not at all, from now on, or no longer."""
        self.clients[client].proxy.is_unruly = is_unruly

    # what must hold

    def check(self) -> None:
        """Raise what a client has met with so far; where messages keep their order, nobody meets a gap."""
        for client in self.clients:
            client.raise_fault()
            if not client.seat.may_be_unruly:
                assert 0 == client.state.seen["gaps"], f"{client.seat}: {client.describe()}"
        for replica in self.ground.replicas:
            assert replica.is_running or replica._process is None, replica.log.read_text()[-4_000:]

    async def rest(self) -> None:
        """End all faults, and wait until every client holds what the log says, and the server agrees."""
        for client in self.clients:
            client.proxy.is_unruly = client.proxy.cuts_next_snapshot = False
        await self._heal_replicas()
        await self._settled()
        await self.truth.read()
        asking = asyncio.create_task(self._keep_asking())
        try:
            await asyncio.gather(*(self._converged(client) for client in self.clients))
        finally:
            asking.cancel()
            await asyncio.wait({asking})
        self.check()

    def seen(self) -> Counter[str]:
        """Count what the clients have met with, and how their connections ended."""
        counts: Counter[str] = Counter()
        for client in self.clients:
            counts += client.seen + client.state.seen
            counts += Counter({f"closes {code}": number for code, number in client.closes.items()})
            counts["snapshots cut"] += client.proxy.snapshots_cut
        counts["versions"] = self.truth.versions_read
        return counts

    async def _converged(self, client: WitnessedClient) -> None:
        topic = client.seat.topic
        (epoch, version), (_, fold) = self.truth.standing(topic), self.truth.fold(topic)

        def agrees(state: ClientTopic) -> bool:
            return (state.epoch, state.version) == (str(epoch), version)

        try:
            await client.until(agrees, timeout_s=REST_WITHIN_S)
            bookmarks = client.state.seen["bookmarks"]
            # the digest of each was compared with that of the items
            await client.until(
                lambda state: agrees(state) and state.seen["bookmarks"] > bookmarks, timeout_s=REST_WITHIN_S
            )
        except AssertionError as error:
            raise AssertionError(f"{client.seat} did not come to {epoch}-{version}: {error}") from error
        assert fold == client.state.items
        assert self.truth.digest(topic) == client.state.digest

    async def _keep_asking(self) -> None:
        """Ask for bookmarks, which would come by themselves every half minute."""
        while True:
            for client in self.clients:
                await client.ask_where_it_stands()
            await asyncio.sleep(_CHECK_S)

    async def _heal_replicas(self) -> None:
        for line in self.ground.lines:
            line.release()
        for replica in self.ground.replicas:
            if not replica.is_running:
                replica.start()
            elif replica.is_paused:
                replica.resume()
        async with asyncio.timeout(READY_WITHIN_S):
            for replica in self.ground.replicas:
                while not await asyncio.to_thread(replica.is_ready):
                    await asyncio.sleep(_LOOK_S)

    async def _settled(self) -> None:
        """Wait until every append has ended in one way or another."""
        if self._unfinished:
            await asyncio.wait(self._unfinished)


async def _append(log: ChangeLog, operation: Operation) -> None:
    with suppress(LogSealed):  # whether it has happened is in the log
        await log.append(operation)

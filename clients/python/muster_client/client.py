"""The client: topics of one workspace, kept in step with the server over one connection.

async with MusterClient("https://muster.example.org", token=...) as muster:
    async for change in muster.watch("servers"):
        print(change.action, change.id, change.data)
"""

import asyncio
from collections.abc import Callable, Mapping
from types import MappingProxyType, TracebackType
from typing import Self

from muster_client.connection import Connection, ConnectionEvent
from muster_client.errors import Closed, MusterError, MustRefetch
from muster_client.messages import Change, Delivery, Item, Position
from muster_client.subscription import Subscription
from muster_client.tokens import Tokens, TokenSource

LIVE_WITHIN_S = 30.0
CHECK_WITHIN_S = 10.0

_TURN = 100  # changes that a watcher may take before everybody else gets a turn


class MusterClient:
    """A client of the server at `url`, connected as long as its `async with` block lasts.

    `token` is an access token or an API token, or an async callable that gives a fresh one, such as `login(...)`.
    `workspace` is the id of one of the user's workspaces; who is in one need not name it. `on_connection` is told when
    the connection stands, and when it is lost and tried again. Raises ValueError for what is no address.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | TokenSource,
        workspace: str | None = None,
        on_connection: Callable[[ConnectionEvent], None] | None = None,
    ) -> None:
        self._connection = Connection(url, Tokens(token), workspace, on_connection)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._connection.ended = None
        self._task = asyncio.create_task(self._connection.run(), name="muster-client")
        self._task.add_done_callback(self._end)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # a task of its own and no TaskGroup around the block: the block's own errors must come out as they are
        assert self._task is not None  # noqa: S101 - it was made on entering
        self._task.cancel()
        await asyncio.wait((self._task,))
        fault = None if self._task.cancelled() else self._task.exception()
        if fault is not None and error is None and not isinstance(fault, MusterError):
            raise fault  # a defect of the client, which nobody may have waited to hear of

    def _end(self, task: asyncio.Task[None]) -> None:
        fault = None if task.cancelled() else task.exception()
        self._connection.end(fault if isinstance(fault, Exception) else Closed("the client was closed"))

    def topic(
        self,
        name: str,
        *,
        delivery: Delivery | None = None,
        tick_ms: int | None = None,
        since: Position | str | None = None,
    ) -> "Topic":
        """Return a topic, which is subscribed from now on until the client is closed.

        `delivery` is `batch` unless something else is asked for, `tick_ms` is how often the server may send changes at
        most. With `since` it goes on from there, and holds only what has changed. A topic is subscribed once: raises
        ValueError for one that is, in another way.
        """
        subscription = self._subscribe(name, delivery, tick_ms, since)
        subscription.is_kept = True
        return Topic(self._connection, subscription)

    def watch(
        self,
        name: str,
        *,
        delivery: Delivery | None = None,
        tick_ms: int | None = None,
        since: Position | str | None = None,
    ) -> "Watch":
        """Return the changes of a topic, which is subscribed as long as anybody holds such; for parameters see `topic`.

        First come all records as they stand, then every change. Whoever folds them holds what the server holds. For a
        consumer that is slow, changes are conflated: the last of each record is kept. With `since` come the changes
        after it; iterating raises MustRefetch when these cannot be told any more.
        """
        subscription = self._subscribe(name, delivery, tick_ms, since)
        if since is None and subscription.state.is_partial:
            raise ValueError(f"{name} is followed from a position: watch it whole with another client")
        return Watch(self._connection, subscription)

    def _subscribe(
        self, name: str, delivery: Delivery | None, tick_ms: int | None, since: Position | str | None
    ) -> Subscription:
        position = Position.parse(since) if isinstance(since, str) else since
        subscription = self._connection.subscriptions.get(name)
        if subscription is None or not (subscription.is_wanted or _is_same(subscription, delivery, tick_ms, position)):
            subscription = Subscription(name, delivery or "batch", tick_ms, position)
            self._connection.add(subscription)
        elif position is not None:
            raise ValueError(f"{name} is subscribed already, and cannot go on from a position")
        elif delivery not in {None, subscription.delivery} or tick_ms not in {None, subscription.tick_ms}:
            raise ValueError(f"{name} is subscribed already, in another way")
        else:
            subscription.want(asyncio.get_running_loop().time())
            self._connection.wake()
        return subscription


def _is_same(
    subscription: Subscription, delivery: Delivery | None, tick_ms: int | None, position: Position | None
) -> bool:
    """Whether a subscription that nobody wanted any more leads to what is wished for now."""
    held = (subscription.delivery, subscription.tick_ms, subscription.state.is_partial)
    return position is None and held == (delivery or "batch", tick_ms, False)


class Topic:
    """One topic, as it stands; `items` are its records by their id, a live view that nobody may change."""

    def __init__(self, connection: Connection, subscription: Subscription) -> None:
        self.name = subscription.topic
        self.subscription = subscription
        self.items: Mapping[str, Item] = MappingProxyType(subscription.state.items)
        self._connection = connection

    @property
    def position(self) -> Position | None:
        """Epoch and version together, None until something is known."""
        return self.subscription.state.position

    @property
    def epoch(self) -> str | None:
        """The epoch that the version is of, None until something is known."""
        return self.position.epoch if self.position else None

    @property
    def version(self) -> int:
        """How many changes the topic has had; 0 until something is known."""
        return self.position.version if self.position else 0

    @property
    def digest(self) -> int:
        """The digest of the records, as the protocol defines it."""
        return self.subscription.state.digest

    @property
    def is_live(self) -> bool:
        """Whether this is what the server last said, and the connection stands."""
        return self._connection.is_open and self.subscription.state.is_current

    async def until_live(self, *, timeout_s: float = LIVE_WITHIN_S) -> None:
        """Wait until `is_live`; raises TimeoutError, Refused, SignedOut."""
        async with asyncio.timeout(timeout_s):
            while not self.is_live:
                await self._connection.wait(self.name)

    async def check(self, *, timeout_s: float = CHECK_WITHIN_S) -> bool:
        """Ask the server where it stands, and return whether the records held here are the same at the same version.

        Where they are not, they are fetched again by themselves. Raises TimeoutError, Refused, SignedOut; MustRefetch
        for a topic that is followed from a position.
        """
        if self.subscription.state.is_partial:
            raise MustRefetch(f"{self.name} is followed from a position, and its records are not all here")
        before = self.subscription.proofs
        self.subscription.want_check(asyncio.get_running_loop().time())
        self._connection.wake()
        async with asyncio.timeout(timeout_s):
            while self.subscription.proofs == before:
                await self._connection.wait(self.name)
        return self.subscription.was_proven


class Watch:
    """The changes of a topic for one consumer: an async iterator, which ends when the client is closed.

    Raises Refused, SignedOut or MustRefetch when no more changes can come, NotOpen before the client is entered. One
    task may iterate at a time.
    """

    def __init__(self, connection: Connection, subscription: Subscription) -> None:
        self._connection = connection
        self._topic = subscription.topic
        self._feed = subscription.new_feed()
        self._taken = 0

    @property
    def position(self) -> Position | None:
        """Up to where every change was given, None while that is nowhere; a later `since` misses nothing."""
        return self._feed.position

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        self._taken += 1
        if self._taken % _TURN == 0:
            await asyncio.sleep(0)
        while True:
            if self._feed.is_broken:
                raise MustRefetch(f"what {self._topic} went through since the given position is not known any more")
            if (change := self._feed.take()) is not None:
                return change
            try:
                await self._connection.wait(self._topic)
            except Closed:
                raise StopAsyncIteration from None

"""Plays the client's side of a script against a real broadcaster over a real log.

What happens to the server, by the `world` steps:

    {"people": {"token": {"user": "u_1", "workspaces": ["w_first"], "lasts_s": 900}}}   who is known by this token
    {"end_login": "session_1"}       the login behind the connections ends
    {"identities_down": true}        tokens cannot be checked
    {"seal": true}                   the log has no epoch
    {"trim": true}                   what the log has said so far is forgotten, but not what it led to
    {"drain": true}                  the replica is asked to stop
    {"others": 1}                    so many other clients of the same user connect
    {"too_slow": true}               the client reads nothing until the server has lost its patience
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from typing import Any, ClassVar

import msgspec
import pytest
from redis.asyncio import Redis
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from services.broadcaster.limits import Limits
from services.broadcaster.outbox import Bounds
from services.broadcaster.pace import Pace
from shared.io.changelog.append import ChangeLog
from shared.names import PARTITIONS, PartitionKeys, Topic
from shared.operation import Draft, Operation
from shared.tokens import Principal
from tests.conformance.document import is_as_documented
from tests.conformance.script import TOPIC, WORKSPACE, Message, Script, canonical_json, expanded, is_match
from tests.support.broadcaster import Broadcaster, FakeAuthenticator, broadcasting, principal, raw_client
from tests.support.client_topic import ClientTopic
from tests.support.log import open_log
from tests.support.sync_client import SUBPROTOCOL

WITHIN_S = 5.0
QUIET = Pace(bookmark_s=3600)
"""The server's own pace, but no bookmarks that a script does not ask for."""

_LARGE = b'{"notes":"%s"}' % os.urandom(50_000).hex().encode()  # hardly to be deflated
_TOPIC_MESSAGES = {"snapshot", "subscribed", "changes", "sync", "full", "bookmark"}


class ServerPlayer:
    """One script, one server, one client at a time. `model` is the strict client, fed with all that the server says."""

    def __init__(
        self, script: Script, redis: Redis, broadcaster: Broadcaster, people: FakeAuthenticator, within_s: float
    ) -> None:
        self._script = script
        self._redis = redis
        self._broadcaster = broadcaster
        self._people = people
        self._within_s = within_s
        self._model = ClientTopic()
        self._stack = AsyncExitStack()
        self._connection: ClientConnection | None = None
        self._tokens = 1

    async def play(self) -> None:
        """Play all steps; raises AssertionError at the first that does not go as the script says."""
        async with self._stack:
            for number, step in enumerate(self._script.steps, 1):
                ((kind, value),) = step.items()
                try:
                    async with asyncio.timeout(self._within_s):
                        await self._steps[kind](self, value)
                except (AssertionError, TimeoutError) as error:
                    said = str(error) or f"not within {self._within_s} s"
                    raise AssertionError(
                        f"{self._script.name}, step {number} {canonical_json(step)}: {said}"
                    ) from error
            assert [] == await self._rest(), "the server says more than the script"

    async def _open(self, how: Message) -> None:
        del how
        self._model.disconnect()
        self._connection = await self._stack.enter_async_context(
            connect(self._broadcaster.url, subprotocols=[SUBPROTOCOL], proxy=None, close_timeout=1, max_size=None)
        )

    async def _say(self, message: Message) -> None:
        message = expanded(message)
        if message.get("token") in {"*", "*new"}:
            self._tokens += message["token"] == "*new"
            message = {**message, "token": f"token-{self._tokens}"}
        if message["op"] == "subscribe" and self._script.has_expectations:
            asked = self._model.ask().since
            assert asked == message.get("since"), f"a client that holds what this one does asks with {asked}"
        await self._say_text(json.dumps(message))

    async def _say_text(self, text: str) -> None:
        assert self._connection is not None
        await self._connection.send(text)

    async def _hear(self, expected: Message) -> None:
        assert self._connection is not None
        try:
            actual = json.loads(await self._connection.recv())
        except ConnectionClosed as closed:
            raise AssertionError(f"the server has closed: {closed}") from closed
        assert is_match(expanded(expected), actual), f"the server says {canonical_json(actual)}"
        assert is_as_documented(actual), f"{canonical_json(actual)} has other fields than the document's"
        if self._script.has_expectations and actual["op"] in _TOPIC_MESSAGES:
            self._model.receive(actual)

    async def _hear_close(self, how: int | Message) -> None:
        assert self._connection is not None
        code, reason = (how, "") if isinstance(how, int) else (how["code"], how.get("reason", ""))
        with pytest.raises(ConnectionClosed) as closed:
            raise AssertionError(f"the server says {str(await self._connection.recv())[:2_000]}")
        frame = closed.value.rcvd
        assert frame is not None, "the connection broke"
        assert code == frame.code, f"closed with {frame}"
        assert reason in frame.reason, f"closed with {frame}"

    async def _break(self, how: bool) -> None:
        del how
        assert self._connection is not None
        self._connection.transport.abort()
        await self._connection.wait_closed()

    async def _expect(self, state: Message) -> None:
        model = self._model
        items = {record_id: {"version": item.version, "data": item.data} for record_id, item in model.items.items()}
        actual = {"items": items, "epoch": model.epoch, "version": model.version}
        named = {key: value for key, value in expanded(state).items() if key in actual}
        assert named == {key: actual[key] for key in named}, canonical_json(actual)

    async def _append(self, what: Any) -> None:  # noqa: ANN401  (a list of records, or {"topic", "records"})
        resource, records = (what["topic"], what["records"]) if isinstance(what, dict) else (TOPIC, what)
        drafts = tuple(_draft(record) for record in expanded(records))
        operation = Operation(topic=Topic(WORKSPACE, resource), drafts=drafts, actor="conformance")
        await ChangeLog(self._redis).append(operation)

    async def _begin_epoch(self, epoch: int) -> None:
        await open_log(self._redis, epoch=epoch)

    async def _change_world(self, what: Message) -> None:
        for event, value in what.items():
            await self._events[event](self, value)

    async def _people_changed(self, people: Message) -> None:
        self._people.principals.update(_principals(people))

    async def _login_ended(self, session: str) -> None:
        self._people.ended.add(session)

    async def _identities_down(self, is_down: bool) -> None:
        self._people.is_down = is_down

    async def _sealed(self, is_sealed: bool) -> None:
        assert is_sealed
        await self._redis.delete(*(PartitionKeys(partition).epoch for partition in range(PARTITIONS)))

    async def _trimmed(self, is_trimmed: bool) -> None:
        assert is_trimmed
        for partition in range(PARTITIONS):
            await self._redis.xtrim(PartitionKeys(partition).log, maxlen=0, approximate=False)

    async def _draining(self, is_draining: bool) -> None:
        assert is_draining
        draining = asyncio.create_task(self._broadcaster.connections.drain())
        self._stack.push_async_callback(lambda: draining)

    async def _others(self, count: int) -> None:
        for _ in range(count):
            await self._stack.enter_async_context(raw_client(self._broadcaster, "token-1"))

    async def _too_slow(self, is_slow: bool) -> None:
        assert is_slow
        assert self._connection is not None
        (connection,) = self._broadcaster.connections._connections
        self._connection.transport.pause_reading()
        log = ChangeLog(self._redis)
        while connection._closing is None:
            draft = Draft(id="s_1", action="put", data=_LARGE)
            await log.append(Operation(topic=Topic(WORKSPACE, TOPIC), drafts=(draft,), actor="conformance"))
        self._connection.transport.resume_reading()
        with suppress(ConnectionClosed):
            while True:
                message = json.loads(await self._connection.recv())
                assert message["op"] == "changes", f"the server says {canonical_json(message)}"

    async def _rest(self) -> list[str]:
        """Close, and return what the server has said that nobody has heard."""
        if self._connection is None:
            return []
        closing = asyncio.create_task(self._connection.close())
        rest = []
        with suppress(ConnectionClosed):
            while True:
                rest.append(str(await self._connection.recv()))
        await closing
        return rest

    _steps: ClassVar[dict[str, Callable[[ServerPlayer, Any], Awaitable[None]]]] = {
        "open": _open,
        "client": _say,
        "client_text": _say_text,
        "server": _hear,
        "close": _hear_close,
        "break": _break,
        "expect": _expect,
        "append": _append,
        "epoch": _begin_epoch,
        "world": _change_world,
    }
    _events: ClassVar[dict[str, Callable[[ServerPlayer, Any], Awaitable[None]]]] = {
        "people": _people_changed,
        "end_login": _login_ended,
        "identities_down": _identities_down,
        "seal": _sealed,
        "trim": _trimmed,
        "drain": _draining,
        "others": _others,
        "too_slow": _too_slow,
    }


async def play_against_server(script: Script, redis: Redis, *, within_s: float = WITHIN_S) -> None:
    """Start a broadcaster as the script wants it, and play the script against it; raises AssertionError.

    `within_s` is the time that each step may take.
    """
    settings = script.settings
    people = FakeAuthenticator()
    people.principals = {f"token-{number}": principal(WORKSPACE) for number in range(1, 10)}
    people.principals.update(_principals(settings.get("people", {})))
    failure: AssertionError | None = None
    async with broadcasting(
        redis,
        people,
        pace=msgspec.structs.replace(QUIET, **settings.get("pace", {})),
        limits=Limits(**settings.get("limits", {})),
        bounds=Bounds(**settings.get("bounds", {})),
        logins_check_s=0.05,
    ) as broadcaster:
        try:
            await ServerPlayer(script, redis, broadcaster, people, within_s).play()
        except AssertionError as error:  # raised outside, where no group wraps it
            failure = error
    if failure is not None:
        raise failure


def _principals(people: Message) -> dict[str, Principal]:
    return {
        token: principal(
            *who.get("workspaces", [WORKSPACE]),
            user=who.get("user", "u_1"),
            lasts=timedelta(seconds=who.get("lasts_s", 900)),
        )
        for token, who in people.items()
    }


def _draft(record: Message) -> Draft:
    if record["data"] is None:
        return Draft(id=record["id"], action="delete")
    return Draft(id=record["id"], action="put", data=json.dumps(record["data"]).encode())

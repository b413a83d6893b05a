"""Clients and servers with a defect that the script for it must find: a script that cannot fail shows nothing."""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple
from zlib import crc32

import pytest
from redis.asyncio import Redis

from services.broadcaster import channel, session
from services.broadcaster.channel import Channel
from services.broadcaster.limits import TokenBucket
from services.broadcaster.session import Session
from shared.topic import Resume, TopicState
from tests.conformance.client_side import play_against_client
from tests.conformance.clients import SupportClient
from tests.conformance.script import Script, scripts
from tests.conformance.server_side import play_against_server
from tests.support.client_topic import Ask, ClientTopic, Item, Message

WITHIN_S = 0.5
SERVER_WITHIN_S = 1.5


class AcrossGaps(ClientTopic):
    def _changes(self, message: Message) -> Ask | None:
        if message["epoch"] == self.epoch and message["prev"] > self.version:
            self.version = message["prev"]
        return super()._changes(message)


class Duplicates(ClientTopic):
    def _changes(self, message: Message) -> Ask | None:
        for change in message["changes"]:
            self._apply(change)
        return super()._changes(message)


class DuplicatesAsGaps(ClientTopic):
    def _changes(self, message: Message) -> Ask | None:
        return self.ask() if message["version"] <= self.version else super()._changes(message)


class WholeOverlaps(ClientTopic):
    def _changes(self, message: Message) -> Ask | None:
        if message["prev"] < self.version < message["version"]:
            self.version = message["prev"]
        return super()._changes(message)


class OverlapsAsGaps(ClientTopic):
    def _changes(self, message: Message) -> Ask | None:
        return self.ask() if message["prev"] < self.version < message["version"] else super()._changes(message)


class Resubscribed(ClientTopic):
    def _subscribed(self, message: Message) -> Ask | None:
        self.items.clear()
        return super()._subscribed(message)


class AnyEpoch(ClientTopic):
    def receive(self, message: Message) -> Ask | None:
        return super().receive({**message, "epoch": "1"})


class ResumingOverEpochs(ClientTopic):
    def _new_epoch(self) -> Ask:
        return self.ask()


class AnyDigest(ClientTopic):
    def _bookmark(self, message: Message) -> Ask | None:
        return super()._bookmark({**message, "digest": self.digest})


class NoBookmarks(ClientTopic):
    def _bookmark(self, message: Message) -> Ask | None:
        del message
        return None


class OneBookmarkMore(ClientTopic):
    def _bookmark(self, message: Message) -> Ask | None:
        return self.ask() if message["version"] < self.version else super()._bookmark(message)


class PartByPart(ClientTopic):
    def _snapshot(self, message: Message) -> Ask | None:
        self.items |= {item["id"]: Item(item["version"], item["data"]) for item in message["items"]}
        self.epoch, self.version, self._wants_snapshot = message["epoch"], message["version"], False
        return super()._snapshot(message)


class Adding(ClientTopic):
    def _snapshot(self, message: Message) -> Ask | None:
        held = self.items
        ask = super()._snapshot(message)
        self.items = {**held, **self.items}
        return ask


class SumOfAll(ClientTopic):
    @property
    def digest(self) -> int:
        return sum(crc32(f"{record_id}:{item.version}".encode()) for record_id, item in self.items.items())


class NoSingleChanges(ClientTopic):
    def _sync(self, message: Message) -> Ask | None:
        del message
        return None


class NoDeletions(ClientTopic):
    def _apply(self, change: Message) -> None:
        if change["action"] != "deleted":
            super()._apply(change)


class NeverResuming(ClientTopic):
    def ask(self) -> Ask:
        super().ask()
        self._asked = None
        return Ask(None)


TOPICS = [
    (AcrossGaps, "nothing is applied across a gap"),
    (AcrossGaps, "a gap between single changes is not applied across"),
    (Duplicates, "a duplicate is skipped"),
    (DuplicatesAsGaps, "a duplicate is skipped"),
    (Duplicates, "single changes that come twice are skipped"),
    (WholeOverlaps, "of an overlap only what is new is applied"),
    (OverlapsAsGaps, "of an overlap only what is new is applied"),
    (AnyEpoch, "changes of another epoch lead to a snapshot"),
    (AnyEpoch, "single changes of another epoch lead to a snapshot"),
    (AnyEpoch, "a whole list of another epoch leads to a snapshot"),
    (AnyEpoch, "a bookmark of another epoch leads to a snapshot"),
    (ResumingOverEpochs, "changes of another epoch lead to a snapshot"),
    (AnyDigest, "another digest leads to a snapshot"),
    (SumOfAll, "a digest is a sum modulo 2^32"),
    (Resubscribed, "what comes before the answer does no harm"),
    (NoBookmarks, "a bookmark ahead shows what was missed"),
    (OneBookmarkMore, "a bookmark of an earlier version is skipped"),
    (PartByPart, "half a snapshot is worth nothing"),
    (PartByPart, "half a snapshot does not touch what is held"),
    (Adding, "a snapshot that was not asked for replaces everything"),
    (NoSingleChanges, "each change comes by itself"),
    (NoDeletions, "the next changes are applied"),
    (NeverResuming, "a client that missed something recovers it"),
]


@pytest.mark.parametrize(("topic", "name"), TOPICS, ids=[f"{topic.__name__}: {name}" for topic, name in TOPICS])
async def test_a_topic_with_a_defect_is_found(topic: type[ClientTopic], name: str) -> None:
    client = SupportClient()
    client.new_topic = lambda: topic(heals=True)
    await _play_in_vain(name, client)


class SameToken(SupportClient):
    async def _token(self) -> str:
        return "token-1"


class Untiring(SupportClient):
    async def open(self, url: str, delivery: str) -> None:
        await super().open(url, delivery)
        assert self._client is not None
        self._client.fatal_codes = frozenset()


class Impatient(SupportClient):
    async def open(self, url: str, delivery: str) -> None:
        await super().open(url, delivery)
        assert self._client is not None
        self._client.pause_of = lambda reason: 0.0 * len(reason)  # type: ignore[method-assign]


class Slow(SupportClient):
    async def open(self, url: str, delivery: str) -> None:
        await super().open(url, delivery)
        assert self._client is not None
        self._client.pause_of = lambda reason: 2.2 + 0.0 * len(reason)  # type: ignore[method-assign]


class Deaf(SupportClient):
    async def open(self, url: str, delivery: str) -> None:
        """Ask for batches, whatever is wanted."""
        del delivery
        await super().open(url, "batch")


CONNECTIONS: list[tuple[type[SupportClient], str]] = [
    (SameToken, "a token that is not accepted is renewed"),
    (SameToken, "a token that has ended is renewed"),
    (Untiring, "who was malformed does not come back"),
    (Untiring, "who is forbidden does not come back"),
    (Impatient, "who finds no place comes back after the time named"),
    (Deaf, "each change comes by itself"),
]


@pytest.mark.parametrize(("kind", "name"), CONNECTIONS, ids=[f"{kind.__name__}: {name}" for kind, name in CONNECTIONS])
async def test_a_connection_with_a_defect_is_found(kind: type[SupportClient], name: str) -> None:
    await _play_in_vain(name, kind())


async def test_a_client_that_does_not_come_back_at_once_is_found() -> None:
    with pytest.raises(AssertionError, match="it has come back after 2"):
        await play_against_client(_named("who is sent to another replica resumes"), Slow(), within_s=10)


async def _play_in_vain(name: str, client: SupportClient) -> None:
    with pytest.raises(AssertionError):
        await play_against_client(_named(name), client, within_s=WITHIN_S)


class Defect(NamedTuple):
    """What a method of the server, or a function of a module, does instead of what it should."""

    kind: type | ModuleType
    method: str
    instead: object


SERVERS: list[tuple[Defect, str]] = [
    (Defect(TopicState, "resume", lambda *_: Resume.REFETCH), "a client that missed something recovers it"),
    (Defect(TopicState, "resume", lambda *_: Resume.RECOVER), "a version that never was gets a snapshot"),
    (Defect(TopicState, "resume", lambda *_: Resume.REFETCH), "a server that is behind its client waits"),
    (Defect(TopicState, "resume", lambda *_: Resume.RECOVER), "what the log does not reach back to gets a snapshot"),
    (Defect(channel, "_resume", lambda *_: Resume.WAIT), "an earlier epoch gets a snapshot at once"),
    (Defect(session, "_tick_s", lambda _: 0.0), "a longer tick is granted"),
    (Defect(session, "_tick_s", lambda _: 0.0), "the whole list comes at most once a tick"),
    (Defect(Channel, "_order_bookmarks", lambda *_: None), "bookmarks come by themselves"),
    (Defect(Session, "reject", lambda *_: ()), "a renewal with an unknown token closes"),
    (Defect(Session, "_of_subscribed", lambda *_: ()), "of a topic in two workspaces one is named"),
    (Defect(Session, "expire", lambda *_: ()), "a token that ends closes"),
    (Defect(Session, "keep_within", lambda *_: ()), "a login that ends closes"),
    (Defect(TokenBucket, "take", lambda *_: True), "there may be only so many messages"),
    (Defect(Channel, "unsubscribe", lambda *_: None), "after an unsubscription nothing comes"),
    (Defect(Channel, "opened", lambda *_: None), "a bookmark of another epoch leads to a snapshot"),
]


@pytest.mark.parametrize(
    ("defect", "name"), SERVERS, ids=[f"{defect.kind.__name__}.{defect.method}: {name}" for defect, name in SERVERS]
)
async def test_a_server_with_a_defect_is_found(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, defect: Defect, name: str
) -> None:
    monkeypatch.setattr(*defect)
    with pytest.raises(AssertionError):
        await play_against_server(_named(name), redis, within_s=SERVER_WITHIN_S)


def _named(name: str) -> Script:
    (script,) = (script for script in scripts() if script.name == name)
    return script

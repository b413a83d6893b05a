"""The streams that stand in this process: how many may, which of them are still good, and what their end means."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable
from contextlib import suppress
from itertools import islice
from typing import Any

import structlog

from services.ingest import counts
from services.ingest.credentials import AgentIdentity, Credentials
from services.ingest.intake import Intake
from services.ingest.presence import Presence
from services.ingest.registrations import Registrations
from services.ingest.stream.connection import Connection, Surroundings
from services.ingest.stream.departures import Departures
from services.ingest.stream.holders import Hold, Holders
from services.ingest.stream.peer import Peer
from services.ingest.stream.places import Place, Places
from services.ingest.stream.session import SUPERSEDED, CloseCode, Ending
from services.ingest.stream.turnstile import Turnstile
from shared.errors import RetryLater
from shared.io.faults import as_retry_later

ROUND_S = 1.0
"""How often the streams are looked after."""

RENEW_S = 10.0
"""How often what a stream holds, and its credential, are looked at, besides whenever they are said to have changed."""

DRAIN_S = 3.0
"""How long streams may take to close when the process stops."""

_DRAIN_LOOK_S = 0.02
_RENEWED_AT_ONCE = 500
_RELEASED_AT_ONCE = 16

log = structlog.get_logger(__name__)

_REVOKED = Ending(CloseCode.REVOKED, "the credential is not good any more")
_DRAINING = Ending(CloseCode.DRAINING, "this replica is stopping; return")


class Connections:
    """All streams of a process. `watch` must be running for their time to run out, and for the ends to be noted."""

    def __init__(  # noqa: PLR0913  (its parts, by name)
        self,
        *,
        credentials: Credentials,
        intake: Intake,
        presence: Presence,
        registrations: Registrations,
        holders: Holders,
        most: int,
        disconnect_grace_s: float,
        clock: Callable[[], float],
        round_s: float = ROUND_S,
    ) -> None:
        self._credentials = credentials
        self._holders = holders
        self._offline_after_s = presence.offline_after_ms / 1000
        self._grace_s = disconnect_grace_s
        self._registrations = registrations
        self._places = Places(most)
        self._clock = clock
        self._round_s = round_s
        self._surroundings = Surroundings(intake, presence, registrations, holders, Turnstile(), self._claimed, clock)
        self._standing: set[Connection] = set()
        self._newest: dict[str, Connection] = {}
        self._departures: Departures[tuple[Connection, float]] = Departures()
        self._given_up: list[Hold] = []
        self._is_draining = False

    def __len__(self) -> int:
        return len(self._standing)

    def check_room(self) -> None:
        """Raise RetryLater where no further stream may stand."""
        if self._is_draining:
            raise RetryLater("this replica is stopping", retry_after_s=1)
        self._places.check()

    def take_place(self, identity: AgentIdentity) -> Place:
        """Return the place of a stream that is to be opened; raises RetryLater, and HttpError (429)."""
        return self._places.take(identity.agent_id)

    async def serve(self, identity: AgentIdentity, secret_hash: bytes, peer: Peer, place: Place) -> None:
        """Serve an agent until one side ends it."""
        connection = Connection(identity, secret_hash, self._surroundings, peer, place)
        self._standing.add(connection)
        counts.STREAMS.inc()
        if self._is_draining:
            connection.close(_DRAINING)
        try:
            await connection.run()
        finally:
            self._standing.discard(connection)
            counts.STREAMS.dec()
            ending = connection.ending
            counts.STREAMS_CLOSED.labels("agent" if ending is None else str(int(ending.code))).inc()
            self._forget(connection)

    async def watch(self, drained: asyncio.Event) -> None:
        """Look after the streams until `drained`; what Redis or PostgreSQL cannot do now is tried again."""
        while not drained.is_set():
            await self._try(self._round())
            with suppress(TimeoutError):
                async with asyncio.timeout(self._round_s):
                    await drained.wait()
        await self._try(self._release(self._given_up))

    async def heed_changes(self, agent_ids: Collection[str] | None) -> None:
        """Take note that the credentials of these agents, None for all, may have changed, or are wished to."""
        self._credentials.forget(agent_ids)
        concerned = [one for one in self._standing if agent_ids is None or one.identity.agent_id in agent_ids]
        await self._try(self._check_credentials(concerned))
        await self._try(self._tell_wishes(concerned))

    async def heed_claims(self, claims: Collection[str] | None) -> None:
        """Take note of which streams are the newest of their agents; None when some of that was missed."""
        if claims is None:
            await self._try(self._renew(list(self._newest.values())))
            return
        for claim in claims:
            agent_id, _, generation = claim.partition(":")
            self._heed_claim(agent_id, int(generation))

    async def drain(self) -> None:
        """Close all streams, and let no new one stand; returns when they are gone, or had the time to go."""
        self._is_draining = True
        try:
            async with asyncio.timeout(DRAIN_S):
                while self._standing:
                    for connection in list(self._standing):
                        connection.close(_DRAINING)
                    await asyncio.sleep(_DRAIN_LOOK_S)
        except TimeoutError:
            log.warning("streams did not close in time", streams=len(self._standing))

    def _claimed(self, connection: Connection) -> None:
        """Let a stream be the one of its agent; one that stood here is older, or this one is, as its number says."""
        hold = connection.hold
        if hold is None:
            return
        agent_id = hold.identity.agent_id
        before = self._newest.get(agent_id)
        if before is not None and before.hold is not None and before.hold.generation > hold.generation:
            connection.close(SUPERSEDED)
            return
        self._newest[agent_id] = connection
        if before is not None and before is not connection:
            before.close(SUPERSEDED)
        # another replica's claim may have been heard before the answer to this one: the next round looks again
        connection.renewed_at = self._clock() - RENEW_S

    def _heed_claim(self, agent_id: str, generation: int) -> None:
        connection = self._newest.get(agent_id)
        if connection is not None and connection.hold is not None and connection.hold.generation < generation:
            connection.close(SUPERSEDED)

    def _forget(self, connection: Connection) -> None:
        """Let go of a stream that has ended, and note what that means for its server."""
        agent_id, hold = connection.identity.agent_id, connection.hold
        if self._newest.get(agent_id) is connection:
            del self._newest[agent_id]
        if hold is None:  # it never was the one of its agent, or was given up with a goodbye
            return
        if connection.ending is None:
            self._departures.note(connection.identity.agent_id, (connection, self._clock()))
        else:  # its silence is our doing, or was noted otherwise: the deadline stays as it is
            self._given_up.append(hold)

    async def _round(self) -> None:
        now_s = self._clock()
        for connection in list(self._standing):
            connection.expire(now_s)
        await self._part()
        due = [one for one in self._standing if now_s - one.renewed_at >= RENEW_S]
        await self._renew(due)  # first: it takes Redis alone
        await self._check_credentials(due)
        await self._tell_wishes(due)
        for one in due:
            one.renewed_at = now_s

    async def _part(self) -> None:
        """Shorten the deadlines of those whose connections broke, and give up what they held."""
        given_up, self._given_up = self._given_up, []
        await self._release(given_up)
        gone, they_are_gone = self._departures.judge(len(self._standing))
        if gone and not they_are_gone:
            log.warning("very many streams broke at once: their servers' deadlines stay", streams=len(gone))
        await _in_parts(self._let_go(connection, left_at, is_gone=they_are_gone) for connection, left_at in gone)

    async def _let_go(self, connection: Connection, left_at: float, *, is_gone: bool) -> None:
        hold, now_s = connection.hold, self._clock()
        if hold is None:
            return
        if not is_gone:
            await self._holders.release(hold)
            return
        # the answer to the last message came after the deadline was set by it: the deadline cannot be later than this
        heard_for_s = connection.answered_at + self._offline_after_s - now_s
        back_within_s = max(left_at + self._grace_s - now_s, 0)
        await self._holders.release(
            hold, back_within_ms=int(back_within_s * 1000), heard_for_ms=int(heard_for_s * 1000)
        )

    async def _release(self, holds: Iterable[Hold]) -> None:
        await _in_parts(self._holders.release(hold) for hold in holds)

    async def _renew(self, connections: Collection[Connection]) -> None:
        """Say that what they hold still stands, and end those that a newer stream has taken the place of."""
        by_hold = {one.hold: one for one in connections if one.hold is not None}
        rest = iter(by_hold)
        while part := list(islice(rest, _RENEWED_AT_ONCE)):
            for hold in await self._holders.renew(part):
                by_hold[hold].close(SUPERSEDED)

    async def _check_credentials(self, connections: Collection[Connection]) -> None:
        """End those streams whose credential is not good any more."""
        if not connections:
            return
        standing = await self._credentials.standing(list({one.secret_hash for one in connections}))
        for one in connections:
            if one.secret_hash not in standing:
                one.close(_REVOKED)

    async def _tell_wishes(self, connections: Collection[Connection]) -> None:
        """Tell those agents who shake no hands now that a person wishes for another secret of theirs."""
        if not connections:
            return
        wanted = await self._registrations.rotations_wanted({one.identity.agent_id for one in connections})
        for one in connections:
            if one.identity.agent_id in wanted:
                one.wish_rotation()

    async def _try(self, act: Awaitable[None]) -> None:
        try:
            await act
        except Exception as error:
            if as_retry_later(error) is None:
                raise
            log.warning("streams cannot be looked after", reason=repr(error))


async def _in_parts(acts: Iterable[Coroutine[Any, Any, object]]) -> None:
    """Do many things, a few at a time."""
    rest = iter(acts)
    while part := list(islice(rest, _RELEASED_AT_ONCE)):
        await asyncio.gather(*part)

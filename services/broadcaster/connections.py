"""The connections that stand, whatever mouth they came by: how many there may be, and the care for them."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress

import structlog

from services.broadcaster import metrics
from services.broadcaster.connection import Connection, Peer, Surroundings
from services.broadcaster.limits import Limits
from services.broadcaster.session import Session
from shared.errors import RetryLater
from shared.names import new_id
from shared.protocol import CloseCode

SWEEP_S = 1.0
"""How often connections are looked at for what has run out."""

LOGINS_CHECK_S = 5.0
"""How often the logins behind the connections are looked up, besides whenever one is said to have changed."""

DRAIN_S = 3.0
"""How long connections may take to close when the process stops."""

_DRAIN_LOOK_S = 0.02
_SLICE = 200  # connections that are dealt with before anything else gets its turn

log = structlog.get_logger(__name__)


class Connections:
    """All connections of a process. `watch` must be running for their time to run out."""

    def __init__(
        self,
        surroundings: Surroundings,
        limits: Limits,
        *,
        sweep_s: float = SWEEP_S,
        logins_check_s: float = LOGINS_CHECK_S,
    ) -> None:
        self._surroundings = surroundings
        self._limits = limits
        self._sweep_s = sweep_s
        self._logins_check_s = logins_check_s
        self._connections: set[Connection] = set()
        self._addresses: Counter[str] = Counter()
        self._is_draining = False

    def __len__(self) -> int:
        return len(self._connections)

    async def serve(self, peer: Peer, address: str) -> None:
        """Serve a peer that has come from this address, until one side ends it."""
        session = Session(new_id("c"), self._limits, now=self._surroundings.clock())
        connection = Connection(session, self._surroundings, peer)
        self._turn_away_surplus(connection, address)
        self._connections.add(connection)
        self._addresses[address] += 1
        metrics.CONNECTIONS.inc()
        code = "fault"
        try:
            code = await connection.run()
        finally:
            self._connections.discard(connection)
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]
            metrics.CONNECTIONS.dec()
            metrics.CLOSES.labels(code).inc()

    async def watch(self, asked_to_end: asyncio.Event) -> None:
        """Look after the connections until asked to end."""
        clock = self._surroundings.clock
        logins_check_at = clock()
        while not asked_to_end.is_set():
            await self._in_slices(Connection.sweep)
            if clock() >= logins_check_at:
                await self._check_logins(None)
                logins_check_at = clock() + self._logins_check_s
            with suppress(TimeoutError):
                async with asyncio.timeout(self._sweep_s):
                    await asked_to_end.wait()

    async def heed(self, user_ids: Collection[str] | None) -> None:
        """Take note that the logins of these users, None for all, may have changed."""
        self._surroundings.authenticator.forget(user_ids)
        await self._check_logins(user_ids)

    async def drain(self) -> None:
        """Close all connections, and let no new one stand; returns when they are gone, or had the time to go."""
        self._is_draining = True
        try:
            async with asyncio.timeout(DRAIN_S):
                while self._connections:
                    await self._in_slices(_say_draining)
                    await asyncio.sleep(_DRAIN_LOOK_S)
        except TimeoutError:
            log.warning("connections did not close in time", connections=len(self._connections))

    @property
    def is_draining(self) -> bool:
        """Whether no new one may stand."""
        return self._is_draining

    def crowd(self, address: str) -> str:
        """Say of what there are too many for another one from this address; nothing when there is a place."""
        if len(self._connections) >= self._limits.connections:
            return "too many connections"
        if self._addresses[address] >= self._limits.connections_per_address:
            return "too many connections from one address"
        return ""

    def _turn_away_surplus(self, connection: Connection, address: str) -> None:
        if self._is_draining:
            _say_draining(connection)
        elif crowd := self.crowd(address):
            connection.close_crowded(crowd)

    async def _check_logins(self, user_ids: Collection[str] | None) -> None:
        """Look up the logins of these users, None for all, and end what they have lost."""
        by_login: dict[str, list[Connection]] = {}
        for connection in self._connections:
            principal = connection.principal
            if principal is not None and (user_ids is None or principal.user_id in user_ids):
                by_login.setdefault(principal.session_id, []).append(connection)
        if not by_login:
            return
        try:
            standing = await self._surroundings.authenticator.standing(by_login)
        except RetryLater as error:
            log.warning("ended logins cannot be looked up", reason=str(error.__cause__ or error))
            return
        asked = [(connection, login_id) for login_id, held in by_login.items() for connection in held]
        for number, (connection, login_id) in enumerate(asked, 1):
            connection.keep_within(login_id, standing.get(login_id))
            if number % _SLICE == 0:
                await asyncio.sleep(0)

    async def _in_slices(self, act: Callable[[Connection], None]) -> None:
        for number, connection in enumerate(list(self._connections), 1):
            act(connection)
            if number % _SLICE == 0:
                await asyncio.sleep(0)


def _say_draining(connection: Connection) -> None:
    connection.close(CloseCode.DRAINING, "this replica is stopping; resume")

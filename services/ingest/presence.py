"""Puts servers online and offline as their agents come and go: conditional edits, repeated when another was faster."""

from collections.abc import Callable
from datetime import datetime

import msgspec
from redis.asyncio import Redis

from services.ingest import counts
from services.ingest.beacon import Beacon
from services.ingest.credentials import AgentIdentity
from services.ingest.inventories import Inventories
from services.ingest.messages import Handshake, Status
from services.ingest.registration import Registration, agent_heard, server_introduced, server_with_status
from services.ingest.registrations import Registrations
from shared.errors import NotFound, Rejected, RetryLater, Unauthenticated
from shared.io.changelog.append import ChangeLog
from shared.io.changelog.read import LogReader
from shared.names import PartitionKeys, Topic, held_deadline_of, new_id, partition_of
from shared.operation import CALL, Deadline, Draft, Operation, Start
from shared.resources.agents import Agent
from shared.resources.servers import Server

_ATTEMPTS = 8

_Edit = Callable[[Server | None], Server | None]
"""Gets the server as it stands, None when there is none; returns it as it shall be, None to leave it alone."""


class Presence:
    """Edits the records of servers and agents on behalf of agents.

    All methods raise RetryLater when the log is closed, or when a record changed too often meanwhile.
    """

    def __init__(  # noqa: PLR0913  (its parts)
        self,
        redis: Redis,
        changes: ChangeLog,
        registrations: Registrations,
        beacon: Beacon,
        inventories: Inventories,
        *,
        offline_after_ms: int,
        now: Callable[[], datetime],
    ) -> None:
        self._redis = redis
        self._changes = changes
        self._reader = LogReader(redis)
        self._registrations = registrations
        self._beacon = beacon
        self._inventories = inventories
        self.offline_after_ms = offline_after_ms
        self.now = now

    async def keep_facts(self, identity: AgentIdentity, handshake: Handshake) -> None:
        """Keep what a handshake tells of its machine, before `introduce`: one that is answered is kept as a whole.

        Raises Rejected for an inventory that cannot be kept; what comes after this refuses no handshake.
        """
        await self._inventories.keep(identity, handshake, self.now())

    async def introduce(
        self, identity: AgentIdentity, registration: Registration, handshake: Handshake | None = None
    ) -> Agent:
        """Make or update the records of a server and its agent, and expect to hear of it again; return the latter.

        Raises Unauthenticated when the server was deleted, and its agent's credential revoked, meanwhile.
        """
        now = self.now()
        before = await self._agent(identity)
        agent = agent_heard(before, registration, now, handshake=handshake)
        made = await self._edit_server(
            identity,
            lambda server: server_introduced(server, registration, handshake, now),
            self._expected(identity),
            start=Start(identity.metrics, identity.server_id, handshake.boot_id) if handshake else None,
            beside=self._agent_operation(identity, agent),
        )
        if made is not None or before is None:
            await self._confirm(identity, made)
        self._beacon.heard = True
        return agent

    async def note_beat(self, identity: AgentIdentity) -> None:
        """Take note that a server was heard that was not expected to be; raises NotFound when there is no such server.

        One that counts as offline is online with the second beat: a single message may be the last twitch of a line
        that comes and goes.
        """
        try:
            await self._note_beat(identity)
        except NotFound:
            # the message may have made the record of its agent again, which was deleted with the server
            await self._confirm(identity)
            raise

    async def _note_beat(self, identity: AgentIdentity) -> None:
        record = (await self._reader.records(identity.servers, [identity.server_id])).get(identity.server_id)
        if record is None:
            raise _no_server()
        is_offline = msgspec.json.decode(record.data, type=Server).status == "offline"
        key = PartitionKeys(partition_of(identity.workspace_id)).returning(identity.server_id)
        if is_offline and await self._redis.set(key, "1", nx=True, px=self.offline_after_ms):
            return
        await self._revive(identity)
        if is_offline:
            await self._redis.delete(key)
        counts.REVIVED.inc()

    async def touch(self, identity: AgentIdentity) -> None:
        """Take note of a sign of life."""
        touch = Deadline("touch", identity.deadline, self.offline_after_ms)
        result = await self._changes.append(
            Operation(topic=identity.metrics, drafts=(), actor="agents", parent=identity.servers, deadlines=(touch,))
        )
        self._beacon.heard = True
        if result.absent:
            await self.note_beat(identity)

    async def report(self, identity: AgentIdentity, registration: Registration, status: Status) -> None:
        """Keep how an agent is."""
        agent = agent_heard(await self._agent(identity), registration, self.now(), status=status)
        touch = Deadline("touch", identity.deadline, self.offline_after_ms)
        result = await self._changes.append(self._agent_operation(identity, agent, touch))
        self._beacon.heard = True
        if result.absent:
            await self.note_beat(identity)

    async def clock_of(self, identity: AgentIdentity) -> tuple[str, float | None]:
        """Return which samples of a server were taken in, as the log says it, and its agent's `clock_skew_s`."""
        window = await self._reader.sample_window(identity.metrics, identity.server_id)
        agent = await self._agent(identity)
        return window, agent.clock_skew_s if agent else None

    async def note_skew(self, identity: AgentIdentity, skew_s: float) -> None:
        """Keep how far an agent's clock is ahead of ours; whoever changes its record at the same moment wins."""
        topic = Topic(identity.workspace_id, "agents")
        record = (await self._reader.records(topic, [identity.agent_id])).get(identity.agent_id)
        if record is None:
            return
        agent = msgspec.structs.replace(msgspec.json.decode(record.data, type=Agent), clock_skew_s=skew_s)
        draft = Draft(id=identity.agent_id, action="update", data=msgspec.json.encode(agent), expect=record.version)
        await self._changes.append_all([_operation(identity, topic, (draft,))])

    async def leave(self, identity: AgentIdentity) -> None:
        """Put a server offline whose agent said goodbye."""
        await self._edit_server(
            identity,
            lambda server: server and server_with_status(server, "offline", self.now()),
            self._unexpected(identity),
        )

    async def _revive(self, identity: AgentIdentity) -> None:
        """Put a server online again, and renew its agent's record: it may be about to be removed as stale, or be so."""

        def edit(server: Server | None) -> Server:
            if server is None:
                raise _no_server()
            return server_with_status(server, "online", self.now())

        agent = await self._agent(identity)
        if agent is None:
            agent = agent_heard(None, await self._registrations.of(identity), self.now())
        agent = msgspec.structs.replace(agent, last_heartbeat=self.now())
        beside = self._agent_operation(identity, agent)
        await self._edit_server(identity, edit, self._expected(identity), beside=beside)

    def _expected(self, identity: AgentIdentity) -> tuple[Deadline, ...]:
        return (
            Deadline("arm", identity.deadline, self.offline_after_ms),
            Deadline("drop", held_deadline_of(identity.workspace_id, identity.server_id)),
        )

    def _unexpected(self, identity: AgentIdentity) -> tuple[Deadline, ...]:
        return (
            Deadline("drop", identity.deadline),
            Deadline("drop", held_deadline_of(identity.workspace_id, identity.server_id)),
        )

    async def _edit_server(
        self,
        identity: AgentIdentity,
        edit: _Edit,
        deadlines: tuple[Deadline, ...],
        *,
        start: Start | None = None,
        beside: Operation | None = None,
    ) -> int | None:
        """Append an edit and its deadlines together; `beside` goes into the same call, once.

        Return the version of a record that was made by this, None where there was one.
        """
        are_set = False
        for _ in range(_ATTEMPTS):
            found = await self._reader.records(identity.servers, [identity.server_id])
            record = found.get(identity.server_id)
            before = msgspec.json.decode(record.data, type=Server) if record else None
            after = edit(before)
            drafts: tuple[Draft, ...] = ()
            if before is None and after is not None:
                # it may have been deleted, and is not to come back although this process may end before it is undone
                await self._confirm(identity)
            if after is not None and after != before:
                drafts = (
                    Draft(
                        id=identity.server_id,
                        action="update" if record else "create",
                        data=msgspec.json.encode(after),
                        expect=record.version if record else None,
                    ),
                )
            elif are_set:
                return None
            operation = _operation(identity, identity.servers, drafts, deadlines, start)
            result, *_ = await self._changes.append_all([operation, beside] if beside else [operation])
            if drafts and not isinstance(result, Rejected):
                return None if record else result.version
            # where nothing was to be changed, nothing has held the record to what was read: it may have been changed
            # before the deadlines were set, by a sweeper for one, and is not once they are
            are_set = are_set or not isinstance(result, Rejected)
            beside = None
        raise RetryLater("the server's record changes too often", retry_after_s=1)

    async def _confirm(self, identity: AgentIdentity, made: int | None = None) -> None:
        """Look whether the agent is one still, once a record of it may have been made anew; else take that back.

        Whoever deletes a server revokes the credentials of its agents first: a deletion that came before the records
        were made is seen by now. `made` is the version of a server's record that was. Where it cannot be told, they are
        taken back as well: the agent repeats its handshake. Raises Unauthenticated, and what PostgreSQL does.
        """
        is_registered = False
        try:
            is_registered = await self._registrations.holds(identity)
        finally:
            if not is_registered:
                await self._take_back(identity, made)
        if not is_registered:
            raise Unauthenticated("this agent was removed", code="credential_revoked")

    async def _take_back(self, identity: AgentIdentity, made: int | None) -> None:
        agents, agent = Topic(identity.workspace_id, "agents"), Draft(id=identity.agent_id, action="delete")
        server: tuple[Draft, ...] = ()
        if made is not None:  # as long as it is what was made: it may have been deleted, and made by others, since
            server = (Draft(id=identity.server_id, action="delete", expect=made),)
        operations = [
            _operation(identity, agents, (agent,)),
            _operation(identity, identity.servers, server, self._unexpected(identity)),
        ]
        await self._changes.append_all(operations)

    async def _agent(self, identity: AgentIdentity) -> Agent | None:
        found = await self._reader.records(Topic(identity.workspace_id, "agents"), [identity.agent_id])
        record = found.get(identity.agent_id)
        return msgspec.json.decode(record.data, type=Agent) if record else None

    def _agent_operation(self, identity: AgentIdentity, agent: Agent, *deadlines: Deadline) -> Operation:
        draft = Draft(id=identity.agent_id, action="put", data=msgspec.json.encode(agent))
        return _operation(identity, Topic(identity.workspace_id, "agents"), (draft,), deadlines)


def _operation(
    identity: AgentIdentity,
    topic: Topic,
    drafts: tuple[Draft, ...],
    deadlines: tuple[Deadline, ...] = (),
    start: Start | None = None,
) -> Operation:
    """Return an operation of an agent, which nobody repeats but the call that appends it."""
    actor = f"agent:{identity.agent_id}"
    return Operation(topic=topic, drafts=drafts, actor=actor, id=new_id(CALL), deadlines=deadlines, start=start)


def _no_server() -> NotFound:
    return NotFound("the record of this server was removed", code="unknown_server")

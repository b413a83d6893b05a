"""The parts that the routes work with, put together on connections that the caller owns."""

import asyncpg
import msgspec
from redis.asyncio import Redis

from services.api.accounts import Accounts
from services.api.agent_identity import AgentIdentities
from services.api.agents_offered import Agents
from services.api.api_tokens import ApiTokens
from services.api.audit import AuditReader
from services.api.enrolment import EnrolmentTokens
from services.api.inventories import InventoryReader
from services.api.invitations import Invitations
from services.api.metric_history import MetricHistory
from services.api.passwords import Passwords
from services.api.records.exporting import Exports
from services.api.records.history import History
from services.api.records.importing import Imports
from services.api.records.reader import RecordReader
from services.api.records.revert import Reverter
from services.api.records.writer import WAIT_TIMEOUT_S, RecordWriter
from services.api.relays import Relays
from services.api.repetition import Repetition
from services.api.servers import Servers
from services.api.settings import Delivery
from services.api.throttle import LoginThrottle
from services.api.users import Users
from services.api.workspaces import Workspaces
from shared.io.changelog.append import ChangeLog
from shared.io.changelog.read import LogReader
from shared.io.commits import CommitWaiter
from shared.io.identity import Identity
from shared.io.identity_changes import AgentChanges, IdentityChanges


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What the routes work with; a route names what it wants by the name here."""

    identity: Identity
    identity_changes: IdentityChanges
    accounts: Accounts
    throttle: LoginThrottle
    audit: AuditReader
    enrolment_tokens: EnrolmentTokens
    agent_identities: AgentIdentities
    relays: Relays
    users: Users
    workspaces: Workspaces
    invitations: Invitations
    api_tokens: ApiTokens
    records: RecordReader
    writer: RecordWriter
    history: History
    reverter: Reverter
    exports: Exports
    imports: Imports
    servers: Servers
    metric_history: MetricHistory
    inventories: InventoryReader
    log_reader: LogReader
    agents: Agents


def make_parts(  # noqa: PLR0913  (what it is made of, by name)
    redis: Redis,
    pool: asyncpg.Pool,
    log: ChangeLog,
    commits: CommitWaiter,
    *,
    delivery: Delivery | None = None,
    wait_timeout_s: float = WAIT_TIMEOUT_S,
) -> Parts:
    """Make the parts; beside them must run `commits`, or writes are answered with 202, and their `identity_changes`."""
    identity, reader, passwords = Identity(pool), LogReader(redis), Passwords()

    async def heard(user_ids: frozenset[str] | None) -> None:
        identity.forget(user_ids)

    changes, agent_changes = IdentityChanges(redis, heard), AgentChanges(redis, _nothing)
    writer = RecordWriter(log, reader, commits, Repetition(redis), wait_timeout_s=wait_timeout_s)
    return Parts(
        identity=identity,
        identity_changes=changes,
        accounts=Accounts(pool, identity.keys, changes, passwords),
        throttle=LoginThrottle(redis),
        audit=AuditReader(pool),
        enrolment_tokens=EnrolmentTokens(pool),
        agent_identities=AgentIdentities(pool, agent_changes),
        relays=Relays(pool, agent_changes),
        users=Users(pool, changes, passwords),
        workspaces=Workspaces(pool, changes),
        invitations=Invitations(pool, changes, passwords),
        api_tokens=ApiTokens(pool, changes),
        records=RecordReader(pool),
        writer=writer,
        history=History(pool),
        reverter=Reverter(pool, reader, writer),
        exports=Exports(pool),
        imports=Imports(reader, writer),
        servers=Servers(pool, reader, writer, agent_changes),
        metric_history=MetricHistory(pool),
        inventories=InventoryReader(pool),
        log_reader=reader,
        agents=Agents(delivery or Delivery()),
    )


async def _nothing(_: frozenset[str] | None) -> None:
    """Stand for what hears nothing: no credential of an agent is remembered here."""

"""The parts that the routes work with, put together on connections that the caller owns."""

import asyncpg
import msgspec
from redis.asyncio import Redis

from services.api.accounts import Accounts
from services.api.audit import AuditReader
from services.api.enrolment import EnrolmentTokens
from services.api.passwords import Passwords
from services.api.records.exporting import Exports
from services.api.records.importing import Imports
from services.api.records.reader import RecordReader
from services.api.records.writer import WAIT_TIMEOUT_S, RecordWriter
from services.api.repetition import Repetition
from services.api.servers import Servers
from services.api.throttle import LoginThrottle
from shared.io.changelog.append import ChangeLog
from shared.io.changelog.read import LogReader
from shared.io.commits import CommitWaiter
from shared.io.identity import Identity


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What the routes work with; a route names what it wants by the name here."""

    identity: Identity
    accounts: Accounts
    throttle: LoginThrottle
    audit: AuditReader
    enrolment_tokens: EnrolmentTokens
    records: RecordReader
    writer: RecordWriter
    exports: Exports
    imports: Imports
    servers: Servers
    log_reader: LogReader


def make_parts(
    redis: Redis,
    pool: asyncpg.Pool,
    log: ChangeLog,
    commits: CommitWaiter,
    *,
    wait_timeout_s: float = WAIT_TIMEOUT_S,
) -> Parts:
    """Make the parts; `commits` must run beside them, or writes are answered with 202."""
    identity, reader = Identity(pool), LogReader(redis)
    writer = RecordWriter(log, reader, commits, Repetition(redis), wait_timeout_s=wait_timeout_s)
    return Parts(
        identity=identity,
        accounts=Accounts(pool, identity, Passwords()),
        throttle=LoginThrottle(redis),
        audit=AuditReader(pool),
        enrolment_tokens=EnrolmentTokens(pool),
        records=RecordReader(pool),
        writer=writer,
        exports=Exports(pool),
        imports=Imports(reader, writer),
        servers=Servers(pool, reader, writer),
        log_reader=reader,
    )

"""The endpoint that `bench.edits` measures, as one transaction a request over a plain pool, with LISTEN/NOTIFY.

The same application server with the same checks of token, body and version, on the same PostgreSQL. `bare` locks the
row, updates it, notifies and commits. `equal` keeps what the endpoint promises beside that: a version of the topic
without holes, the journal, the result of the operation, and the audit chain. Its records are a workspace of their own,
of which the change log knows nothing.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx
import msgspec
import uvloop
from litestar import patch
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody
from litestar.response import Response

from services.api.conditions import WriteTerms
from services.api.records.answers import record_answer
from services.api.records.merge import patched
from services.api.records.representation import patch_type
from services.api.requests import MAX_BODY_BYTES, ApiRequest, guard_for, opt, provide_caller, provide_terms
from services.worker.projection import upsert_sql
from shared.audit import Event
from shared.change import Change
from shared.io.audit import record as record_audit
from shared.io.database.pool import create_pool
from shared.io.database.records import read_records
from shared.io.identity import Identity
from shared.io.lifecycle import run as run_service
from shared.io.litestar_app import litestar_app
from shared.journal import payload_of
from shared.names import Topic, partition_of
from shared.resources import RESOURCES
from shared.settings import Http
from shared.topic import Record
from stack.ports import LoopbackPorts

WEBSITES = RESOURCES["websites"]
KINDS = ("bare", "equal")
TOPIC = Topic("w_baseline", WEBSITES.name)
_READY_WITHIN_S = 20.0

_NEXT_VERSION = "UPDATE topics SET version = version + 1 WHERE workspace_id = $1 AND resource = $2 RETURNING version"
_ADD_EVENT = (
    "INSERT INTO ws_events (workspace_id, topic, id, record_id, event_type, payload, actor, created_at) "
    "VALUES ($1, $2, $3, $4, 'update', $5, $6, $7)"
)
_ADD_OPERATION = (
    "INSERT INTO operations (id, partition, epoch, seq, prev, version) VALUES ($1, $2, 0, 0, $3 - 1, $3::bigint) "
    "ON CONFLICT DO NOTHING"
)
_COPY_RECORDS = (
    "INSERT INTO websites SELECT (jsonb_populate_record(w, jsonb_build_object('workspace_id', $1::text))).* "
    "FROM websites w WHERE workspace_id <> $1"
)

Keep = Callable[[asyncpg.Connection, Record, bytes, WriteTerms], Awaitable[int]]
"""Stores what a record became, in the transaction that has locked it; returns its version."""


async def keep_bare(connection: asyncpg.Connection, record: Record, after: bytes, terms: WriteTerms) -> int:  # noqa: ARG001  (as the other one)
    """Store the record alone."""
    version = record.version + 1
    await _store(connection, record.id, version, after)
    return version


async def keep_equal(connection: asyncpg.Connection, record: Record, after: bytes, terms: WriteTerms) -> int:
    """Store all that an edit leaves behind."""
    version: int = await connection.fetchval(_NEXT_VERSION, TOPIC.workspace_id, TOPIC.resource)
    await _store(connection, record.id, version, after)
    payload = payload_of(WEBSITES, Change(record.id, "updated", version, msgspec.Raw(after)))
    now = datetime.now(UTC)
    await connection.execute(
        _ADD_EVENT, TOPIC.workspace_id, TOPIC.resource, version, record.id, payload, terms.actor, now
    )
    await connection.execute(_ADD_OPERATION, terms.operation_id, partition_of(TOPIC.workspace_id), version)
    assert terms.origin is not None  # noqa: S101  (requests come from somewhere)
    event = Event(
        workspace_id=TOPIC.workspace_id,
        at=now,
        actor=terms.actor,
        action="updated",
        resource=TOPIC.resource,
        record_id=record.id,
        version=version,
        origin=terms.origin,
    )
    await record_audit(connection, [event])
    return version


async def _store(connection: asyncpg.Connection, record_id: str, version: int, after: bytes) -> None:
    key = f'{{"workspace_id":"{TOPIC.workspace_id}","id":"{record_id}","version":{version},'.encode()
    await connection.execute(upsert_sql(WEBSITES), b"[" + key + after[1:] + b"]")


async def serve(kind: str, port: int, database_url: str) -> None:
    """Serve `PATCH /api/v1/websites/{id}`."""
    keep: Keep = {"bare": keep_bare, "equal": keep_equal}[kind]
    pool = await create_pool(database_url)

    async def patch_record(
        data: JSONBody[msgspec.Struct],  # noqa: ARG001  (checks the types, as the api does)
        record_id: FromPath[str],
        request: ApiRequest,
        terms: NamedDependency[WriteTerms],
    ) -> Response[bytes]:
        changes = msgspec.json.decode(await request.body())
        async with _locked(pool, record_id) as (connection, record):
            terms.require(record.version)
            after = patched(WEBSITES, record.data, changes) or record.data
            version = await keep(connection, record, after, terms)
            await connection.execute("SELECT pg_notify('websites', $1)", f"{record_id}:{version}")
        return record_answer(Record(record_id, version, after))

    patch_record.__annotations__["data"] = JSONBody[patch_type(WEBSITES)]  # type: ignore[misc]  # the type is made at run time
    route = patch("/api/v1/websites/{record_id:str}", opt=opt("write"))(patch_record)
    app: Any = litestar_app(
        [route],
        request_class=ApiRequest,
        guard=guard_for(Identity(pool)),
        parts={},
        max_body_bytes=MAX_BODY_BYTES,
        provided={"caller": Provide(provide_caller, sync_to_thread=False), "terms": Provide(provide_terms)},
    )
    await run_service(app, Http(port=port), checks={"postgres": lambda: pool.fetchval("SELECT 1")})


@contextlib.asynccontextmanager
async def _locked(pool: asyncpg.Pool, record_id: str) -> AsyncIterator[tuple[asyncpg.Connection, Record]]:
    """Begin a transaction that holds a record."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(
            "SELECT FROM websites WHERE workspace_id = $1 AND id = $2 FOR UPDATE", TOPIC.workspace_id, record_id
        )
        (record,) = await read_records(connection, TOPIC, [record_id])
        yield connection, record


async def copy_records(database_url: str) -> None:
    """Give the baseline the records of the installation, in a workspace of its own."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(_COPY_RECORDS, TOPIC.workspace_id)
        await connection.execute(
            "INSERT INTO topics (workspace_id, resource, partition, version) VALUES ($1, $2, $3, 1000000)",
            TOPIC.workspace_id,
            TOPIC.resource,
            partition_of(TOPIC.workspace_id),
        )
    finally:
        await connection.close()


@contextlib.contextmanager
def running(kind: str, database_url: str) -> Iterator[int]:
    """Run a baseline in a process of its own, and give its port."""
    port = LoopbackPorts().take()
    variables = {"PORT": str(port), "DATABASE_URL": database_url}
    process = subprocess.Popen([sys.executable, "-m", "bench.edits_baseline", kind], env=os.environ | variables)
    try:
        give_up_at = time.monotonic() + _READY_WITHIN_S
        while not is_ready(port):
            if time.monotonic() > give_up_at:
                raise RuntimeError("the baseline did not start")
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(_READY_WITHIN_S)


def is_ready(port: int) -> bool:
    """Tell whether a service answers there."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readiness").is_success
    except httpx.TransportError:
        return False


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(os.environ["PORT"]), os.environ["DATABASE_URL"]))

"""Writes the audit log, in the transaction of what it records, and checks it."""

from collections.abc import AsyncIterator, Collection, Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec
from asyncpg import Connection

from shared.audit import GENESIS, INSTALLATION, Actor, Details, Event, Head, Link, Origin, Verifier, chained
from shared.io.database.queries import queries

COLUMNS = (
    "workspace_id, seq, at, actor, action, resource, record_id, version, origin, request_id, details, "
    "previous_hash, hash"
)
_SQL = queries("audit")
_SLICE = 500


async def record(connection: Connection, events: Iterable[Event]) -> None:
    """Add events to their chains; call it in the transaction that does what they say, as its last step.

    Whoever adds to the same chain waits from here until the transaction ends, the appliers among them.
    """
    by_chain: dict[str, list[Event]] = {}
    for event in events:
        by_chain.setdefault(event.workspace_id, []).append(event)
    # in one order, so that no two transactions wait for each other
    for workspace_id in sorted(by_chain):
        links = chained(await _locked_head(connection, workspace_id), by_chain[workspace_id])
        await _add(connection, workspace_id, links)


async def record_in(  # noqa: PLR0913  (what an event says, by name)
    connection: Connection,
    workspace_id: str,
    action: str,
    *,
    resource: str,
    record_id: str,
    actor: Actor,
    details: Details | None = None,
) -> None:
    """Record what somebody does now in a workspace, as `record` does."""
    event = Event(
        workspace_id=workspace_id,
        at=datetime.now(UTC),
        actor=actor.id,
        action=action,
        resource=resource,
        record_id=record_id,
        origin=actor.origin,
        details=details or {},
    )
    await record(connection, [event])


async def record_account(  # noqa: PLR0913  (what an event says, by name)
    connection: Connection,
    action: str,
    *,
    user_id: str,
    origin: Origin,
    actor: str | None = None,
    details: Details | None = None,
    workspace_ids: Collection[str] | None = None,
) -> None:
    """Record what happened to a user's account, as `record` does, in the chain of each workspace of theirs.

    In that of the installation where they have none, or are not known (then `user_id` is empty). `actor` is who did it,
    if not the user. `workspace_ids` are the workspaces that were theirs, of a user who is gone by now.
    """
    chains = workspace_ids
    if chains is None:
        chains = [row["workspace_id"] async for row in _SQL.chains_of_user(connection, user_id=user_id)]
    event = Event(
        workspace_id=INSTALLATION,
        at=datetime.now(UTC),
        actor=user_id if actor is None else actor,
        action=action,
        resource="users",
        record_id=user_id,
        origin=origin,
        details=details or {},
    )
    await record(connection, [msgspec.structs.replace(event, workspace_id=chain) for chain in chains or [INSTALLATION]])


class Break(msgspec.Struct, frozen=True):
    """The first entry of a chain that does not hold, and why."""

    workspace_id: str
    seq: int
    reason: str


async def verify(connection: Connection) -> AsyncIterator[tuple[str, Head] | Break]:
    """Follow every chain to its end, as all were at one moment; yield the end of each, or where it breaks."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        heads = [row async for row in _SQL.heads(connection)]
        for row in heads:
            yield await _verified(connection, row["workspace_id"], Head(row["seq"], row["hash"]))


async def _verified(connection: Connection, workspace_id: str, recorded: Head) -> tuple[str, Head] | Break:
    verifier = Verifier()
    links = connection.cursor(
        f"SELECT {COLUMNS} FROM audit_log WHERE workspace_id = $1 ORDER BY seq",  # noqa: S608  (constant names)
        workspace_id,
        prefetch=_SLICE,
    )
    async for row in links:
        reason = verifier.follow(link_of(row))
        if reason is not None:
            return Break(workspace_id, row["seq"], reason)
    reason = verifier.end(recorded)
    return (workspace_id, verifier.head) if reason is None else Break(workspace_id, verifier.head.seq + 1, reason)


def link_of(row: Any) -> Link:  # noqa: ANN401  (a record of asyncpg, which has no types)
    """Return a row of the log, with the columns of `COLUMNS`."""
    event = Event(
        workspace_id=row["workspace_id"],
        at=row["at"],
        actor=row["actor"],
        action=row["action"],
        resource=row["resource"],
        record_id=row["record_id"],
        version=row["version"],
        origin=Origin(row["origin"], row["request_id"]),
        details=msgspec.json.decode(row["details"]),
    )
    return Link(event, row["seq"], row["previous_hash"], row["hash"])


async def _locked_head(connection: Connection, workspace_id: str) -> Head:
    row = await _SQL.lock_head(connection, workspace_id=workspace_id)
    if row is None:
        await _SQL.begin_chain(connection, workspace_id=workspace_id, hash=GENESIS)
        row = await _SQL.lock_head(connection, workspace_id=workspace_id)
    return Head(row["seq"], row["hash"])


async def _add(connection: Connection, workspace_id: str, links: list[Link]) -> None:
    events = [link.event for link in links]
    await _SQL.add_links(
        connection,
        workspace_id=workspace_id,
        seqs=[link.seq for link in links],
        ats=[event.at for event in events],
        actors=[event.actor for event in events],
        actions=[event.action for event in events],
        resources=[event.resource for event in events],
        record_ids=[event.record_id for event in events],
        versions=[event.version for event in events],
        origins=[event.origin.address for event in events],
        request_ids=[event.origin.request_id for event in events],
        details=[msgspec.json.encode(event.details).decode() for event in events],
        previous_hashes=[link.previous_hash for link in links],
        hashes=[link.hash for link in links],
        last_seq=links[-1].seq,
        last_hash=links[-1].hash,
    )

"""Reads records from PostgreSQL: one, or a page of a list, each at one moment."""

import asyncpg
import msgspec

from services.api.records.cursor import Cursor, encode_cursor
from services.api.records.listing import ListQuery, count_statement, page_statement
from shared.errors import NotFound
from shared.io.database.past import require_version
from shared.io.database.queries import queries
from shared.io.database.records import read_records
from shared.names import PARTITIONS, Topic, is_id, partition_of
from shared.resources import Resource
from shared.topic import Record


class Page(msgspec.Struct, frozen=True):
    """Part of a list, and where the list stands; `next_cursor` is None on the last page."""

    records: tuple[Record, ...]
    total: int
    epoch: int
    version: int
    next_cursor: str | None


class RecordReader:
    """Reads what is committed."""

    def __init__(self, pool: asyncpg.Pool, *, partitions: int = PARTITIONS) -> None:
        self._pool = pool
        self._partitions = partitions

    async def read(self, topic: Topic, record_id: str) -> Record:
        """Read one record; raises NotFound."""
        if is_id(record_id):
            async with self._pool.acquire() as connection:
                records = await read_records(connection, topic, [record_id])
            if records:
                return records[0]
        raise NotFound(f"there is no {record_id!r} among the {topic.resource}")

    async def page(self, resource: Resource, workspace_id: str, query: ListQuery) -> Page:
        """Read a page, the number of records in the whole list, and the version at which that is so.

        Raises MustRefetch for a version that the journal does not reach any more, NotFound for one yet to come.
        """
        topic = Topic(workspace_id, resource.name)
        page, total = page_statement(resource, workspace_id, query), count_statement(resource, workspace_id, query)
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            head = await queries("records").topic_head(
                connection,
                workspace_id=workspace_id,
                resource=resource.name,
                partition=partition_of(workspace_id, self._partitions),
            )
            if query.at_version is not None:
                await require_version(connection, topic, query.at_version)
            rows = await connection.fetch(page.sql, *page.arguments)
            counted = await connection.fetchval(total.sql, *total.arguments)
            ids = [row["id"] for row in rows[: query.limit]]
            found = {
                record.id: record for record in await read_records(connection, topic, ids, at_version=query.at_version)
            }
        cursor = None
        if len(rows) > query.limit:
            last = rows[query.limit - 1]
            cursor = encode_cursor(Cursor(query.sort, last["sort_value"], last["id"]))
        version = head["version"] if query.at_version is None else query.at_version
        return Page(tuple(found[record_id] for record_id in ids), counted, head["epoch"], version, cursor)

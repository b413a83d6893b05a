"""Reading records of a resource from their table, encoded as a producer would encode them."""

from collections.abc import Sequence

import msgspec
import structlog
from asyncpg import Connection

from shared.io.database.past import as_it_was
from shared.io.telemetry import Counter
from shared.names import Topic
from shared.resources import RESOURCES
from shared.topic import Record

log = structlog.get_logger(__name__)
UNREADABLE = Counter("muster_unreadable_records_total", "Stored records that their model does not accept", ["resource"])


async def read_records(
    connection: Connection, topic: Topic, ids: Sequence[str] | None = None, *, at_version: int | None = None
) -> list[Record]:
    """Read the records of a topic, or only those with these ids, as PostgreSQL holds them, or held them at a version.

    That the journal reaches so far back is to be checked before, see `past.require_version`. A record that its model
    does not accept is left out, counted and logged.
    """
    resource = RESOURCES[topic.resource]
    arguments: list[object] = [topic.workspace_id]
    which = past = ""
    if ids is not None:
        arguments.append(ids)
        which = " AND id = ANY($2)"
    if at_version is not None:
        arguments.append(at_version)
        past = as_it_was(resource, "$1", f"${len(arguments)}")
    rows = await connection.fetch(
        f"{past}SELECT id, version, to_jsonb(t) - '{{workspace_id,id,version}}'::text[] AS data "  # noqa: S608  (a declared name)
        f"FROM {resource.name} t WHERE workspace_id = $1{which}",
        *arguments,
    )
    decode = msgspec.json.Decoder(resource.model).decode
    records = []
    for row in rows:
        try:
            # through the model: the same field order, number and time formats as in what producers append
            data = msgspec.json.encode(decode(_without_nulls(row["data"])))
        except msgspec.DecodeError as error:
            # one row that cannot be read must not keep a whole partition sealed
            UNREADABLE.labels(resource.name).inc()
            log.error("stored record cannot be read", topic=str(topic), record=row["id"], reason=str(error))  # noqa: TRY400  (the reason says it all)
            continue
        records.append(Record(row["id"], row["version"], data))
    return records


def _without_nulls(data: bytes) -> bytes:
    """Leave out the columns that are NULL, so that the model's own defaults stand for them."""
    fields = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    return msgspec.json.encode({name: value for name, value in fields.items() if bytes(value) != b"null"})

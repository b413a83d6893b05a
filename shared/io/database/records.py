"""Reading records of a resource from their table, encoded as a producer would encode them."""

from collections.abc import Sequence

import msgspec
from asyncpg import Connection

from shared.names import Topic
from shared.resources import RESOURCES
from shared.topic import Record


async def read_records(connection: Connection, topic: Topic, ids: Sequence[str] | None = None) -> list[Record]:
    """Read the records of a topic, or only those with these ids, as PostgreSQL holds them."""
    resource = RESOURCES[topic.resource]
    which, arguments = ("", []) if ids is None else (" AND id = ANY($2)", [ids])
    rows = await connection.fetch(
        f"SELECT id, version, to_jsonb(t) - '{{workspace_id,id,version}}'::text[] AS data "  # noqa: S608  (a declared name)
        f"FROM {resource.name} t WHERE workspace_id = $1{which}",
        topic.workspace_id,
        *arguments,
    )
    decode = msgspec.json.Decoder(resource.model).decode
    # through the model: the same field order, number and time formats as in what producers append
    return [Record(row["id"], row["version"], msgspec.json.encode(decode(_without_nulls(row["data"])))) for row in rows]


def _without_nulls(data: bytes) -> bytes:
    """Leave out the columns that are NULL, so that the model's own defaults stand for them."""
    fields = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    return msgspec.json.encode({name: value for name, value in fields.items() if bytes(value) != b"null"})

"""A resource's table as it was at a version of its topic, told from the journal."""

from asyncpg import Connection

from shared.errors import MustRefetch, NotFound
from shared.io.database.queries import queries
from shared.names import Topic
from shared.resources import Resource


def as_it_was(resource: Resource, workspace: str, version: str) -> str:
    """Return a WITH clause that puts the past in the place of the table: what follows selects from it under its name.

    `workspace` and `version` are placeholders such as `$1`. That the journal reaches so far back is to be checked in
    the same snapshot of the database: see `require_version`.
    """
    name = resource.name
    of_topic = f"workspace_id = {workspace} AND topic = '{name}'"
    return (
        f"WITH {name} AS (SELECT past.* FROM "  # noqa: S608  (declared names and placeholders)
        f"(SELECT max(id) AS id FROM ws_events WHERE {of_topic} AND id <= {version} GROUP BY record_id) AS newest "
        f"JOIN (SELECT id, event_type, payload FROM ws_events WHERE {of_topic}) AS event USING (id) "
        f"CROSS JOIN LATERAL jsonb_populate_record(NULL::{name}, "
        f"event.payload || jsonb_build_object('workspace_id', {workspace}::text)) AS past "
        "WHERE event.event_type <> 'delete') "
    )


async def require_version(connection: Connection, topic: Topic, version: int) -> None:
    """Raise MustRefetch for a version that the journal does not reach any more, NotFound for one yet to come."""
    head = await queries("journal").journal_head(connection, workspace_id=topic.workspace_id, topic=topic.resource)
    if version < head["journal_floor"]:
        raise MustRefetch(f"the journal of {topic.resource} reaches back to version {head['journal_floor']} only")
    if version > head["version"]:
        raise NotFound(f"{topic.resource} are at version {head['version']}", code="version_ahead", field="at_version")

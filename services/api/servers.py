"""What servers have beyond other records: labels of many at once, and a deletion that takes their agents along."""

from typing import Annotated

import asyncpg
import msgspec
from litestar import delete, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from litestar.response import Response
from msgspec import Meta

from services.api.bodies import invalid
from services.api.conditions import WriteTerms
from services.api.problems import BODY_PROBLEMS, WRITE_PROBLEMS
from services.api.records.answers import ACCEPTED, NO_CONTENT, OK, deleted_answer, described, edited_answer
from services.api.records.merge import relabelled
from services.api.records.representation import edited_type
from services.api.records.writer import RecordWriter
from services.api.requests import opt
from shared.errors import NotFound
from shared.io.changelog.read import LogReader
from shared.io.database.queries import queries
from shared.io.identity_changes import AgentChanges
from shared.io.litestar_problems import documented
from shared.io.problem import FieldError, HttpError
from shared.names import Topic, deadline_of, held_deadline_of, is_id, new_id
from shared.operation import Deadline, Draft, Operation
from shared.resources import AGENTS, METRICS, SERVERS
from shared.resources.declaration import Labels, RecordId
from shared.topic import Record


class TagEdit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tags to add to servers and to remove from them."""

    ids: Annotated[tuple[RecordId, ...], Meta(min_length=1, max_length=1000)]
    add: Labels = ()
    remove: Labels = ()


class Servers:
    """Edits and deletes servers."""

    def __init__(
        self, pool: asyncpg.Pool, reader: LogReader, writer: RecordWriter, agent_changes: AgentChanges
    ) -> None:
        self._pool = pool
        self._agent_changes = agent_changes
        self._reader = reader
        self._writer = writer

    async def delete(self, server_id: str, terms: WriteTerms) -> bool:
        """Delete a server with its metrics and its agents, which can come back only by enrolling anew.

        Return whether that is committed. Raises NotFound, Conflict, and what `RecordWriter.append` raises; the agents
        are locked out by then.
        """
        return await self._writer.once(
            terms, lambda: self._delete(server_id, terms), lambda first: self._writer.committed(first.position, terms)
        )

    async def _delete(self, server_id: str, terms: WriteTerms) -> bool:
        workspace_id = terms.workspace_id
        if not is_id(server_id):
            raise NotFound("there is no such server")
        (server,) = await self._writer.read(Topic(workspace_id, SERVERS.name), [server_id])
        terms.require(server.version)
        rows = queries("servers").revoke_agents(self._pool, workspace_id=workspace_id, server_id=server_id)
        agent_ids = [row["agent_id"] async for row in rows]
        await self._agent_changes.announce(agent_ids)
        # the server last: if only the beginning should survive a loss of the log, it can be deleted again
        belongings = [_deletion(terms, AGENTS.name, agent_id) for agent_id in agent_ids]
        belongings.append(_deletion(terms, METRICS.name, server_id))
        members = (deadline_of(workspace_id, server_id), held_deadline_of(workspace_id, server_id))
        deletion = Operation(
            topic=Topic(workspace_id, SERVERS.name),
            id=terms.operation_id,
            actor=terms.actor,
            origin=terms.origin,
            drafts=(Draft(id=server_id, action="delete", expect=server.version if terms.versions else None),),
            deadlines=tuple(Deadline("drop", member) for member in members),
        )
        _, committed = await self._writer.append([*belongings, deletion], terms)
        return committed


def _deletion(terms: WriteTerms, resource: str, record_id: str) -> Operation:
    """Delete a record that may not be there: the operation is then refused, and nothing else is."""
    return Operation(
        topic=Topic(terms.workspace_id, resource),
        id=new_id("o"),
        actor=terms.actor,
        origin=terms.origin,
        drafts=(Draft(id=record_id, action="delete"),),
    )


@delete(
    "/servers/{record_id:str}",
    opt=opt("write"),
    status_code=NO_CONTENT,
    operation_id="deleteServer",
    summary="Delete a server, its metrics and its agents",
    tags=["servers"],
    responses={
        NO_CONTENT: described(None, "The server is deleted, and that is committed"),
        ACCEPTED: described(None, "The deletion is in the log; it will be committed"),
        **documented(*WRITE_PROBLEMS),
    },
)
async def delete_server(
    record_id: FromPath[str], terms: NamedDependency[WriteTerms], servers: NamedDependency[Servers]
) -> Response[None]:
    """Answer 204 once it is committed."""
    return deleted_answer(terms, committed=await servers.delete(record_id, terms))


@post(
    "/servers/tags",
    opt=opt("write"),
    status_code=OK,
    operation_id="tagServers",
    summary="Add tags to servers and remove tags from them, all or none",
    tags=["servers"],
    responses={
        OK: described(edited_type(SERVERS), "The servers as they are now, committed"),
        ACCEPTED: described(edited_type(SERVERS), "The servers as they are in the log; they will be committed"),
        **documented(*WRITE_PROBLEMS, *BODY_PROBLEMS),
    },
)
async def tag_servers(
    data: JSONBody[TagEdit], terms: NamedDependency[WriteTerms], writer: NamedDependency[RecordWriter]
) -> Response[bytes]:
    """Edit the tags of many servers at once."""
    both = sorted(set(data.add) & set(data.remove))
    if both:
        raise invalid(FieldError("remove", f"{', '.join(both)} cannot be added and removed at once"))

    def edit(server: Record) -> bytes | None:
        try:
            return relabelled(SERVERS, server.data, "tags", add=data.add, remove=data.remove)
        except HttpError as error:
            raise invalid(*(FieldError(e.field, f"{server.id}: {e.message}") for e in error.errors)) from error

    written = await writer.edit(SERVERS, list(dict.fromkeys(data.ids)), edit, terms)
    return edited_answer(written, terms)


SERVER_ROUTES = (delete_server, tag_servers)

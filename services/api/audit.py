"""The audit log over HTTP, to read and to take along: a workspace's for its owners, the installation's for its own."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import asyncpg
import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Operation
from litestar.response import Response, Stream
from msgspec import Meta

from services.api.auth_routes import NO_STORE
from services.api.parameter_schemas import query_parameter
from services.api.parameters import read_parameters
from services.api.permissions import Caller
from services.api.problems import WORKSPACE_PROBLEMS
from services.api.records.answers import OK
from services.api.requests import ApiRequest, opt
from shared.audit import INSTALLATION
from shared.io.audit import COLUMNS
from shared.io.litestar_problems import documented
from shared.validation import form

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
NDJSON = "application/x-ndjson"

_Word = Annotated[str, Meta(min_length=1, max_length=64), form(r"^[^\x00]*$", "text without NUL")]
_Time = Annotated[datetime, Meta(tz=True)]
_Limit = Annotated[int, Meta(ge=1, le=MAX_LIMIT)]
_Seq = Annotated[int, Meta(ge=1, le=2**53 - 1)]


class AuditFilter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which entries are wanted: those that have all of these values, at times in `[from, to)`."""

    actor: _Word | None = None
    action: _Word | None = None
    resource: _Word | None = None
    record_id: _Word | None = None
    begin: _Time | None = msgspec.field(name="from", default=None)
    end: _Time | None = msgspec.field(name="to", default=None)


class AuditQuery(AuditFilter, frozen=True, forbid_unknown_fields=True):
    """Which page of them: at most `limit`, older than the entry `cursor`."""

    limit: _Limit = DEFAULT_LIMIT
    cursor: _Seq | None = None


class AuditEntry(msgspec.Struct, frozen=True):
    """An entry: who did what to which record, from where. Hashes are in hexadecimal digits."""

    seq: int
    at: datetime
    actor: str
    action: str
    resource: str
    record_id: str
    version: int | None
    origin: str
    request_id: str
    details: dict[str, Any]
    previous_hash: str
    hash: str


class AuditPage(msgspec.Struct, frozen=True):
    """A part of the log, the newest first."""

    items: list[AuditEntry]
    next_cursor: str | None


class AuditReader:
    """Reads the entries of one chain: that of a workspace, or of the installation."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def page(self, workspace_id: str, query: AuditQuery) -> AuditPage:
        """Return a page, the newest entry first."""
        conditions, arguments = _conditions(workspace_id, query)
        if query.cursor is not None:
            arguments.append(query.cursor)
            conditions.append(f"seq < ${len(arguments)}")
        rows = await self._rows(conditions, arguments, "DESC", query.limit + 1)
        items = [_entry(row) for row in rows[: query.limit]]
        return AuditPage(items, str(items[-1].seq) if len(rows) > query.limit else None)

    async def all(self, workspace_id: str, wanted: AuditFilter) -> AsyncIterator[bytes]:
        """Yield lines of JSON, the oldest entry first, up to the one that is the newest at the beginning.

        Nobody is kept waiting by a reader who is slow: between the parts nothing is held.
        """
        newest = await self._pool.fetchval("SELECT seq FROM audit_heads WHERE workspace_id = $1", workspace_id)
        after = 0
        while newest is not None:
            conditions, arguments = _conditions(workspace_id, wanted)
            arguments += (after, newest)
            conditions.append(f"seq > ${len(arguments) - 1} AND seq <= ${len(arguments)}")
            rows = await self._rows(conditions, arguments, "ASC", MAX_LIMIT)
            if rows:
                after = rows[-1]["seq"]
                yield b"".join(msgspec.json.encode(_entry(row)) + b"\n" for row in rows)
            if len(rows) < MAX_LIMIT:
                return

    async def _rows(self, conditions: list[str], arguments: list[object], direction: str, limit: int) -> list[Any]:
        rows: list[Any] = await self._pool.fetch(
            f"SELECT {COLUMNS} FROM audit_log WHERE {' AND '.join(conditions)} "  # noqa: S608  (declared names)
            f"ORDER BY seq {direction} LIMIT {limit}",
            *arguments,
        )
        return rows


def _conditions(workspace_id: str, wanted: AuditFilter) -> tuple[list[str], list[object]]:
    conditions = ["workspace_id = $1"]
    given: list[object] = [workspace_id]
    compared = (
        ("actor =", wanted.actor),
        ("action =", wanted.action),
        ("resource =", wanted.resource),
        ("record_id =", wanted.record_id),
        ("at >=", wanted.begin),
        ("at <", wanted.end),
    )
    for comparison, value in compared:
        if value is not None:
            given.append(value)
            conditions.append(f"{comparison} ${len(given)}")
    return conditions, given


def _entry(row: Any) -> AuditEntry:  # noqa: ANN401  (a record of asyncpg, which has no types)
    return AuditEntry(
        row["seq"],
        row["at"],
        row["actor"],
        row["action"],
        row["resource"],
        row["record_id"],
        row["version"],
        row["origin"],
        row["request_id"],
        msgspec.json.decode(row["details"]),
        row["previous_hash"].hex(),
        row["hash"].hex(),
    )


FILTERS = tuple(field.encode_name for field in msgspec.structs.fields(AuditFilter))


@dataclass
class _FilteredOperation(Operation):
    """An operation that has the parameters of a filter."""

    def __post_init__(self) -> None:
        kinds = {name: _Time if name in {"from", "to"} else _Word for name in FILTERS}
        self.parameters = [*(self.parameters or []), *(query_parameter(name, kind) for name, kind in kinds.items())]


@dataclass
class _PagedOperation(_FilteredOperation):
    """One that has those of a page as well."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.parameters = [
            *(self.parameters or []),
            query_parameter("limit", _Limit, default=DEFAULT_LIMIT),
            query_parameter("cursor", _Seq, description="`next_cursor` of the page before"),
        ]


_LISTED = documented(*WORKSPACE_PROBLEMS)
_EXPORTED = {
    OK: ResponseSpec(AuditEntry, description="An entry a line", media_type=NDJSON, generate_examples=False),
    **documented(*WORKSPACE_PROBLEMS),
}


@get(
    "/audit",
    opt=opt("manage", query=(*FILTERS, "limit", "cursor")),
    operation_id="listAudit",
    operation_class=_PagedOperation,
    summary="Who did what to which record from where, the newest first",
    tags=["audit"],
    responses=_LISTED,
)
async def list_audit(
    request: ApiRequest, caller: NamedDependency[Caller], audit: NamedDependency[AuditReader]
) -> Response[AuditPage]:
    """Answer owners with a page of the audit log."""
    return await _listed(request, audit, caller.workspace_id)


@get(
    "/audit/export",
    opt=opt("manage", query=FILTERS),
    operation_id="exportAudit",
    operation_class=_FilteredOperation,
    summary="The audit log as lines of JSON, the oldest first",
    tags=["audit"],
    responses=_EXPORTED,
)
async def export_audit(
    request: ApiRequest, caller: NamedDependency[Caller], audit: NamedDependency[AuditReader]
) -> Stream:
    """Answer owners with the whole log; with its hashes, so that whoever has it can check it."""
    return _exported(request, audit, caller.workspace_id)


@get(
    "/installation/audit",
    opt=opt("administer", query=(*FILTERS, "limit", "cursor")),
    operation_id="listInstallationAudit",
    operation_class=_PagedOperation,
    summary="Who did what that concerns no workspace, the newest first",
    tags=["audit"],
    responses=_LISTED,
)
async def list_installation_audit(request: ApiRequest, audit: NamedDependency[AuditReader]) -> Response[AuditPage]:
    """Answer administrators with a page of the installation's own chain."""
    return await _listed(request, audit, INSTALLATION)


@get(
    "/installation/audit/export",
    opt=opt("administer", query=FILTERS),
    operation_id="exportInstallationAudit",
    operation_class=_FilteredOperation,
    summary="The installation's own chain of the audit log as lines of JSON, the oldest first",
    tags=["audit"],
    responses=_EXPORTED,
)
async def export_installation_audit(request: ApiRequest, audit: NamedDependency[AuditReader]) -> Stream:
    """Answer administrators with that chain, likewise."""
    return _exported(request, audit, INSTALLATION)


async def _listed(request: ApiRequest, audit: AuditReader, chain: str) -> Response[AuditPage]:
    query = read_parameters(AuditQuery, request.query_params.multi_items())
    return Response(await audit.page(chain, query), headers=NO_STORE)


def _exported(request: ApiRequest, audit: AuditReader, chain: str) -> Stream:
    wanted = read_parameters(AuditFilter, request.query_params.multi_items())
    headers = {"Content-Disposition": 'attachment; filename="audit.ndjson"', **NO_STORE}
    return Stream(audit.all(chain, wanted), media_type=NDJSON, headers=headers)


AUDIT_ROUTES = (list_audit, export_audit, list_installation_audit, export_installation_audit)

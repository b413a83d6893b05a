"""What machines are made of, over HTTP: the latest, and how each version differs from the one before."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

import asyncpg
import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.openapi.spec import Parameter, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from litestar.params import FromPath
from litestar.response import Response
from msgspec import Meta

from services.api.paging import PAGE_PARAMETERS, PagedOperation
from services.api.parameters import read_parameters
from services.api.permissions import Caller
from services.api.problems import WORKSPACE_PROBLEMS
from services.api.records.answers import OK, described
from services.api.records.cursor import Cursor, decode_cursor, encode_cursor
from services.api.records.listing import DEFAULT_LIMIT, MAX_LIMIT, read_number
from services.api.requests import ApiRequest, opt
from shared.errors import NotFound
from shared.io.database.queries import queries
from shared.io.litestar_problems import documented
from shared.io.problem import bad_parameter
from shared.names import is_id
from shared.resources.servers import OperatingSystem

_Time = Annotated[datetime, Meta(tz=True)]
_ORDER = "-at"
_NEWEST_POSSIBLE = 2**63 - 1
_SQL = queries("inventories")


class Inventory(msgspec.Struct, frozen=True):
    """What a machine is made of; the times are null, and the rest is empty, where its agent has said nothing yet.

    `told_at` is when it was told so; `changed_at` when one of the key facts was last another than before, which are all
    but the boot time and the number of packages.
    """

    os: OperatingSystem
    inventory: dict[str, Any]
    told_at: datetime | None
    changed_at: datetime | None


class InventoryVersion(msgspec.Struct, frozen=True):
    """From when on it was so, and what differs from the version before: `{field: [before, after]}`."""

    at: datetime
    difference: dict[str, Annotated[list[Any], Meta(min_length=2, max_length=2)]]


class InventoryHistory(msgspec.Struct, frozen=True):
    """A part of the versions, the newest first."""

    items: list[InventoryVersion]
    next_cursor: str | None


class VersionsParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which versions are wanted: those of a time, and which part of them."""

    begin: _Time | None = msgspec.field(name="from", default=None)
    end: _Time | None = msgspec.field(name="to", default=None)
    limit: str | None = None
    cursor: str | None = None


class InventoryReader:
    """Reads inventories of servers."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def latest(self, workspace_id: str, server_id: str) -> Inventory:
        """Return what a server is made of; raises NotFound for one that the workspace does not have."""
        row = await self._row(workspace_id, server_id)
        if row["told_at"] is None:
            return Inventory(OperatingSystem(), {}, None, None)
        system = msgspec.json.decode(row["os"], type=OperatingSystem)
        return Inventory(system, msgspec.json.decode(row["inventory"]), row["told_at"], row["changed_at"])

    async def versions(self, workspace_id: str, server_id: str, wanted: VersionsParameters) -> InventoryHistory:
        """Return a part of the versions; raises NotFound, and HttpError (400) for a wrong parameter."""
        limit = read_number("limit", wanted.limit, 1, MAX_LIMIT) or DEFAULT_LIMIT
        if wanted.begin is not None and wanted.end is not None and wanted.begin >= wanted.end:
            raise bad_parameter("from", "must be before `to`")
        after = _after(wanted.cursor)
        await self._row(workspace_id, server_id)
        rows = [
            row
            async for row in _SQL.versions(
                self._pool,
                workspace_id=workspace_id,
                server_id=server_id,
                begin=wanted.begin,
                end=wanted.end,
                after_at=after.value if after else None,
                after_id=int(after.id) if after else None,
                most=limit + 1,
            )
        ]
        items = [InventoryVersion(row["at"], msgspec.json.decode(row["difference"])) for row in rows[:limit]]
        following = None
        if len(rows) > limit:
            following = encode_cursor(Cursor(_ORDER, rows[limit - 1]["at"], str(rows[limit - 1]["id"])))
        return InventoryHistory(items, following)

    async def _row(self, workspace_id: str, server_id: str) -> Mapping[str, Any]:
        if is_id(server_id):
            row = await _SQL.latest(self._pool, workspace_id=workspace_id, server_id=server_id)
            if row is not None:
                found: Mapping[str, Any] = row
                return found
        raise NotFound(f"there is no {server_id!r} among the servers")


def _after(text: str | None) -> Cursor | None:
    if text is None:
        return None
    try:
        cursor = decode_cursor(text, _ORDER, _Time)
        is_ours = cursor.id.isascii() and cursor.id.isdecimal() and int(cursor.id) <= _NEWEST_POSSIBLE
        reason = "" if is_ours else "it is of another list"
    except ValueError as error:
        reason = str(error)
    if reason:
        raise bad_parameter("cursor", reason)
    return cursor


@dataclass
class _VersionsOperation(PagedOperation):
    """An operation that has the parameters of a page, and of a time."""

    def __post_init__(self) -> None:
        super().__post_init__()
        time = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.DATE_TIME)
        added = [Parameter(name=name, param_in="query", schema=time) for name in ("from", "to")]
        self.parameters = [*added, *(self.parameters or [])]


@get(
    "/servers/{record_id:str}/inventory",
    opt=opt("read"),
    operation_id="getServerInventory",
    summary="What a server is made of",
    tags=["servers"],
    responses={
        OK: described(Inventory, "The inventory that its agent has told last"),
        **documented(*WORKSPACE_PROBLEMS, HTTPStatus.NOT_FOUND),
    },
)
async def get_server_inventory(
    record_id: FromPath[str], caller: NamedDependency[Caller], inventories: NamedDependency[InventoryReader]
) -> Response[Inventory]:
    """Answer with the latest inventory."""
    return Response(await inventories.latest(caller.workspace_id, record_id))


@get(
    "/servers/{record_id:str}/inventory/history",
    opt=opt("read", query=("from", "to", *PAGE_PARAMETERS)),
    operation_id="listServerInventoryVersions",
    operation_class=_VersionsOperation,
    summary="How what a server is made of has changed, the newest first",
    tags=["servers"],
    responses={
        OK: described(InventoryHistory, "A part of the versions"),
        **documented(*WORKSPACE_PROBLEMS, HTTPStatus.NOT_FOUND),
    },
)
async def list_server_inventory_versions(
    record_id: FromPath[str],
    request: ApiRequest,
    caller: NamedDependency[Caller],
    inventories: NamedDependency[InventoryReader],
) -> Response[InventoryHistory]:
    """Answer with each version's time and its difference to the one before."""
    wanted = read_parameters(VersionsParameters, request.query_params.multi_items(), strict=True)
    return Response(await inventories.versions(caller.workspace_id, record_id, wanted))


INVENTORY_ROUTES = (get_server_inventory, list_server_inventory_versions)

"""What a client compares after a reconnect: where the topics of its workspace stand."""

import msgspec
from litestar import get
from litestar.di import NamedDependency

from services.api.permissions import Caller
from services.api.problems import WORKSPACE_PROBLEMS
from services.api.requests import opt
from shared.io.changelog.read import LogReader
from shared.io.litestar_problems import documented
from shared.resources import RESOURCES


class SyncStatus(msgspec.Struct, frozen=True):
    """The epoch of the workspace's log and the version of each of its topics."""

    epoch: str
    versions: dict[str, int]


@get(
    "/sync/status",
    opt=opt("read"),
    operation_id="getSyncStatus",
    summary="Where the topics stand",
    tags=["sync"],
    responses=documented(*WORKSPACE_PROBLEMS),
)
async def sync_status(caller: NamedDependency[Caller], log_reader: NamedDependency[LogReader]) -> SyncStatus:
    """Say where the topics stand; one that never changed is at version 0."""
    epoch, versions = await log_reader.versions(caller.workspace_id)
    return SyncStatus(str(epoch), {name: versions.get(name, 0) for name in RESOURCES})

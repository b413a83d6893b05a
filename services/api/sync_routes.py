"""What a client asks after a reconnect: where the topics of its workspace stand, and what it has missed of one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import Operation

from services.api.parameter_schemas import query_parameter
from services.api.permissions import Caller
from services.api.problems import WORKSPACE_PROBLEMS
from services.api.requests import ApiRequest, opt
from shared.change import Change
from shared.io.changelog.read import LogReader
from shared.io.litestar_problems import documented
from shared.io.problem import FieldError, HttpError, RefetchProblem
from shared.names import Topic
from shared.protocol import Since
from shared.resources import RESOURCES, resource_named
from shared.resources.declaration import Epoch, Identifier, Version

_NEWEST_POSSIBLE = 2**53 - 1  # what a JavaScript number can still count
_NUMBER = re.compile(r"[0-9]{1,20}")


class SyncStatus(msgspec.Struct, frozen=True):
    """The epoch of the workspace's log and the version of each of its topics."""

    epoch: Epoch
    versions: dict[str, Version]


class MissedChanges(msgspec.Struct, frozen=True, kw_only=True):
    """The last change of each record that changed after version `prev`, up to `version`, in order.

    With `more`, the next part is asked for with `since` being `version`.
    """

    topic: str
    workspace: Identifier
    epoch: Epoch
    prev: Version
    version: Version
    changes: tuple[Change, ...]
    more: bool


@dataclass
class _ChangesOperation(Operation):
    """An operation that has the parameters of what was missed."""

    def __post_init__(self) -> None:
        self.parameters = [
            *(self.parameters or []),
            query_parameter("topic", str, required=True, enum=list(RESOURCES)),
            query_parameter("epoch", Epoch, required=True, description="The epoch last seen"),
            query_parameter("since", Version, required=True, description="The version last seen"),
        ]


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


@get(
    "/sync/changes",
    opt=opt("read", query=("topic", "epoch", "since")),
    operation_id="getMissedChanges",
    operation_class=_ChangesOperation,
    summary="What was missed of a topic",
    tags=["sync"],
    responses={
        **documented(*WORKSPACE_PROBLEMS, HTTPStatus.NOT_FOUND),
        **documented(HTTPStatus.CONFLICT, body=RefetchProblem),
    },
)
async def sync_changes(
    request: ApiRequest, caller: NamedDependency[Caller], log_reader: NamedDependency[LogReader]
) -> MissedChanges:
    """Answer with what happened after `since`; 409 when that is not remembered: then the list is to be read anew."""
    name, since = _read_since(list(request.query_params.multi_items()))
    topic = Topic(caller.workspace_id, resource_named(name).name)
    missed = await log_reader.missed(topic, since)
    return MissedChanges(
        topic=topic.resource,
        workspace=topic.workspace_id,
        epoch=since.epoch,
        prev=missed.span.prev,
        version=missed.span.version,
        changes=missed.span.changes,
        more=missed.more,
    )


def _read_since(parameters: Sequence[tuple[str, Any]]) -> tuple[str, Since]:
    """Return the topic and what the caller has seen of it; raises HttpError (400), which names what is wrong."""
    given = {name: [text for key, text in parameters if key == name] for name in ("topic", "epoch", "since")}
    wrong = [
        FieldError(name, "is required" if not texts else "must be given once")
        for name, texts in given.items()
        if len(texts) != 1
    ]
    wrong += (
        FieldError(name, f"must be a {kind} in decimal digits")
        for name, kind in (("epoch", "number"), ("since", "version"))
        if len(given[name]) == 1 and not _NUMBER.fullmatch(given[name][0])
    )
    if not wrong and int(given["since"][0]) > _NEWEST_POSSIBLE:
        wrong.append(FieldError("since", f"must not be above {_NEWEST_POSSIBLE}"))
    if wrong:
        detail = "; ".join(f"{each.field}: {each.message}" for each in wrong)
        raise HttpError(400, "bad_request", detail, errors=wrong)
    return given["topic"][0], Since(given["epoch"][0], int(given["since"][0]))


SYNC_ROUTES: tuple[HTTPRouteHandler, ...] = (sync_status, sync_changes)

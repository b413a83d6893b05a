"""The history of a server's metrics over HTTP."""

import datetime as dt
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.openapi.spec import Operation, Parameter, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from litestar.params import FromPath
from litestar.response import Response
from msgspec import Meta

from services.api.gaps import Gap
from services.api.metric_history import MetricHistory, Question
from services.api.parameters import read_parameters
from services.api.permissions import Caller
from services.api.problems import WORKSPACE_PROBLEMS
from services.api.records.answers import JSON_BYTES, OK, described
from services.api.requests import ApiRequest, opt
from services.api.resolution import AUTO, MAX_POINTS, WORDS, span_of
from shared.io.litestar_problems import documented
from shared.io.problem import bad_parameter
from shared.levels import COUNTERS, NUMBERS

USUAL_SPAN = dt.timedelta(hours=24)
"""What is answered where `from` is not said."""

_Time = Annotated[dt.datetime, Meta(tz=True)]
_Numbers = Annotated[
    dict[str, float],
    Meta(
        description="The measurements that there are, by their names",
        extra_json_schema={"propertyNames": {"enum": list(NUMBERS)}},
    ),
]


class HistoryParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the parameters of a request say."""

    begin: _Time | None = msgspec.field(name="from", default=None)
    end: _Time | None = msgspec.field(name="to", default=None)
    resolution: str = AUTO
    fields: str | None = None

    def names(self) -> tuple[str, ...]:
        """Return the measurements that are wanted, in the order of their declaration; raises HttpError (400)."""
        if self.fields is None:
            return NUMBERS
        wanted = set(self.fields.split(","))
        unknown = sorted(wanted.difference(NUMBERS))
        if unknown:
            named = ", ".join(repr(name[:40]) for name in unknown[:10])
            raise bad_parameter("fields", f"there is no measurement {named}; there are {', '.join(NUMBERS)}")
        return tuple(name for name in NUMBERS if name in wanted)


class HistoryPoint(msgspec.Struct, frozen=True):
    """A sample, or what the samples amount to that were measured in a step which begins at `ts`."""

    ts: _Time
    avg: _Numbers
    min: _Numbers
    max: _Numbers


class MetricHistoryAnswer(msgspec.Struct, frozen=True):
    """Points in the order of time, and where there is nothing although something was to be expected.

    `resolution` is the level that they come from; `resolution_s` how far apart they are, for samples usually, null
    where that cannot be told.
    """

    resolution: str
    resolution_s: float | None
    points: Annotated[list[HistoryPoint], Meta(max_length=MAX_POINTS)]
    gaps: list[Gap]


@dataclass
class _HistoryOperation(Operation):
    """An operation that has the parameters of a question about history."""

    def __post_init__(self) -> None:
        time = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.DATE_TIME)
        resolution = Schema(type=OpenAPIType.STRING, pattern=f"^({'|'.join(WORDS)}|[1-9][0-9]{{0,7}})$", default=AUTO)
        names = Schema(type=OpenAPIType.ARRAY, items=Schema(type=OpenAPIType.STRING, enum=list(NUMBERS)), min_items=1)
        added = [
            Parameter(
                name="from", param_in="query", schema=time, description="Beginning; 24 h before `to` if not given"
            ),
            Parameter(name="to", param_in="query", schema=time, description="End, exclusive; now if not given"),
            Parameter(
                name="resolution",
                param_in="query",
                schema=resolution,
                description=f"The level, or a step in seconds: up to 59, or a multiple of 60. At most {MAX_POINTS} "
                "points are answered; `auto` takes the finest level that has so few and is still kept.",
            ),
            Parameter(
                name="fields",
                param_in="query",
                schema=names,
                style="form",
                explode=False,
                description=f"Names with commas between; all if not given. Of {', '.join(COUNTERS)}, which only grow, "
                "points in steps have the greatest alone.",
            ),
        ]
        self.parameters = [*(self.parameters or []), *added]


@get(
    "/servers/{record_id:str}/metrics",
    opt=opt("read", query=("from", "to", "resolution", "fields")),
    operation_id="getServerMetrics",
    operation_class=_HistoryOperation,
    summary="The history of a server's metrics",
    tags=["servers"],
    responses={
        OK: described(MetricHistoryAnswer, "Points and gaps"),
        **documented(*WORKSPACE_PROBLEMS, HTTPStatus.NOT_FOUND),
    },
)
async def get_server_metrics(
    record_id: FromPath[str],
    request: ApiRequest,
    caller: NamedDependency[Caller],
    metric_history: NamedDependency[MetricHistory],
) -> Response[bytes]:
    """Answer with samples or with what they amount to, in whole steps, up to the newest that is committed."""
    asked = read_parameters(HistoryParameters, request.query_params.multi_items(), strict=True)
    question = Question(
        workspace_id=caller.workspace_id,
        server_id=record_id,
        span=span_of(asked.begin, asked.end, metric_history.now(), USUAL_SPAN),
        resolution=asked.resolution,
        fields=asked.names(),
    )
    return Response(await metric_history.answer(question), media_type=JSON_BYTES)


METRIC_HISTORY_ROUTES = (get_server_metrics,)

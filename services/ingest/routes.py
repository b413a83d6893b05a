"""What agents may call, except for the hot path: enrolment, handshake, status, goodbye."""

from http import HTTPStatus
from typing import Annotated, Any

from litestar import Request, post
from litestar.datastructures import State
from litestar.params import Parameter

from services.ingest.credentials import AgentIdentity
from services.ingest.enrolment import Enrolments
from services.ingest.messages import Enrolled, Enrolment, Handshake, MetricsTaken, Status, StatusTaken, Welcome
from services.ingest.presence import Presence
from services.ingest.registration import interval_granted
from services.ingest.throttle import Throttle
from shared.errors import Rejected
from shared.io.litestar_problems import documented
from shared.resources.metrics import Sample

AgentRequest = Request[AgentIdentity, None, State]

IdempotencyKey = Annotated[
    str,
    Parameter(
        header="Idempotency-Key",
        max_length=200,
        description="Repeating an enrolment with the same key and token gives the same agent a new secret, until it "
        "has shaken hands: for an answer that was lost.",
    ),
]

_NOT_TAKEN = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_AGENTS_ONLY: list[dict[str, list[str]]] = [{"agentSecret": []}]


@post(
    "/ingest/v1/enroll",
    summary="Trade an enrolment token for a credential",
    responses=documented(
        *_NOT_TAKEN,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.CONFLICT,
        HTTPStatus.TOO_MANY_REQUESTS,
    ),
)
async def enroll(
    request: Request[Any, Any, State],
    data: Enrolment,
    enrolments: Enrolments,
    throttle: Throttle,
    idempotency_key: IdempotencyKey = "",
) -> Enrolled:
    """Register a machine. An `agent_id` that exists is proven by its secret in `Authorization`."""
    address = request.client.host if request.client else "unknown"
    await throttle.admit(address)
    authorization = request.headers.get("authorization", "")
    try:
        return await enrolments.enrol(data, authorization=authorization, idempotency_key=idempotency_key)
    except Rejected:
        await throttle.note_refusal(address)
        raise


@post(
    "/ingest/v1/handshake",
    summary="Say what the agent and its machine are",
    status_code=HTTPStatus.OK,
    security=_AGENTS_ONLY,
    responses=documented(*_NOT_TAKEN, HTTPStatus.UNAUTHORIZED),
)
async def handshake(
    request: AgentRequest,
    data: Handshake,
    enrolments: Enrolments,
    presence: Presence,
) -> Welcome:
    """Put the server online; the answer says how often to send samples."""
    registration = await enrolments.registration(request.user)
    await presence.introduce(request.user, registration, data)
    return Welcome(
        server_id=request.user.server_id,
        server_time=presence.now(),
        interval_s=interval_granted(data.interval_s, presence.offline_after_ms / 1000),
    )


@post(
    "/ingest/v1/status",
    summary="Say how the agent is",
    status_code=HTTPStatus.ACCEPTED,
    security=_AGENTS_ONLY,
    responses=documented(*_NOT_TAKEN, HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND),
)
async def status(
    request: AgentRequest,
    data: Status,
    enrolments: Enrolments,
    presence: Presence,
) -> StatusTaken:
    """Keep how an agent is; what is left out stays as it was."""
    registration = await enrolments.registration(request.user)
    await presence.report(request.user, registration, data)
    return StatusTaken(server_time=presence.now())


@post(
    "/ingest/v1/disconnect",
    summary="Say goodbye",
    status_code=HTTPStatus.NO_CONTENT,
    security=_AGENTS_ONLY,
    responses=documented(HTTPStatus.UNAUTHORIZED, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def disconnect(request: AgentRequest, presence: Presence) -> None:
    """Put the server offline at once."""
    await presence.leave(request.user)


@post(
    "/ingest/v1/metrics",
    summary="Take samples in",
    status_code=HTTPStatus.ACCEPTED,
    security=_AGENTS_ONLY,
    responses=documented(
        *_NOT_TAKEN,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.TOO_MANY_REQUESTS,
    ),
)
async def describe_metrics(data: Sample | list[Sample]) -> MetricsTaken:
    """Take one sample or an array of up to 1,000: the good ones are kept when others are bad."""
    # stands here for the sake of the OpenAPI document: MetricsDoor answers before Litestar is asked
    raise NotImplementedError

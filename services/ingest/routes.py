"""What agents may call, except for the hot path: enrolment, handshake, status, goodbye."""

from http import HTTPStatus
from typing import Annotated, Any

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import HeaderParameter, JSONBody

from services.ingest.enrolment import Enrolments, Proof
from services.ingest.messages import (
    Enrolled,
    Enrolment,
    Handshake,
    MetricsTaken,
    Status,
    StatusTaken,
    Welcome,
)
from services.ingest.presence import Presence
from services.ingest.registration import interval_granted
from services.ingest.registrations import Registrations
from services.ingest.requests import AgentRequest
from services.ingest.samples_schema import SamplesOperation
from services.ingest.throttle import Throttle
from shared.errors import Rejected
from shared.io.address import address_of
from shared.io.litestar_problems import documented
from shared.resources.metrics import Sample

IdempotencyKey = Annotated[
    str,
    HeaderParameter(
        name="Idempotency-Key",
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
FOR_ANYONE: dict[str, Any] = {"for_anyone": True}
"""The `opt` of a route that wants no secret."""

SECURITY_SCHEME, RELAY_SCHEME = "agentSecret", "relayToken"
AGENTS_ONLY: list[dict[str, list[str]]] = [{SECURITY_SCHEME: []}]


@post(
    "/ingest/v1/enroll",
    operation_id="enroll",
    summary="Trade an enrolment token for a credential",
    opt=FOR_ANYONE,
    responses=documented(
        *_NOT_TAKEN,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.CONFLICT,
        HTTPStatus.TOO_MANY_REQUESTS,
    ),
)
async def enroll(
    request: AgentRequest,
    data: JSONBody[Enrolment],
    enrolments: NamedDependency[Enrolments],
    throttle: NamedDependency[Throttle],
    idempotency_key: IdempotencyKey = "",
) -> Enrolled:
    """Register a machine. An `agent_id` that exists is proven by its secret in `Authorization`.

    Without it the answer is 409, and people see that the machine claims the agent: once they approve, the same request
    gives it another secret.
    """
    peer = request.client.host if request.client else ""
    address = address_of(peer, request.headers.get("x-forwarded-for"))
    await throttle.admit(address)
    proof = Proof(request.headers.get("authorization", ""), idempotency_key, address)
    try:
        return await enrolments.enrol(data, proof)
    except Rejected:
        await throttle.note_refusal(address)
        raise


@post(
    "/ingest/v1/handshake",
    operation_id="handshake",
    summary="Say what the agent and its machine are",
    status_code=HTTPStatus.OK,
    security=AGENTS_ONLY,
    responses=documented(*_NOT_TAKEN, HTTPStatus.UNAUTHORIZED),
)
async def handshake(
    request: AgentRequest,
    data: JSONBody[Handshake],
    registrations: NamedDependency[Registrations],
    presence: NamedDependency[Presence],
) -> Welcome:
    """Put the server online; the answer says how often to send samples."""
    registration = await registrations.of(request.user)
    await presence.keep_facts(request.user, data)
    await presence.introduce(request.user, registration, data)
    return Welcome(
        server_id=request.user.server_id,
        server_time=presence.now(),
        interval_s=interval_granted(data.interval_s, presence.offline_after_ms / 1000),
        rotate=registration.rotation_wanted,
    )


@post(
    "/ingest/v1/status",
    operation_id="sendStatus",
    summary="Say how the agent is",
    status_code=HTTPStatus.ACCEPTED,
    security=AGENTS_ONLY,
    responses=documented(*_NOT_TAKEN, HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND),
)
async def status(
    request: AgentRequest,
    data: JSONBody[Status],
    registrations: NamedDependency[Registrations],
    presence: NamedDependency[Presence],
) -> StatusTaken:
    """Keep how an agent is; what is left out stays as it was, and nothing at all is a sign of life."""
    if data.says_nothing:
        await presence.touch(request.user)
    else:
        await presence.report(request.user, await registrations.of(request.user), data)
    return StatusTaken(server_time=presence.now())


@post(
    "/ingest/v1/disconnect",
    operation_id="disconnect",
    summary="Say goodbye",
    status_code=HTTPStatus.NO_CONTENT,
    security=AGENTS_ONLY,
    responses=documented(HTTPStatus.UNAUTHORIZED, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def disconnect(request: AgentRequest, presence: NamedDependency[Presence]) -> None:
    """Put the server offline at once."""
    await presence.leave(request.user)


@post(
    "/ingest/v1/metrics",
    operation_id="sendMetrics",
    operation_class=SamplesOperation,
    summary="Take samples in",
    status_code=HTTPStatus.ACCEPTED,
    security=[*AGENTS_ONLY, {RELAY_SCHEME: []}],
    responses=documented(
        *_NOT_TAKEN,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.TOO_MANY_REQUESTS,
    ),
)
async def describe_metrics(data: JSONBody[Sample]) -> MetricsTaken:
    """Take one sample, or up to 1,000 in an array or as lines: the good ones are kept when others are bad.

    A body may be encoded with gzip or zstd (`Content-Encoding`), and has at most 4,000,000 bytes then once that is
    undone; other encodings are answered with 415, which names these in `Accept-Encoding`. The samples of a relay have
    `server_id` or `agent_id`, too, to say whose each is; those that are not for it to send are rejected with
    `unknown_server`, whether there is such a server or not.
    """
    # MetricsDoor is what answers; this one is never served, but stands in the OpenAPI document
    raise NotImplementedError


@get(
    "/ingest/v1/ws",
    operation_id="openStream",
    summary="Open the stream of an agent",
    security=AGENTS_ONLY,
    status_code=HTTPStatus.SWITCHING_PROTOCOLS,
    responses=documented(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.UPGRADE_REQUIRED,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)
async def describe_stream() -> None:
    """Upgrade to a WebSocket, over which the agent says all that it has to say."""
    # StreamDoor is what answers; this one stands in the OpenAPI document
    raise NotImplementedError


ROUTES = (enroll, handshake, status, disconnect)

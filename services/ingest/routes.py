"""What agents may call, except for the hot path: enrolment, handshake, status, goodbye."""

from http import HTTPStatus
from typing import Annotated

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import HeaderParameter, JSONBody

from services.ingest.account import RECORD_COST
from services.ingest.authentication import THROTTLED
from services.ingest.enrolment import Enrolments, Proof
from services.ingest.messages import (
    MAX_INVENTORY_BYTES,
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
from services.ingest.requests import AgentRequest, EnrolmentRequest
from services.ingest.samples_schema import SamplesOperation
from shared.errors import Rejected
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
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_SMALL_BODY_BYTES = 65_536
"""More than the largest enrolment or status there can be, each of its characters escaped."""

_HANDSHAKE_BYTES = 2 * MAX_INVENTORY_BYTES
"""An inventory is larger as it is sent where spaces, or escapes of other letters than English ones, are in it."""

SECURITY_SCHEME, RELAY_SCHEME = "agentSecret", "relayToken"
AGENTS_ONLY: list[dict[str, list[str]]] = [{SECURITY_SCHEME: []}]


@post(
    "/ingest/v1/enroll",
    operation_id="enroll",
    summary="Trade an enrolment token for a credential",
    opt=THROTTLED,
    request_class=EnrolmentRequest,
    request_max_body_size=_SMALL_BODY_BYTES,
    responses=documented(*_NOT_TAKEN, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.CONFLICT),
)
async def enroll(
    request: EnrolmentRequest,
    data: JSONBody[Enrolment],
    enrolments: NamedDependency[Enrolments],
    idempotency_key: IdempotencyKey = "",
) -> Enrolled:
    """Register a machine. An `agent_id` that exists is proven by its secret in `Authorization`.

    Without it the answer is 409, and people see that the machine claims the agent: once they approve, the same request
    gives it another secret. A body has at most 65,536 bytes. An address that was refused too often, for whatever
    reason, has to wait.
    """
    attempt = request.auth
    proof = Proof(request.headers.get("authorization", ""), idempotency_key, attempt.address)
    try:
        return await enrolments.enrol(data, proof)
    except Rejected:
        await attempt.note_refusal()
        raise


@post(
    "/ingest/v1/handshake",
    operation_id="handshake",
    summary="Say what the agent and its machine are",
    status_code=HTTPStatus.OK,
    security=AGENTS_ONLY,
    request_max_body_size=_HANDSHAKE_BYTES,
    responses=documented(*_NOT_TAKEN, HTTPStatus.UNAUTHORIZED),
)
async def handshake(
    request: AgentRequest,
    data: JSONBody[Handshake],
    registrations: NamedDependency[Registrations],
    presence: NamedDependency[Presence],
) -> Welcome:
    """Put the server online; the answer says how often to send samples. A body has at most 131,072 bytes."""
    request.auth.charge(RECORD_COST - 1)
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
    request_max_body_size=_SMALL_BODY_BYTES,
    responses=documented(*_NOT_TAKEN, HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND),
)
async def status(
    request: AgentRequest,
    data: JSONBody[Status],
    registrations: NamedDependency[Registrations],
    presence: NamedDependency[Presence],
) -> StatusTaken:
    """Keep how an agent is; what is left out stays as it was, and nothing at all is a sign of life.

    A body has at most 65,536 bytes.
    """
    if data.says_nothing:
        await presence.touch(request.user)
    else:
        request.auth.charge(RECORD_COST - 1)
        await presence.report(request.user, await registrations.of(request.user), data)
    return StatusTaken(server_time=presence.now())


@post(
    "/ingest/v1/disconnect",
    operation_id="disconnect",
    summary="Say goodbye",
    status_code=HTTPStatus.NO_CONTENT,
    security=AGENTS_ONLY,
    responses=documented(HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def disconnect(request: AgentRequest, presence: NamedDependency[Presence]) -> None:
    """Put the server offline at once."""
    request.auth.charge(RECORD_COST - 1)
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
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
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

"""Puts ingest together: the plain doors for samples and streams before Litestar, which answers everything else."""

import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg
import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import Guard
from redis.asyncio import Redis

from services.ingest import metrics_door, routes
from services.ingest.authentication import FOR_ANYONE, guard_for
from services.ingest.beacon import Beacon
from services.ingest.clocks import Clocks
from services.ingest.content import ContentDecoder
from services.ingest.credentials import Credentials
from services.ingest.described import DESCRIBED
from services.ingest.door import MAX_BODY_BYTES
from services.ingest.enrolment import Enrolments
from services.ingest.intake import Intake
from services.ingest.inventories import Inventories
from services.ingest.metrics_door import MetricsDoor
from services.ingest.presence import Presence
from services.ingest.rates import Rates
from services.ingest.registrations import Registrations
from services.ingest.relay_intake import RelayIntake
from services.ingest.relays import Relays
from services.ingest.requests import AgentRequest
from services.ingest.rotation import Rotation, rotate
from services.ingest.senders import otlp_door, remote_write_door
from services.ingest.senders.otlp_door import OtlpDoor
from services.ingest.senders.remote_write_door import RemoteWriteDoor
from services.ingest.senders.sender_intake import SenderIntake
from services.ingest.settings import Admission, Streaming
from services.ingest.stream import door
from services.ingest.stream.connections import ROUND_S, Connections
from services.ingest.stream.door import StreamDoor
from services.ingest.stream.holders import Holders
from services.ingest.throttle import Throttle
from shared.io.announcements import Announcements
from shared.io.changelog.append import ChangeLog
from shared.io.identity_changes import AgentChanges
from shared.io.lifecycle import Background
from shared.io.litestar_app import litestar_app
from shared.io.litestar_openapi import document_route, openapi_document, stated_bounds
from shared.io.probes import AsgiApp, Receive, Scope, Send
from shared.names import AGENT_CLAIMS
from shared.settings import Liveness

MAX_AGENTS_RATED = 50_000
MAX_RELAYS_RATED = 10_000
ROUTES = (*routes.ROUTES, rotate)
DEFAULT_STREAMING = Streaming()


def utc_now() -> datetime:
    """Return the time by which samples and records are judged."""
    return datetime.now(UTC)


class Ingest(msgspec.Struct, frozen=True, kw_only=True):
    """Ingest's application, and what is to run and to be drained beside it."""

    app: AsgiApp
    streams: Connections
    background: tuple[Background, ...]


def build_app(  # noqa: PLR0913  (its parts, by name)
    *,
    redis: Redis,
    pool: asyncpg.Pool,
    changes: ChangeLog,
    beacon: Beacon,
    admission: Admission,
    liveness: Liveness,
    streaming: Streaming = DEFAULT_STREAMING,
    now: Callable[[], datetime] = utc_now,
    clock: Callable[[], float] = time.monotonic,
    round_s: float = ROUND_S,
) -> Ingest:
    """Put ingest together; `now` is the time of day, `clock` counts seconds from anywhere."""

    async def taken_up(agent_ids: Collection[str]) -> None:
        await agent_changes.announce(agent_ids)

    async def heard(ids: Collection[str] | None) -> None:
        relays.forget(ids)
        await streams.heed_changes(ids)

    credentials, registrations = Credentials(pool, taken_up=taken_up, clock=clock), Registrations(pool)
    offline_after_ms = int(liveness.offline_after_s * 1000)
    presence = Presence(
        redis, changes, registrations, beacon, Inventories(pool), offline_after_ms=offline_after_ms, now=now
    )
    rates = Rates(
        per_s=admission.samples_per_s, burst=admission.samples_at_once, capacity=MAX_AGENTS_RATED, clock=clock
    )
    relay_rates = Rates(
        per_s=admission.relay_samples_per_s,
        burst=admission.relay_samples_at_once,
        capacity=MAX_RELAYS_RATED,
        clock=clock,
    )
    intake = Intake(changes, presence, beacon, rates, Clocks(presence, now=now, clock=clock), now=now)
    streams = Connections(
        credentials=credentials,
        intake=intake,
        presence=presence,
        registrations=registrations,
        holders=Holders(redis, beacon.replica),
        most=streaming.most_streams,
        disconnect_grace_s=liveness.disconnect_grace_s,
        clock=clock,
        round_s=round_s,
    )
    relays = Relays(pool, now=now, clock=clock)
    agent_changes = AgentChanges(redis, heard)
    claims = Announcements(redis, AGENT_CLAIMS, streams.heed_claims)
    enrolments = Enrolments(pool, credentials, presence, agent_changes, shared_token=admission.shared_token)
    parts: dict[str, Any] = {
        "enrolments": enrolments,
        "registrations": registrations,
        "presence": presence,
        "rotation": Rotation(pool),
    }
    decoder, sender_intake = ContentDecoder(), SenderIntake(intake)
    relay_intake = RelayIntake(intake, relays, relay_rates)
    guard = guard_for(credentials, intake, Throttle(redis))
    app = _with_doors(
        _with_document(guard, parts),
        {
            metrics_door.PATH: MetricsDoor(credentials, intake, decoder, relays, relay_intake),
            otlp_door.PATH: OtlpDoor(credentials, sender_intake, decoder),
            remote_write_door.PATH: RemoteWriteDoor(credentials, sender_intake),
        },
        StreamDoor(credentials, streams),
    )
    return Ingest(app=app, streams=streams, background=(streams.watch, agent_changes.run, claims.run))


def _with_doors(litestar: AsgiApp, doors: Mapping[str, AsgiApp], stream: StreamDoor) -> AsgiApp:
    """Return the application that lets the hot paths past Litestar."""

    def app(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "websocket" or scope["path"] == door.PATH:
            return stream(scope, receive, send)
        own = doors.get(scope["path"]) if scope["type"] == "http" else None
        return (own or litestar)(scope, receive, send)

    return app


def describe(guard: Guard, parts: Mapping[str, object]) -> bytes:
    """Return the OpenAPI document of the routes and of the doors beside them."""
    described = [*ROUTES, routes.describe_metrics, routes.describe_stream, *DESCRIBED]
    return openapi_document(_litestar(described, guard, parts, _openapi()))


def _with_document(guard: Guard, parts: Mapping[str, object]) -> AsgiApp:
    """Return Litestar with all other routes, and with the document that describes them and those of the doors."""
    document = describe(guard, parts)
    served = [*ROUTES, document_route("/ingest/openapi.json", document, FOR_ANYONE)]
    return _litestar(served, guard, parts, None)  # type: ignore[return-value]  # Litestar types ASGI narrower


def _litestar(
    handlers: Sequence[HTTPRouteHandler],
    guard: Guard,
    parts: Mapping[str, object],
    openapi: OpenAPIConfig | None,
) -> Litestar:
    return litestar_app(
        handlers,
        request_class=AgentRequest,
        guard=guard,
        parts=parts,
        max_body_bytes=MAX_BODY_BYTES,
        openapi=openapi,
    )


def _openapi() -> OpenAPIConfig:
    agent = SecurityScheme(type="http", scheme="bearer", description="the secret that enrolling gave")
    relay = SecurityScheme(type="http", scheme="bearer", description="the token of a relay, see the api")
    return OpenAPIConfig(
        title="Muster ingest",
        version="1",
        description="What agents call: they enrol once, say what they are, and send samples. "
        + stated_bounds(MAX_BODY_BYTES),
        use_handler_docstrings=True,
        components=Components(security_schemes={routes.SECURITY_SCHEME: agent, routes.RELAY_SCHEME: relay}),
    )

"""Puts ingest together: the plain door for samples in front of Litestar, which answers everything else."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from redis.asyncio import Redis

from services.ingest import metrics_door, routes
from services.ingest.authentication import guard_for
from services.ingest.beacon import Beacon
from services.ingest.content import ContentDecoder
from services.ingest.credentials import Credentials
from services.ingest.described import DESCRIBED
from services.ingest.door import MAX_BODY_BYTES
from services.ingest.enrolment import Enrolments
from services.ingest.intake import Intake
from services.ingest.metrics_door import MetricsDoor
from services.ingest.presence import Presence
from services.ingest.rates import Rates
from services.ingest.relay_intake import RelayIntake
from services.ingest.relays import Relays
from services.ingest.requests import AgentRequest
from services.ingest.senders import otlp_door, remote_write_door
from services.ingest.senders.otlp_door import OtlpDoor
from services.ingest.senders.remote_write_door import RemoteWriteDoor
from services.ingest.senders.sender_intake import SenderIntake
from services.ingest.settings import Admission
from services.ingest.throttle import Throttle
from shared.io.changelog.append import ChangeLog
from shared.io.changelog.read import LogReader
from shared.io.litestar_app import litestar_app
from shared.io.litestar_openapi import document_route, openapi_document
from shared.io.probes import AsgiApp, Receive, Scope, Send
from shared.settings import Liveness

MAX_AGENTS_RATED = 50_000


def utc_now() -> datetime:
    """Return the time by which samples and records are judged."""
    return datetime.now(UTC)


def build_app(  # noqa: PLR0913  (its parts, by name)
    *,
    redis: Redis,
    pool: asyncpg.Pool,
    changes: ChangeLog,
    beacon: Beacon,
    admission: Admission,
    liveness: Liveness,
    now: Callable[[], datetime] = utc_now,
    clock: Callable[[], float] = time.monotonic,
) -> AsgiApp:
    """Return ingest's ASGI application; `now` is the time of day, `clock` counts seconds from anywhere."""
    credentials = Credentials(pool, clock=clock)
    offline_after_ms = int(liveness.offline_after_s * 1000)
    presence = Presence(changes, LogReader(redis), beacon, offline_after_ms=offline_after_ms, now=now)
    rates = Rates(
        per_s=admission.samples_per_s, burst=admission.samples_at_once, capacity=MAX_AGENTS_RATED, clock=clock
    )
    intake, decoder = Intake(changes, presence, beacon, rates, now=now), ContentDecoder()
    relays = Relays(pool, now=now, clock=clock)
    sender_intake = SenderIntake(intake)
    doors: dict[str, AsgiApp] = {
        metrics_door.PATH: MetricsDoor(credentials, intake, decoder, relays, RelayIntake(intake, relays, rates)),
        otlp_door.PATH: OtlpDoor(credentials, sender_intake, decoder),
        remote_write_door.PATH: RemoteWriteDoor(credentials, sender_intake),
    }
    parts: dict[str, Any] = {
        "enrolments": Enrolments(pool, credentials, presence, shared_token=admission.shared_token),
        "presence": presence,
        "throttle": Throttle(redis),
    }
    document = openapi_document(
        _litestar([*routes.ROUTES, routes.describe_metrics, *DESCRIBED], credentials, parts, _openapi())
    )
    served = [*routes.ROUTES, document_route("/ingest/openapi.json", document, routes.FOR_ANYONE)]
    litestar = _litestar(served, credentials, parts, None)

    def app(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        door = doors.get(scope["path"]) if scope["type"] == "http" else None
        if door is not None:
            return door(scope, receive, send)
        return litestar(scope, receive, send)  # type: ignore[arg-type]  # Litestar types ASGI narrower

    return app


def _litestar(
    handlers: Sequence[HTTPRouteHandler],
    credentials: Credentials,
    parts: Mapping[str, object],
    openapi: OpenAPIConfig | None,
) -> Litestar:
    return litestar_app(
        handlers,
        request_class=AgentRequest,
        guard=guard_for(credentials),
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
        description="What agents call: they enrol once, say what they are, and send samples.",
        use_handler_docstrings=True,
        components=Components(security_schemes={routes.SECURITY_SCHEME: agent, routes.RELAY_SCHEME: relay}),
    )

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
from services.ingest.credentials import Credentials
from services.ingest.enrolment import Enrolments
from services.ingest.intake import Intake
from services.ingest.inventories import Inventories
from services.ingest.metrics_door import MetricsDoor
from services.ingest.presence import Presence
from services.ingest.rates import Rates
from services.ingest.requests import AgentRequest
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
    presence = Presence(
        changes, LogReader(redis), beacon, Inventories(pool), offline_after_ms=offline_after_ms, now=now
    )
    rates = Rates(
        per_s=admission.samples_per_s, burst=admission.samples_at_once, capacity=MAX_AGENTS_RATED, clock=clock
    )
    door = MetricsDoor(credentials, Intake(changes, presence, beacon, rates, now=now))
    parts: dict[str, Any] = {
        "enrolments": Enrolments(pool, credentials, presence, shared_token=admission.shared_token),
        "presence": presence,
        "throttle": Throttle(redis),
    }
    document = openapi_document(_litestar([*routes.ROUTES, routes.describe_metrics], credentials, parts, _openapi()))
    served = [*routes.ROUTES, document_route("/ingest/openapi.json", document, routes.FOR_ANYONE)]
    litestar = _litestar(served, credentials, parts, None)

    def app(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        hot = scope["type"] == "http" and scope["path"] == metrics_door.PATH
        return (door if hot else litestar)(scope, receive, send)  # type: ignore[arg-type]  # Litestar types ASGI narrower

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
        max_body_bytes=metrics_door.MAX_BODY_BYTES,
        openapi=openapi,
    )


def _openapi() -> OpenAPIConfig:
    scheme = SecurityScheme(type="http", scheme="bearer", description="the secret that enrolling gave")
    return OpenAPIConfig(
        title="Muster ingest",
        version="1",
        description="What agents call: they enrol once, say what they are, and send samples.",
        use_handler_docstrings=True,
        components=Components(security_schemes={routes.SECURITY_SCHEME: scheme}),
    )

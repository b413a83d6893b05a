"""How a service of Muster builds its Litestar application: the same bounds, errors and way to its parts in each."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from litestar import Litestar
from litestar.connection import Request
from litestar.datastructures import MutableScopeHeaders
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.routes import HTTPRoute
from litestar.types import ControllerRouterHandler, Guard, Message, Scope

from shared.io.litestar_problems import exception_handlers


def litestar_app(  # noqa: PLR0913  (what it is made of, by name)
    handlers: Sequence[ControllerRouterHandler],
    *,
    request_class: type[Request[Any, Any, Any]],
    guard: Guard,
    parts: Mapping[str, object],
    max_body_bytes: int,
    provided: Mapping[str, Provide] | None = None,
    openapi: OpenAPIConfig | None = None,
) -> Litestar:
    """Return an application whose handlers get `parts` by name, and what is `provided` for each request.

    With `openapi` it is only to be described, see `openapi_document`.
    """
    return Litestar(
        handlers,
        request_class=request_class,
        guards=[guard],
        dependencies={**(provided or {}), **{name: _provide(part) for name, part in parts.items()}},
        exception_handlers=exception_handlers(),
        before_send=[_allow_all_methods],
        request_max_body_size=max_body_bytes,
        openapi_config=openapi,
        logging_config=None,
        debug=False,
    )


async def _allow_all_methods(message: Message, scope: Scope) -> None:
    """Let OPTIONS name the methods of all handlers of a path.

    Litestar makes the answer when it gets the first of them, and keeps it when others join.
    """
    if scope.get("method") != "OPTIONS" or message["type"] != "http.response.start":
        return
    path = scope.get("path_template")
    methods = {method for route in scope["litestar_app"].routes if route.path_format == path for method in _of(route)}
    if methods:
        MutableScopeHeaders.from_message(message)["Allow"] = ", ".join(sorted(methods))


def _of(route: object) -> Iterable[str]:
    return route.methods if isinstance(route, HTTPRoute) else ()


def _provide(part: object) -> Provide:
    def provide() -> Any:  # noqa: ANN401  (each part has a type of its own)
        return part

    return Provide(provide, sync_to_thread=False)

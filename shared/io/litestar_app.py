"""How a service of Muster builds its Litestar application: the same bounds, errors and way to its parts in each."""

from collections.abc import Mapping, Sequence
from typing import Any

from litestar import Litestar
from litestar.connection import Request
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.types import ControllerRouterHandler, Guard

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
        request_max_body_size=max_body_bytes,
        openapi_config=openapi,
        logging_config=None,
        debug=False,
    )


def _provide(part: object) -> Provide:
    def provide() -> Any:  # noqa: ANN401  (each part has a type of its own)
        return part

    return Provide(provide, sync_to_thread=False)

"""Errors of a Litestar application as problems (RFC 9457), whoever raised them: we, Litestar, or a server of ours."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Request
from litestar.exceptions import HTTPException, NotFoundException, ValidationException
from litestar.openapi.datastructures import ResponseSpec
from litestar.response import Response
from litestar.types import ExceptionHandlersMap

from shared.errors import Malformed, MusterError, NotFound
from shared.io.faults import as_retry_later
from shared.io.problem import MEDIA_TYPE, FieldError, HttpError, Problem, problem_of

log = structlog.get_logger(__name__)

_CODES: dict[int, tuple[str, str]] = {
    HTTPStatus.BAD_REQUEST: ("bad_request", "the request is not what HTTP or JSON says"),
    HTTPStatus.METHOD_NOT_ALLOWED: ("method_not_allowed", "there is no such method here"),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("too_large", "the body is larger than what is taken here"),
}


def documented(*statuses: HTTPStatus, body: type[Problem] = Problem) -> dict[int, ResponseSpec]:
    """Return the `responses` of a route that may answer with problems of these statuses, for OpenAPI."""
    return {
        int(status): ResponseSpec(body, description=status.phrase, media_type=MEDIA_TYPE, generate_examples=False)
        for status in statuses
    }


def exception_handlers() -> ExceptionHandlersMap:
    """Return the `exception_handlers` of an application; what is not ours or Litestar's is logged."""
    kinds: Sequence[type[Exception]] = (MusterError, HTTPException, RecursionError, UnicodeDecodeError, Exception)
    return dict.fromkeys(kinds, _answer)


def as_muster_error(error: Exception, path: str) -> MusterError:
    """Return the error of our tree that says the same; one that nobody expected is logged and becomes a plain 500."""
    if isinstance(error, MusterError):
        return error
    translated = _of_litestar(error, path) if isinstance(error, HTTPException) else as_retry_later(error)
    if translated is None and isinstance(error, (RecursionError, UnicodeDecodeError)):
        # both come from decoding a body; Litestar lets them through
        translated = Malformed("the body is not JSON, or is nested too deeply")
    if translated is None:
        log.error("request failed", path=path, exc_info=error)
        return MusterError("an error on our side")
    return translated


def _answer(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    problem, headers = problem_of(as_muster_error(error, request.url.path))
    return Response(msgspec.json.encode(problem), status_code=problem.status, headers=headers, media_type=MEDIA_TYPE)


def _of_litestar(error: HTTPException, path: str) -> MusterError:
    if isinstance(error, NotFoundException):
        return NotFound(f"there is nothing at {path}")
    if isinstance(error, ValidationException):
        errors = _field_errors(error.extra)
        detail = "; ".join(f"{each.field}: {each.message}" for each in errors) or error.detail
        return HttpError(422, "invalid", detail, errors=errors)
    code, detail = _CODES.get(error.status_code, ("bad_request", error.detail))
    headers = tuple((error.headers or {}).items())
    return HttpError(error.status_code, code, detail, headers=headers)


def _field_errors(extra: object) -> tuple[FieldError, ...]:
    """Read what Litestar says of each field; an empty body is a missing `data` to it."""
    listed = extra if isinstance(extra, list) else []
    return tuple(
        FieldError("", "a JSON object is needed as the body")
        if each.get("key") == "data" and "data" in str(each.get("message"))
        else FieldError(str(each.get("key", "")), str(each.get("message", "")))
        for each in listed
        if isinstance(each, dict)
    )

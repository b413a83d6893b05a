"""Errors as people and programs get them over HTTP: `application/problem+json`, RFC 9457."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Literal

import msgspec

from shared.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Malformed,
    MusterError,
    MustRefetch,
    NotFound,
    Rejected,
    RetryLater,
    Unauthenticated,
)
from shared.io.probes import Receive, Scope, Send

MEDIA_TYPE = "application/problem+json"

RETRIED = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
"""With these, `Retry-After` is always said."""


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one field; `field` is its path, such as `tags[2]`."""

    field: str
    message: str


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """The body of an error; `code` is stable and in English."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    errors: tuple[FieldError, ...] = ()


class RefetchProblem(Problem, frozen=True, kw_only=True):
    """The body of the error that sends a client to take everything anew; `error` is the sync protocol's word for it."""

    error: Literal["must_refetch"] = "must_refetch"


class HttpError(MusterError):
    """An error that is known by its HTTP status; raised by the services' own doors."""

    def __init__(  # noqa: PLR0913  (the parts of the answer, by name)
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        retry_after_s: float | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.errors = tuple(errors)
        self.retry_after_s = retry_after_s
        self.headers = tuple(headers)


def bad_parameter(parameter: str, message: str) -> HttpError:
    """Return the error that names a query parameter which cannot be taken."""
    return HttpError(400, "bad_request", f"{parameter}: {message}", errors=[FieldError(parameter, message)])


_STATUS: tuple[tuple[type[MusterError], int], ...] = (
    (Conflict, 412),
    (AlreadyExists, 409),
    (NotFound, 404),
    (Unauthenticated, 401),
    (Forbidden, 403),
    (Rejected, 422),
    (RetryLater, 503),
    (MustRefetch, 409),
    (Malformed, 400),
)


def problem_of(error: MusterError) -> tuple[Problem, dict[str, str]]:
    """Return the body and the headers with which `error` is answered; what is not meant for callers says so only."""
    headers: dict[str, str] = {"Content-Type": MEDIA_TYPE}
    errors: tuple[FieldError, ...] = ()
    retry_after_s: float | None = None
    if isinstance(error, HttpError):
        status, errors, retry_after_s = error.status, error.errors, error.retry_after_s
        headers.update(error.headers)
    else:
        status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    if isinstance(error, Rejected) and error.field:
        errors = (FieldError(error.field, str(error)),)
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, RetryLater):
        retry_after_s = error.retry_after_s
    if status in RETRIED:
        retry_after_s = retry_after_s or 1.0
    if retry_after_s is not None:
        headers["Retry-After"] = str(max(1, round(retry_after_s)))
    detail = str(error) if status != HTTPStatus.INTERNAL_SERVER_ERROR else "an error on our side; it was logged"
    title = HTTPStatus(status).phrase
    kind = RefetchProblem if isinstance(error, MustRefetch) else Problem
    return kind(title=title, status=status, detail=detail, code=error.code, errors=errors), headers


async def answer_problem(error: MusterError, send: Send) -> None:
    """Answer an ASGI request with `error`."""
    problem, headers = problem_of(error)
    body = msgspec.json.encode(problem)
    headers["Content-Length"] = str(len(body))
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


async def nothing_here(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001  (ASGI's form)
    """Answer for a process that serves nothing but its probes."""
    await answer_problem(NotFound("this process has nothing but /health, /readiness and /metrics"), send)

"""Understands the server's answers: what was accepted, or which error of the tree it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from muster_agent import terms
from muster_agent.backoff import LONGEST_RETRY_AFTER_S
from muster_agent.errors import (
    CredentialRefused,
    DeliveryError,
    RequestRefused,
    Throttled,
    TooLarge,
    Unavailable,
)
from muster_agent.terms import Terms

LONGEST_DETAIL = 200


@dataclass(frozen=True)
class Answer:
    """An HTTP response, as far as it matters here. `headers` has names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Handshake:
    """The server's answer to a handshake."""

    server_id: str
    terms: Terms


@dataclass(frozen=True)
class Rejection:
    """One sample that the server will never take; `index` is its place in the request."""

    index: int
    code: str
    message: str


def error_of(answer: Answer, now_unix_s: float) -> DeliveryError:
    """Give the error that an answer other than success amounts to.

    Only the server itself can say that it will never take something: what a proxy, a firewall, or another program at
    this address refuses is kept.
    """
    text = description(answer)
    retry_after = retry_after_s(answer.headers.get("retry-after"), now_unix_s)
    if answer.status in {401, 403}:
        return CredentialRefused(text)
    if answer.status == 413:  # noqa: PLR2004 - the status' number is its best-known name
        return TooLarge(text, is_certain=is_problem(answer))
    if answer.status in {400, 422} and is_problem(answer):
        return RequestRefused(text)
    if answer.status == 429:  # noqa: PLR2004 - likewise
        return Throttled(text, retry_after)
    # What remains is a server that is starting, draining or overloaded, or a proxy or another program at this
    # address: nothing that would make the samples worthless.
    return Unavailable(text, retry_after)


def description(answer: Answer) -> str:
    """Say in one line what the server answered, from its problem document (RFC 9457) where it sent one."""
    parts = [f"HTTP {answer.status}"]
    problem = _object(answer.body)
    parts += [str(problem[key]) for key in ("code", "detail") if problem.get(key)]
    location = answer.headers.get("location")
    if location:
        parts.append(f"redirects to {location}, which is not followed")
    return printable(": ".join(parts))


def printable(text: str) -> str:
    """Give a server's text as it may stand in the log: it must not be able to write lines of its own there."""
    return "".join(c if c.isprintable() else " " for c in text)[:LONGEST_DETAIL]


def is_problem(answer: Answer) -> bool:
    """Tell whether it was Muster that refused, and not somebody on the way to it."""
    return isinstance(_object(answer.body).get("code"), str)


def seconds(value: object) -> float | None:
    """Read a number of seconds to wait from a message, an hour at most; None where it is none."""
    number = terms.number(value)
    return None if number is None else min(max(0.0, number), LONGEST_RETRY_AFTER_S)


def retry_after_s(value: str | None, now_unix_s: float) -> float | None:
    """Read a `Retry-After` header, seconds or a date (RFC 9110, 10.2.3); None where there is none to go by."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now_unix_s)
    except (TypeError, ValueError):
        return None


def enrolment(answer: Answer) -> dict[str, str]:
    """Give `agent_id`, `secret`, `server_id` and `workspace_id` from the answer to an enrolment.

    Raises Unavailable where they are not all there: whoever answered is no Muster server.
    """
    stored = _object(answer.body)
    values = {key: stored.get(key) for key in ("agent_id", "secret", "server_id", "workspace_id")}
    texts = {key: value for key, value in values.items() if isinstance(value, str) and value}
    if len(texts) < len(values):
        raise Unavailable("the answer to the enrolment is not Muster's: is the server's URL right?")
    return texts


def secret(answer: Answer) -> str:
    """Give the secret that the server offers. Raises Unavailable where there is none: whoever answered is no Muster."""
    value = _object(answer.body).get("secret")
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or not value:
        raise Unavailable("the answer to the request for another secret is not Muster's")
    return value


def code(answer: Answer) -> str:
    """Give the `code` of a problem document; empty where there is none."""
    value = _object(answer.body).get("code")
    return value if isinstance(value, str) else ""


def handshake(answer: Answer) -> Handshake:
    """Give what the server decided at a handshake. Raises Unavailable where the answer is not Muster's."""
    stored = _object(answer.body)
    server_id = stored.get("server_id")
    if not isinstance(server_id, str) or not server_id:
        raise Unavailable("the answer to the handshake is not Muster's: is the server's URL right?")
    return Handshake(server_id, terms.of(stored))


def rejections(answer: Answer) -> list[Rejection]:
    """Give the samples that were not taken although the request was."""
    return rejections_of(_object(answer.body))


def rejections_of(stored: Mapping[str, object]) -> list[Rejection]:
    """Give the samples that an acknowledgement says were not taken."""
    listed = stored.get("rejected")
    if not isinstance(listed, list):
        return []
    return [
        Rejection(each["index"], str(each.get("code", "unknown")), str(each.get("message", "")))
        for each in listed
        if isinstance(each, dict) and isinstance(each.get("index"), int)
    ]


def json_object(body: bytes) -> dict[str, object] | None:
    """Read a JSON object, from whoever sent it; None where it is none."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _object(body: bytes) -> dict[str, object]:
    return json_object(body) or {}

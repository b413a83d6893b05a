"""What it means that an upgrade was refused or a stream was closed: which error of the tree it is."""

from __future__ import annotations

import json

from muster_agent import answers
from muster_agent.answers import Answer
from muster_agent.errors import (
    CredentialRefused,
    DeliveryError,
    Displaced,
    ReplicaLeaves,
    RequestRefused,
    StreamUnusable,
    Throttled,
    TooLarge,
    Unavailable,
)
from muster_agent.wire import ABNORMAL, Closed

PLAIN_MEANINGS: dict[int, type[DeliveryError]] = {
    1001: ReplicaLeaves,
    1009: TooLarge,
    1012: ReplicaLeaves,
    4400: RequestRefused,
    4401: CredentialRefused,
    4409: Displaced,
}
OVERLOADED = 1013
# Codes from here on are no proxy's.
FIRST_OF_MUSTER = 4000
THROTTLED = 4429
# Said by gateways whose server is away, not of streams.
GATEWAY_FAILURES = {502, 504}


def error_of_refusal(answer: Answer, now_unix_s: float) -> DeliveryError:
    """Give the error that an answer to an upgrade, other than 101, amounts to."""
    error = answers.error_of(answer, now_unix_s)
    if isinstance(error, CredentialRefused) and answers.is_problem(answer):
        return error
    if isinstance(error, (Throttled, Unavailable)) and answer.status in {429, 503} and answers.is_problem(answer):
        return error
    is_certain = answer.status not in GATEWAY_FAILURES | {503}
    return StreamUnusable(f"the server opens no stream: {error}", is_certain=is_certain)


def error_of_close(closed: Closed, *, was_answered: bool) -> DeliveryError:
    """Give the error that the end of a stream amounts to, by the table of docs/agent-protocol.md."""
    reason = f": {closed.reason}" if closed.reason else ""
    text = answers.printable(f"the server closed the stream ({closed.code}{reason})")
    if closed.code in PLAIN_MEANINGS:
        return PLAIN_MEANINGS[closed.code](text)
    if closed.code == THROTTLED:
        return Throttled(text, _retry_after_s(closed.reason))
    if closed.code == OVERLOADED or closed.code >= FIRST_OF_MUSTER or was_answered:
        return Unavailable(text, _retry_after_s(closed.reason))
    return StreamUnusable("the stream broke before its first answer" if closed.code == ABNORMAL else text)


def _retry_after_s(reason: str) -> float | None:
    try:
        said = json.loads(reason)
    except ValueError:
        return None
    return answers.seconds(said.get("retry_after_s")) if isinstance(said, dict) else None

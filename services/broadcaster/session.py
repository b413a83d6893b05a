"""One client's session: what its messages, its token and the time lead to. A state machine without I/O.

It opens with a token (`authenticate`), is then welcomed, and ends with a close code; effects say what is to be done.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import Enum

import msgspec

from services.broadcaster.limits import Limits, TokenBucket
from shared.errors import Malformed, Rejected, RetryLater
from shared.names import Topic, is_id
from shared.protocol import (
    MAX_TICK_MS,
    Auth,
    Check,
    ClientMessage,
    CloseCode,
    Delivery,
    ErrorCode,
    Refusal,
    Since,
    Subscribe,
    Unsubscribe,
    Welcome,
    Workspace,
    decode_client_message,
)
from shared.resources import RESOURCES
from shared.tokens import Membership, Principal

HEARTBEAT_S = 25
"""How often the server pings; what a client may take for silence is a multiple of it."""

TRY_AGAIN_LATER = 1013
"""The registered close code for a passing fault of the server."""

TOO_MANY_CONNECTIONS_RETRY_S = 5.0
"""When a client that found no place may come back."""

_MAX_ECHO = 64
_DELIVERIES = [delivery.value for delivery in Delivery]
_TICKS_MS = (0, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, MAX_TICK_MS)
"""The ticks that clients get, so that many of them share one."""


class Phase(Enum):
    """Where a session stands."""

    OPENING = "opening"
    AUTHENTICATING = "authenticating"
    WELCOMED = "welcomed"
    CLOSED = "closed"


class Authenticate(msgspec.Struct, frozen=True):
    """Find out who sent this token, then call `admit`, `reject` or `postpone`."""

    token: str


class Open(msgspec.Struct, frozen=True):
    """Subscribe to a topic, in place of an earlier subscription to it."""

    topic: Topic
    since: Since | None
    delivery: Delivery = Delivery.BATCH
    tick_s: float = 0.0


class End(msgspec.Struct, frozen=True):
    """End the subscription to a topic."""

    topic: Topic


class SendBookmark(msgspec.Struct, frozen=True):
    """Send a bookmark of a topic."""

    topic: Topic


class Say(msgspec.Struct, frozen=True):
    """Send a message."""

    message: Welcome | Refusal


class Close(msgspec.Struct, frozen=True):
    """End the connection, after `last_words`."""

    code: int
    reason: str
    last_words: Refusal | None = None


Effect = Authenticate | Open | End | SendBookmark | Say | Close
Effects = Sequence[Effect]


class Session:
    """A session from its opening to its end.

    `now` is seconds of a clock that never goes back, `utc` the time by which tokens expire.
    """

    def __init__(self, session_id: str, limits: Limits, *, now: float) -> None:
        self.id = session_id
        self.phase = Phase.OPENING
        self.principal: Principal | None = None
        self.topics: set[Topic] = set()
        """The topics subscribed to."""
        self._limits = limits
        self._bucket = TokenBucket(limits.messages_burst, limits.messages_per_s, now)
        self._auth_by = now + limits.auth_within_s

    def receive(self, message: str | bytes, now: float) -> Effects:
        """Take a message of the client."""
        if self.phase is Phase.CLOSED:
            return ()
        if not self._bucket.take(now):
            return self.close_crowded("too many messages", self._limits.messages_burst / self._limits.messages_per_s)
        if isinstance(message, bytes):
            return self._close_with(CloseCode.MALFORMED, "bad_request", "messages are JSON text frames")
        if len(message.encode()) > self._limits.message_bytes:
            return self._close_with(
                CloseCode.MALFORMED, "bad_request", f"a message has at most {self._limits.message_bytes} bytes"
            )
        try:
            decoded = decode_client_message(message)
        except Malformed as error:
            return self._close_with(CloseCode.MALFORMED, "bad_request", str(error))
        return self._handle(decoded)

    def _handle(self, message: ClientMessage) -> Effects:
        if isinstance(message, Auth):
            if self.phase is Phase.OPENING:
                self.phase = Phase.AUTHENTICATING
            return (Authenticate(message.token),)
        if self.principal is None:
            return self._close_with(CloseCode.UNAUTHENTICATED, "unauthenticated", "the first message is auth")
        match message:
            case Subscribe():
                return self._subscribe(message, self.principal)
            case Unsubscribe():
                return self._of_subscribed(message, End)
            case Check():
                return self._of_subscribed(message, SendBookmark)

    def admit(self, principal: Principal, utc: datetime, *, others: int = 0) -> Effects:
        """Welcome who sent the last token, for the first time or again; ends what they may not see any more.

        `others` is how many other connections the same user has.
        """
        if self.phase is Phase.CLOSED:
            return ()
        if self.principal is None and others >= self._limits.connections_per_user:
            return self.close_crowded("too many connections of one user", TOO_MANY_CONNECTIONS_RETRY_S)
        if self.principal is not None and self.principal.user_id != principal.user_id:
            return self._close_with(CloseCode.FORBIDDEN, "forbidden", "the new token is of another user")
        self.phase, self.principal = Phase.WELCOMED, principal
        return [Say(self._welcome(principal, utc)), *self._end_what_is_closed(principal)]

    def keep_within(self, login_id: str, memberships: tuple[Membership, ...] | None) -> Effects:
        """Go on with what a login, by its `session_id`, leads to now; None when it has ended.

        Nothing happens if the client has come to be here by another login meanwhile.
        """
        principal = self.principal
        if self.phase is Phase.CLOSED or principal is None or principal.session_id != login_id:
            return ()
        if memberships is None:
            return self._close_with(CloseCode.UNAUTHENTICATED, "unauthenticated", "the session has ended")
        if memberships == principal.memberships:
            return ()
        self.principal = msgspec.structs.replace(principal, memberships=memberships)
        return self._end_what_is_closed(self.principal)

    def reject(self, error: Rejected) -> Effects:
        """Turn away who sent the last token."""
        return self._close_with(CloseCode.UNAUTHENTICATED, "unauthenticated", str(error))

    def postpone(self, error: RetryLater) -> Effects:
        """Say that the last token cannot be checked now; a session that stands goes on until its own expires."""
        refusal = Refusal(code="unavailable", message=str(error), retry_after_ms=round(error.retry_after_s * 1000))
        if self.principal is None:
            return self.close(TRY_AGAIN_LATER, "the token cannot be checked now", refusal)
        return (Say(refusal),)

    def expire(self, now: float, utc: datetime) -> Effects:
        """End the session when its time is over; to be asked regularly."""
        if self.phase is Phase.OPENING and now >= self._auth_by:
            message = f"no auth within {self._limits.auth_within_s:g} s"
            return self._close_with(CloseCode.UNAUTHENTICATED, "unauthenticated", message)
        expires_at = None if self.principal is None else self.principal.expires_at
        if expires_at is not None and utc >= expires_at:
            return self._close_with(CloseCode.UNAUTHENTICATED, "unauthenticated", "the token has expired")
        return ()

    def close_crowded(self, message: str, retry_after_s: float) -> Effects:
        """End the session because there are too many of something."""
        retry_after_ms = round(retry_after_s * 1000)
        refusal = Refusal(code="too_many", message=message, retry_after_ms=retry_after_ms)
        return self.close(CloseCode.TOO_MANY, f"{message}; retry_after_ms={retry_after_ms}", refusal)

    def close(self, code: int, reason: str, last_words: Refusal | None = None) -> Effects:
        """End the session for a reason of the server's own."""
        if self.phase is Phase.CLOSED:
            return ()
        self.phase = Phase.CLOSED
        return (Close(code, reason, last_words),)

    def _close_with(self, code: CloseCode, error_code: ErrorCode, message: str) -> Effects:
        return self.close(code, message, Refusal(code=error_code, message=message))

    def _end_what_is_closed(self, principal: Principal) -> Effects:
        """End the subscriptions to workspaces that the principal is no member of."""
        effects: list[Effect] = []
        entitled = {membership.workspace_id for membership in principal.memberships}
        for topic in [topic for topic in self.topics if topic.workspace_id not in entitled]:
            self.topics.discard(topic)
            message = "you are no member of this workspace any more"
            effects += (End(topic), _refuse("forbidden", message, topic.resource, topic.workspace_id))
        return effects

    def _welcome(self, principal: Principal, utc: datetime) -> Welcome:
        return Welcome(
            session=self.id,
            server_time=utc,
            heartbeat_s=HEARTBEAT_S,
            expires_at=principal.expires_at,
            workspaces=tuple(Workspace(m.workspace_id, m.name, m.role) for m in principal.memberships),
        )

    def _subscribe(self, message: Subscribe, principal: Principal) -> Effects:
        if message.topic not in RESOURCES:
            return (_refuse("unknown_topic", "there is no such topic", message.topic, message.workspace),)
        delivery = Delivery.BATCH if message.delivery is None else message.delivery
        if delivery not in _DELIVERIES:
            text = f"delivery is one of {', '.join(_DELIVERIES)}"
            return (_refuse("bad_request", text, message.topic, message.workspace),)
        workspace_ids = [membership.workspace_id for membership in principal.memberships]
        if message.workspace is None and len(workspace_ids) > 1:
            return (_refuse("bad_request", "name one of your workspaces", message.topic),)
        workspace_id = message.workspace if message.workspace is not None else next(iter(workspace_ids), None)
        if workspace_id is None or workspace_id not in workspace_ids:
            return (_refuse("forbidden", "you are no member of this workspace", message.topic, message.workspace),)
        topic = Topic(workspace_id, message.topic)
        if topic not in self.topics and len(self.topics) >= self._limits.subscriptions:
            text = f"a connection has at most {self._limits.subscriptions} subscriptions"
            return (_refuse("too_many", text, message.topic, workspace_id),)
        self.topics.add(topic)
        return (Open(topic, message.since, Delivery(delivery), _tick_s(message.tick_ms or 0)),)

    def _of_subscribed(self, message: Unsubscribe | Check, effect: type[End | SendBookmark]) -> Effects:
        meant = [
            topic
            for topic in self.topics
            if topic.resource == message.topic and message.workspace in {None, topic.workspace_id}
        ]
        if len(meant) != 1:
            text = "name the workspace" if meant else "there is no subscription to this topic"
            return (_refuse("bad_request", text, message.topic, message.workspace),)
        if effect is End:
            self.topics.discard(meant[0])
        return (effect(meant[0]),)


def _refuse(code: ErrorCode, message: str, topic: str, workspace: str | None = None) -> Say:
    """Refuse one message; what the client wrote is only repeated where it can be a name."""
    return Say(
        Refusal(
            code=code,
            message=message,
            topic=topic[:_MAX_ECHO],
            workspace=workspace if workspace is not None and is_id(workspace) else None,
        )
    )


def _tick_s(tick_ms: int) -> float:
    """Return the shortest tick that is offered and no shorter than what was asked for, in seconds."""
    return next(offered for offered in _TICKS_MS if offered >= tick_ms) / 1000

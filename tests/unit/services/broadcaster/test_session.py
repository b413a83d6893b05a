"""What a client's messages, its token and the time lead to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.broadcaster.limits import Limits
from services.broadcaster.session import (
    Authenticate,
    Close,
    Effects,
    End,
    Open,
    Phase,
    Say,
    SendBookmark,
    Session,
)
from shared.errors import RetryLater, Unauthenticated
from shared.names import Topic
from shared.protocol import Delivery, Refusal, Since, Welcome, Workspace
from shared.tokens import Membership, Principal

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LIMITS = Limits(
    connections_per_user=3, subscriptions=2, message_bytes=200, messages_burst=20, messages_per_s=10, auth_within_s=5
)
SERVERS = Topic("w_1", "servers")


def person(*workspaces: str, user: str = "u_1", lasts_s: float = 900) -> Principal:
    memberships = tuple(Membership(workspace, workspace.upper(), "viewer") for workspace in workspaces or ("w_1",))
    return Principal(user, "session_1", AT + timedelta(seconds=lasts_s), memberships)


def opening() -> Session:
    return Session("c_1", LIMITS, now=0.0)


def welcomed(*workspaces: str) -> Session:
    session = opening()
    session.receive('{"op":"auth","token":"t"}', 0.0)
    session.admit(person(*workspaces), AT)
    return session


def nobody() -> Session:
    """Return the session of a user who is a member of nothing."""
    session = opening()
    session.receive('{"op":"auth","token":"t"}', 0.0)
    session.admit(Principal("u_1", "session_1", AT + timedelta(minutes=1), ()), AT)
    return session


def refusal(effects: Effects) -> tuple[str, str | None, str | None]:
    (effect,) = effects
    assert isinstance(effect, Say)
    assert isinstance(effect.message, Refusal)
    return effect.message.code, effect.message.topic, effect.message.workspace


def closing(effects: Effects) -> tuple[int, str]:
    """Return the close code and the code of the last words."""
    (effect,) = effects
    assert isinstance(effect, Close)
    assert effect.last_words is not None
    return effect.code, effect.last_words.code


def test_the_first_message_leads_to_a_look_at_the_token() -> None:
    session = opening()
    assert (Authenticate("t"),) == session.receive('{"op":"auth","token":"t"}', 0.0)
    assert Phase.AUTHENTICATING is session.phase


def test_who_is_admitted_is_welcomed_with_their_workspaces() -> None:
    session = opening()
    session.receive('{"op":"auth","token":"t"}', 0.0)
    welcome = Welcome(
        session="c_1",
        server_time=AT,
        heartbeat_s=25,
        expires_at=AT + timedelta(minutes=15),
        workspaces=(Workspace("w_1", "W_1", "viewer"), Workspace("w_2", "W_2", "viewer")),
    )
    assert [Say(welcome)] == session.admit(person("w_1", "w_2"), AT)
    assert Phase.WELCOMED is session.phase


def test_any_other_first_message_is_refused() -> None:
    assert (4401, "unauthenticated") == closing(opening().receive('{"op":"subscribe","topic":"servers"}', 0.0))


def test_a_bad_token_ends_the_session() -> None:
    session = opening()
    session.receive('{"op":"auth","token":"t"}', 0.0)
    assert (4401, "unauthenticated") == closing(session.reject(Unauthenticated("unknown token")))


def test_a_token_that_cannot_be_checked_now_sends_the_client_away_for_a_while() -> None:
    session = opening()
    session.receive('{"op":"auth","token":"t"}', 0.0)
    (effect,) = session.postpone(RetryLater("no database", retry_after_s=1.5))
    refusal = Refusal(code="unavailable", message="no database", retry_after_ms=1_500)
    assert Close(1013, "the token cannot be checked now", refusal) == effect


def test_a_renewal_that_cannot_be_checked_now_leaves_the_session_as_it_is() -> None:
    session = welcomed()
    assert ("unavailable", None, None) == refusal(session.postpone(RetryLater("no database")))
    assert Phase.WELCOMED is session.phase


def test_a_client_that_does_not_say_who_it_is_is_sent_away() -> None:
    session = opening()
    assert () == session.expire(4.9, AT)
    assert (4401, "unauthenticated") == closing(session.expire(5.0, AT))


def test_the_time_that_a_look_at_the_token_takes_is_not_the_clients() -> None:
    session = opening()
    session.receive('{"op":"auth","token":"t"}', 4.0)
    assert () == session.expire(60.0, AT)


def test_a_session_ends_when_its_token_does() -> None:
    session = welcomed()
    assert () == session.expire(1e6, AT + timedelta(seconds=899))
    assert (4401, "unauthenticated") == closing(session.expire(1e6, AT + timedelta(seconds=900)))


def test_a_renewed_token_prolongs_the_session() -> None:
    session = welcomed()
    assert (Authenticate("newer"),) == session.receive('{"op":"auth","token":"newer"}', 0.0)
    assert 1 == len(session.admit(person(lasts_s=1_800), AT))
    assert () == session.expire(0.0, AT + timedelta(seconds=900))


def test_a_session_is_not_handed_to_another_user() -> None:
    assert (4403, "forbidden") == closing(welcomed().admit(person(user="u_2"), AT))


def test_a_renewal_ends_what_the_user_may_not_see_any_more() -> None:
    session = welcomed("w_1", "w_2")
    for workspace in ("w_1", "w_2"):
        session.receive(f'{{"op":"subscribe","topic":"servers","workspace":"{workspace}"}}', 0.0)
    welcome, *rest = session.admit(person("w_1"), AT)
    assert isinstance(welcome, Say)
    lost = Topic("w_2", "servers")
    text = "you are no member of this workspace any more"
    assert [End(lost), Say(Refusal(code="forbidden", message=text, topic="servers", workspace="w_2"))] == rest
    assert {SERVERS} == session.topics


def test_a_login_that_has_ended_ends_the_session() -> None:
    assert (4401, "unauthenticated") == closing(welcomed().keep_within("session_1", None))


def test_a_membership_that_has_ended_ends_the_subscriptions_of_its_workspace() -> None:
    session = welcomed("w_1", "w_2")
    for workspace in ("w_1", "w_2"):
        session.receive(f'{{"op":"subscribe","topic":"servers","workspace":"{workspace}"}}', 0.0)
    left = person("w_1").memberships
    lost = Topic("w_2", "servers")
    ended, told = session.keep_within("session_1", left)
    assert (End(lost), {SERVERS}) == (ended, session.topics)
    assert ("forbidden", "servers", "w_2") == refusal([told])
    assert () == session.keep_within("session_1", left)
    (again,) = session.receive('{"op":"subscribe","topic":"servers","workspace":"w_2"}', 0.0)
    assert "forbidden" == refusal([again])[0]


def test_what_another_login_has_lost_is_no_concern_of_this_one() -> None:
    session = welcomed()
    assert () == session.keep_within("session_0", None)
    assert Phase.WELCOMED is session.phase


def test_a_login_without_end_does_not_expire() -> None:
    session = opening()
    session.receive('{"op":"auth","token":"t"}', 0.0)
    (effect,) = session.admit(Principal("u_1", "t_1", None, ()), AT)
    assert isinstance(effect, Say)
    assert isinstance(effect.message, Welcome)
    assert effect.message.expires_at is None
    assert () == session.expire(1e9, AT + timedelta(days=10_000))


def test_a_user_has_a_bounded_number_of_connections() -> None:
    session = opening()
    session.receive('{"op":"auth","token":"t"}', 0.0)
    (effect,) = session.admit(person(), AT, others=3)
    assert isinstance(effect, Close)
    assert (4429, "too many connections of one user; retry_after_ms=5000") == (effect.code, effect.reason)


def test_renewing_does_not_count_as_another_connection() -> None:
    (effect,) = welcomed().admit(person(), AT, others=3)
    assert isinstance(effect, Say)


def test_a_subscription_names_its_workspace_or_is_of_the_only_one() -> None:
    for message in ('{"op":"subscribe","topic":"servers"}', '{"op":"subscribe","topic":"servers","workspace":"w_1"}'):
        assert (Open(SERVERS, None),) == welcomed().receive(message, 0.0)


def test_a_subscription_passes_on_what_the_client_remembers() -> None:
    message = '{"op":"subscribe","topic":"servers","since":{"epoch":"3","version":41}}'
    assert (Open(SERVERS, Since("3", 41)),) == welcomed().receive(message, 0.0)


def test_a_topic_may_be_subscribed_to_again_when_no_other_may() -> None:
    session = welcomed()
    for topic in ("servers", "agents"):
        session.receive(f'{{"op":"subscribe","topic":"{topic}"}}', 0.0)
    assert (Open(SERVERS, None),) == session.receive('{"op":"subscribe","topic":"servers"}', 0.0)


def test_an_unknown_topic_is_refused() -> None:
    effects = welcomed().receive('{"op":"subscribe","topic":"secrets"}', 0.0)
    assert ("unknown_topic", "secrets", None) == refusal(effects)


def test_a_foreign_workspace_is_refused() -> None:
    effects = welcomed().receive('{"op":"subscribe","topic":"servers","workspace":"w_2"}', 0.0)
    assert ("forbidden", "servers", "w_2") == refusal(effects)


def test_a_member_of_nothing_may_subscribe_to_nothing() -> None:
    assert ("forbidden", "servers", None) == refusal(nobody().receive('{"op":"subscribe","topic":"servers"}', 0.0))


def test_a_member_of_several_workspaces_has_to_name_one() -> None:
    effects = welcomed("w_1", "w_2").receive('{"op":"subscribe","topic":"servers"}', 0.0)
    assert ("bad_request", "servers", None) == refusal(effects)


def test_a_delivery_that_is_not_offered_is_refused() -> None:
    effects = welcomed().receive('{"op":"subscribe","topic":"servers","delivery":"some"}', 0.0)
    assert ("bad_request", "servers", None) == refusal(effects)


@pytest.mark.parametrize("delivery", list(Delivery))
def test_every_delivery_is_offered(delivery: Delivery) -> None:
    message = f'{{"op":"subscribe","topic":"servers","delivery":"{delivery}"}}'
    assert (Open(SERVERS, None, delivery),) == welcomed().receive(message, 0.0)


@pytest.mark.parametrize(("tick_ms", "tick_s"), [(0, 0.0), (1, 0.2), (200, 0.2), (999, 1.0), (60_000, 60.0)])
def test_a_longer_tick_is_rounded_up_to_one_that_others_share(tick_ms: int, tick_s: float) -> None:
    message = f'{{"op":"subscribe","topic":"servers","tick_ms":{tick_ms}}}'
    assert (Open(SERVERS, None, tick_s=tick_s),) == welcomed().receive(message, 0.0)


def test_subscriptions_are_bounded() -> None:
    session = welcomed()
    for topic in ("servers", "agents"):
        session.receive(f'{{"op":"subscribe","topic":"{topic}"}}', 0.0)
    effects = session.receive('{"op":"subscribe","topic":"metrics"}', 0.0)
    assert ("too_many", "metrics", "w_1") == refusal(effects)


def test_an_unsubscription_makes_room() -> None:
    session = welcomed()
    for topic in ("servers", "agents"):
        session.receive(f'{{"op":"subscribe","topic":"{topic}"}}', 0.0)
    assert (End(SERVERS),) == session.receive('{"op":"unsubscribe","topic":"servers"}', 0.0)
    assert (Open(Topic("w_1", "metrics"), None),) == session.receive('{"op":"subscribe","topic":"metrics"}', 0.0)


def test_a_check_is_answered_for_what_is_subscribed() -> None:
    session = welcomed()
    session.receive('{"op":"subscribe","topic":"servers"}', 0.0)
    assert (SendBookmark(SERVERS),) == session.receive('{"op":"check","topic":"servers"}', 0.0)


@pytest.mark.parametrize("op", ["check", "unsubscribe"])
def test_what_is_not_subscribed_can_be_neither_checked_nor_ended(op: str) -> None:
    effects = welcomed().receive(f'{{"op":"{op}","topic":"servers"}}', 0.0)
    assert ("bad_request", "servers", None) == refusal(effects)


def test_a_topic_of_two_workspaces_has_to_be_named_with_one() -> None:
    session = welcomed("w_1", "w_2")
    for workspace in ("w_1", "w_2"):
        session.receive(f'{{"op":"subscribe","topic":"servers","workspace":"{workspace}"}}', 0.0)
    assert ("bad_request", "servers", None) == refusal(session.receive('{"op":"check","topic":"servers"}', 0.0))
    effects = session.receive('{"op":"check","topic":"servers","workspace":"w_2"}', 0.0)
    assert (SendBookmark(Topic("w_2", "servers")),) == effects


def test_a_refusal_does_not_repeat_what_cannot_be_a_name() -> None:
    message = f'{{"op":"subscribe","topic":"{"x" * 100}","workspace":"<script>"}}'
    assert ("unknown_topic", "x" * 64, None) == refusal(welcomed().receive(message, 0.0))


@pytest.mark.parametrize(
    "message",
    [
        b'{"op":"check","topic":"servers"}',
        "nonsense",
        '{"op":"dance"}',
        '{"op":"subscribe","topic":7}',
        f'{{"op":"check","topic":"{"x" * 200}"}}',
        f'{{"op":"check","topic":"{"ü" * 90}"}}',
    ],
    ids=["binary", "not JSON", "unknown op", "wrong type", "too long", "too many bytes"],
)
def test_a_malformed_message_ends_the_session(message: str | bytes) -> None:
    for session in (opening(), welcomed()):
        assert (4400, "bad_request") == closing(session.receive(message, 0.0))


def test_too_many_messages_end_the_session() -> None:
    session = welcomed()  # one message has been used
    session.receive('{"op":"subscribe","topic":"servers"}', 0.0)
    for _ in range(18):
        assert (SendBookmark(SERVERS),) == session.receive('{"op":"check","topic":"servers"}', 0.0)
    (effect,) = session.receive('{"op":"check","topic":"servers"}', 0.0)
    assert isinstance(effect, Close)
    assert (4429, "too many messages; retry_after_ms=2000") == (effect.code, effect.reason)


def test_nothing_follows_the_end() -> None:
    session = welcomed()
    session.close(4503, "stopping")
    assert [(), (), (), (), ()] == [
        session.receive('{"op":"auth","token":"t"}', 0.0),
        session.admit(person(), AT),
        session.expire(1e9, AT + timedelta(days=1)),
        session.keep_within("session_1", None),
        session.close(4408, "slow"),
    ]

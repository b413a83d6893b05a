"""What records become when an agent says something of itself."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from services.ingest.messages import Handshake, Status
from services.ingest.registration import (
    Registration,
    agent_heard,
    interval_granted,
    server_introduced,
    server_with_status,
)
from shared.resources.servers import OperatingSystem, Server

NOW = datetime(2026, 1, 2, tzinfo=UTC)
BEFORE = NOW - timedelta(days=1)
REGISTRATION = Registration(
    agent_id="a_1",
    server_id="s_1",
    workspace_id="w_1",
    name="Web",
    hostname="web-1",
    machine_id="m-1",
    groups=("eu",),
    created_at=BEFORE,
)
HANDSHAKE = Handshake(boot_id="b", agent_version="2.0", os=OperatingSystem(name="Debian"))


def test_server_is_made_from_its_registration() -> None:
    made = server_introduced(None, REGISTRATION, None, NOW)
    expected = Server(name="Web", hostname="web-1", machine_id="m-1", groups=("eu",), status="online", last_seen=NOW)
    assert expected == made


def test_server_that_is_online_and_says_nothing_new_is_the_same() -> None:
    server = server_introduced(None, REGISTRATION, HANDSHAKE, BEFORE)
    assert server == server_introduced(server, REGISTRATION, HANDSHAKE, NOW)


def test_enrolling_again_keeps_what_the_last_handshake_told() -> None:
    server = server_introduced(None, REGISTRATION, HANDSHAKE, BEFORE)
    assert server == server_introduced(server, REGISTRATION, None, NOW)


@pytest.mark.parametrize("status", ["online", "offline"])
def test_last_seen_moves_with_the_status_only(status: str) -> None:
    server = Server(name="Web", status="unknown", last_seen=BEFORE)
    flipped = server_with_status(server, status, NOW)  # type: ignore[arg-type]  # one of the two
    assert (status, NOW) == (flipped.status, flipped.last_seen)
    assert flipped is server_with_status(flipped, status, NOW + timedelta(days=1))  # type: ignore[arg-type]  # likewise


def test_status_changes_what_it_mentions() -> None:
    agent = agent_heard(None, REGISTRATION, BEFORE, handshake=HANDSHAKE)
    heard = agent_heard(agent, REGISTRATION, NOW, status=Status(healthy=False, groups=()))
    expected = msgspec.structs.replace(agent, healthy=False, groups=(), last_heartbeat=NOW, updated_at=NOW)
    assert expected == heard
    assert ("2.0", BEFORE) == (heard.agent_version, heard.created_at)


@pytest.mark.parametrize(("asked_s", "granted_s"), [(5, 5), (15, 15), (16, 15), (86_400, 15)])
def test_interval_leaves_room_for_lost_samples(asked_s: float, granted_s: float) -> None:
    assert granted_s == interval_granted(asked_s, offline_after_s=60)


@pytest.mark.parametrize("offline_after_s", [1, 60, 600])
@pytest.mark.parametrize("asked_s", [0.5, 5, 3600])
def test_three_missed_samples_are_never_longer_than_a_server_may_be_silent(
    asked_s: float, offline_after_s: float
) -> None:
    assert 3 * interval_granted(asked_s, offline_after_s) <= offline_after_s


def test_handshake_without_the_time_leaves_the_skew_as_it_was() -> None:
    ahead = msgspec.structs.replace(HANDSHAKE, ts=NOW + timedelta(seconds=7))
    agent = agent_heard(None, REGISTRATION, NOW, handshake=ahead)
    assert 7.0 == agent.clock_skew_s
    assert 7.0 == agent_heard(agent, REGISTRATION, NOW, handshake=HANDSHAKE).clock_skew_s

"""Who is offline, and whose fault it is."""

import datetime as dt

import pytest

from muster_agent.backoff import LAST_WINDOW_S
from services.sweeper.liveness import (
    Due,
    Listening,
    Verdict,
    deafness,
    is_long_away,
    is_returning,
    is_stale,
    is_way_open,
    judge,
    judge_unheard,
    listening_since_ms,
    longest_gap_ms,
)
from shared.resources.agents import Agent
from shared.resources.servers import Server, Status
from shared.settings import Liveness

NOW = 1_000_000
OFFLINE_AFTER = 60_000
LONG_AGO = NOW - OFFLINE_AFTER
GRACE = 120_000


@pytest.mark.parametrize(
    ("listening", "reason"),
    [
        (Listening(LONG_AGO, NOW - 1_000, LONG_AGO), None),
        (Listening(LONG_AGO, NOW - 5_000, LONG_AGO), None),
        (Listening(LONG_AGO, NOW - 5_001, LONG_AGO), "ingest is away"),
        (Listening(LONG_AGO, None, LONG_AGO), "ingest is away"),
        (Listening(LONG_AGO, NOW, LONG_AGO + 1), "ingest was away"),
        (Listening(LONG_AGO, NOW, None), "ingest was away"),
        (Listening(LONG_AGO + 1, NOW, LONG_AGO), "the sweepers were away"),
        (Listening(None, NOW, LONG_AGO), "the sweepers were away"),
    ],
)
def test_silence_means_something_once_everyone_has_listened_for_long_enough(
    listening: Listening, reason: str | None
) -> None:
    assert reason == deafness(NOW, listening, OFFLINE_AFTER)


def test_sweepers_may_miss_one_round() -> None:
    assert 21_000 == longest_gap_ms(10)


def due(workspace: str, count: int, *, held: bool = False) -> list[Due]:
    return [Due(NOW - 1, workspace, f"s_{number}", held) for number in range(count)]


@pytest.mark.parametrize(
    ("silent", "armed", "verdict"),
    [
        (1, 1, Verdict.OFFLINE),
        (4, 4, Verdict.OFFLINE),
        (5, 16, Verdict.UNKNOWN),
        (5, 17, Verdict.OFFLINE),
        (30, 100, Verdict.OFFLINE),
        (31, 100, Verdict.UNKNOWN),
    ],
)
def test_large_share_of_a_workspace_is_held_back(silent: int, armed: int, verdict: Verdict) -> None:
    assert {verdict} == {
        given for _, given in judge(due("w_1", silent), {"w_1": silent}, {"w_1": armed}, way_open=True)
    }


def test_workspaces_are_judged_apart() -> None:
    judged = judge(due("w_1", 10) + due("w_2", 1), {"w_1": 10, "w_2": 1}, {"w_1": 10, "w_2": 10}, way_open=True)
    assert {("w_1", Verdict.UNKNOWN), ("w_2", Verdict.OFFLINE)} == {(one.workspace_id, given) for one, given in judged}


def test_server_that_was_held_back_and_stays_silent_is_offline() -> None:
    judged = judge(due("w_1", 10, held=True) + due("w_1", 1), {"w_1": 1}, {"w_1": 10}, way_open=True)
    assert [Verdict.OFFLINE] * 11 == [given for _, given in judged]


@pytest.mark.parametrize(("held", "verdicts"), [(4, 4), (5, 0)])
def test_many_that_were_held_back_stay_so_until_others_have_come_through_for_a_while(held: int, verdicts: int) -> None:
    judged = judge(due("w_1", held, held=True), {}, {}, way_open=False)
    assert [Verdict.OFFLINE] * verdicts == [given for _, given in judged]


@pytest.mark.parametrize(
    ("unheard_ms", "is_open"),
    [(None, True), (NOW, False), (NOW - GRACE + 1, False), (NOW - GRACE, True), (NOW + 1, True)],
)
def test_way_is_open_once_agents_have_come_through_for_the_grace(unheard_ms: int | None, is_open: bool) -> None:
    assert is_open == is_way_open(NOW, Listening(LONG_AGO, NOW, LONG_AGO, unheard_ms=unheard_ms), GRACE)


@pytest.mark.parametrize(("returned_ms", "returning"), [(None, True), (NOW - GRACE + 1, True), (NOW - GRACE, False)])
def test_agents_may_be_on_their_way_back_for_the_grace(returned_ms: int | None, returning: bool) -> None:
    assert returning == is_returning(NOW, Listening(LONG_AGO, NOW, returned_ms), GRACE)


def test_grace_is_twice_the_longest_wait_of_an_agent() -> None:
    assert 2 * LAST_WINDOW_S == Liveness().return_grace_s


def test_longest_silent_comes_first() -> None:
    first, second = Due(1, "w_1", "s_2"), Due(2, "w_1", "s_1")
    assert [first, second] == [one for one, _ in judge([second, first], {"w_1": 2}, {"w_1": 9}, way_open=True)]


def test_share_is_that_of_all_silent_servers_also_when_only_some_are_acted_on() -> None:
    judged = judge(due("w_1", 10), {"w_1": 40}, {"w_1": 40}, way_open=True)
    assert {Verdict.UNKNOWN} == {given for _, given in judged}


@pytest.mark.parametrize(
    ("beat_ms", "left_ms", "is_long"),
    [
        (LONG_AGO, None, False),
        (LONG_AGO - 1, None, True),
        (None, LONG_AGO, False),
        (None, LONG_AGO - 1, True),
        (LONG_AGO - 1, LONG_AGO, False),
        (None, None, True),
    ],
)
def test_ingest_is_long_away_once_any_server_would_have_been_called_offline(
    beat_ms: int | None, left_ms: int | None, is_long: bool
) -> None:
    listening = Listening(LONG_AGO, beat_ms, LONG_AGO, left_ms=left_ms)
    assert is_long == is_long_away(NOW, listening, OFFLINE_AFTER)


def test_nothing_is_known_of_those_who_fell_silent_while_ingest_was_long_away() -> None:
    judged = judge_unheard(due("w_1", 2) + due("w_2", 1, held=True))
    assert [("s_0", Verdict.UNKNOWN), ("s_1", Verdict.UNKNOWN)] == [(one.server_id, given) for one, given in judged]


def test_we_listen_since_the_last_of_us_has_returned() -> None:
    assert [7, 9, 0] == [
        listening_since_ms(Listening(swept, None, returned)) for swept, returned in ((7, 5), (7, 9), (None, None))
    ]


def agent_heard_at(ms: int) -> Agent:
    at = dt.datetime.fromtimestamp(ms / 1000, dt.UTC)
    return Agent(name="a", server_id="s_1", last_heartbeat=at, created_at=at, updated_at=at)


def server_seen_at(ms: int | None, status: Status = "offline") -> Server:
    return Server(
        name="s", status=status, last_seen=None if ms is None else dt.datetime.fromtimestamp(ms / 1000, dt.UTC)
    )


@pytest.mark.parametrize(
    ("heartbeat_ms", "server", "since_ms", "stale"),
    [
        (NOW - 11, server_seen_at(NOW - 11), 0, True),
        (NOW - 11, server_seen_at(None), 0, True),
        (NOW - 11, None, 0, True),
        (NOW - 10, server_seen_at(NOW - 11), 0, False),
        (NOW - 11, server_seen_at(NOW - 10), 0, False),
        (NOW - 11, server_seen_at(NOW - 11), NOW - 10, False),
        (NOW - 11, server_seen_at(NOW - 11, "online"), 0, False),
        (NOW - 11, server_seen_at(NOW - 11, "unknown"), 0, False),
    ],
)
def test_registration_is_stale_once_its_server_is_offline_and_nobody_was_heard_for_long(
    heartbeat_ms: int, server: Server | None, since_ms: int, stale: bool
) -> None:
    assert stale == is_stale(NOW, 10, agent_heard_at(heartbeat_ms), server, since_ms)

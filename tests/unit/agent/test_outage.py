"""Which failures are worth a line of the log."""

from __future__ import annotations

from muster_agent.outage import Outage


def test_only_the_first_of_many_failures_is_news() -> None:
    outage = Outage()
    assert [True, False, False] == [outage.failed("Unavailable", now_s) for now_s in (100.0, 101.0, 110.0)]


def test_another_kind_of_failure_is_news() -> None:
    outage = Outage()
    outage.failed("Unavailable", 100.0)
    assert outage.failed("CredentialRefused", 101.0)
    assert not outage.failed("CredentialRefused", 102.0)


def test_a_lasting_outage_is_told_again_after_ten_minutes() -> None:
    outage = Outage()
    outage.failed("Unavailable", 100.0)
    assert [False, True, False] == [outage.failed("Unavailable", now_s) for now_s in (699.0, 700.0, 701.0)]


def test_its_end_tells_how_long_it_was() -> None:
    outage = Outage()
    outage.failed("Unavailable", 100.0)
    outage.failed("Unavailable", 150.0)
    assert 63.0 == outage.ended(163.0)


def test_a_success_without_an_outage_is_no_news() -> None:
    assert None is Outage().ended(100.0)


def test_the_next_outage_is_news_again() -> None:
    outage = Outage()
    outage.failed("Unavailable", 100.0)
    outage.ended(101.0)
    assert outage.failed("Unavailable", 102.0)

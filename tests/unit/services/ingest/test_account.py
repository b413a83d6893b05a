"""Who is let in pays for what that costs, and is let in again once it is paid."""

import pytest

from services.ingest.account import BYTES_A_SAMPLE, Account
from services.ingest.rates import Rates
from shared.io.problem import HttpError


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def account(clock: Clock, *, at_once: int = 10) -> Account:
    return Account(Rates(per_s=1, burst=at_once, capacity=10, clock=clock), "a_1", "this agent")


def refused(account: Account, size_bytes: int = 0) -> float:
    with pytest.raises(HttpError, match="this agent sends too much") as raised:
        account.let_in(size_bytes)
    assert (429, "too_many_requests") == (raised.value.status, raised.value.code)
    assert raised.value.retry_after_s is not None
    return raised.value.retry_after_s


def test_each_request_costs_one() -> None:
    ours = account(Clock())
    for _ in range(10):
        ours.let_in()
    assert 1 == refused(ours)


def test_size_costs_before_anything_is_looked_at() -> None:
    ours = account(Clock())
    ours.let_in(4 * BYTES_A_SAMPLE)
    ours.let_in(4 * BYTES_A_SAMPLE + BYTES_A_SAMPLE - 1)
    assert 1 == refused(ours)


def test_what_costs_more_than_there_is_goes_through_once_and_is_owed() -> None:
    clock = Clock()
    ours = account(clock)
    ours.let_in()
    ours.weigh(1_000_000)
    with pytest.raises(HttpError):
        ours.require_no_debt()
    with pytest.raises(HttpError):
        ours.weigh(BYTES_A_SAMPLE)
    assert 992 == refused(ours)
    clock.now_s += 992
    ours.let_in()


def test_small_body_is_not_weighed() -> None:
    ours = account(Clock())
    ours.charge(100)
    ours.weigh(BYTES_A_SAMPLE - 1)

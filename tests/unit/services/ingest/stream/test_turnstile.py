"""A fleet that comes back at once is let in bit by bit."""

from contextlib import ExitStack

import pytest

from services.ingest.stream.turnstile import Turnstile
from shared.errors import RetryLater


def test_so_many_pass_at_once_and_the_others_are_to_return_later() -> None:
    turnstile = Turnstile(2, uniform=lambda low, high: (low + high) / 2)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(turnstile.passing())
        with pytest.raises(RetryLater) as refused, turnstile.passing():
            pass
        assert 4.5 == refused.value.retry_after_s
    with turnstile.passing():
        pass


def test_who_fails_inside_has_passed() -> None:
    turnstile = Turnstile(1)
    with pytest.raises(ZeroDivisionError), turnstile.passing():
        raise ZeroDivisionError
    with turnstile.passing():
        pass

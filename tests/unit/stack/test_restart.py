"""How long a crashed program stays down."""

from __future__ import annotations

import itertools

from stack.restart import FIRST_DELAY_S, HEALTHY_AFTER_S, LONGEST_DELAY_S, RestartDelays


def test_first_crash_is_answered_almost_at_once() -> None:
    assert RestartDelays().after(0.0) == FIRST_DELAY_S


def test_delays_double_with_every_early_end_up_to_the_longest() -> None:
    delays = RestartDelays()
    taken = [delays.after(1.0) for _ in range(10)]
    assert taken[:4] == [0.1, 0.2, 0.4, 0.8]
    assert all(later == min(2 * earlier, LONGEST_DELAY_S) for earlier, later in itertools.pairwise(taken))
    assert taken[-1] == LONGEST_DELAY_S


def test_a_healthy_run_starts_the_delays_over() -> None:
    delays = RestartDelays()
    for _ in range(5):
        delays.after(HEALTHY_AFTER_S - 1)
    assert delays.after(HEALTHY_AFTER_S) == FIRST_DELAY_S
    assert delays.after(0.0) == 2 * FIRST_DELAY_S

"""When a collector has its turn."""

from __future__ import annotations

from muster_agent.collectors.base import Plan, Reading
from muster_agent.collectors.lane import Job
from muster_agent.collectors.turn import Turn


def turn(every_s: float, *, in_background: bool = True) -> Turn:
    return Turn(Plan(lambda: Reading("any", dict), every_s=every_s, keep_s=every_s, in_background=in_background))


def read(state: Turn, now_s: float, *, cpu_s: float = 0.0, programs_cpu_s: float = 0.0) -> None:
    job = Job(lambda: {"a": now_s}, 1.0)
    state.begin(job, now_s)
    job.run()
    job.cpu_s, job.programs_cpu_s, job.took_s = cpu_s, programs_cpu_s, 0.0
    assert job is state.take(now_s)


def test_nothing_is_read_twice_at_once() -> None:
    state = turn(0)
    state.begin(Job(dict, 1.0), 0.0)
    assert not state.is_due(1000.0)


def test_it_is_due_again_when_its_time_has_passed() -> None:
    state = turn(600)
    read(state, 100.0)
    assert [False, False, True] == [state.is_due(now_s) for now_s in (100.0, 699.0, 700.0)]


def test_what_costs_more_comes_less_often_and_stays_fresh_for_longer() -> None:
    state = turn(10)
    read(state, 0.0, cpu_s=0.05)
    assert [False, True] == [state.is_due(now_s) for now_s in (49.0, 50.0)]
    assert [{"a": 0.0}, {}] == [state.fields(now_s) for now_s in (60.0, 61.0)]


def test_a_program_may_cost_more_than_the_agent_itself() -> None:
    state = turn(10)
    read(state, 0.0, cpu_s=0.01, programs_cpu_s=0.5)
    assert [False, True] == [state.is_due(now_s) for now_s in (99.0, 100.0)]


def test_what_a_sample_waits_for_comes_with_each() -> None:
    state = turn(0, in_background=False)
    read(state, 0.0, cpu_s=5.0)
    assert state.is_due(0.1)


def test_attempts_after_hanging_are_further_and_further_apart() -> None:
    state = turn(0, in_background=False)
    now_s, waits = 0.0, []
    for _ in range(8):
        job = Job(dict, 1.0)
        state.begin(job, now_s)
        job.is_left = True
        assert job is state.take(now_s)
        job.run()
        assert None is state.take(now_s)
        due_s = next(now_s + wait_s for wait_s in range(1, 1000) if state.is_due(now_s + wait_s))
        waits.append(round(due_s - now_s))
        now_s = due_s
    assert [10, 20, 40, 80, 160, 320, 600, 600] == waits


def test_what_comes_of_one_that_hung_is_not_used() -> None:
    state = turn(10)
    job = Job(lambda: {"a": 1}, 1.0)
    state.begin(job, 0.0)
    job.is_left = True
    state.take(1.0)
    job.run()
    state.take(2.0)
    assert {} == state.fields(2.0)

"""Jobs one after another, and what becomes of those that hang."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Mapping

from muster_agent.collectors.lane import Job, Lane

DEADLINE_S = 10.0


def test_jobs_are_done_in_their_order_by_one_thread() -> None:
    seen: list[tuple[int, int]] = []

    def job(number: int) -> Job:
        def work() -> Mapping[str, object]:
            seen.append((number, threading.get_ident()))
            return {}

        return Job(work, DEADLINE_S)

    lane = Lane("lane")
    for first in (0, 3):
        lane.add([job(first + number) for number in range(3)])
        lane.wait()
    assert list(range(6)) == [number for number, _ in seen]
    assert 1 == len({thread for _, thread in seen})


def test_a_job_that_hangs_is_left_and_the_others_are_done() -> None:
    released = threading.Event()

    def hang() -> Mapping[str, object]:
        released.wait(DEADLINE_S)
        return {}

    lane = Lane("lane")
    hanging, other = Job(hang, 0.05), Job(lambda: {"a": 1}, DEADLINE_S)
    lane.add([hanging, other])
    lane.wait()
    assert (True, False) == (hanging.is_left, hanging.is_done)
    assert (False, True, {"a": 1}) == (other.is_left, other.is_done, other.fields)
    released.set()


def test_after_a_job_that_hangs_others_are_done_and_patience_ends() -> None:
    released = threading.Event()

    def hang() -> Mapping[str, object]:
        released.wait(3 * DEADLINE_S)
        return {}

    lane = Lane("lane")
    hanging, later = Job(hang, 0.2), Job(lambda: {"a": 1}, DEADLINE_S)
    lane.add([hanging])
    was_left = []
    for patience_s in (0.0, DEADLINE_S):
        lane.wait(patience_s)
        was_left.append(hanging.is_left)
    assert [False, True] == was_left
    lane.add([later])
    lane.wait(patience_s=DEADLINE_S)
    assert later.is_done
    released.set()


def test_an_error_is_kept_with_its_job() -> None:
    def fail() -> Mapping[str, object]:
        raise ValueError("odd")

    lane = Lane("lane")
    failing = Job(fail, DEADLINE_S)
    lane.add([failing])
    lane.wait()
    assert isinstance(failing.error, ValueError)


def test_a_thread_without_work_ends_and_another_comes_with_the_next_job() -> None:
    lane = Lane("idle lane", idle_s=0.01)
    lane.add([Job(dict, DEADLINE_S)])
    lane.wait()
    for thread in threading.enumerate():
        if thread.name == "idle lane":
            thread.join(DEADLINE_S)
            assert not thread.is_alive()
    again = Job(dict, DEADLINE_S)
    lane.add([again])
    lane.wait()
    assert again.is_done


def test_the_programs_that_a_job_runs_are_at_its_expense() -> None:
    burn = "import time\nwhile time.process_time() < 0.5: pass"
    job = Job(lambda: {"printed": subprocess.run([sys.executable, "-c", burn], check=True)}, DEADLINE_S)
    job.run()
    assert job.programs_cpu_s >= 0.3 > job.cpu_s

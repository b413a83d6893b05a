"""A build has proved itself once the server accepts its samples, and goes on to."""

from __future__ import annotations

from muster_agent.update.proof import Proof


def test_the_first_samples_that_are_accepted_prove_it_once() -> None:
    told: list[str] = []
    proof = Proof(lambda: told.append("reported"))
    proof()
    proof()
    assert ["reported"] == told


def test_one_that_has_to_last_is_given_no_sooner() -> None:
    told: list[float] = []
    clock_s = [1000.0]
    proof = Proof(lambda: told.append(clock_s[-1]), 300.0, lambda: clock_s[-1])
    for now_s in (1001.0, 1299.0, 1301.0, 1302.0):
        clock_s.append(now_s)
        proof()
    assert [1301.0] == told

"""How a simulated machine reports, against an ingest that answers as it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from muster_agent.backoff import Backoff
from stack import demo
from stack.demo import Credential, Credentials, Reporter, measure_in_turn
from stack.simulated import SimulatedMachine

Answer = Callable[[httpx.Request], httpx.Response | None]


class Ingest:
    """Answers like ingest; `fault` may answer in its place."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str | None, object]] = []
        self.fault: Answer = lambda _request: None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        path = request.url.path.removeprefix("/ingest/v1/")
        fault = self.fault(request)
        self.requests.append((path, request.headers.get("authorization"), body))
        if fault is not None:
            return fault
        if path == "enroll":
            enrolled = sum(1 for each in self.requests if each[0] == "enroll")
            return httpx.Response(201, json={"agent_id": "a_1", "secret": f"s{enrolled}", "server_id": "s_1"})
        return httpx.Response(202, json={"accepted": 1, "rejected": []})

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.requests]

    def samples(self) -> list[int]:
        """Return the numbers of the samples that were sent, request by request."""
        bodies = [body for path, _, body in self.requests if path == "metrics"]
        return [sample["seq"] for body in bodies if isinstance(body, list) for sample in body]


class Trial:
    """One reporter over a scripted ingest."""

    def __init__(self, tmp_path: Path) -> None:
        self.ingest = Ingest()
        self.credentials = Credentials(tmp_path / "demo.json")
        client = httpx.AsyncClient(base_url="http://muster", transport=httpx.MockTransport(self.ingest))
        self.machine = SimulatedMachine(1, 0.0)
        self.reporter = Reporter(self.machine, client, self.credentials, "token")

    async def run_until(self, condition: Callable[[], bool]) -> None:
        task = asyncio.create_task(self.reporter.run())
        async with asyncio.timeout(5):
            while not condition():
                assert not task.done()
                await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.wait([task])


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    monkeypatch.setattr(Backoff, "next_delay_s", lambda _self, _retry_after_s=None: 0.001)
    return Trial(tmp_path)


async def test_a_machine_enrols_once_shakes_hands_and_sends_its_samples(trial: Trial) -> None:
    trial.reporter.measure()
    trial.reporter.measure()
    await trial.run_until(lambda: bool(trial.ingest.samples()))
    assert trial.ingest.paths() == ["enroll", "handshake", "metrics"]
    assert [authorization for _, authorization, _ in trial.ingest.requests] == [None, "Bearer s1", "Bearer s1"]
    assert trial.ingest.samples() == [1, 2]


async def test_a_machine_that_has_enrolled_before_does_not_do_it_again(trial: Trial) -> None:
    trial.credentials.put(trial.machine.machine_id, Credential("a_0", "kept"))
    trial.reporter.measure()
    await trial.run_until(lambda: bool(trial.ingest.samples()))
    assert trial.ingest.paths() == ["handshake", "metrics"]
    assert trial.ingest.requests[0][1] == "Bearer kept"


async def test_samples_that_were_not_acknowledged_are_sent_again_in_order(trial: Trial) -> None:
    def fail_twice(request: httpx.Request) -> httpx.Response | None:
        failures = trial.ingest.paths().count("metrics")
        return httpx.Response(503) if request.url.path.endswith("/metrics") and failures < 2 else None

    trial.ingest.fault = fail_twice
    trial.reporter.measure()
    trial.reporter.measure()
    await trial.run_until(lambda: len(trial.ingest.samples()) == 6)
    assert trial.ingest.samples() == [1, 2, 1, 2, 1, 2]


async def test_a_refused_credential_is_replaced_and_no_sample_is_lost(trial: Trial) -> None:
    trial.credentials.put(trial.machine.machine_id, Credential("a_0", "revoked"))
    trial.ingest.fault = lambda request: (
        httpx.Response(401) if request.headers.get("authorization") == "Bearer revoked" else None
    )
    trial.reporter.measure()
    await trial.run_until(lambda: bool(trial.ingest.samples()))
    assert trial.ingest.paths() == ["handshake", "enroll", "handshake", "metrics"]
    assert trial.ingest.samples() == [1]


async def test_a_server_that_is_away_or_is_none_of_ours_is_tried_again(trial: Trial) -> None:
    answers = [httpx.Response(200, text="hello"), httpx.Response(404)]

    def fail(_request: httpx.Request) -> httpx.Response | None:
        if not trial.ingest.requests:
            trial.ingest.requests.append(("refused", None, None))
            raise httpx.ConnectError("refused")
        return answers.pop() if answers else None

    trial.ingest.fault = fail
    trial.reporter.measure()
    await trial.run_until(lambda: bool(trial.ingest.samples()))
    assert trial.ingest.paths() == ["refused", "enroll", "enroll", "enroll", "handshake", "metrics"]


async def test_of_a_long_outage_the_newest_samples_are_kept(trial: Trial) -> None:
    for _ in range(demo.SAMPLES_KEPT + 30):
        trial.reporter.measure()
    await trial.run_until(lambda: len(trial.ingest.samples()) == demo.SAMPLES_KEPT)
    assert trial.ingest.samples() == list(range(31, demo.SAMPLES_KEPT + 31))


async def test_a_goodbye_that_nobody_hears_is_no_error(trial: Trial) -> None:
    trial.ingest.fault = lambda _request: httpx.Response(503)
    await trial.reporter.say_goodbye()
    assert trial.ingest.paths() == ["disconnect"]


def test_credentials_survive_a_restart_in_a_private_file(tmp_path: Path) -> None:
    credentials = Credentials(tmp_path / "demo.json")
    credentials.put("m1", Credential("a_1", "s1"))
    credentials.put("m2", Credential("a_2", "s2"))
    credentials.forget("m2")
    credentials.save()
    again = Credentials(tmp_path / "demo.json")
    assert (again.get("m1"), again.get("m2")) == (Credential("a_1", "s1"), None)
    assert (tmp_path / "demo.json").stat().st_mode & 0o777 == 0o600


async def test_machines_measure_in_turn(tmp_path: Path) -> None:
    measured: list[int] = []
    enough = asyncio.Event()

    class Counting(Reporter):
        def __init__(self, number: int) -> None:
            super().__init__(SimulatedMachine(number, 0.0), httpx.AsyncClient(), Credentials(tmp_path / "none"), "")
            self.number = number

        def measure(self) -> None:
            measured.append(self.number)
            if len(measured) == 7:
                enough.set()

    task = asyncio.create_task(measure_in_turn([Counting(number) for number in range(3)], 0.003))
    await asyncio.wait_for(enough.wait(), 5)
    task.cancel()
    await asyncio.wait([task])
    assert measured[:7] == [0, 1, 2, 0, 1, 2, 0]

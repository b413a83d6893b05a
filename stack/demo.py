"""The demo fleet: simulated machines that report through the real ingest interface, as agents do.

All of them share one process and a few connections: `python -m stack.demo --server URL --machines N --state FILE`,
with the enrolment token in `MUSTER_ENROL_TOKEN`.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import logging
import os
import secrets
import signal
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import msgspec

from muster_agent.answers import Answer, description, retry_after_s
from muster_agent.backoff import Backoff
from stack.folders import write_private
from stack.simulated import SimulatedMachine

log = logging.getLogger(__name__)

INTERVAL_S = 5.0
SAMPLES_A_REQUEST = 100
# An hour of samples; of a longer outage the newest are kept.
SAMPLES_KEPT = 720
CONNECTIONS = 32
REQUEST_TIMEOUT_S = 15.0
GOODBYE_WITHIN_S = 1.0
SAVE_EVERY_S = 0.5


class Credential(msgspec.Struct, frozen=True):
    """Who a machine is to the server."""

    agent_id: str
    secret: str


class Credentials:
    """The credentials of the fleet by machine id, in a private file, so that a restart does not enrol anew."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Credential] = {}
        self._is_saved = True
        if path.exists():
            self._known = msgspec.json.decode(path.read_bytes(), type=dict[str, Credential])

    def get(self, machine_id: str) -> Credential | None:
        """Return the machine's credential, if it has enrolled."""
        return self._known.get(machine_id)

    def put(self, machine_id: str, credential: Credential) -> None:
        """Remember the machine's credential."""
        self._known[machine_id] = credential
        self._is_saved = False

    def forget(self, machine_id: str) -> None:
        """Forget one that the server refuses."""
        self._known.pop(machine_id, None)
        self._is_saved = False

    def save(self) -> None:
        """Write the file when something has changed."""
        if not self._is_saved:
            write_private(self._path, msgspec.json.encode(self._known).decode())
            self._is_saved = True

    async def keep_saved(self) -> None:
        """Save now and then: enrolling a thousand machines must not write a thousand files."""
        while True:
            self.save()
            await asyncio.sleep(SAVE_EVERY_S)


class Refused(Exception):
    """The server does not know this credential; the machine must enrol again."""


class TryLater(Exception):
    """The server is away, overloaded, or does not let the machine in yet."""

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Reporter:
    """Reports for one machine: in order, one request in flight, again until it is acknowledged."""

    def __init__(
        self, machine: SimulatedMachine, client: httpx.AsyncClient, credentials: Credentials, token: str
    ) -> None:
        self._machine = machine
        self._client = client
        self._credentials = credentials
        self._token = token
        self._boot_id = secrets.token_hex(16)
        self._seq = itertools.count(1)
        self._waiting: deque[dict[str, Any]] = deque(maxlen=SAMPLES_KEPT)
        self._has_samples = asyncio.Event()

    def measure(self) -> None:
        """Take a sample now."""
        identity = {"boot_id": self._boot_id, "seq": next(self._seq)}
        self._waiting.append({**identity, **self._machine.measure(time.time())})
        self._has_samples.set()

    async def run(self) -> None:
        """Enrol, then report for ever."""
        backoff, is_known = Backoff(), False
        while True:
            try:
                if not is_known:
                    await self._introduce()
                    is_known = True
                await self._wait_for_samples()
                await self._send()
                backoff.reset()
            except Refused as error:
                log.warning("%s enrols again: %s", self._machine.name, error)
                self._credentials.forget(self._machine.machine_id)
                is_known = False
                await asyncio.sleep(backoff.next_delay_s())
            except TryLater as error:
                log.info("%s tries later: %s", self._machine.name, error)
                await asyncio.sleep(backoff.next_delay_s(error.retry_after_s))

    async def say_goodbye(self) -> None:
        """Tell the server that the machine goes; nothing depends on it."""
        with suppress(Refused, TryLater):
            await self._post("/ingest/v1/disconnect", {}, self._credentials.get(self._machine.machine_id))

    async def _introduce(self) -> None:
        machine = self._machine
        if self._credentials.get(machine.machine_id) is None:
            who = {"hostname": machine.name, "machine_id": machine.machine_id, "name": machine.name}
            answer = await self._post("/ingest/v1/enroll", {"token": self._token, **who}, None)
            self._credentials.put(machine.machine_id, _enrolled(answer))
        version = {"boot_id": self._boot_id, "agent_version": "demo", "interval_s": INTERVAL_S}
        await self._post("/ingest/v1/handshake", {**version, **machine.facts()}, self._credential())

    def _credential(self) -> Credential | None:
        return self._credentials.get(self._machine.machine_id)

    async def _wait_for_samples(self) -> None:
        if not self._waiting:
            self._has_samples.clear()
            await self._has_samples.wait()

    async def _send(self) -> None:
        while self._waiting:
            batch = list(itertools.islice(self._waiting, SAMPLES_A_REQUEST))
            await self._post("/ingest/v1/metrics", batch, self._credential())
            # the oldest may have been pushed out meanwhile
            while self._waiting and self._waiting[0]["seq"] <= batch[-1]["seq"]:
                self._waiting.popleft()

    async def _post(self, path: str, content: object, credential: Credential | None) -> bytes:
        headers = {"Content-Type": "application/json"}
        if credential is not None:
            headers["Authorization"] = f"Bearer {credential.secret}"
        try:
            answer = await self._client.post(path, content=msgspec.json.encode(content), headers=headers)
        except httpx.HTTPError as error:
            raise TryLater(f"{type(error).__name__}: {error}") from error
        if answer.is_success:
            return answer.content
        reason = description(Answer(answer.status_code, answer.headers, answer.content))
        if credential is not None and answer.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            raise Refused(reason)
        raise TryLater(reason, retry_after_s(answer.headers.get("retry-after"), time.time()))


def _enrolled(answer: bytes) -> Credential:
    try:
        return msgspec.json.decode(answer, type=Credential)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise TryLater(f"the answer to the enrolment is not Muster's: {error}") from error


async def measure_in_turn(reporters: Sequence[Reporter], interval_s: float) -> None:
    """Let every machine measure once an interval, all of them spread evenly over it."""
    loop = asyncio.get_running_loop()
    step_s, next_s = interval_s / len(reporters), loop.time()
    for reporter in itertools.cycle(reporters):
        await asyncio.sleep(next_s - loop.time())
        reporter.measure()
        # a process that was asleep does not make up for the time that it missed
        next_s = max(next_s + step_s, loop.time() - interval_s)


async def report(server: str, machines: int, state: Path, token: str) -> None:
    """Simulate until SIGTERM or SIGINT."""
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    credentials = Credentials(state)
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    timeout = httpx.Timeout(REQUEST_TIMEOUT_S, pool=None)
    async with httpx.AsyncClient(base_url=server, limits=limits, timeout=timeout, trust_env=False) as client:
        started_unix_s = time.time()
        fleet = [
            Reporter(SimulatedMachine(number, started_unix_s), client, credentials, token) for number in range(machines)
        ]
        async with asyncio.TaskGroup() as tasks:
            work = [tasks.create_task(reporter.run()) for reporter in fleet]
            work += [tasks.create_task(credentials.keep_saved())]
            work += [tasks.create_task(measure_in_turn(fleet, INTERVAL_S))]
            await stopping.wait()
            for task in work:
                task.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_WITHIN_S):
                await asyncio.gather(*(reporter.say_goodbye() for reporter in fleet))
    credentials.save()


def main() -> int:
    """Read the command line and run the fleet; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m stack.demo", description="Simulate machines.")
    parser.add_argument("--server", required=True, help="URL of Muster")
    parser.add_argument("--machines", required=True, type=int)
    parser.add_argument("--state", required=True, type=Path, help="file with the credentials of the machines")
    given = parser.parse_args()
    token = os.environ.get("MUSTER_ENROL_TOKEN")
    if not token:
        parser.error("MUSTER_ENROL_TOKEN is not set")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # every single request would be a line
    logging.getLogger("httpx").setLevel(logging.WARNING)
    asyncio.run(report(given.server, given.machines, given.state, token))
    return 0


if __name__ == "__main__":
    sys.exit(main())

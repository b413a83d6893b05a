"""Starting, watching and stopping real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from stack import folders, probes
from stack.errors import StackError
from stack.ports import LoopbackPorts
from stack.program import Program
from stack.supervisor import Running, Stage, Supervisor
from tests.support.standin import standin

WITHIN_S = 10.0


class Trial:
    """A supervisor of stand-ins, with what it said and when the process ids changed."""

    def __init__(self, tasks: asyncio.TaskGroup, folder: Path, client: httpx.AsyncClient) -> None:
        self.said: list[str] = []
        self.changes: list[Running] = []
        self.supervisor = Supervisor(tasks, self.said.append, self.changes.append)
        self._folder = folder
        self._client = client
        self._ports = LoopbackPorts()

    def program(self, name: str, behaviour: str = "") -> Program:
        return standin(name, self._ports.take(), self._folder / f"{name}.log", {"STANDIN": behaviour})

    async def start(self, program: Program, within_s: float = WITHIN_S) -> None:
        probe = probes.answers_http(self._client, f"{program.url}/readiness")
        await self.supervisor.start(program, probe, within_s)

    def pid(self, name: str) -> int:
        return {program.name: pid for program, pid in self.supervisor.running()}[name]


@asynccontextmanager
async def trial(folder: Path) -> AsyncIterator[Trial]:
    async with asyncio.TaskGroup() as tasks, httpx.AsyncClient(trust_env=False) as client:
        made = Trial(tasks, folder, client)
        try:
            yield made
        finally:
            made.supervisor.kill()


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_a_program_is_started_when_it_answers(tmp_path: Path) -> None:
    async with trial(tmp_path) as it:
        program = it.program("api")
        await it.start(program)
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(program.url or "")).json()["pid"] == it.pid("api")


async def test_a_program_that_ends_at_once_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    async with trial(tmp_path) as it:
        with pytest.raises(StackError) as raised:
            await it.start(it.program("api", "fail"))
    assert str(raised.value) == (
        f"api ended at once (exit status 3): see {tmp_path}/api.log\n    api cannot find what it needs"
    )
    assert it.said == []


async def test_a_program_that_does_not_answer_is_told_too(tmp_path: Path) -> None:
    async with trial(tmp_path) as it:

        async def never() -> bool:
            return False

        with pytest.raises(StackError, match=r"api did not answer within 0 s: see .*api\.log"):
            await it.supervisor.start(it.program("api"), never, 0.2)


async def test_a_crashed_program_is_started_again_with_another_process(tmp_path: Path) -> None:
    async with trial(tmp_path) as it:
        await it.start(it.program("api"))
        before = it.pid("api")
        os.kill(before, signal.SIGKILL)
        await until(lambda: it.changes)
        assert [program.name for program, _ in it.changes[0]] == ["api"]
        assert it.changes[0][0][1] == it.pid("api") != before
        assert it.said == [f"api ended (signal SIGKILL) and is started again: see {tmp_path}/api.log"]


async def test_programs_stop_stage_by_stage_and_stay_down(tmp_path: Path) -> None:
    async with trial(tmp_path) as it:
        for name in ("worker", "api", "ingest"):
            await it.start(it.program(name))
        pids = {name: it.pid(name) for name in ("worker", "api", "ingest")}
        stopping = asyncio.create_task(it.supervisor.stop([Stage(("api", "ingest"), 5), Stage(("worker",), 5)]))
        alive: set[frozenset[str]] = set()
        while not stopping.done():
            alive.add(frozenset(name for name, pid in pids.items() if is_alive(pid)))
            await asyncio.sleep(0)
        await stopping
        assert it.supervisor.running() == []
        assert not any("worker" not in names for names in alive - {frozenset()})
        assert it.changes == []


async def test_a_program_that_ignores_the_request_to_stop_is_killed_in_time(tmp_path: Path) -> None:
    async with trial(tmp_path) as it:
        await it.start(it.program("api", "stubborn"))
        started = time.monotonic()
        await it.supervisor.stop([Stage(("api",), 0.3)])
        assert 0.3 <= time.monotonic() - started < 3
        assert it.supervisor.running() == []
        assert it.said == ["api did not stop within 0.3 s and is killed"]


async def test_a_program_that_stands_still_can_be_stopped(tmp_path: Path) -> None:
    async with trial(tmp_path) as it:
        await it.start(it.program("api"))
        os.kill(it.pid("api"), signal.SIGSTOP)
        await it.supervisor.stop([Stage(("api",), 5)])
        assert it.said == []


async def test_stopping_wins_over_starting_again(tmp_path: Path) -> None:
    async with trial(tmp_path) as it:
        await it.start(it.program("api"))
        os.kill(it.pid("api"), signal.SIGKILL)
        await until(lambda: it.said)
        await it.supervisor.stop([Stage(("api",), 5)])
        assert it.supervisor.running() == []
    assert it.changes == []


async def test_a_folder_that_an_earlier_process_still_uses_is_waited_for(tmp_path: Path) -> None:
    async with trial(tmp_path) as it:
        plain = it.program("api")
        program = Program(
            name="api",
            role="api",
            argv=plain.argv,
            environment=plain.environment,
            log=plain.log,
            url=plain.url,
            exclusive=tmp_path / "lock",
        )
        earlier = folders.hold(tmp_path / "lock")
        starting = asyncio.create_task(it.start(program))
        await asyncio.sleep(0.1)
        assert it.supervisor.running() == []
        os.close(earlier)
        await starting
        with pytest.raises(BlockingIOError):
            folders.hold(tmp_path / "lock")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True

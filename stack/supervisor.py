"""Starts the programs of a stack, starts crashed ones again, and stops all of them in order."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from stack import folders, logs
from stack.errors import StackError
from stack.folders import FOLDER_FREE_WITHIN_S
from stack.program import Program
from stack.restart import RestartDelays

Probe = Callable[[], Awaitable[bool]]
Running = Sequence[tuple[Program, int]]

PROBE_EVERY_S = 0.05
LOG_LINES_SHOWN = 15


@dataclass(frozen=True)
class Stage:
    """Roles that stop together, and how long they may take before they are killed."""

    roles: Collection[str]
    patience_s: float


@dataclass
class Member:
    """A program under supervision, with the process that runs it now."""

    program: Program
    delays: RestartDelays = field(default_factory=RestartDelays)
    process: asyncio.subprocess.Process | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    # held while a process is being made, so that stopping never overlooks one
    spawning: asyncio.Lock = field(default_factory=asyncio.Lock)


class Supervisor:
    """Owns every process of a stack.

    `tasks` is the group that watches them; `say` takes a line for the terminal; `changed` gets the running
    programs whenever one that was started again has another process id.
    """

    def __init__(
        self, tasks: asyncio.TaskGroup, say: Callable[[str], None], changed: Callable[[Running], None]
    ) -> None:
        self._tasks = tasks
        self._say = say
        self._changed = changed
        self._members: list[Member] = []

    def running(self) -> Running:
        """Return every running program with its process id, in the order in which they were started."""
        return [
            (member.program, member.process.pid)
            for member in self._members
            if member.process is not None and member.process.returncode is None
        ]

    async def start(self, program: Program, probe: Probe | None, within_s: float) -> None:
        """Start the program, keep it running from now on, and return when its probe is content.

        Raises `StackError`, with the end of the log, when it ends before that or takes too long.
        """
        logs.rotate(program.log)
        member = Member(program)
        self._members.append(member)
        process = await self._spawn(member)
        deadline = time.monotonic() + within_s
        while probe is not None and not await probe():
            if process.returncode is not None:
                raise StackError(_describe(program, f"ended at once ({_reason(process.returncode)})"))
            if time.monotonic() > deadline:
                raise StackError(_describe(program, f"did not answer within {within_s:.0f} s"))
            await asyncio.sleep(PROBE_EVERY_S)
        self._tasks.create_task(self._keep_running(member, process), name=program.name)

    async def stop(self, order: Sequence[Stage]) -> None:
        """Stop every program, stage by stage; what does not end in time is killed."""
        for stage in order:
            members = [member for member in self._members if member.program.role in stage.roles]
            await asyncio.gather(*(self._stop_member(member, stage.patience_s) for member in members))

    def kill(self) -> None:
        """End every program at once; nothing that was acknowledged is lost by it."""
        for member in self._members:
            member.stopping.set()
            _signal(member, member.program.kill_signal)

    async def _stop_member(self, member: Member, patience_s: float) -> None:
        member.stopping.set()
        async with member.spawning:
            process = member.process
        if process is None:
            return
        _signal(member, member.program.stop_signal)
        try:
            await asyncio.wait_for(process.wait(), patience_s)
        except TimeoutError:
            self._say(f"{member.program.name} did not stop within {patience_s:g} s and is killed")
            _signal(member, member.program.kill_signal)
            await process.wait()

    async def _keep_running(self, member: Member, process: asyncio.subprocess.Process) -> None:
        started = time.monotonic()
        failure = f"ended ({_reason(await process.wait())})"
        while not member.stopping.is_set():
            self._say(f"{member.program.name} {failure} and is started again: see {member.program.log}")
            await _wait(member.stopping, member.delays.after(time.monotonic() - started))
            started = time.monotonic()
            try:
                process = await self._spawn(member)
            except (OSError, StackError) as error:
                failure = f"cannot start ({error})"
            else:
                self._changed(self.running())
                failure = f"ended ({_reason(await process.wait())})"

    async def _spawn(self, member: Member) -> asyncio.subprocess.Process:
        program = member.program
        async with member.spawning, _folder_held(member) as kept:
            if member.stopping.is_set():
                raise StackError("it is being stopped")
            with program.log.open("ab") as log:
                options = program.spawn_options(log.fileno(), kept)
                member.process = await asyncio.create_subprocess_exec(*program.command(), **options)
            return member.process


@asynccontextmanager
async def _folder_held(member: Member) -> AsyncIterator[list[int]]:
    """Wait until no earlier process uses the program's folder, and give the descriptor that keeps it so."""
    program = member.program
    if program.exclusive is None:
        yield []
        return
    try:
        held = await folders.hold_within(program.exclusive, FOLDER_FREE_WITHIN_S, member.stopping.is_set)
    except BlockingIOError:
        raise StackError(f"another {program.name} still uses {program.exclusive.parent}") from None
    try:
        yield [held]
    finally:
        os.close(held)


async def _wait(event: asyncio.Event, at_most_s: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), at_most_s)


def _signal(member: Member, number: signal.Signals) -> None:
    if member.process is None or member.process.returncode is not None:
        return
    # every program leads a process group of its own
    with suppress(ProcessLookupError):
        # one that was paused could not obey
        os.killpg(member.process.pid, signal.SIGCONT)
        os.killpg(member.process.pid, number)


def _reason(returncode: int | None) -> str:
    if returncode is None or returncode >= 0:
        return f"exit status {returncode}"
    return f"signal {signal.Signals(-returncode).name}"


def _describe(program: Program, what: str) -> str:
    shown = "".join(f"\n    {line}" for line in logs.tail(program.log, LOG_LINES_SHOWN))
    return f"{program.name} {what}: see {program.log}{shown}"

"""The life of `muster up`: occupy the data folder, start, stay until a signal comes, stop in order."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

import httpx

from stack import origin
from stack.errors import StackError
from stack.interrupts import Interrupts
from stack.layout import occupied
from stack.machine import Machine, Options
from stack.ready import ReadyFile
from stack.supervisor import Stage, Supervisor
from stack.terminal import Terminal

# Intake ends first; the log and the database end last, when nobody needs them any more. All of it in less than 10 s.
STOP_ORDER = (
    Stage(("agent", "demo"), patience_s=1.5),
    Stage(("caddy",), patience_s=1.5),
    Stage(("ingest", "api"), patience_s=1.5),
    Stage(("sweeper", "broadcaster"), patience_s=1.5),
    Stage(("worker",), patience_s=1.5),
    Stage(("valkey", "postgres"), patience_s=2.0),
)


async def up(options: Options, environ: Mapping[str, str], terminal: Terminal) -> None:
    """Run the stack until a signal ends it.

    Raises `StackError` when it cannot start, after everything that had been started was stopped.
    """
    # everything that is made from here on is for nobody else to read
    os.umask(0o077)
    place = origin.choose_origin(options.host, options.port, has_ipv6_loopback=origin.has_ipv6_loopback())
    with occupied(options.data_dir) as folder:
        origin.require_free(place)
        terminal.say(f"Muster starts, with its data in {folder.path}")
        async with httpx.AsyncClient(trust_env=False) as client:
            machine = Machine(options, environ, folder=folder, origin=place, client=client, terminal=terminal)
            failure = await _run(machine, ReadyFile(folder.ready_file), terminal)
    if failure is not None:
        raise failure
    terminal.say("Muster has stopped")


async def _run(machine: Machine, ready_file: ReadyFile, terminal: Terminal) -> StackError | None:
    """Return why the stack did not start, or nothing; a programming error ends everything and is raised."""
    async with asyncio.TaskGroup() as tasks:
        supervisor = Supervisor(tasks, terminal.say, ready_file.update)
        interrupts = Interrupts(supervisor.kill)
        with interrupts.installed():
            try:
                if await interrupts.finishes(_start(machine, supervisor, ready_file, terminal)):
                    await interrupts.wait()
            except StackError as error:
                return error
            finally:
                ready_file.remove()
                terminal.say("Muster stops")
                await supervisor.stop(STOP_ORDER)
    return None


async def _start(machine: Machine, supervisor: Supervisor, ready_file: ReadyFile, terminal: Terminal) -> None:
    started, sign_in = await machine.start(supervisor)
    ready_file.publish(started, supervisor.running())
    terminal.say(f"Muster is ready at {started.url}")
    terminal.say(sign_in)
    terminal.say("Ctrl-C stops it.")

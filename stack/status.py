"""Shows what runs in a data folder, and whether each part answers."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from pathlib import Path

import httpx
import psutil

from stack import ready
from stack.layout import DataFolder, is_occupied
from stack.ready import Process
from stack.terminal import Terminal

ANSWER_WITHIN_S = 2.0
NOT_RUNNING = 3
NOT_READY = 1


async def status(data_dir: Path, terminal: Terminal) -> int:
    """Print a line for each process; return 0 when all is ready, 1 when something is not, 3 when nothing runs."""
    folder = DataFolder(data_dir)
    if not is_occupied(folder):
        terminal.say(f"Muster does not run in {data_dir}")
        return NOT_RUNNING
    found = ready.read(folder.ready_file)
    if found is None:
        terminal.say(f"Muster starts or stops in {data_dir}")
        return NOT_READY
    terminal.say(f"Muster runs at {found.url}, with its data in {folder.path}")
    processes = [(role, process) for role, replicas in found.services.items() for process in replicas]
    async with httpx.AsyncClient(trust_env=False, timeout=ANSWER_WITHIN_S) as client:
        states = await asyncio.gather(*(_state(client, process) for _, process in processes))
    for (role, process), state in zip(processes, states, strict=True):
        terminal.say(f"  {role:<12} {process.pid:>8}  {state:<10} {process.url or ''}".rstrip())
    return 0 if set(states) <= {"ready", "running"} else NOT_READY


async def _state(client: httpx.AsyncClient, process: Process) -> str:
    """Tell `running` of a process that has no way to be asked for more."""
    if not psutil.pid_exists(process.pid):
        return "gone"
    if process.url is None or not process.url.startswith("http"):
        return "running"
    try:
        answer = await client.get(f"{process.url}/readiness")
    except httpx.HTTPError:
        return "silent"
    return "ready" if answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR else "not ready"

"""The life of a process: settings and signals at the start; at the end stop intake, drain, cancel, release."""

import asyncio
import contextlib
import gc
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any

import structlog
import uvicorn
import uvloop

from shared.io.http_protocol import JoiningProtocol
from shared.io.probes import AsgiApp, Check, Probes
from shared.io.telemetry import configure_logging
from shared.settings import BadSetting, Http, Logging, load

DRAIN_TIMEOUT_S = 5.0
"""How long requests under way, then background tasks, may take to end by themselves."""

_COLLECT_AFTER_ALLOCATIONS = 20_000

log = structlog.get_logger(__name__)

Background = Callable[[asyncio.Event], Coroutine[Any, Any, None]]
"""A task of the process: it gets an event that says "come to an end"; if it ends before, the process goes down."""


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: the process has one, for all of its parts."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class TaskEndedEarly(Exception):
    """A background task returned although nobody had asked the process to stop."""


async def run(  # noqa: PLR0913  (the parts of a process, by name)
    app: AsgiApp,
    http: Http,
    *,
    checks: Mapping[str, Check],
    background: Sequence[Background] = (),
    on_drain: Callable[[], Awaitable[None]] | None = None,
    websocket: type[asyncio.Protocol] | None = None,
) -> None:
    """Serve `app` and run the background tasks until SIGTERM or SIGINT; a second signal ends the process at once.

    `on_drain` is called first when the end comes, while connections still stand. `websocket` replaces uvicorn's own
    protocol for WebSockets. Raises ExceptionGroup when a background task fails: the process goes down, loudly.
    """
    probes = Probes(app, checks)
    server = _Server(_config(probes, http, websocket))
    stopping, drained = asyncio.Event(), asyncio.Event()
    _on_signals(stopping)
    _calm_collector()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_watch(task.__qualname__, task(drained), drained)) for task in background]
        serving = group.create_task(_watch("server", server.serve(), stopping))
        await _either(stopping, [serving, *tasks])
        probes.draining = True
        if on_drain is not None:
            await on_drain()
        server.should_exit = True
        await asyncio.wait([serving])
        drained.set()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=DRAIN_TIMEOUT_S)
            for task in late:
                log.warning("task did not drain in time", task=task.get_name())
                task.cancel()
    log.info("stopped")


def start(service: str, main: Callable[[Mapping[str, str]], Coroutine[Any, Any, None]]) -> None:
    """Run a service's `main(environment)` with logging set up; a wrong setting is one line and exit code 2."""
    try:
        configure_logging(service, load(Logging, os.environ))
        uvloop.run(main(os.environ))
    except BadSetting as error:
        sys.exit(_complain(f"{service}: {error}"))


def _complain(line: str) -> int:
    sys.stderr.write(line + "\n")
    return 2


def _config(app: AsgiApp, http: Http, websocket: type[asyncio.Protocol] | None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        interface="asgi3",
        host=http.host,
        port=http.port,
        http=JoiningProtocol,
        ws=websocket or "websockets-sansio",
        ws_max_size=1_000_000,
        ws_ping_interval=25,
        ws_ping_timeout=25,
        # compressing for each connection alone costs more than it saves: twice the time for a frame, and a window each
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=int(DRAIN_TIMEOUT_S),
    )


def _calm_collector() -> None:
    """Keep what was imported out of garbage collection, which else takes a tenth of the time of a busy process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER_ALLOCATIONS, 20, 50)


async def _watch(name: str, work: Coroutine[Any, Any, None], asked_to_end: asyncio.Event) -> None:
    await work
    if not asked_to_end.is_set():
        raise TaskEndedEarly(f"{name} ended by itself")


async def _either(stopping: asyncio.Event, tasks: Sequence[asyncio.Task[None]]) -> None:
    """Wait for the signal, or for the first task that fails (the task group then cancels this wait)."""
    asked = asyncio.ensure_future(stopping.wait())
    await asyncio.wait([asked, *tasks], return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()


def _on_signals(stopping: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def handle() -> None:
        if stopping.is_set():
            os._exit(1)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, handle)

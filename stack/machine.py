"""Starts every part of Muster on one machine, in the order in which they need each other."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from stack import external, probes, ready
from stack.administrator import set_up_administrator
from stack.database import SERVER_START_WITHIN_S, start_postgres
from stack.delivery import build as delivery
from stack.embedded import caddy, valkey
from stack.embedded.memory import valkey_memory_bytes
from stack.errors import StackError
from stack.folders import kept_secret
from stack.layout import BUILT_PAGE, DataFolder
from stack.migrate import migrate
from stack.origin import Origin
from stack.ports import LoopbackPorts
from stack.program import Program
from stack.services import SCALABLE, Services
from stack.supervisor import Supervisor
from stack.terminal import Terminal

SERVICE_START_WITHIN_S = 60.0


@dataclass(frozen=True)
class Options:
    """What the person asked for; `scale` holds the replicas of services, one where it says nothing."""

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8000
    scale: Mapping[str, int] = field(default_factory=dict)
    demo_machines: int = 0
    has_agent: bool = True


class Machine:
    """The whole system on one machine. `environ` is what the person set, `client` asks for readiness."""

    def __init__(  # noqa: PLR0913 - a composition root names its parts
        self,
        options: Options,
        environ: Mapping[str, str],
        *,
        folder: DataFolder,
        origin: Origin,
        client: httpx.AsyncClient,
        terminal: Terminal,
    ) -> None:
        self._options = options
        self._environ = environ
        self._folder = folder
        self._origin = origin
        self._client = client
        self._terminal = terminal
        self._ports = LoopbackPorts()

    async def start(self, supervisor: Supervisor) -> tuple[ready.Ready, str]:
        """Start everything; return what goes into `ready.json`, without processes yet, and how to sign in.

        Raises `StackError` when a part does not start.
        """
        redis_url, database_url, _ = await _together(
            self._start_redis(supervisor), self._start_postgres(supervisor), self._pack_agent()
        )
        services = Services(self._folder, self._environ, redis_url, database_url)
        with self._terminal.step("database", "migrated"):
            await migrate(database_url)
            sign_in = await set_up_administrator(services, self._environ, self._folder.admin_password)
        upstreams = await self._start_services(supervisor, services)
        await self._start_origin(supervisor, upstreams)
        await self._start_agents(supervisor, services)
        return ready.Ready(self._origin.public_url, redis_url, database_url, {}), sign_in

    async def _pack_agent(self) -> None:
        """Offer the agent that any Python runs; an installation without its packages has none, and says so."""
        try:
            await asyncio.to_thread(delivery.offer_zipapp, self._agents_dir(), self._folder.agent_signing_key)
        except StackError as error:
            self._terminal.say(f"  no agent for other machines: {error}")

    async def _start_redis(self, supervisor: Supervisor) -> str:
        given = self._environ.get("REDIS_URL")
        if given:
            with self._terminal.step("Redis", f"found at {external.shown_address('REDIS_URL', given)}"):
                await external.require_redis(given)
            return given
        folder = self._folder.server("valkey")
        port, password = self._ports.take(), kept_secret(folder / "password")
        memory_bytes = valkey_memory_bytes(self._environ, psutil.virtual_memory().total)
        program = valkey.server(folder, port, password, self._folder.log("valkey"), memory_bytes=memory_bytes)
        url = valkey.url(port, password)
        with self._terminal.step("Valkey"):
            await supervisor.start(program, probes.answers_redis(url), SERVER_START_WITHIN_S)
        return url

    async def _start_postgres(self, supervisor: Supervisor) -> str:
        given = self._environ.get("DATABASE_URL")
        if given:
            with self._terminal.step("PostgreSQL", f"found at {external.shown_address('DATABASE_URL', given)}"):
                await external.require_postgres(given)
            return given
        with self._terminal.step("PostgreSQL"):
            return await start_postgres(supervisor, self._folder, self._ports.take())

    async def _start_services(self, supervisor: Supervisor, services: Services) -> dict[str, list[str]]:
        """Return the `host:port` of every replica, by service."""
        ports = {role: [self._ports.take() for _ in range(self._options.scale.get(role, 1))] for role in SCALABLE}
        secrets = {
            "ingest": {"AGENT_SHARED_TOKEN": self._agent_token()},
            "api": {"AGENTS_DIR": str(self._agents_dir())},
        }
        programs = {role: services.replicas(role, ports[role], secrets.get(role, {})) for role in SCALABLE}
        # the worker opens the log, without which nobody else is ready
        workers = programs.pop("worker")
        await _together(*(self._start_service(supervisor, program) for program in workers))
        others = [program for replicas in programs.values() for program in replicas]
        await _together(*(self._start_service(supervisor, program) for program in others))
        return {role: [f"127.0.0.1:{port}" for port in taken] for role, taken in ports.items()}

    async def _start_service(self, supervisor: Supervisor, program: Program) -> None:
        with self._terminal.step(program.name):
            is_ready = probes.answers_http(self._client, f"{program.url}/readiness")
            await supervisor.start(program, is_ready, SERVICE_START_WITHIN_S)

    async def _start_origin(self, supervisor: Supervisor, upstreams: Mapping[str, list[str]]) -> None:
        folder = self._folder.server("caddy")
        page = BUILT_PAGE if (BUILT_PAGE / "index.html").is_file() else None
        config = caddy.configuration(self._origin.addresses, upstreams, page, folder / "storage")
        program = caddy.server(folder, config, self._origin.local_url, self._folder.log("caddy"))
        with self._terminal.step("Caddy"):
            answers = probes.answers_http(self._client, f"{self._origin.local_url}/api/openapi.json")
            await supervisor.start(program, answers, SERVICE_START_WITHIN_S)

    async def _start_agents(self, supervisor: Supervisor, services: Services) -> None:
        url, token = self._origin.local_url, self._agent_token()
        if self._options.has_agent:
            await supervisor.start(services.agent(url, token), None, SERVICE_START_WITHIN_S)
        if self._options.demo_machines:
            program = services.demo(url, token, self._options.demo_machines)
            await supervisor.start(program, None, SERVICE_START_WITHIN_S)

    def _agents_dir(self) -> Path:
        given = self._environ.get("AGENTS_DIR")
        return Path(given).absolute() if given else self._folder.agents

    def _agent_token(self) -> str:
        return self._environ.get("AGENT_SHARED_TOKEN") or kept_secret(self._folder.agent_token)


async def _together(*work: Coroutine[Any, Any, Any]) -> list[Any]:
    """Do all at once; the first failure cancels the rest and is raised by itself."""
    try:
        async with asyncio.TaskGroup() as tasks:
            started = [tasks.create_task(one) for one in work]
    except BaseExceptionGroup as failed:
        for error in failed.exceptions:
            if isinstance(error, StackError):
                raise error from None
        raise
    return [task.result() for task in started]

"""A whole Muster as an operator runs it: `muster up` in a folder of its own, to be loaded, broken and looked into."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psutil

from shared.io.database.pool import connect
from stack.ports import LoopbackPorts
from stack.ready import Ready, read

READY_WITHIN_S = 120.0
STOPPED_WITHIN_S = 20.0
EMAIL, PASSWORD = "admin@example.org", "correct horse battery staple"


class Installation:
    """A running `muster up`; `client` speaks to it through its one origin."""

    def __init__(self, process: subprocess.Popen[bytes], data_dir: Path, client: httpx.AsyncClient) -> None:
        self.process = process
        self.data_dir = data_dir
        self.client = client
        self._access_token = ""

    @property
    def ready(self) -> Ready:
        """What `ready.json` says now."""
        found = read(self.data_dir / "ready.json")
        assert found is not None, "muster is not ready"
        return found

    @property
    def websocket_url(self) -> str:
        """Where the broadcaster takes clients."""
        return self.ready.url.replace("http", "ws", 1) + "/ws"

    def pids(self, name: str) -> list[int]:
        """Return the processes of a service, or of `valkey`, `postgres` and `caddy`."""
        if name in self.ready.services:
            return [process.pid for process in self.ready.services[name]]
        children = psutil.Process(self.process.pid).children()
        return [child.pid for child in children if child.name().startswith(name)]

    async def kill(self, name: str) -> None:
        """End a part as a crash would, and wait until another process stands in for it."""
        async with asyncio.timeout(READY_WITHIN_S):
            while not (before := self.pids(name)):  # it ended with another part, and is to come back
                await asyncio.sleep(0.05)
        with contextlib.suppress(ProcessLookupError):  # likewise
            os.kill(before[0], signal.SIGKILL)
        async with asyncio.timeout(READY_WITHIN_S):
            while not self.pids(name) or before[0] in self.pids(name):
                await asyncio.sleep(0.05)

    async def token(self) -> str:
        """Return an access token of the administrator, a fresh one for each call."""
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer = await self.client.post("/api/v1/auth/login", json={"email": EMAIL, "password": PASSWORD})
                if answer.status_code == httpx.codes.OK:
                    self._access_token = str(answer.json()["access_token"])
                if self._access_token:
                    return self._access_token
            await asyncio.sleep(0.1)

    async def enrol(self, name: str) -> dict[str, Any]:
        """Enrol an agent with the installation's own token, and say what its machine is."""
        token = (self.data_dir / "agent-token").read_text().strip()
        body = {"token": token, "hostname": name, "machine_id": name, "name": name}
        enrolled = await self.client.post("/ingest/v1/enroll", json=body)
        assert enrolled.status_code == httpx.codes.CREATED, enrolled.text
        agent: dict[str, Any] = enrolled.json()
        answer = await self.client.post(
            "/ingest/v1/handshake",
            json={"boot_id": "boot", "agent_version": "0", "interval_s": 1, "os": {}, "inventory": {}},
            headers={"Authorization": f"Bearer {agent['secret']}"},
        )
        assert answer.status_code == httpx.codes.OK, answer.text
        return agent

    @contextlib.asynccontextmanager
    async def database(self) -> AsyncIterator[asyncpg.Connection]:
        """Give a connection to the installation's PostgreSQL."""
        connection = await connect(self.ready.database_url)
        try:
            yield connection
        finally:
            await connection.close()


@contextlib.asynccontextmanager
async def installed(
    data_dir: Path, *arguments: str, environment: Mapping[str, str] | None = None, checkout: Path | None = None
) -> AsyncIterator[Installation]:
    """Run `muster up` with these further arguments until the block ends; of another checkout, if one is named."""
    port = LoopbackPorts().take()
    variables = {"MUSTER_ADMIN_EMAIL": EMAIL, "MUSTER_ADMIN_PASSWORD": PASSWORD, **(environment or {})}
    if checkout is not None:
        # its processes import nothing from the folder that they are started in
        variables["PYTHONPATH"] = str(checkout)
    command = [sys.executable, "-m", "stack.cli", "up", "--data-dir", str(data_dir), "--port", str(port), *arguments]
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "terminal.log").open("ab") as terminal:
        process = subprocess.Popen(command, env=os.environ | variables, stdout=terminal, stderr=terminal, cwd=checkout)
    try:
        async with httpx.AsyncClient(timeout=10) as client:
            installation = Installation(process, data_dir, client)
            await _until_ready(installation)
            client.base_url = httpx.URL(installation.ready.url)
            yield installation
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, STOPPED_WITHIN_S)


async def _until_ready(installation: Installation) -> None:
    deadline = asyncio.get_running_loop().time() + READY_WITHIN_S
    while not (installation.data_dir / "ready.json").exists():
        terminal = (installation.data_dir / "terminal.log").read_text()
        assert installation.process.poll() is None, terminal
        assert asyncio.get_running_loop().time() < deadline, terminal
        await asyncio.sleep(0.05)

"""Ingest as a process of its own: told to stop, it sends its agents elsewhere, and none is offline for that."""

import signal
import subprocess
import sys
from pathlib import Path

import httpx

from stack.ports import LoopbackPorts
from tests.support.agent_stream import Replica, replica_of, until
from tests.support.ingest import Enrolled, Ingest
from tests.support.processes import STOPPED_WITHIN_S


async def test_process_that_is_told_to_stop_says_so_to_its_agents(
    ingest: Ingest, agent: Enrolled, redis_url: str, database_url: str, tmp_path: Path
) -> None:
    port = LoopbackPorts().take()
    environment = {"PORT": str(port), "REDIS_URL": redis_url, "DATABASE_URL": database_url}
    log = tmp_path / "ingest.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.ingest"], env=environment, stdout=output, stderr=output
        )
    try:
        async with httpx.AsyncClient() as http, replica_of(ingest) as other:

            async def is_ready() -> bool:
                assert process.poll() is None, log.read_text()
                try:
                    return (await http.get(f"http://127.0.0.1:{port}/readiness")).is_success
                except httpx.TransportError:
                    return False

            await until(is_ready)
            leaving = Replica(port, other.streams, other.beacon)
            async with leaving.stream(agent) as stream:
                await stream.shake_hands()
                process.send_signal(signal.SIGTERM)
                assert (1012, "this replica is stopping; return") == await stream.closed()
            assert 0 == process.wait(STOPPED_WITHIN_S)
            assert not {"[error", "[warning"} & {word for word in log.read_text().split() if word[:1] == "["}
            assert "online" == (await ingest.record("servers", agent.server_id))["status"]
            assert min((await ingest.deadlines()).values()) > 30_000
            async with other.stream(agent) as stream:
                await stream.shake_hands()
    finally:
        process.kill()
        process.wait()

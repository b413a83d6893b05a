"""Ingest is away for a while, and comes back to a whole fleet that kept what it measured.

OUTAGE_AGENTS, OUTAGE_S and OUTAGE_INTERVAL_S make it longer: 2000, 300 and 5 for the promise in full.
"""

import asyncio
import os
import signal
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import psutil

from tests.support.applier import until
from tests.support.installation import Installation, installed
from tests.support.simulated_agents import Diary, SimulatedAgent, running_fleet

AGENTS = int(os.environ.get("OUTAGE_AGENTS", "200"))
AWAY_S = float(os.environ.get("OUTAGE_S", "15"))
INTERVAL_S = float(os.environ.get("OUTAGE_INTERVAL_S", "1"))
BEFORE_S = 5 * INTERVAL_S
OFFLINE_AFTER_S = 10
PATIENCE_S = 120.0 + 2 * AWAY_S
GROWS_AT_MOST_BYTES = 30_000_000 + 30_000 * AGENTS
SPREAD_S = 4
"""The way back of the fleet takes no less."""


def secret(number: int) -> str:
    """Return the secret of an agent."""
    return f"secret-of-agent-{number:027}"


async def register(database: asyncpg.Connection) -> None:
    """Store the credentials of all agents."""
    workspace_id = await database.fetchval("SELECT id FROM workspaces LIMIT 1")
    await database.executemany(
        "INSERT INTO agent_credentials (agent_id, workspace_id, server_id, secret_hash, name, hostname, machine_id)"
        " VALUES ($1, $2, $3, $4, $3, $3, $3)",
        [(f"a_{n}", workspace_id, f"s_{n}", sha256(secret(n).encode()).digest()) for n in range(AGENTS)],
    )


async def take_ingest_away(installation: Installation) -> None:
    """Suspend ingest, so that every connection stands and nobody answers, then end it as a crash would."""
    (ingest,) = installation.pids("ingest")
    os.kill(ingest, signal.SIGSTOP)
    await asyncio.sleep(AWAY_S)
    await installation.kill("ingest")


def resident_bytes(installation: Installation) -> int:
    """Return the memory of ingest."""
    (ingest,) = installation.pids("ingest")
    return int(psutil.Process(ingest).memory_info().rss)


async def test_fleet_outlives_an_outage_of_ingest(tmp_path: Path) -> None:
    environment = {"OFFLINE_AFTER": str(OFFLINE_AFTER_S), "SWEEP_INTERVAL": "1"}
    diary = Diary()
    async with (
        installed(tmp_path / "muster", "--no-agent", environment=environment) as installation,
        installation.database() as database,
    ):

        async def all_online() -> bool:
            query = "SELECT count(*) FROM servers WHERE status = 'online'"
            return bool(AGENTS == await database.fetchval(query))

        async def all_delivered() -> bool:
            return not any(agent.waiting for agent in fleet)

        async def all_stored() -> bool:
            stored = await database.fetchval("SELECT count(*) FROM metrics_history")
            return bool(stored >= sum(agent.taken for agent in fleet))

        await register(database)
        url = f"ws://{urlsplit(installation.ready.url).netloc}/ingest/v1/ws"
        fleet = [SimulatedAgent(url, secret(n), INTERVAL_S, diary) for n in range(AGENTS)]
        async with running_fleet(fleet) as measured:
            await until(all_online, timeout_s=PATIENCE_S)
            await asyncio.sleep(BEFORE_S)
            before_bytes = resident_bytes(installation)
            diary.connected.clear()
            await take_ingest_away(installation)
            await until(all_online, timeout_s=PATIENCE_S)
            measured.set()
            await until(all_delivered, timeout_s=PATIENCE_S)
            after_bytes = resident_bytes(installation)
            await until(all_stored, timeout_s=PATIENCE_S)

        assert [] == diary.refused
        called_offline = await database.fetchval(
            "SELECT count(*) FROM ws_events WHERE topic = 'servers' AND payload ->> 'status' = 'offline'"
            " AND created_at < (SELECT max(ts) FROM metrics_history)"
        )
        assert 0 == called_offline
        rows = await database.fetch(
            "SELECT server_id, count(*) AS stored, count(DISTINCT seq) AS told_apart FROM metrics_history GROUP BY 1"
        )
        assert {f"s_{n}": (agent.taken, agent.taken) for n, agent in enumerate(fleet)} == {
            row["server_id"]: (row["stored"], row["told_apart"]) for row in rows
        }
        assert max(diary.connected) - min(diary.connected) >= SPREAD_S
        assert after_bytes - before_bytes < GROWS_AT_MOST_BYTES

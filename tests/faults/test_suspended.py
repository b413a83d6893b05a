"""The lid is closed: everything stands still, then goes on. Nobody is called offline who was not (I6)."""

import asyncio
import os
import signal
from pathlib import Path

import psutil

from tests.support.client_topic import ClientTopic
from tests.support.installation import Installation, installed
from tests.support.sync_client import SyncClient

MACHINES = 20
OFFLINE_AFTER_S = 6
QUICK = {"OFFLINE_AFTER": f"{OFFLINE_AFTER_S}s", "SWEEP_INTERVAL": "1s", "RETURN_GRACE": f"{OFFLINE_AFTER_S}s"}


class Watch:
    """Notes every status that a client was shown since `begin`."""

    def __init__(self) -> None:
        self.statuses: set[str] = set()
        self.watching = False

    def all_online(self, state: ClientTopic) -> bool:
        now = [server["status"] for server in state.data.values()]
        if self.watching:
            self.statuses.update(now)
        return len(now) == MACHINES and set(now) == {"online"}


class SampledAfter:
    """Whether every machine has a sample later than a moment."""

    def __init__(self, ts: str) -> None:
        self._ts = ts

    def __call__(self, state: ClientTopic) -> bool:
        return len(state.data) == MACHINES and all(sample["ts"] > self._ts for sample in state.data.values())


def stand_still(installation: Installation, number: signal.Signals) -> None:
    muster = psutil.Process(installation.process.pid)
    for process in [muster, *muster.children(recursive=True)]:
        os.kill(process.pid, number)


async def newest_sample(client: SyncClient) -> str:
    state = await client.until(lambda state: len(state.data) == MACHINES, timeout_s=30)
    return str(max(sample["ts"] for sample in state.data.values()))


async def test_suspended_installation_calls_nobody_offline(tmp_path: Path) -> None:
    async with installed(tmp_path, "--no-agent", "--demo", str(MACHINES), environment=QUICK) as installation:
        token = await installation.token()
        watch = Watch()
        async with (
            SyncClient(installation.websocket_url, token) as servers,
            SyncClient(installation.websocket_url, token, topic="metrics") as metrics,
        ):
            await servers.until(watch.all_online, timeout_s=60)
            before = await newest_sample(metrics)
            watch.watching = True
            watching = asyncio.create_task(
                servers.until(lambda state: watch.all_online(state) and False, timeout_s=3600)
            )
            stand_still(installation, signal.SIGSTOP)
            await asyncio.sleep(2 * OFFLINE_AFTER_S)  # the time that passes is the fault itself
            stand_still(installation, signal.SIGCONT)
            await metrics.until(SampledAfter(before), timeout_s=60)
            # long enough for everyone who were to go offline to have done so
            await asyncio.sleep(OFFLINE_AFTER_S + 2)
            watching.cancel()
            await asyncio.wait([watching])
            await servers.until(watch.all_online, timeout_s=30)
    assert "offline" not in watch.statuses

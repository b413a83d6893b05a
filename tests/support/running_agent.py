"""A whole agent in a thread of this process."""

from __future__ import annotations

import threading
from pathlib import Path

from muster_agent.agent import Agent
from muster_agent.credential import StateDirectory
from muster_agent.main import build
from muster_agent.settings import Settings
from muster_agent.update.settings import UpdateSettings

INTERVAL_S = 0.1
DEADLINE_S = 10.0


class RunningAgent:
    """An agent in a thread, from its first request to its goodbye."""

    def __init__(
        self, server_url: str, state_dir: Path, token: str, interval_s: float = INTERVAL_S, transport: str = "http"
    ) -> None:
        state = StateDirectory(state_dir)
        state.prepare()
        settings = Settings(
            server_url=server_url,
            token=token,
            state_dir=state_dir,
            interval_s=interval_s,
            name="Ada's machine",
            log_level="debug",
            once=False,
            update=UpdateSettings(),
            transport=transport,
        )
        self.agent: Agent = build(settings, state, state.load_credential(), server_url)
        self.went_well: bool | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> bool | None:
        """Stop it as a signal would; tell whether all went well."""
        self.agent.stop()
        return self.wait()

    def wait(self) -> bool | None:
        """Wait for its end; tell whether all went well."""
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive(), "the agent does not end"
        return self.went_well

    def _run(self) -> None:
        self.went_well = self.agent.run()

    def waiting(self) -> int:
        """Give how many samples no server has answered for."""
        return self.agent._exchange.waiting()

    def wait_for_backlog(self, samples: int) -> None:
        """Block until this many samples wait for the server."""
        exchange = self.agent._exchange
        with exchange._changed:
            assert exchange._changed.wait_for(lambda: exchange.waiting() >= samples, DEADLINE_S)

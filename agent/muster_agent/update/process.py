"""Puts the parts of updating together: for an agent, for one that is tried, and for one look for a build."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from muster_agent.credential import StateDirectory
from muster_agent.errors import SettingsError, UpdateFailed
from muster_agent.update import trial
from muster_agent.update.builds import Builds
from muster_agent.update.program import running_program
from muster_agent.update.proof import Proof
from muster_agent.update.updater import EXIT_UPDATE, Updater, print_update

if TYPE_CHECKING:
    from muster_agent.settings import Settings

log = logging.getLogger(__name__)

# A build that crashes sooner than this counts as one that does not report, whatever it has sent.
SETTLED_S = 300.0


def check(chosen: Settings) -> int:
    """Look once for an update; give the exit code, which says whether one is there. Raises AgentError."""
    # loaded here: an agent that works has no use for it
    from muster_agent.update.check import fetch_update  # noqa: PLC0415

    program = running_program(os.environ)
    if program is None:
        raise UpdateFailed("this agent was installed as a package: bring it up to date as one")
    credential = StateDirectory(chosen.state_dir).load_credential()
    server_url = chosen.server_url or (credential.server if credential else "")
    if not server_url:
        raise SettingsError("which server? give --server URL or set MUSTER_SERVER")
    offer = fetch_update(server_url, chosen.update.key, program, Builds(chosen.state_dir))
    if offer is None:
        return 0
    print_update(offer)
    return EXIT_UPDATE


def updater(chosen: Settings, arguments: Sequence[str]) -> Updater | None:
    """Give what looks for updates; None where that is off, in a trial, and for an agent that pip brings up to date."""
    program = running_program(os.environ)
    if not chosen.update.is_on or trial.is_trial(os.environ):
        return None
    if program is None:
        log.warning("this agent was installed as a package, and does not bring itself up to date")
        return None
    builds, update = Builds(chosen.state_dir), chosen.update
    return Updater(program, builds, arguments, interval_s=update.interval_s, trial_s=update.trial_s)


def on_accepted(chosen: Settings) -> Callable[[], None]:
    """Give what is to be called whenever the server has accepted samples of this agent."""
    if trial.is_trial(os.environ):
        trial.end_with_parent()
        return Proof(trial.say_reported)
    return Proof(Builds(chosen.state_dir).note_report, SETTLED_S)

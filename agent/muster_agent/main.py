"""The command: reads settings, puts the parts together, runs them, and answers with an exit code."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import time
import uuid
from collections.abc import Callable, Sequence

from muster_agent import __version__, logs, settings
from muster_agent.agent import Agent
from muster_agent.backoff import Backoff
from muster_agent.buffer import SampleBuffer
from muster_agent.collectors import catalogue
from muster_agent.collectors.base import printable
from muster_agent.credential import Credential, StateDirectory
from muster_agent.errors import AgentError, SettingsError, UpdateFailed
from muster_agent.exchange import Exchange
from muster_agent.facts import Facts
from muster_agent.machine_id import machine_id
from muster_agent.membership import Application, Membership
from muster_agent.reporter import Reporter
from muster_agent.sampler import WARM_UP_S, Sampler
from muster_agent.settings import Settings
from muster_agent.transport import Transport
from muster_agent.update import trial
from muster_agent.update.builds import Builds
from muster_agent.update.program import running_program
from muster_agent.update.updater import EXIT_UPDATE, Updater, print_update

log = logging.getLogger(__name__)

EXIT_FAILURE = 1
EXIT_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `muster-agent` with these arguments (those of the process); give its exit code."""
    try:
        given = sys.argv[1:] if arguments is None else arguments
        chosen = settings.load(given, os.environ, is_root=_is_root())
        logs.configure(chosen.log_level)
        if chosen.once:
            print_one_sample()
            return 0
        if chosen.update.check_only:
            return check_update(chosen)
        return serve(chosen, given)
    except SettingsError as error:
        sys.stderr.write(f"muster-agent: {error}\n")
        return EXIT_USAGE
    except AgentError as error:
        sys.stderr.write(f"muster-agent: {error}\n")
        return EXIT_FAILURE


def print_one_sample() -> None:
    """Show on stdout what would be sent, without sending it."""
    sampler = Sampler(catalogue.sample_collectors(), _boot_id())
    sampler.warm_up()
    time.sleep(WARM_UP_S)
    sys.stdout.write(json.dumps(sampler.fields(), indent=2, allow_nan=False) + "\n")


def check_update(chosen: Settings) -> int:
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


def serve(chosen: Settings, arguments: Sequence[str]) -> int:
    """Report until a signal comes; give the exit code. Raises AgentError when it cannot begin."""
    updater = _updater(chosen, arguments)
    if updater is not None:
        updater.take_over()
    state = StateDirectory(chosen.state_dir)
    credential = state.load_credential()
    server_url = _server_url(chosen, credential)
    state.prepare()
    agent = build(chosen, state, credential, Transport(server_url), _on_connected(chosen))
    log.info("muster-agent %s reports to %s every %g s", __version__, server_url, chosen.interval_s)
    if settings.is_exposed(server_url):
        log.warning("%s is not encrypted: this machine's secret can be read on the way", server_url)
    has_signal = _stop_on_signals(agent.stop)
    if updater is not None:
        updater.watch(lambda: agent.stop(quietly=True))
    went_well = agent.run()
    if went_well and updater is not None and updater.pending is not None and not has_signal():
        updater.try_pending(has_signal)
    return 0 if went_well else EXIT_FAILURE


def build(
    chosen: Settings,
    state: StateDirectory,
    credential: Credential | None,
    transport: Transport,
    on_connected: Callable[[], None] = lambda: None,
) -> Agent:
    """Put an agent together. Nothing of it is running yet."""
    boot_id = _boot_id()
    hostname = printable(socket.gethostname()) or "unknown"
    application = Application(chosen.token, hostname, machine_id(state.random_machine_id), chosen.name)
    exchange = Exchange(SampleBuffer(), chosen.interval_s)
    facts = Facts(boot_id, chosen.interval_s, catalogue.os_collectors(), catalogue.inventory_collectors())
    membership = Membership(state, transport, application, facts, credential, on_connected)
    reporter = Reporter(transport, exchange, membership, Backoff())
    sampler = Sampler(catalogue.sample_collectors(), boot_id)
    return Agent(sampler, reporter, exchange, transport)


def _updater(chosen: Settings, arguments: Sequence[str]) -> Updater | None:
    """Give what looks for updates; None where that is off, in a trial, and for an agent that pip brings up to date."""
    program = running_program(os.environ)
    if not chosen.update.is_on or trial.is_trial(os.environ):
        return None
    if program is None:
        log.warning("this agent was installed as a package, and does not bring itself up to date")
        return None
    builds, update = Builds(chosen.state_dir), chosen.update
    return Updater(program, builds, arguments, interval_s=update.interval_s, trial_s=update.trial_s)


def _on_connected(chosen: Settings) -> Callable[[], None]:
    """Give what is done when the server has heard this agent for the first time."""
    if trial.is_trial(os.environ):
        trial.end_with_parent()
        return trial.say_reported
    return Builds(chosen.state_dir).note_report


def _server_url(chosen: Settings, credential: Credential | None) -> str:
    server_url = chosen.server_url or (credential.server if credential else "")
    if not server_url:
        raise SettingsError("which server? give --server URL or set MUSTER_SERVER")
    if credential is None and not chosen.token:
        raise SettingsError(
            "this machine is not enrolled yet: give an enrolment token with --token or in MUSTER_ENROL_TOKEN"
        )
    if credential and credential.server != server_url:
        log.warning("enrolled at %s, reporting to %s instead, as asked", credential.server, server_url)
    return server_url


def _stop_on_signals(stop: Callable[[], None]) -> Callable[[], bool]:
    """Let the first SIGTERM or SIGINT stop in order, and the second end the process at once.

    Gives what tells whether one has come.
    """
    has_come = False

    def on_signal(number: int, _frame: object) -> None:
        nonlocal has_come
        if has_come:
            os._exit(128 + number)
        has_come = True
        stop()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    return lambda: has_come


def _boot_id() -> str:
    return uuid.uuid4().hex


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0

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
from collections.abc import Callable, Collection, Sequence
from functools import partial

from muster_agent import __version__, footprint, logs, settings
from muster_agent.agent import Agent
from muster_agent.backlog import Backlog
from muster_agent.backoff import Backoff
from muster_agent.buffer import SampleBuffer
from muster_agent.channel import Channel
from muster_agent.collectors import catalogue
from muster_agent.collectors.base import printable
from muster_agent.credential import Credential, StateDirectory
from muster_agent.delivery import Delivery
from muster_agent.errors import AgentError, SettingsError, StateError
from muster_agent.exchange import Exchange, capacity
from muster_agent.facts import Facts
from muster_agent.machine_id import machine_id
from muster_agent.membership import Application, Membership
from muster_agent.pace import Pace
from muster_agent.plain_http import PlainHttp
from muster_agent.posting import Posting
from muster_agent.reporter import Reporter
from muster_agent.route import Route
from muster_agent.sampler import WARM_UP_S, Sampler
from muster_agent.settings import Settings
from muster_agent.spool import Spool
from muster_agent.stream import Stream
from muster_agent.transport import ANSWER_TIMEOUT_S, PREFIX, Transport
from muster_agent.update import process as updating
from muster_agent.wire import Waker, Wire

log = logging.getLogger(__name__)

BYTES_A_MB = 1000 * 1000
EXIT_FAILURE = 1
EXIT_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `muster-agent` with these arguments (those of the process); give its exit code."""
    try:
        given = sys.argv[1:] if arguments is None else arguments
        chosen = settings.load(given, os.environ, is_root=_is_root())
        logs.configure(chosen.log_level)
        if chosen.once:
            print_one_sample(chosen.without)
            return 0
        if chosen.footprint_s is not None:
            sys.stdout.write(footprint.measure(chosen.footprint_s, chosen.interval_s, chosen.without) + "\n")
            return 0
        if chosen.update.check_only:
            return updating.check(chosen)
        return serve(chosen, given)
    except SettingsError as error:
        sys.stderr.write(f"muster-agent: {error}\n")
        return EXIT_USAGE
    except AgentError as error:
        sys.stderr.write(f"muster-agent: {error}\n")
        return EXIT_FAILURE


def print_one_sample(without: Collection[str] = ()) -> None:
    """Show on stdout what would be sent, without sending it."""
    sampler = Sampler(catalogue.sample_collectors(without), _boot_id())
    sampler.warm_up()
    time.sleep(WARM_UP_S)
    sampler.settle()
    sys.stdout.write(json.dumps(sampler.fields(), indent=2, allow_nan=False) + "\n")


def serve(chosen: Settings, arguments: Sequence[str]) -> int:
    """Report until a signal comes; give the exit code. Raises AgentError when it cannot begin."""
    updater = updating.updater(chosen, arguments)
    if updater is not None:
        updater.take_over()
    state = StateDirectory(chosen.state_dir)
    credential = state.load_credential()
    server_url = _server_url(chosen, credential)
    _prepare(state, credential)
    agent = build(chosen, state, credential, server_url, updating.on_accepted(chosen))
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


def _prepare(state: StateDirectory, credential: Credential | None) -> None:
    """Have a directory that can be written to; who has enrolled already can do without. Raises StateError."""
    try:
        state.prepare()
    except StateError as error:
        if credential is None:
            raise
        log.warning("%s; samples are kept in memory alone", error)


def build(
    chosen: Settings,
    state: StateDirectory,
    credential: Credential | None,
    server_url: str,
    on_accepted: Callable[[], None] = lambda: None,
) -> Agent:
    """Put an agent together. Nothing of it is running yet. Raises SettingsError."""
    boot_id = _boot_id()
    hostname = printable(socket.gethostname()) or "unknown"
    # who has enrolled needs no id for it, and may be unable to keep one
    own_id = machine_id(state.random_machine_id) if credential is None else ""
    application = Application(chosen.token, hostname, own_id, chosen.name, chosen.agent_id)
    route = Route(server_url)
    transport = Transport(server_url, PlainHttp(route))
    exchange = Exchange(_backlog(chosen), chosen.interval_s, chosen.keep_hours * 3600)
    facts = Facts(boot_id, chosen.interval_s, catalogue.os_collectors(), catalogue.inventory_collectors(chosen.without))
    membership = Membership(state, transport, application, facts, credential)
    delivery = Delivery(exchange, Backoff(), on_accepted=on_accepted)
    pace = Pace()
    stream = Stream(partial(_open_stream, route, transport), membership, delivery, pace)
    posting = Posting(transport, membership, delivery, pace)
    reporter = Reporter(membership, delivery, stream, posting, Channel(chosen.transport))
    sampler = Sampler(catalogue.sample_collectors(chosen.without), boot_id)
    return Agent(sampler, reporter, exchange, transport)


def _open_stream(route: Route, transport: Transport, waker: Waker) -> Wire:
    return Wire.open(route, PREFIX + "/ws", transport.headers, waker, ANSWER_TIMEOUT_S)


def _backlog(chosen: Settings) -> Backlog:
    """Open what earlier starts have left; where that is impossible, do without a disk."""
    try:
        spool: Spool | None = Spool(
            chosen.state_dir / "spool",
            capacity(chosen.keep_hours * 3600, chosen.interval_s),
            int(chosen.keep_mb * BYTES_A_MB),
        )
    except OSError as error:
        log.warning("samples cannot be kept on disk (%s), only in memory", error.strerror or error)
        spool = None
    if spool and len(spool):
        log.info("%d samples of earlier starts are to be sent", len(spool))
    return Backlog(spool, SampleBuffer())


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

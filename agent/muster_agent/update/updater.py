"""Looks for updates now and then, beside the agent that works, and puts a good one in its place."""

from __future__ import annotations

import logging
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from muster_agent import __version__
from muster_agent.update import trial
from muster_agent.update.builds import Builds
from muster_agent.update.offer import Offer, is_newer
from muster_agent.update.program import INSTALLED, Program, become, clean_environment

log = logging.getLogger(__name__)

FIRST_WITHIN_S = 60.0
JITTER = 0.2
# Of a download, twice what it may take.
CHECKED_WITHIN_S = 1800.0
# what `--check-update` exits with when a build is there to be tried; its SHA-256 is on stdout
EXIT_UPDATE = 10


class Updater:
    """What one agent does about updates. `arguments` are those that it was started with."""

    def __init__(  # noqa: PLR0913 - what it is told, by name
        self,
        program: Program,
        builds: Builds,
        arguments: Sequence[str],
        *,
        interval_s: float,
        trial_s: float,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._program = program
        self._builds = builds
        self._arguments = arguments
        self._interval_s = interval_s
        self._trial_s = trial_s
        self._uniform = uniform
        self.pending: Offer | None = None

    def take_over(self) -> None:
        """Run the chosen build in the place of this one, where there is a newer one; return where there is none."""
        if INSTALLED in os.environ:
            return
        chosen = self._builds.chosen()
        if chosen is None or not is_newer(chosen.version, __version__):
            return
        try:
            if not self._builds.note_start():
                self._builds.give_up(chosen)
                log.error("muster-agent %s has not lasted in five starts; %s runs", chosen.version, __version__)
                return
            log.info("muster-agent %s gives way to %s, which was taken from the server", __version__, chosen.version)
            self._become(self._builds.path(chosen))
        except OSError as error:
            log.warning("muster-agent %s cannot be started: %s", chosen.version, error)

    def watch(self, found: Callable[[], None]) -> None:
        """Look for updates from now on; call `found` once, when one is there to be tried, and look no more."""
        threading.Thread(target=self._look, args=(found,), name="updating", daemon=True).start()

    def try_pending(self, has_given_up: Callable[[], bool]) -> NoReturn:
        """Try what was found, and become it, or this one anew. Reporting must have ended. Raises OSError.

        With `has_given_up` somebody wants the agent to end: then the process ends with 0.
        """
        offer = self.pending
        assert offer is not None  # noqa: S101 - called for what was found
        file = self._builds.path(offer)
        log.info("trying muster-agent %s", offer.version)
        environ = clean_environment(os.environ, **{INSTALLED: self._installed()})
        command = self._program.command(file, self._arguments)
        if trial.reports_within(command, environ, self._trial_s, has_given_up):
            if self._choose(offer):
                log.info("muster-agent %s reports and takes the place of %s", offer.version, __version__)
                self._give_way(file, has_given_up)
        else:
            if has_given_up():
                sys.exit(0)
            log.error(
                "muster-agent %s does not report within %g s; %s comes back", offer.version, self._trial_s, __version__
            )
        try:
            self._builds.give_up(offer)
        except OSError as error:
            log.warning("cannot remember that muster-agent %s is not to be tried again: %s", offer.version, error)
        self._give_way(self._program.file, has_given_up)

    def _choose(self, offer: Offer) -> bool:
        """Let a build run from now on; tell whether the disk has taken that in."""
        try:
            self._builds.choose(offer)
        except OSError as error:
            log.error("muster-agent %s cannot be kept: %s; %s comes back", offer.version, error, __version__)  # noqa: TRY400 - one line for a person
            return False
        return True

    def _give_way(self, file: Path, has_given_up: Callable[[], bool]) -> NoReturn:
        # From here on a signal ends the process by itself: one that was only noted would be lost with it.
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_DFL)
        if has_given_up():
            sys.exit(0)
        self._become(file)

    def _look(self, found: Callable[[], None]) -> None:
        wait_s = self._uniform(0.0, min(FIRST_WITHIN_S, self._interval_s))
        never = threading.Event()
        while not never.wait(wait_s):
            self.pending = self._check()
            if self.pending is not None:
                found()
                return
            wait_s = self._interval_s * self._uniform(1 - JITTER, 1 + JITTER)

    def _check(self) -> Offer | None:
        command = self._program.command(self._program.file, [*self._arguments, "--check-update"])
        try:
            done = subprocess.run(  # noqa: S603 - this very program
                command,
                env=clean_environment(os.environ, **{INSTALLED: self._installed()}),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                check=False,
                timeout=CHECKED_WITHIN_S,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            log.warning("cannot look for an update: %s", error)
            return None
        if done.returncode != EXIT_UPDATE:
            return None
        try:
            os_name, arch, version, size, sha256 = done.stdout.decode().split()
            return Offer(os_name, arch, version, int(size), sha256)
        except ValueError:
            log.warning("what was found of an update cannot be read")
            return None

    def _installed(self) -> str:
        return os.environ.get(INSTALLED, str(self._program.file))

    def _become(self, file: Path) -> NoReturn:
        become(self._program.command(file, self._arguments), **{INSTALLED: self._installed()})


def print_update(offer: Offer) -> None:
    """Say on stdout which build is there to be tried."""
    sys.stdout.write(f"{offer.os} {offer.arch} {offer.version} {offer.size_bytes} {offer.sha256}\n")

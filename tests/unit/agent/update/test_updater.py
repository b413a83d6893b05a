"""The installed agent gives way to the chosen build as long as that is newer and reports."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from muster_agent import __version__
from muster_agent.update import trial
from muster_agent.update import updater as module
from muster_agent.update.builds import MOST_SILENT_STARTS, Builds
from muster_agent.update.offer import Offer
from muster_agent.update.program import INSTALLED, Program
from muster_agent.update.updater import Updater


class Became(Exception):
    """Stands for the end of this process' own program."""


@pytest.fixture
def builds(tmp_path: Path) -> Builds:
    builds = Builds(tmp_path)
    builds.prepare()
    return builds


@pytest.fixture
def updater(builds: Builds, monkeypatch: pytest.MonkeyPatch) -> Updater:
    def become(command: Sequence[str], **more: str) -> None:
        raise Became([*command, more[INSTALLED]])

    monkeypatch.setattr(module, "become", become)
    monkeypatch.delenv(INSTALLED, raising=False)
    program = Program(Path("/installed"), ("linux", "x86_64"))
    return Updater(program, builds, ["--once"], interval_s=1, trial_s=1)


def choose(builds: Builds, version: str) -> Offer:
    offer = Offer("linux", "x86_64", version, 5, hashlib.sha256(b"agent").hexdigest())
    with builds.being_filled(offer) as descriptor:
        os.write(descriptor, b"agent")
    builds.choose(offer)
    return offer


def test_a_newer_build_that_was_chosen_runs_in_its_place(updater: Updater, builds: Builds) -> None:
    offer = choose(builds, "999.0")
    with pytest.raises(Became) as became:
        updater.take_over()
    assert [str(builds.path(offer)), "--once", "/installed"] == became.value.args[0]


@pytest.mark.parametrize("version", [__version__, "0.0.1"])
def test_one_that_is_not_newer_does_not(updater: Updater, builds: Builds, version: str) -> None:
    choose(builds, version)
    updater.take_over()


def test_a_build_that_runs_already_gives_way_to_none(
    updater: Updater, builds: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(builds, "999.0")
    monkeypatch.setenv(INSTALLED, "/installed")
    updater.take_over()


def test_one_that_does_not_report_in_five_starts_gives_its_place_back(updater: Updater, builds: Builds) -> None:
    choose(builds, "999.0")
    for _ in range(MOST_SILENT_STARTS):
        with pytest.raises(Became):
            updater.take_over()
    updater.take_over()
    assert None is builds.chosen()


def test_one_that_reports_in_time_keeps_its_place(updater: Updater, builds: Builds) -> None:
    choose(builds, "999.0")
    for _ in range(2 * MOST_SILENT_STARTS):
        with pytest.raises(Became):
            updater.take_over()
        builds.note_report()


@pytest.fixture
def own_signals() -> Iterator[None]:
    """Leave the signals of the process that runs the tests as they were."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def pending(updater: Updater, builds: Builds) -> Offer:
    """Let a build wait for its trial."""
    updater.pending = Offer("linux", "x86_64", "999.0", 5, hashlib.sha256(b"agent").hexdigest())
    with builds.being_filled(updater.pending) as descriptor:
        os.write(descriptor, b"agent")
    return updater.pending


@pytest.mark.usefixtures("own_signals")
@pytest.mark.parametrize("reports", [True, False])
def test_a_trial_decides_which_build_runs(
    updater: Updater, builds: Builds, monkeypatch: pytest.MonkeyPatch, reports: bool
) -> None:
    offer = pending(updater, builds)
    monkeypatch.setattr(trial, "reports_within", lambda *_: reports)
    with pytest.raises(Became) as became:
        updater.try_pending(lambda: False)
    file = str(builds.path(offer)) if reports else "/installed"
    assert [file, "--once", "/installed"] == became.value.args[0]
    assert (offer if reports else None) == builds.chosen()
    assert ([] if reports else [offer.sha256]) == builds.failed()


@pytest.mark.usefixtures("own_signals")
@pytest.mark.parametrize("reports", [True, False])
def test_a_signal_between_the_trial_and_what_follows_ends_the_agent(
    updater: Updater, builds: Builds, monkeypatch: pytest.MonkeyPatch, reports: bool
) -> None:
    has_come = False

    def noted(_self: Builds, _offer: Offer) -> None:
        nonlocal has_come
        has_come = True

    pending(updater, builds)
    monkeypatch.setattr(trial, "reports_within", lambda *_: reports)
    monkeypatch.setattr(Builds, "choose", noted)
    monkeypatch.setattr(Builds, "give_up", noted)
    with pytest.raises(SystemExit) as ended:
        updater.try_pending(lambda: has_come)
    assert 0 == ended.value.code
    # one that comes later still ends the process, which has nobody any more to note it
    assert [signal.SIG_DFL] * 2 == [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]


@pytest.mark.usefixtures("own_signals")
@pytest.mark.parametrize("reports", [True, False])
def test_where_nothing_can_be_kept_the_installed_one_goes_on(
    updater: Updater, builds: Builds, monkeypatch: pytest.MonkeyPatch, reports: bool
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    pending(updater, builds)
    monkeypatch.setattr(trial, "reports_within", lambda *_: reports)
    monkeypatch.setattr(Builds, "choose", refuse)
    monkeypatch.setattr(Builds, "give_up", refuse)
    with pytest.raises(Became) as became:
        updater.try_pending(lambda: False)
    assert ["/installed", "--once", "/installed"] == became.value.args[0]

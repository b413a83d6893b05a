"""The installed agent gives way to the chosen build as long as that is newer and reports."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from muster_agent import __version__
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
    builds.note_report()
    with pytest.raises(Became):
        updater.take_over()

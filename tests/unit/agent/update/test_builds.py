"""A build runs in the place of the installed one only as long as it is whole, chosen, and reports."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from muster_agent.update.builds import MOST_SILENT_STARTS, Builds
from muster_agent.update.offer import Offer

NUMBERS = '{"os":1,"arch":1,"version":1,"size_bytes":1,"sha256":1}'


@pytest.fixture
def builds(tmp_path: Path) -> Builds:
    builds = Builds(tmp_path)
    builds.prepare()
    return builds


def kept(builds: Builds, content: bytes, version: str = "0.2.0") -> Offer:
    offer = Offer("any", "python3", version, len(content), hashlib.sha256(content).hexdigest())
    with builds.being_filled(offer) as descriptor:
        os.write(descriptor, content)
    return offer


def test_nothing_is_chosen_at_first(tmp_path: Path) -> None:
    builds = Builds(tmp_path)
    assert (None, []) == (builds.chosen(), builds.failed())


def test_a_build_that_is_chosen_can_be_executed_by_its_user_alone(builds: Builds) -> None:
    offer = kept(builds, b"agent")
    assert None is builds.chosen()
    builds.choose(offer)
    assert offer == builds.chosen()
    assert 0o700 == builds.path(offer).stat().st_mode & 0o777


def test_the_builds_that_were_chosen_before_are_removed(builds: Builds) -> None:
    old, new = kept(builds, b"old"), kept(builds, b"new")
    builds.choose(old)
    builds.choose(kept(builds, b"new"))
    assert (False, True) == (builds.has(old), builds.has(new))


@pytest.mark.parametrize("damage", [b"", b"agenT", b"agent and more"])
def test_a_damaged_build_is_not_chosen(builds: Builds, damage: bytes) -> None:
    offer = kept(builds, b"agent")
    builds.choose(offer)
    builds.path(offer).write_bytes(damage)
    assert None is builds.chosen()


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"version":"1"}', '{"os":1,"arch":1,"version":1,"size_bytes":1,"sha256":1}']
)
def test_a_damaged_choice_chooses_nothing(builds: Builds, content: str) -> None:
    (builds.folder / "chosen.json").write_text(content, encoding="utf-8")
    assert None is builds.chosen()


def test_a_download_that_fails_leaves_nothing(builds: Builds) -> None:
    offer = Offer("any", "python3", "0.2.0", 5, "ab" * 32)
    with pytest.raises(RuntimeError), builds.being_filled(offer):
        raise RuntimeError
    assert [] == list(builds.folder.iterdir())


def test_what_a_crash_has_left_is_removed_by_the_next_download(builds: Builds) -> None:
    (builds.folder / "left.part").write_bytes(b"half")
    offer = kept(builds, b"agent")
    assert [builds.path(offer)] == list(builds.folder.iterdir())


def test_a_build_that_did_not_report_is_tried_again_on_another_day_and_given_up_after_three(tmp_path: Path) -> None:
    days = [20_000]
    builds = Builds(tmp_path, lambda: 86_400.0 * days[-1])
    builds.prepare()
    offer = kept(builds, b"agent")
    for is_last in (False, False, True):
        # twice a day is no more than once
        builds.give_up(offer)
        builds.give_up(offer)
        assert ([offer.sha256], False) == (builds.failed(), builds.has(offer))
        days.append(days[-1] + 1)
        assert ([offer.sha256] if is_last else []) == builds.failed()
    days.append(days[-1] + 1000)
    assert [offer.sha256] == builds.failed()


@pytest.mark.parametrize("content", ["", "null", '["ab"]', '{"ab":1}', '{"ab":["x"]}'])
def test_a_damaged_memory_of_failures_gives_up_nothing(builds: Builds, content: str) -> None:
    (builds.folder / "failed.json").write_text(content, encoding="utf-8")
    assert [] == builds.failed()
    offer = kept(builds, b"agent")
    builds.give_up(offer)
    assert [offer.sha256] == builds.failed()


def test_the_last_hundred_failures_are_remembered(builds: Builds) -> None:
    offers = [Offer("any", "python3", "0.2.0", 1, f"{number:064x}") for number in range(102)]
    for offer in offers:
        builds.give_up(offer)
    assert [offer.sha256 for offer in offers[2:]] == builds.failed()


def test_after_five_starts_without_a_report_the_chosen_build_is_not_worth_another(builds: Builds) -> None:
    assert [True] * MOST_SILENT_STARTS + [False] == [builds.note_start() for _ in range(MOST_SILENT_STARTS + 1)]
    builds.note_report()
    assert builds.note_start()


def test_another_choice_begins_to_count_anew(builds: Builds) -> None:
    for _ in range(MOST_SILENT_STARTS + 1):
        builds.note_start()
    builds.choose(kept(builds, b"agent"))
    assert builds.note_start()


def test_a_disk_that_takes_nothing_is_left_as_it_was(builds: Builds, monkeypatch: pytest.MonkeyPatch) -> None:
    offer = kept(builds, b"agent")
    builds.choose(offer)

    def full_disk(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    before = sorted(each.name for each in builds.folder.iterdir())
    assert builds.note_start()
    with pytest.raises(OSError, match="No space"):
        builds.choose(offer)
    assert before == sorted(each.name for each in builds.folder.iterdir())
    # what is given up goes first: where it was the last straw, that makes the room to remember it
    with pytest.raises(OSError, match="No space"):
        builds.give_up(offer)
    assert not builds.path(offer).exists()

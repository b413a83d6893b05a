"""What a client has missed is found whole, or it is told to take everything anew; never is a hole stepped over."""

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.change import ChangeSet
from shared.errors import MustRefetch
from shared.missed import Missed, WayBack
from shared.protocol import Since
from shared.topic import Record, Span
from tests.support.topic_log import Edit, Log, edits, log_of


def way(log: Log, since: Since, entries: Iterable[ChangeSet] | None = None, *, kept_bytes: int = 10_000) -> WayBack:
    """Go back through the entries, or all those of the log, for as long as it takes."""
    way = WayBack(since, epoch=log.epoch, version=log.version, kept_bytes=kept_bytes)
    for entry in reversed(list(log.entries if entries is None else entries)):
        if not way.is_complete:
            way.take(entry)
    return way


def three_updates() -> Log:
    return log_of([[("a", False)], [("a", False)], [("b", False), ("a", False)]])


def outline(missed: Missed) -> tuple[int, int, list[tuple[str, int]], bool]:
    span = missed.span
    return span.prev, span.version, [(change.id, change.version) for change in span.changes], missed.more


def test_the_last_change_of_each_record_is_answered() -> None:
    assert (0, 4, [("b", 3), ("a", 4)], False) == outline(way(three_updates(), Since("1", 0)).missed())


def test_a_client_may_stand_in_the_middle_of_a_change_set() -> None:
    assert (3, 4, [("a", 4)], False) == outline(way(three_updates(), Since("1", 3)).missed())


def test_nothing_missed_is_an_empty_span() -> None:
    assert Missed(Span(4, 4, ()), more=False) == way(three_updates(), Since("1", 4)).missed()
    assert Missed(Span(0, 0, ()), more=False) == way(log_of([]), Since("1", 0)).missed()


def test_what_does_not_fit_is_left_to_the_next_answer() -> None:
    assert (0, 2, [("a", 2)], True) == outline(way(three_updates(), Since("1", 0)).missed(answer_bytes=150))


def test_what_is_not_kept_is_left_to_the_next_answer() -> None:
    assert (0, 1, [("a", 1)], True) == outline(way(three_updates(), Since("1", 0), kept_bytes=1).missed())


@pytest.mark.parametrize("since", [Since("0", 4), Since("2", 4), Since("01", 4), Since("", 0), Since("1", 5)])
def test_another_epoch_and_what_never_was_cannot_be_answered(since: Since) -> None:
    with pytest.raises(MustRefetch):
        way(three_updates(), since)


@pytest.mark.parametrize("left", [[], [0], [2], [0, 2], [0, 1]])
def test_a_log_that_lacks_an_entry_cannot_answer(left: list[int]) -> None:
    log = three_updates()
    with pytest.raises(MustRefetch):
        way(log, Since("1", 0), [log.entries[place] for place in left]).missed()


@pytest.mark.parametrize("lost_versions", [0, 1])
def test_a_version_of_before_the_epoch_cannot_be_answered(lost_versions: int) -> None:
    log = three_updates()
    log.open_epoch(lost_versions=lost_versions)
    opened_at = log.version
    log.append([("c", False)])
    assert [("c", opened_at + 1)] == outline(way(log, Since("2", opened_at)).missed())[2]
    for version in range(opened_at):
        with pytest.raises(MustRefetch):
            way(log, Since("2", version)).missed()


def test_what_came_after_the_head_is_left_out() -> None:
    log = three_updates()
    back = WayBack(Since("1", 1), epoch=1, version=2)
    for entry in reversed(log.entries):
        back.take(entry)
    assert (1, 2, [("a", 2)], False) == outline(back.missed())


@given(st.lists(edits, max_size=12), st.data(), st.integers(1, 1500), st.integers(1, 1500))
def test_a_snapshot_and_what_was_missed_give_the_snapshot_of_now(
    batches: Sequence[Sequence[Edit]], data: st.DataObject, answer_bytes: int, kept_bytes: int
) -> None:
    log = log_of(batches)
    version = data.draw(st.integers(0, log.version))
    records = dict(log.history[1, version])
    more = True
    while more:
        missed = way(log, Since("1", version), kept_bytes=kept_bytes).missed(answer_bytes=answer_bytes)
        assert version == missed.span.prev
        for change in missed.span.changes:
            records.pop(change.id, None)
            if change.data is not None:
                records[change.id] = Record(change.id, change.version, bytes(change.data))
        version, more = missed.span.version, missed.more
        assert log.history[1, version] == records
    assert log.version == version


@given(st.lists(edits, min_size=1, max_size=8), st.data())
def test_a_lost_entry_is_never_stepped_over(batches: Sequence[Sequence[Edit]], data: st.DataObject) -> None:
    log = log_of(batches)
    lost = data.draw(st.sampled_from(log.entries))
    version = data.draw(st.integers(0, lost.version - 1))
    with pytest.raises(MustRefetch):
        way(log, Since("1", version), [entry for entry in log.entries if entry is not lost]).missed()

"""What is to be looked at when."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from services.broadcaster.agenda import Agenda


def test_an_empty_agenda_is_never_due() -> None:
    assert (inf, []) == (Agenda[str]().next_due, Agenda[str]().pop_due(1e9))


def test_what_is_due_is_taken_out_in_order() -> None:
    agenda = Agenda[str]()
    for item, due in (("late", 3.0), ("first", 1.0), ("second", 2.0)):
        agenda.add(item, due)
    assert (["first", "second"], 3.0) == (agenda.pop_due(2.0), agenda.next_due)


def test_the_earliest_time_given_for_an_item_counts() -> None:
    agenda = Agenda[str]()
    for due in (2.0, 1.0, 3.0):
        agenda.add("item", due)
    assert (1.0, ["item"]) == (agenda.next_due, agenda.pop_due(1.0))
    assert [] == agenda.pop_due(9.0)


def test_a_discarded_item_is_not_looked_at() -> None:
    agenda = Agenda[str]()
    agenda.add("item", 1.0)
    agenda.discard("item")
    assert (inf, [], 0) == (agenda.next_due, agenda.pop_due(9.0), len(agenda))


def test_an_item_without_a_time_is_not_noted() -> None:
    agenda = Agenda[str]()
    agenda.add("item", inf)
    assert 0 == len(agenda)


def test_an_item_that_is_noted_again_and_again_does_not_pile_up() -> None:
    agenda = Agenda[str]()
    agenda.add("other", 4_000.0)
    for now in range(1_000):
        agenda.add("item", 5_000.0)
        agenda.add("item", float(now))
        assert ["item"] == agenda.pop_due(now)
    assert len(agenda._heap) < 100


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 20))), st.integers(0, 20))
def test_it_behaves_like_a_table_of_earliest_times(notes: list[tuple[str, int]], now: int) -> None:
    agenda, table = Agenda[str](), dict[str, int]()
    for item, due in notes:
        agenda.add(item, due)
        table[item] = min(due, table.get(item, due))
    assert {item for item, due in table.items() if due <= now} == set(agenda.pop_due(now))
    assert min((due for due in table.values() if due > now), default=inf) == agenda.next_due

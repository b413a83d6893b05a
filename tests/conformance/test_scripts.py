"""The scripts against the document: each row of its tables is shown by one, and its own session is one of them."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from tests.conformance.document import examples, is_as_documented, rows, session
from tests.conformance.script import completed, is_match, scripts, scripts_for

NO_FRAMES = {
    "Opening / 400": "the handshake is refused: tests/integration/broadcaster/test_connections.py",
    "Opening / 403": "likewise",
    "Opening / 426": "likewise",
    "Bookmarks / `s_1`, last changed at version 4": "an example, and the script of a check has its digest",
    "Bookmarks / `s_2`, last changed at version 2": "likewise",
    "Bookmarks / `s_3`, last changed at version 3": "likewise",
}
"""Rows that no script shows, and why."""


def test_every_row_of_the_document_is_shown_by_a_script() -> None:
    shown = {row for script in scripts() for row in script.rows}
    assert [] == [row for row in rows() if row not in shown and row not in NO_FRAMES]


def test_scripts_show_rows_that_there_are() -> None:
    known = set(rows())
    assert [] == [(script.name, row) for script in scripts() for row in script.rows if row not in known]
    assert set() == set(NO_FRAMES) - known


def test_names_of_scripts_are_unique() -> None:
    names = [script.name for script in scripts()]
    assert sorted(set(names)) == sorted(names)


def test_the_session_of_the_document_is_a_script() -> None:
    (script,) = (script for script in scripts() if script.name == "a whole session")
    steps = [(side, step[side]) for step in script.steps for side in ("client", "server") if side in step]
    for (side, message), (expected_side, expected) in zip_longest(session(), steps, fillvalue=("nobody", {})):
        assert expected_side == side
        assert is_match(expected, message), f"the script says {expected}, the document {message}"


def test_what_scripts_say_to_clients_has_the_fields_of_the_document() -> None:
    said = [completed(step["server"]) for script in scripts_for("client") for step in script.steps if "server" in step]
    assert [] == [message for message in said if not is_as_documented(without_colours(message))]


def without_colours(value: Any) -> Any:  # noqa: ANN401  (any JSON)
    """Leave out `colour`, which stands for what a later version of the protocol may say."""
    if isinstance(value, list):
        return [without_colours(each) for each in value]
    if isinstance(value, dict):
        return {key: without_colours(each) for key, each in value.items() if key != "colour"}
    return value


def test_a_field_too_many_one_too_few_or_of_another_type_is_noticed() -> None:
    changes = examples()["changes"]
    assert is_as_documented(changes)
    assert not is_as_documented({**changes, "colour": "red"})
    assert not is_as_documented({key: value for key, value in changes.items() if key != "workspace"})
    assert not is_as_documented({**changes, "epoch": 3})
    assert not is_as_documented({**changes, "changes": [{**change, "colour": "red"} for change in changes["changes"]]})

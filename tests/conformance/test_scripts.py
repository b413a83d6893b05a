"""The scripts against the document: each row of its tables is shown by one, and its own session is one of them."""

from __future__ import annotations

import json
import re
from itertools import groupby, zip_longest
from pathlib import Path

from tests.conformance.script import is_match, scripts

DOCUMENT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()

NO_FRAMES = {
    "Opening / 400": "the handshake is refused: tests/integration/broadcaster/test_connections.py",
    "Opening / 403": "likewise",
    "Opening / 426": "likewise",
    "Bookmarks / `s_1`, last changed at version 4": "an example, and the script of a check has its digest",
    "Bookmarks / `s_2`, last changed at version 2": "likewise",
    "Bookmarks / `s_3`, last changed at version 3": "likewise",
}
"""Rows that no script shows, and why."""


def rows() -> list[str]:
    """Return the rows of all tables, as `<heading> / <first cell>`."""
    found, heading = [], ""
    for is_table, lines in groupby(DOCUMENT.splitlines(), lambda line: line.startswith("|")):
        if is_table:
            found += [f"{heading} / {line.split('|')[1].strip()}" for line in list(lines)[2:]]
            continue
        for line in lines:
            heading = line.removeprefix("## ") if line.startswith("## ") else heading
    return found


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
    said = [
        ({">": "client", "<": "server"}[line[0]], json.loads(line[2:]))
        for line in re.findall(r'^[<>] \{"op".*$', DOCUMENT, re.MULTILINE)
    ]
    (script,) = (script for script in scripts() if script.name == "a whole session")
    steps = [(side, step[side]) for step in script.steps for side in ("client", "server") if side in step]
    for (side, message), (expected_side, expected) in zip_longest(said, steps, fillvalue=("nobody", {})):
        assert expected_side == side
        assert is_match(expected, message), f"the script says {expected}, the document {message}"

"""What the log looks like."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from muster_agent import logs


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def test_a_line_has_the_time_in_utc_the_level_and_the_message() -> None:
    record = logging.LogRecord("any", logging.INFO, __file__, 1, "enrolled as %s", ("s_1",), None)
    record.created = 1_767_225_600.9
    assert "2026-01-01T00:00:00Z info enrolled as s_1" == logs.LineFormatter().format(record)


def test_the_chosen_level_decides_what_is_said() -> None:
    stream = io.StringIO()
    logs.configure("warning", stream)
    logging.getLogger("muster_agent.any").info("small talk")
    logging.getLogger("muster_agent.any").warning("trouble")
    assert ["warning trouble"] == [line.split(" ", 1)[1] for line in stream.getvalue().splitlines()]

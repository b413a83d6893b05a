"""How much work a call is, counted instead of timed: the same on every machine."""

import contextlib
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any


class Work:
    """What a call took."""

    calls = 0
    """Calls of functions of Python's."""
    peak_bytes = 0
    """The most memory that it held at once."""


def work_of(act: Callable[[], object], *expected: type[Exception]) -> Work:
    """Return what a call takes that may end in one of these errors."""
    work = Work()

    def count(frame: object, event: str, argument: Any) -> None:  # noqa: ANN401, ARG001  (what sys.setprofile calls)
        work.calls += event == "call"

    tracemalloc.start()
    sys.setprofile(count)
    try:
        with contextlib.suppress(*expected):
            act()
    finally:
        sys.setprofile(None)
        work.peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return work

"""The form that all collectors have, and the rule that the failure of one costs only its own fields."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

log = logging.getLogger(__name__)

# Lists and maps of a sample are cut there: a machine with hundreds of mounts is to be seen in its totals.
LONGEST_LIST = 32
# As much as the server takes of a name.
LONGEST_TEXT = 200


class Collector(Protocol):
    """Reads one aspect of the machine."""

    @property
    def name(self) -> str:
        """What is measured, as a log line would say it."""

    def collect(self, now_s: float) -> Mapping[str, object]:
        """Give the fields that could be measured at `now_s` (monotonic clock); None stands for unknown.

        May raise anything: the fields are then left out of this sample.
        """


@dataclass(frozen=True)
class Reading:
    """A collector made of a function: for what needs no memory of the collection before."""

    name: str
    read: Callable[[], Mapping[str, object]]

    def collect(self, now_s: float) -> Mapping[str, object]:
        """Give what the function gives."""
        del now_s
        return self.read()


class CollectorGroup:
    """Several collectors as one. `failures` counts, for each name, the collections that gave nothing."""

    def __init__(self, collectors: Sequence[Collector]) -> None:
        self._collectors = collectors
        self.failures: Counter[str] = Counter()

    def collect(self, now_s: float) -> dict[str, object]:
        """Give the fields of all collectors, without those that are unknown or not finite."""
        fields: dict[str, object] = {}
        for collector in self._collectors:
            try:
                fields.update(known(collector.collect(now_s)))
            except Exception as error:  # noqa: BLE001 - drivers fail in every way; a sample without one part is better than none
                self._note_failure(collector.name, error)
        return fields

    def _note_failure(self, name: str, error: Exception) -> None:
        self.failures[name] += 1
        if self.failures[name] == 1:
            log.warning("cannot measure %s, leaving it out: %s: %s", name, type(error).__name__, error)


def known(fields: Mapping[str, object]) -> dict[str, object]:
    """Leave out what is None or not a finite number, at any depth, and lists and maps that are empty then.

    Texts come out as `printable`.
    """
    cleaned = {printable(name): _cleaned(value) for name, value in fields.items()}
    return {name: value for name, value in cleaned.items() if value is not None}


def printable(text: str) -> str:
    """Give a text that is safe in JSON, a log and a database: names of mounts and devices can hold any bytes."""
    return "".join(character if character.isprintable() else "?" for character in text[:LONGEST_TEXT])


def _cleaned(value: object) -> object:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return known(value) or None
    if isinstance(value, list):
        return [each for each in map(_cleaned, value) if each is not None] or None
    return value

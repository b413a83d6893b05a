"""Makes what was measured safe to pass on, so that nothing odd about a machine can cost a whole sample. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from itertools import islice

# Lists and maps of a sample are cut there: a machine with hundreds of mounts is to be seen in its totals.
LONGEST_LIST = 32
# Numbers are short; so many cores are shown one by one.
LONGEST_NUMBERS = 256
# As much as the server takes of a name.
LONGEST_TEXT = 200
# What the server takes: integers that JSON's readers keep exact, other numbers up to 10^15.
LARGEST_INTEGER = 2**53 - 1
LARGEST_NUMBER = 1e15
COLDEST, HOTTEST = -273.15, 1e6
# The only measurements that may be below zero.
TEMPERATURES = frozenset({"temperature", "temperatures"})


def known(fields: Mapping[str, object], *, are_temperatures: bool = False) -> dict[str, object]:
    """Leave out what is None or no number that can be, at any depth, and lists and maps that are empty then.

    A list that is empty from the start stays: it says that there are none. Texts come out as `printable`, and lists
    and maps cut.
    """
    cleaned = {
        printable(name): _cleaned(value, is_temperature=are_temperatures or name in TEMPERATURES)
        for name, value in fields.items()
    }
    return {name: value for name, value in cleaned.items() if value is not None}


def printable(text: str) -> str:
    """Give a text that is safe in JSON, a log and a database: names of mounts and devices can hold any bytes."""
    return "".join(character if character.isprintable() else "?" for character in text[:LONGEST_TEXT])


def fitted(fields: Mapping[str, object], limit_bytes: int) -> dict[str, object]:
    """Leave out the largest fields until the rest is JSON of at most `limit_bytes`."""
    sizes = {name: len(encode({name: value})) for name, value in fields.items()}
    total = sum(sizes.values())
    for name in sorted(sizes, key=sizes.__getitem__, reverse=True):
        if total <= limit_bytes:
            break
        total -= sizes.pop(name)
    return {name: value for name, value in fields.items() if name in sizes}


def encode(fields: Mapping[str, object]) -> bytes:
    """Give fields as JSON. Raises ValueError for a number that is not finite."""
    return json.dumps(fields, allow_nan=False, separators=(",", ":")).encode()


def _cleaned(value: object, *, is_temperature: bool = False) -> object:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return value if _can_be(value, is_temperature=is_temperature) else None
    if isinstance(value, Mapping):
        first = dict(islice(value.items(), LONGEST_LIST))
        return known(first, are_temperatures=is_temperature) or None
    if isinstance(value, (list, tuple)):
        return _cleaned_list(list(value))
    return None


def _cleaned_list(values: list[object]) -> object:
    if not values:
        return values
    are_numbers = isinstance(values[0], (int, float))
    first = values[: LONGEST_NUMBERS if are_numbers else LONGEST_LIST]
    return [each for each in map(_cleaned, first) if each is not None] or None


def _can_be(number: float, *, is_temperature: bool) -> bool:
    if is_temperature:
        return math.isfinite(number) and COLDEST <= number <= HOTTEST
    if isinstance(number, int):
        return 0 <= number <= LARGEST_INTEGER
    return math.isfinite(number) and 0 <= number <= LARGEST_NUMBER

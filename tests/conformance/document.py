"""What tests read in `docs/protocol.md`: the rows of its tables, its examples of messages, and its own session."""

from __future__ import annotations

import json
import re
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from tests.conformance.script import Message, Party

_TEXT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()

_MAY_LACK = {"error": {"topic", "workspace", "retry_after_ms"}}
"""What messages say only where there is something to say."""

_LEFT_OPEN = {"data", "expires_at"}
"""Fields of which the protocol says nothing but that they are there: records, and the end of a token that has one."""


def rows() -> list[str]:
    """Return the rows of all tables, as `<heading> / <first cell>`."""
    found, heading = [], ""
    for is_table, lines in groupby(_TEXT.splitlines(), lambda line: line.startswith("|")):
        if is_table:
            found += [f"{heading} / {line.split('|')[1].strip()}" for line in list(lines)[2:]]
            continue
        for line in lines:
            heading = line.removeprefix("## ") if line.startswith("## ") else heading
    return found


def session() -> list[tuple[Party, Message]]:
    """Return what is said in the session, and by whom."""
    parties: dict[str, Party] = {">": "client", "<": "server"}
    lines = re.findall(r'^[<>] \{"op".*$', _TEXT, re.MULTILINE)
    return [(parties[line[0]], json.loads(line[2:])) for line in lines]


@cache
def examples() -> dict[str, Message]:
    """Return the first example of each message, by its `op`."""
    found: dict[str, Message] = {}
    for block in re.findall(r"^```json\n(.*?)^```", _TEXT, re.MULTILINE | re.DOTALL):
        rest = block.strip()
        while rest.startswith('{"op"'):
            message, end = json.JSONDecoder().raw_decode(rest)
            found.setdefault(message["op"], message)
            rest = rest[end:].strip()
    return found


def is_as_documented(message: Message) -> bool:
    """Tell whether a message has just the fields of its example, down to the records, and each of the same type."""
    example = examples()[message["op"]]
    lacks = _MAY_LACK.get(message["op"], set()) - set(message)
    return _is_alike({key: value for key, value in example.items() if key not in lacks}, message)


def _is_alike(example: Any, actual: Any) -> bool:  # noqa: ANN401  (any JSON)
    if isinstance(example, dict):
        is_object = isinstance(actual, dict) and set(example) == set(actual)
        return is_object and all(key in _LEFT_OPEN or _is_alike(example[key], actual[key]) for key in example)
    if isinstance(example, list):
        return isinstance(actual, list) and all(_is_alike(example[0], each) for each in actual)
    return type(example) is type(actual)

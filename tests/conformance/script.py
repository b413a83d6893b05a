"""Scripts of frames: what a client and a server of the sync protocol say to each other, as data.

A script is a JSON file in `scripts/`. `rows` names the rows of the tables in `docs/protocol.md` that it shows,
`<heading> / <first cell>`; `parties` whom it can be played against. A step is an object of one key:

    {"open": {}}                 the client connects; {"not_before_ms": N}: that long after the last close or error,
                                 {"within_ms": N}: no longer after it
    {"client": {…}}              the client says this
    {"client_text": "…"}         the client says this, which is no message of the protocol
    {"server": {…}}              the server says this; fields that are not named may be anything
    {"close": 4408}              the server closes with this code; {"code": N, "reason": "…"} with this in its reason
    {"break": true}              the connection breaks
    {"expect": {…}}              the client holds these `items`, `epoch`, `version`; `is_over`: it asks no more
    {"append": […]}              these records are appended to the log as one change set; `null` deletes one
    {"epoch": 2}                 the log begins a new epoch, with nothing in it
    {"world": {…}}               something happens to the server: see `server_side.py`

In messages, `"*"` stands for any value but null, `"*new"` for a token that was not sent yet, `{"$text": N}` for N
characters, `{"$in_s": N}` for the time in N seconds. The last three steps mean nothing to a client.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec

Message = dict[str, Any]
Party = Literal["server", "client"]

TOPIC = "servers"
WORKSPACE = "w_first"

_FOLDER = Path(__file__).parent / "scripts"

_KINDS = {"open", "client", "client_text", "server", "close", "break", "expect", "append", "epoch", "world"}


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One script; `settings` are the server's, `delivery` is what the client asks for."""

    name: str
    rows: tuple[str, ...]
    steps: tuple[dict[str, Any], ...]
    parties: tuple[Party, ...] = ("server", "client")
    delivery: str = "batch"
    settings: dict[str, dict[str, Any]] = {}

    @property
    def has_expectations(self) -> bool:
        """Whether it says what the client holds."""
        return any("expect" in step for step in self.steps)


@cache
def scripts() -> tuple[Script, ...]:
    """Return all scripts, in the order of their files' names."""
    found = [msgspec.json.decode(path.read_bytes(), type=Script) for path in sorted(_FOLDER.glob("*.json"))]
    for script in found:
        for step in script.steps:
            if len(step) != 1 or not _KINDS >= set(step):
                raise ValueError(f"{script.name}: {step} is no step")
    return tuple(found)


def scripts_for(party: Party) -> tuple[Script, ...]:
    """Return the scripts that can be played against this party."""
    return tuple(script for script in scripts() if party in script.parties)


def expanded(value: Any) -> Any:  # noqa: ANN401  (any JSON)
    """Return what a script says with its macros replaced."""
    if isinstance(value, list):
        return [expanded(each) for each in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"$text"}:
        return "x" * value["$text"]
    if set(value) == {"$in_s"}:
        return (datetime.now(UTC) + timedelta(seconds=value["$in_s"])).isoformat()
    return {key: expanded(each) for key, each in value.items()}


def is_match(expected: Any, actual: Any) -> bool:  # noqa: ANN401  (any JSON)
    """Tell whether a value is what a script says; of objects the fields that it names, of items any order."""
    if expected == "*":
        return actual is not None
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(_is_field(key, value, actual) for key, value in expected.items())
    if isinstance(expected, list):
        return isinstance(actual, list) and len(expected) == len(actual) and all(map(is_match, expected, actual))
    return bool(expected == actual)


def _is_field(key: str, expected: Any, message: Message) -> bool:  # noqa: ANN401  (any JSON)
    actual = message.get(key)
    if key == "data":  # of a record nothing may be added or lost
        return bool(expected == actual)
    return is_match(_ordered(key, expected), _ordered(key, actual))


def _ordered(key: str, value: Any) -> Any:  # noqa: ANN401  (any JSON)
    """Bring the items of a snapshot into one order: the protocol promises none."""
    return sorted(value, key=lambda item: item["id"]) if key == "items" and isinstance(value, list) else value


def completed(message: Message) -> Message:
    """Return a message of the server as a script names it, with the fields that it leaves open."""
    now = datetime.now(UTC).isoformat()
    open_fields: dict[str, Message] = {
        "welcome": {
            "session": "c_1",
            "server_time": now,
            "heartbeat_s": 25,
            "expires_at": None,
            "workspaces": [{"id": WORKSPACE, "name": "First", "role": "viewer"}],
        },
        "error": {"message": "as the script says"},
        "snapshot": {"recovered": False, "part": 1, "parts": 1},
        "subscribed": {"recovered": True},
        "bookmark": {"at": now},
    }
    of_topic = {"workspace": WORKSPACE}
    if message["op"] != "sync":
        of_topic["topic"] = TOPIC
    common = {} if message["op"] in {"welcome", "error"} else of_topic
    said = {key: value for key, value in expanded(message).items() if value != "*"}
    if message["op"] == "error":
        said = {key: value for key, value in said.items() if value is not None}
    return {**common, **open_fields.get(message["op"], {}), **said}


_DEFAULTS: dict[str, Message] = {
    "subscribe": {"workspace": WORKSPACE, "delivery": "batch", "since": None, "tick_ms": 0},
    "unsubscribe": {"workspace": WORKSPACE},
    "check": {"workspace": WORKSPACE},
}


def normal(message: Message) -> Message:
    """Return a message of the client with the fields that mean the same when they are left out."""
    said = {key: value for key, value in message.items() if value is not None}
    return {**_DEFAULTS.get(message.get("op", ""), {}), **said}


def canonical_json(message: Message) -> str:
    """Write a message for a failing test."""
    return json.dumps(message, ensure_ascii=False)[:2_000]

"""docs/settings.md names every setting with its default, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from services.api.settings import Delivery
from services.api.setup import Administrator
from services.broadcaster.settings import Broadcasting
from services.ingest.settings import Admission, Streaming
from shared.settings import History, Http, Journal, Liveness, Logging, Servers, StaleAgents
from stack.embedded.memory import VARIABLE as VALKEY_MEMORY

DOCUMENT = Path(__file__).parents[3] / "docs" / "settings.md"
KINDS = (
    Servers,
    Http,
    Logging,
    Liveness,
    StaleAgents,
    Journal,
    History,
    Delivery,
    Administrator,
    Admission,
    Streaming,
    Broadcasting,
)
_ROW = re.compile(r"\| `(?P<name>[A-Z0-9_]+)` \| [^|]+ \| (?P<default>[^|]*)\|")

documented = {row["name"]: row["default"].strip().strip("`") for row in _ROW.finditer(DOCUMENT.read_text())}
declared = {field.encode_name: field for kind in KINDS for field in msgspec.structs.fields(kind)}


def test_every_setting_is_documented_and_no_other() -> None:
    assert sorted([*declared, VALKEY_MEMORY]) == sorted(documented)


def test_the_defaults_are_those_that_are_documented() -> None:
    defaults = {name: field.default for name, field in declared.items() if field.default not in {msgspec.NODEFAULT, ""}}
    shown = {name: _shown(default) for name, default in defaults.items()}
    assert shown == {name: documented[name] for name in shown}


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:.12g}" if isinstance(default, float) else str(default)

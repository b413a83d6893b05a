"""How `muster watch` prints; the rest of it is seen in `tests/integration/client`."""

from __future__ import annotations

from pathlib import Path

import pytest

from muster_client import Change, Disconnected, MusterClient
from stack.watch import Wish, _line, _Notices

LOCAL = "http://localhost:8123"


def test_nothing_that_a_server_says_reaches_the_terminal_as_a_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watch = MusterClient(LOCAL, token="t").watch("servers")
    change = Change("\x1b[2J\x9b", "updated", 7, {"name": "\x1b[2J"})
    line = _line(Wish("servers", tmp_path), change, watch)
    assert line == 'updated   \\u001b[2J\\u009b  version 7  {"name":"\\u001b[2J"}'
    _Notices()(Disconnected("\x1b[2J", 1.0))
    assert capsys.readouterr().err == "muster: \\u001b[2J; trying again in 1.0 s\n"

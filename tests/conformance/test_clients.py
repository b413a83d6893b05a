"""The clients against the scripts: they say what these say, and hold what these say that they hold."""

from __future__ import annotations

import pytest

from tests.conformance.client_side import play_against_client
from tests.conformance.clients import EXCUSED, kinds
from tests.conformance.script import Script, scripts_for

KINDS = kinds()
PLAYS = [(kind, script) for kind in KINDS for script in scripts_for("client") if (kind, script.name) not in EXCUSED]


@pytest.mark.parametrize(("kind", "script"), PLAYS, ids=[f"{kind}: {script.name}" for kind, script in PLAYS])
async def test_a_client_follows_the_script(kind: str, script: Script) -> None:
    await play_against_client(script, KINDS[kind]())

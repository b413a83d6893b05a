"""The server against the scripts: it says what they say, to a client that says what they say."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from tests.conformance.script import Script, scripts_for
from tests.conformance.server_side import play_against_server


@pytest.mark.parametrize("script", scripts_for("server"), ids=lambda script: script.name)
async def test_the_server_follows_the_script(redis: Redis, script: Script) -> None:
    await play_against_server(script, redis)

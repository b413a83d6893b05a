"""A topic that is open, with two records."""

from __future__ import annotations

import pytest

from tests.support.channel_world import World


@pytest.fixture
def world() -> World:
    world = World()
    world.append("a")
    world.append("b")
    world.load()
    return world

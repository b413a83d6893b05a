"""Which agents the installation offers, and at which address machines get them."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from services.api.requests import ApiRequest
from services.api.server_address import server_address
from services.api.settings import Delivery
from shared.agent_builds import MANIFEST_SUFFIX, newest
from shared.errors import NotFound
from shared.io.agent_folder import Offered, offered, public_key

LATEST = "latest"


class Asked(NamedTuple):
    """What a name that exists leads to: the build, and which of its files."""

    offered: Offered
    suffix: str


class Agents:
    """What the installation offers machines."""

    def __init__(self, delivery: Delivery) -> None:
        self._folder = Path(delivery.agents_dir) if delivery.agents_dir else None
        self._public_url = delivery.public_url

    def server_for(self, request: ApiRequest) -> str:
        """Return the address at which machines reach the installation that this request has reached.

        Raises HttpError (400) where that cannot be told.
        """
        headers, scheme = request.headers, str(request.scope["scheme"])
        return server_address(self._public_url, headers.get("host"), headers.get("x-forwarded-proto"), scheme)

    async def offered(self) -> list[Offered]:
        """Return the builds that are there now."""
        return await asyncio.to_thread(offered, self._folder) if self._folder else []

    async def public_key(self) -> str:
        """Return the key that they are signed with, in base64."""
        return await asyncio.to_thread(public_key, self._folder) if self._folder else ""

    async def find(self, os: str, arch: str, version: str) -> Asked:
        """Look a name up; raises NotFound, which says what there is."""
        builds = await self.offered()
        names = dict(_names(builds))
        found = names.get((os, arch, version))
        if found is None:
            there = ", ".join("/".join(name) for name, asked in sorted(names.items()) if not asked.suffix)
            raise NotFound(f"there is no such agent; there are: {there or 'none yet, muster agent build makes them'}")
        return found


def _names(builds: list[Offered]) -> Iterator[tuple[tuple[str, str, str], Asked]]:
    latest = newest(each.build for each in builds)
    for each in builds:
        versions = [each.build.version, *([LATEST] if each.build in latest else [])]
        for version in versions:
            for suffix in ("", ".sha256", MANIFEST_SUFFIX):
                yield (each.build.os, each.build.arch, version + suffix), Asked(each, suffix)

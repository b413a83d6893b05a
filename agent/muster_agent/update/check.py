"""Looks once for a newer build: asks the server, checks, downloads, and checks again.

It runs in a process of its own (`muster-agent --check-update`), so that the agent keeps neither its memory nor its
faults: whatever hangs here is killed.
"""

from __future__ import annotations

import http.client
import logging
import os
import time
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from http import HTTPStatus

from muster_agent import __version__
from muster_agent.errors import UpdateFailed
from muster_agent.route import CONNECT_TIMEOUT_S, Route
from muster_agent.update.builds import Builds
from muster_agent.update.offer import Offer, OfferRefused, is_wanted, read_offer, require_fitting
from muster_agent.update.program import Program

log = logging.getLogger(__name__)

LARGEST_MANIFEST_BYTES = 10_000
ANSWER_TIMEOUT_S = 30.0
DOWNLOAD_WITHIN_S = 900.0
CHUNK_BYTES = 65_536


def fetch_update(server_url: str, public_key: bytes, program: Program, builds: Builds) -> Offer | None:
    """Give the build to be tried, which is there when this returns; None where there is none.

    Raises UpdateFailed, and SettingsError for a proxy of the environment that is of no known kind.
    """
    route = Route(server_url)
    place = f"/api/v1/download/agent/{'/'.join(program.platform)}"
    try:
        builds.prepare()
        offer = read_offer(_small(route, f"{place}/latest.manifest"), public_key)
        require_fitting(offer, program.platform)
        if not is_wanted(offer, __version__, builds.failed()):
            return None
        if not builds.has(offer):
            _download(route, f"{place}/{offer.version}", offer, builds)
    except OfferRefused as error:
        raise UpdateFailed(f"the update is not taken: {error}") from error
    except _Unreachable as error:
        raise UpdateFailed(f"cannot get an update from {server_url}: {error}") from error
    except OSError as error:
        raise UpdateFailed(f"cannot keep an update in {builds.folder}: {error.strerror or error}") from error
    return offer


class _Unreachable(Exception):
    """The network or the server failed, and not the disk."""


def _small(route: Route, path: str) -> bytes:
    content = b""
    for chunk in _chunks(route, path):
        content += chunk
        if len(content) > LARGEST_MANIFEST_BYTES:
            raise OfferRefused("the manifest is too large")
    return content


def _download(route: Route, path: str, offer: Offer, builds: Builds) -> None:
    deadline_s = time.monotonic() + DOWNLOAD_WITHIN_S
    digest, size = sha256(), 0
    with builds.being_filled(offer) as descriptor:
        for chunk in _chunks(route, path):
            size += len(chunk)
            if size > offer.size_bytes or time.monotonic() > deadline_s:
                raise OfferRefused("the download is larger than it should be, or takes too long")
            digest.update(chunk)
            _write_all(descriptor, chunk)
        if (digest.hexdigest(), size) != (offer.sha256, offer.size_bytes):
            raise OfferRefused(f"the download is not what was offered: {size} of {offer.size_bytes} bytes came")


def _chunks(route: Route, path: str) -> Iterator[bytes]:
    """Give what lies at a path as it comes. Redirects are not followed."""
    try:
        with closing(http.client.HTTPConnection(route.host, route.port)) as connection:
            connection.sock = route.open(CONNECT_TIMEOUT_S, is_tunnel=False)
            connection.sock.settimeout(ANSWER_TIMEOUT_S)
            headers = {"User-Agent": f"muster-agent/{__version__}", "Accept-Encoding": "identity"}
            connection.request("GET", route.target(path), headers=route.request_headers(headers))
            answer = connection.getresponse()
            _require_ok(answer, path)
            while chunk := answer.read1(CHUNK_BYTES):
                yield chunk
    except (OSError, http.client.HTTPException) as error:
        raise _Unreachable(str(error) or type(error).__name__) from error


def _require_ok(answer: http.client.HTTPResponse, path: str) -> None:
    # a body that was encoded on the way is not what was signed
    if answer.status != HTTPStatus.OK or answer.getheader("content-encoding", "identity") != "identity":
        raise OfferRefused(f"{path} answers {answer.status}")


def _write_all(descriptor: int, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(descriptor, rest) :]

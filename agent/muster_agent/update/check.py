"""Looks once for a newer build: asks the server, checks, downloads, and checks again.

It runs in a process of its own (`muster-agent --check-update`), so that the agent keeps neither its memory nor its
faults: whatever hangs here is killed.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time

import httpx

from muster_agent import __version__
from muster_agent.errors import UpdateFailed
from muster_agent.transport import tls_context
from muster_agent.update.builds import Builds
from muster_agent.update.offer import Offer, OfferRefused, is_wanted, read_offer, require_fitting
from muster_agent.update.program import Program

log = logging.getLogger(__name__)

LARGEST_MANIFEST_BYTES = 10_000
ANSWER_TIMEOUT_S = 30.0
DOWNLOAD_WITHIN_S = 900.0


def fetch_update(
    server_url: str,
    public_key: bytes,
    program: Program,
    builds: Builds,
    network: httpx.BaseTransport | None = None,
) -> Offer | None:
    """Give the build to be tried, which is there when this returns; None where there is none. Raises UpdateFailed."""
    place = f"{server_url}/api/v1/download/agent/{'/'.join(program.platform)}"
    try:
        builds.prepare()
        with httpx.Client(timeout=ANSWER_TIMEOUT_S, verify=tls_context(server_url), transport=network) as client:
            offer = read_offer(_small(client, f"{place}/latest.manifest"), public_key)
            require_fitting(offer, program.platform)
            if not is_wanted(offer, __version__, builds.failed()):
                return None
            if not builds.has(offer):
                _download(client, f"{place}/{offer.version}", offer, builds)
    except OfferRefused as error:
        raise UpdateFailed(f"the update is not taken: {error}") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UpdateFailed(f"cannot get an update from {server_url}: {error or type(error).__name__}") from error
    except OSError as error:
        raise UpdateFailed(f"cannot keep an update in {builds.folder}: {error.strerror or error}") from error
    return offer


def _small(client: httpx.Client, url: str) -> bytes:
    content = b""
    with client.stream("GET", url) as answer:
        _require_ok(answer, url)
        for chunk in answer.iter_raw():
            content += chunk
            if len(content) > LARGEST_MANIFEST_BYTES:
                raise OfferRefused("the manifest is too large")
    return content


def _download(client: httpx.Client, url: str, offer: Offer, builds: Builds) -> None:
    deadline_s = time.monotonic() + DOWNLOAD_WITHIN_S
    digest, size = hashlib.sha256(), 0
    with builds.being_filled(offer) as descriptor:
        with client.stream("GET", url) as answer:
            _require_ok(answer, url)
            for chunk in answer.iter_raw():
                size += len(chunk)
                if size > offer.size_bytes or time.monotonic() > deadline_s:
                    raise OfferRefused("the download is larger than it should be, or takes too long")
                digest.update(chunk)
                _write_all(descriptor, chunk)
        if (digest.hexdigest(), size) != (offer.sha256, offer.size_bytes):
            raise OfferRefused(f"the download is not what was offered: {size} of {offer.size_bytes} bytes came")


def _require_ok(answer: httpx.Response, url: str) -> None:
    # a body that was encoded on the way is not what was signed
    if answer.status_code != httpx.codes.OK or answer.headers.get("content-encoding", "identity") != "identity":
        raise OfferRefused(f"{url} answers {answer.status_code}")


def _write_all(descriptor: int, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(descriptor, rest) :]

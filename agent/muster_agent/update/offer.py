"""Decides whether what a server offers is taken: whose it is, for which machine, and whether it is newer. Pure."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Collection
from dataclasses import dataclass

LARGEST_BUILD_BYTES = 100_000_000
_VERSION = re.compile(r"\d{1,6}(\.\d{1,6}){1,3}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class OfferRefused(Exception):
    """What the server offers is not taken; the message says why."""


@dataclass(frozen=True)
class Offer:
    """A build of the agent that the key vouches for."""

    os: str
    arch: str
    version: str
    size_bytes: int
    sha256: str


def read_offer(manifest: bytes, public_key: bytes) -> Offer:
    """Read a manifest. Nothing of it is believed before its signature was checked. Raises OfferRefused."""
    try:
        outer = json.loads(manifest)
        signed, signature = outer["signed"].encode(), base64.b64decode(outer["signature"], validate=True)
    except (ValueError, TypeError, KeyError, AttributeError, binascii.Error) as error:
        raise OfferRefused("the answer is no manifest") from error
    # loaded here: an agent that works has no use for it
    from muster_agent.update import ed25519  # noqa: PLC0415

    if not ed25519.is_signed(signed, signature, public_key):
        raise OfferRefused("the manifest is not signed with the key that this agent was installed with")
    try:
        inner = json.loads(signed)
        texts = [inner[name] for name in ("os", "arch", "version", "sha256")]
        offer = Offer(texts[0], texts[1], texts[2], inner["size_bytes"], texts[3])
    except (ValueError, TypeError, KeyError) as error:
        raise OfferRefused("the manifest lacks a field") from error
    if not all(isinstance(text, str) for text in texts) or type(offer.size_bytes) is not int:
        raise OfferRefused("a field of the manifest has another type")
    if not (_VERSION.fullmatch(offer.version) and _SHA256.fullmatch(offer.sha256)):
        raise OfferRefused("a field of the manifest has another form")
    return offer


def require_fitting(offer: Offer, platform: tuple[str, str]) -> None:
    """Raise OfferRefused for a build of another platform, or one of an impossible size."""
    if (offer.os, offer.arch) != platform:
        raise OfferRefused(f"the build is for {offer.os}/{offer.arch}, this one is {'/'.join(platform)}")
    if not 0 < offer.size_bytes <= LARGEST_BUILD_BYTES:
        raise OfferRefused(f"the build has {offer.size_bytes} bytes, at most {LARGEST_BUILD_BYTES} are taken")


def is_wanted(offer: Offer, running: str, failed: Collection[str]) -> bool:
    """Tell whether the build is newer than what runs, and none that has been tried and did not report.

    `failed` are the SHA-256 of those: a build that was repaired is tried again, also under the same version.
    """
    return is_newer(offer.version, running) and offer.sha256 not in failed


def is_newer(version: str, than: str) -> bool:
    """Tell whether a version comes after another one; what is no version does not."""
    if not (_VERSION.fullmatch(version) and _VERSION.fullmatch(than)):
        return False
    numbers, others = [[int(part) for part in text.split(".")] for text in (version, than)]
    length = max(len(numbers), len(others))
    return numbers + [0] * (length - len(numbers)) > others + [0] * (length - len(others))

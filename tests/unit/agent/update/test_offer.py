"""What a server offers is taken only when it is signed, fits, and is newer."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from muster_agent.update.offer import (
    LARGEST_BUILD_BYTES,
    Offer,
    OfferRefused,
    is_newer,
    is_wanted,
    read_offer,
    require_fitting,
)

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PUBLIC = KEY.public_key().public_bytes_raw()
OFFER = Offer("any", "python3", "0.2.0", 1000, "ab" * 32)
FIELDS: dict[str, Any] = {
    "os": "any",
    "arch": "python3",
    "version": "0.2.0",
    "size_bytes": 1000,
    "sha256": "ab" * 32,
    "python": "3.9",
}


def manifest(key: Ed25519PrivateKey = KEY, **changes: object) -> bytes:
    signed = json.dumps({name: value for name, value in (FIELDS | changes).items() if value is not None})
    signature = base64.b64encode(key.sign(signed.encode())).decode()
    return json.dumps({"signed": signed, "signature": signature}).encode()


def test_a_manifest_is_read_with_fields_that_are_not_known_left_out() -> None:
    assert OFFER == read_offer(manifest(), PUBLIC)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no manifest"),
        (b"[]", "no manifest"),
        (b'{"signed":1,"signature":""}', "no manifest"),
        (b'{"signed":"{}","signature":"*"}', "no manifest"),
        (b'{"signed":"{}","signature":""}', "not signed"),
        (manifest(Ed25519PrivateKey.from_private_bytes(b"x" * 32)), "not signed"),
        (manifest().replace(b"0.2.0", b"0.3.0"), "not signed"),
        (manifest(sha256=None), "lacks a field"),
        (manifest(size_bytes="1000"), "another type"),
        (manifest(size_bytes=True), "another type"),
        (manifest(os=1), "another type"),
        (manifest(version="../0.2.0"), "another form"),
        (manifest(sha256="../../etc/passwd"), "another form"),
    ],
)
def test_what_is_no_signed_manifest_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(OfferRefused, match=reason):
        read_offer(content, PUBLIC)


@pytest.mark.parametrize(
    "offer",
    [
        replace(OFFER, os="linux"),
        replace(OFFER, arch="x86_64"),
        replace(OFFER, size_bytes=0),
        replace(OFFER, size_bytes=LARGEST_BUILD_BYTES + 1),
    ],
)
def test_a_build_of_another_platform_or_an_impossible_size_is_refused(offer: Offer) -> None:
    require_fitting(OFFER, ("any", "python3"))
    with pytest.raises(OfferRefused):
        require_fitting(offer, ("any", "python3"))


@pytest.mark.parametrize(
    ("version", "than", "expected"),
    [
        ("0.2.0", "0.1.9", True),
        ("0.10.0", "0.9.0", True),
        ("1.0", "0.9.9", True),
        ("0.1.0", "0.1.0", False),
        ("0.1", "0.1.0", False),
        ("0.1.0", "0.2.0", False),
        ("0.2.0-beta", "0.1.0", False),
        ("0.2.0", "unknown", False),
    ],
)
def test_versions_are_compared_number_by_number(version: str, than: str, expected: bool) -> None:
    assert expected is is_newer(version, than)


def test_what_has_failed_is_not_wanted_again_until_it_is_another_build() -> None:
    assert is_wanted(OFFER, "0.1.0", [])
    assert not is_wanted(OFFER, "0.1.0", [OFFER.sha256])
    assert is_wanted(replace(OFFER, sha256="cd" * 32), "0.1.0", [OFFER.sha256])
    assert not is_wanted(OFFER, "0.3.0", [])

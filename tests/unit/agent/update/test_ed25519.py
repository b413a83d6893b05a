"""Signatures are verified as RFC 8032 says, and nothing that is only nearly one is taken."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from muster_agent.update.ed25519 import ORDER, is_signed

# RFC 8032, section 7.1: key, message, signature
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
]


@pytest.mark.parametrize(("key", "message", "signature"), VECTORS)
def test_the_vectors_of_the_standard_hold(key: str, message: str, signature: str) -> None:
    assert is_signed(bytes.fromhex(message), bytes.fromhex(signature), bytes.fromhex(key))


@settings(max_examples=20, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200), st.integers(0, 511))
def test_what_another_library_signs_is_signed_until_a_bit_of_it_changes(seed: bytes, message: bytes, bit: int) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = key.public_key().public_bytes_raw(), key.sign(message)
    assert is_signed(message, signature, public)
    changed = bytearray(signature)
    changed[bit // 8] ^= 1 << bit % 8
    assert not is_signed(message, bytes(changed), public)
    assert not is_signed(message + b".", signature, public)
    assert not is_signed(message, signature, Ed25519PrivateKey.generate().public_key().public_bytes_raw())


def test_the_same_scalar_written_another_way_is_no_signature() -> None:
    key = Ed25519PrivateKey.generate()
    signature = key.sign(b"message")
    scalar = int.from_bytes(signature[32:], "little") + ORDER
    other = signature[:32] + scalar.to_bytes(32, "little")
    assert not is_signed(b"message", other, key.public_key().public_bytes_raw())


@pytest.mark.parametrize(("key", "signature"), [(b"", b""), (b"\xff" * 32, b"\0" * 64), (b"\1" * 31, b"\0" * 64)])
def test_what_is_neither_a_key_nor_a_signature_verifies_nothing(key: bytes, signature: bytes) -> None:
    assert not is_signed(b"", signature, key)

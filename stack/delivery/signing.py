"""The key that agents are signed with: made on first use, kept in the data folder, and nowhere else."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from stack.errors import StackError
from stack.folders import write_private


def kept_key(path: Path) -> Ed25519PrivateKey:
    """Return the key in the file (mode 0600), made if there is none; raises `StackError` when it holds no key."""
    try:
        return Ed25519PrivateKey.from_private_bytes(base64.b64decode(path.read_bytes(), validate=False))
    except FileNotFoundError:
        key = Ed25519PrivateKey.generate()
        write_private(path, base64.b64encode(key.private_bytes_raw()).decode() + "\n")
        return key
    except (OSError, ValueError, binascii.Error) as error:
        raise StackError(f"{path} holds no signing key: {error}") from error


def public_text(key: Ed25519PrivateKey) -> str:
    """Return what agents check with, in base64."""
    return base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()

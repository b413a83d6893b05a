"""What the headers of a write ask for: If-Match, Idempotency-Key, Prefer. Pure."""

import re
from hashlib import sha256

import msgspec

from shared.audit import Origin
from shared.errors import Conflict, Malformed
from shared.names import new_id

MAX_KEY_CHARACTERS = 255
MAX_HEADER_CHARACTERS = 1000
"""Of `If-Match` and `Prefer`."""

_TAG = r'(W/)?"[!#-~]*"'
IF_MATCH = rf"(\*|{_TAG}( *, *{_TAG})*)"
"""The form of `If-Match`, as a regular expression (RFC 9110, 13.1.1)."""

_IF_MATCH = re.compile(IF_MATCH)
_STRONG_TAG = re.compile(r'(W/)?"([^"]*)"')
_KEY = re.compile(r"[!-~]+")
_RESPOND_ASYNC = re.compile(r"(^|,)\s*respond-async\s*(;[^,]*)?(,|$)", re.IGNORECASE)


class WriteTerms(msgspec.Struct, frozen=True):
    """Who wants a write, where, and on what terms.

    `versions` are those of the record that the write is good for, None for any. `operation_id` is what the write is
    called in the log; where that comes from a key of the caller's, so that it may have been done before,
    `request_digest` tells the requests with this key apart. `origin` is from where the request came, for the audit log.
    """

    workspace_id: str
    actor: str
    operation_id: str
    versions: frozenset[int] | None = None
    request_digest: str = ""
    respond_async: bool = False
    origin: Origin | None = None

    def require(self, version: int) -> None:
        """Raise Conflict unless the write is good for a record of this version."""
        if self.versions is not None and version not in self.versions:
            raise Conflict(f"the record is at version {version} now")


def etag(version: int) -> str:
    """Return the entity tag of a record at this version."""
    return f'"{version}"'


def read_if_match(header: str | None) -> frozenset[int] | None:
    """Return the versions that `If-Match` lists, None for any; raises Malformed.

    Weak tags never match (RFC 9110, 13.1.1), nor do tags that are not ours.
    """
    if header is None or (header := header.strip()) == "*":
        return None
    if len(header) > MAX_HEADER_CHARACTERS or not _IF_MATCH.fullmatch(header):
        raise Malformed(f'If-Match must be * or entity tags such as "44", in {MAX_HEADER_CHARACTERS} characters')
    tags = (tag for weak, tag in _STRONG_TAG.findall(header) if not weak)
    return frozenset(int(tag) for tag in tags if re.fullmatch(r"[0-9]{1,19}", tag))


def prefers_async(header: str | None) -> bool:
    """Whether `Prefer` asks not to wait for the commit (RFC 7240); raises Malformed for one that is too long."""
    if header is not None and len(header) > MAX_HEADER_CHARACTERS:
        raise Malformed(f"Prefer must have at most {MAX_HEADER_CHARACTERS} characters")
    return header is not None and _RESPOND_ASYNC.search(header) is not None


def operation_id_of(user_id: str, workspace_id: str, key: str | None) -> str:
    """Return the operation id that a caller's `Idempotency-Key` stands for, a new one without; raises Malformed."""
    if key is None:
        return new_id("o")
    if len(key) > MAX_KEY_CHARACTERS or not _KEY.fullmatch(key):
        raise Malformed(f"Idempotency-Key must be 1 to {MAX_KEY_CHARACTERS} visible ASCII characters")
    return sha256(f"{user_id}\n{workspace_id}\n{key}".encode()).hexdigest()


def digest_of_request(method: str, path: str, body: bytes) -> str:
    """Return what tells a request from others with the same key."""
    return sha256(b"\n".join((method.encode(), path.encode("utf-8", "replace"), body))).hexdigest()

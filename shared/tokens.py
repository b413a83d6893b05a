"""Tokens: what they say, and who the caller is that they stand for. Pure: keys and the clock are passed in.

An access token is a JWT (RFC 7519) signed with HS256 whose header names the key; it only leads to a session, which
the adapter looks up, so that revoking the session ends its tokens before they expire. An API token is a random text
that is looked up by its SHA-256.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Literal

import jwt
import msgspec
from jwt.types import Options

from shared.errors import Unauthenticated

ACCESS_TOKEN_LIFETIME = timedelta(minutes=15)
MAX_TOKEN_CHARACTERS = 2048
"""Longer texts are refused unread."""

API_TOKEN_PREFIX = "mt_"  # noqa: S105  (what they begin with)
RELAY_TOKEN_PREFIX = "mr_"  # noqa: S105  (likewise)

Role = Literal["owner", "editor", "viewer"]

Scope = Literal["read", "write", "admin"]
"""What an API token is for; each includes those before it."""

_RANKS: tuple[Role, ...] = ("viewer", "editor", "owner")
_ROLE_OF_SCOPE: Mapping[Scope, Role] = {"read": "viewer", "write": "editor", "admin": "owner"}

_ALGORITHM = "HS256"


class Membership(msgspec.Struct, frozen=True):
    """A workspace that a user may see, and what they may do there."""

    workspace_id: str
    name: str
    role: Role


class Principal(msgspec.Struct, frozen=True):
    """Who makes a request: proven by a token, good until `expires_at`, or without end where that is None.

    `session_id` is the session behind an access token, or the id of an API token.
    """

    user_id: str
    session_id: str
    expires_at: datetime | None
    memberships: tuple[Membership, ...]
    is_admin: bool = False
    """Whether they administer the installation; never so by an API token."""
    is_program: bool = False
    """Whether they came by an API token."""


class Claims(msgspec.Struct, frozen=True):
    """What an access token says: a user, the session that it belongs to, and when it was issued and ends."""

    user_id: str
    session_id: str
    issued_at: datetime
    expires_at: datetime


class SigningKey(msgspec.Struct, frozen=True):
    """A secret of 32 bytes or more; `id` is what the header of a token calls it."""

    id: str
    secret: bytes


class _Payload(msgspec.Struct):
    sub: str
    sid: str
    iat: int
    exp: int


def scoped_role(role: Role, scopes: Collection[Scope]) -> Role:
    """Return what a member of this role may do by an API token of these scopes: never more than either allows."""
    allowed = max((_RANKS.index(_ROLE_OF_SCOPE[scope]) for scope in scopes), default=0)
    return _RANKS[min(_RANKS.index(role), allowed)]


def exceeding_scopes(role: Role, scopes: Collection[Scope]) -> list[Scope]:
    """Return those of the scopes that are for more than a member of this role may do."""
    return [scope for scope in scopes if _RANKS.index(_ROLE_OF_SCOPE[scope]) > _RANKS.index(role)]


def hash_token(token: str) -> bytes:
    """Return what is stored of a random token."""
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def new_claims(user_id: str, session_id: str, now: datetime) -> Claims:
    """Return what a token issued now says."""
    issued_at = now.replace(microsecond=0)
    return Claims(user_id, session_id, issued_at, issued_at + ACCESS_TOKEN_LIFETIME)


def encode_token(claims: Claims, key: SigningKey) -> str:
    """Sign the claims with this key."""
    payload = {
        "sub": claims.user_id,
        "sid": claims.session_id,
        "iat": int(claims.issued_at.timestamp()),
        "exp": int(claims.expires_at.timestamp()),
    }
    return jwt.encode(payload, key.secret, algorithm=_ALGORITHM, headers={"kid": key.id})


def key_id_of(token: str) -> str:
    """Return the id of the key that a token says it is signed with; raises Unauthenticated."""
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise Unauthenticated(f"a token has at most {MAX_TOKEN_CHARACTERS} characters")
    try:
        key_id: Any = jwt.get_unverified_header(token).get("kid")
    except (jwt.InvalidTokenError, ValueError) as error:
        raise Unauthenticated("this is no access token") from error
    if not isinstance(key_id, str):
        raise Unauthenticated("the access token names no key")
    return key_id


def decode_token(token: str, keys: Mapping[str, bytes], now: datetime) -> Claims:
    """Verify a token against `keys` (id → secret) and return what it says; raises Unauthenticated."""
    secret = keys.get(key_id_of(token))
    if secret is None:
        raise Unauthenticated("the access token is signed with an unknown key")
    # the clock is the caller's, so PyJWT checks the signature only
    options: Options = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
    try:
        payload = msgspec.convert(jwt.decode(token, secret, algorithms=[_ALGORITHM], options=options), _Payload)
        claims = Claims(payload.sub, payload.sid, _time(payload.iat, now), _time(payload.exp, now))
    except (jwt.InvalidTokenError, ValueError, OverflowError) as error:
        raise Unauthenticated("the access token is not valid") from error
    if claims.expires_at <= now:
        raise Unauthenticated("the access token has expired", code="token_expired")
    return claims


def _time(seconds: int, now: datetime) -> datetime:
    return datetime.fromtimestamp(seconds, now.tzinfo)

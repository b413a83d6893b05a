"""Access tokens say who the caller is, to nobody but those who hold the key, and not for longer than they should."""

from datetime import UTC, datetime, timedelta

import jwt
import pytest

from shared.errors import Unauthenticated
from shared.tokens import (
    ACCESS_TOKEN_LIFETIME,
    MAX_TOKEN_CHARACTERS,
    Role,
    Scope,
    SigningKey,
    decode_token,
    encode_token,
    exceeding_scopes,
    key_id_of,
    new_claims,
    scoped_role,
)

NOW = datetime(2030, 1, 1, 12, 0, 0, 250_000, UTC)
KEY = SigningKey("k_1", b"1" * 32)
OTHER_KEY = SigningKey("k_2", b"2" * 32)
KEYS = {KEY.id: KEY.secret}
TOKEN = encode_token(new_claims("u_1", "x_1", NOW), KEY)


def signed(payload: dict[str, object], **headers: object) -> str:
    return jwt.encode(payload, KEY.secret, algorithm="HS256", headers={"kid": KEY.id, **headers})


def test_a_token_says_who_and_until_when() -> None:
    claims = decode_token(TOKEN, KEYS, NOW)
    assert ("u_1", "x_1") == (claims.user_id, claims.session_id)
    assert NOW.replace(microsecond=0) + ACCESS_TOKEN_LIFETIME == claims.expires_at


def test_a_token_names_its_key() -> None:
    assert "k_1" == key_id_of(TOKEN)


def test_an_expired_token_is_refused_with_a_code_of_its_own() -> None:
    with pytest.raises(Unauthenticated) as refused:
        decode_token(TOKEN, KEYS, NOW + ACCESS_TOKEN_LIFETIME)
    assert "token_expired" == refused.value.code


def test_a_token_is_good_until_its_last_second() -> None:
    assert "u_1" == decode_token(TOKEN, KEYS, NOW + ACCESS_TOKEN_LIFETIME - timedelta(seconds=1)).user_id


def test_a_token_signed_with_another_key_of_the_same_name_is_refused() -> None:
    forged = encode_token(new_claims("u_1", "x_1", NOW), SigningKey(KEY.id, OTHER_KEY.secret))
    with pytest.raises(Unauthenticated):
        decode_token(forged, KEYS, NOW)


def test_a_token_signed_with_an_unknown_key_is_refused() -> None:
    with pytest.raises(Unauthenticated):
        decode_token(encode_token(new_claims("u_1", "x_1", NOW), OTHER_KEY), KEYS, NOW)


def test_an_unsigned_token_is_refused() -> None:
    payload = {"sub": "u_1", "sid": "x_1", "iat": 0, "exp": 4_000_000_000}
    unsigned = jwt.encode(payload, "", algorithm="none", headers={"kid": KEY.id})
    with pytest.raises(Unauthenticated):
        decode_token(unsigned, KEYS, NOW)


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"sub": "u_1", "sid": "x_1", "iat": 0},
        {"sub": "u_1", "iat": 0, "exp": 4_000_000_000},
        {"sub": "u_1", "sid": 7, "iat": 0, "exp": 4_000_000_000},
        {"sub": "u_1", "sid": "x_1", "iat": 0, "exp": "later"},
        {"sub": "u_1", "sid": "x_1", "iat": 0, "exp": 10**30},
    ],
)
def test_a_token_that_says_too_little_or_nonsense_is_refused(payload: dict[str, object]) -> None:
    with pytest.raises(Unauthenticated):
        decode_token(signed(payload), KEYS, NOW)


@pytest.mark.parametrize("text", ["", "abc", "a.b.c", "....", "\ud800", "é.é.é", "x" * (MAX_TOKEN_CHARACTERS + 1)])
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(Unauthenticated):
        decode_token(text, KEYS, NOW)


@pytest.mark.parametrize("key_id", [None, 5, {}, []])
def test_a_token_whose_key_has_no_name_is_refused(key_id: object) -> None:
    payload = {"sub": "u_1", "sid": "x_1", "iat": 0, "exp": 4_000_000_000}
    header = jwt.utils.base64url_encode(b'{"alg":"HS256","kid":' + repr(key_id).replace("None", "null").encode() + b"}")
    _, body, signature = signed(payload).split(".")
    with pytest.raises(Unauthenticated):
        decode_token(f"{header.decode()}.{body}.{signature}", KEYS, NOW)


@pytest.mark.parametrize(
    ("role", "scopes", "left"),
    [
        ("owner", ("read",), "viewer"),
        ("owner", ("read", "write"), "editor"),
        ("owner", ("admin",), "owner"),
        ("editor", ("admin",), "editor"),
        ("viewer", ("write",), "viewer"),
        ("viewer", ("read",), "viewer"),
        ("owner", (), "viewer"),
    ],
)
def test_scopes_leave_no_more_of_a_role_than_both_allow(role: Role, scopes: tuple[Scope, ...], left: Role) -> None:
    assert left == scoped_role(role, scopes)


def test_scopes_that_exceed_a_role_are_named() -> None:
    everything: tuple[Scope, ...] = ("read", "write", "admin")
    roles: tuple[Role, ...] = ("viewer", "editor", "owner")
    assert [["write", "admin"], ["admin"], []] == [exceeding_scopes(role, everything) for role in roles]

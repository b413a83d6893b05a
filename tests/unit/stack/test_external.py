"""Servers that somebody else runs."""

from __future__ import annotations

import pytest

from stack import external
from stack.errors import StackError
from stack.ports import LoopbackPorts


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:pa55@cache.example:6380/0", "cache.example:6380"),
        ("postgresql://user:pa55@db.example/muster?sslmode=require", "db.example"),
        ("redis://[2001:db8::1]:6379", "2001:db8::1:6379"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    assert external.shown_address("REDIS_URL", url) == shown


@pytest.mark.parametrize("url", ["", "cache", "redis://", "redis://user:pa#55@cache", "redis://[::1", "redis://c:port"])
def test_what_is_no_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(StackError) as raised:
        external.shown_address("REDIS_URL", url)
    assert str(raised.value).startswith("REDIS_URL is not the URL of a server")
    assert "pa" not in str(raised.value).replace("password", "")


async def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    port = LoopbackPorts().take()
    with pytest.raises(StackError, match=f"REDIS_URL: the server 127.0.0.1:{port} does not let us in") as redis:
        await external.require_redis(f"redis://:pa55@127.0.0.1:{port}")
    with pytest.raises(StackError, match=f"DATABASE_URL: the server 127.0.0.1:{port} does not let us in") as postgres:
        await external.require_postgres(f"postgresql://user:pa55@127.0.0.1:{port}/muster")
    assert "pa55" not in f"{redis.value} {postgres.value}"


async def test_another_kind_of_url_is_refused() -> None:
    with pytest.raises(StackError, match=r"REDIS_URL: the server 127\.0\.0\.1 does not let us in"):
        await external.require_redis("http://127.0.0.1")
    with pytest.raises(StackError, match=r"DATABASE_URL: the server 127\.0\.0\.1 does not let us in"):
        await external.require_postgres("mysql://127.0.0.1/muster")

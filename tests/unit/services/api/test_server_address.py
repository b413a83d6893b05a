"""Only what can be an address gets into a script that is run as root."""

from __future__ import annotations

import pytest

from services.api.server_address import server_address
from shared.io.problem import HttpError


@pytest.mark.parametrize(
    "host", ["muster.example.org", "muster.example.org:8443", "127.0.0.1:8000", "[::1]:8000", "box", "muster_api:8000"]
)
def test_the_address_is_the_one_that_was_asked(host: str) -> None:
    assert f"http://{host}" == server_address("", host, None, "http")
    assert f"https://{host}" == server_address("", host, "https", "http")


def test_the_public_address_wins() -> None:
    assert "https://muster.example.org" == server_address("https://muster.example.org/", "evil.example", None, "http")


def test_a_scheme_that_is_none_is_http() -> None:
    assert "http://box" == server_address("", "box", "javascript", "http")


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "a b",
        "a'; rm -rf /; '",
        "$(reboot)",
        "`reboot`",
        "a\nb",
        "user@box",
        "box/path",
        "box:",
        "-box",
        "x" * 300,
    ],
)
def test_a_host_that_is_no_address_is_refused(host: str | None) -> None:
    with pytest.raises(HttpError) as refused:
        server_address("", host, None, "http")
    assert 400 == refused.value.status

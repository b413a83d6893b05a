"""From the address that a person knows to those that the Python client uses."""

from __future__ import annotations

import pytest

from muster_client.addresses import http_url, is_loopback, sync_url


@pytest.mark.parametrize(
    ("given", "sync", "http"),
    [
        ("http://localhost:8000", "ws://localhost:8000/ws", "http://localhost:8000/x"),
        ("https://m.example/", "wss://m.example/ws", "https://m.example/x"),
        ("wss://m.example/ws", "wss://m.example/ws", "https://m.example/x"),
        ("https://example.org/muster", "wss://example.org/muster/ws", "https://example.org/muster/x"),
        ("ws://[::1]:80/muster/ws/", "ws://[::1]:80/muster/ws", "http://[::1]:80/muster/x"),
    ],
)
def test_one_address_is_enough(given: str, sync: str, http: str) -> None:
    assert (sync, http) == (sync_url(given), http_url(given, "/x"))


@pytest.mark.parametrize("wrong", ["", "localhost:8000", "ftp://m.example", "http://", "http://m.example:port"])
def test_what_is_no_address_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        sync_url(wrong)


def test_this_machine_is_known() -> None:
    ours = ["http://localhost:1", "ws://127.0.0.9/ws", "http://[::1]:8000", "http://m.localhost"]
    assert [True] * 4 == [is_loopback(url) for url in ours]
    assert not any(is_loopback(url) for url in ("https://m.example", "http://10.0.0.1", "http://localhost.example"))

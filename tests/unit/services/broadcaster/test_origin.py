"""Which web pages may connect."""

from __future__ import annotations

import pytest

from services.broadcaster.origin import is_allowed_origin, normal_origin


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("https://Example.org", "https://example.org"),
        ("https://example.org:443", "https://example.org"),
        ("http://example.org:80", "http://example.org"),
        ("http://example.org:443", "http://example.org:443"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("null", ""),
        ("", ""),
        ("file://", ""),
        ("example.org", ""),
        ("https://example.org/path", ""),
        ("https://user@example.org", ""),
        ("https://example.org:port", ""),
        ("chrome-extension://abc", ""),
    ],
)
def test_origins_have_one_form(text: str, normal: str) -> None:
    assert normal == normal_origin(text)


@pytest.mark.parametrize(
    ("origin", "host", "is_allowed"),
    [
        (None, "localhost:8000", True),
        ("http://localhost:8000", "localhost:8000", True),
        ("http://LOCALHOST:8000", "localhost:8000", True),
        ("https://example.org", "example.org", True),
        ("https://example.org", "example.org:443", True),
        ("http://localhost:8000", "localhost:8001", False),
        ("http://example.org", "example.org:443", False),
        ("https://evil.example", "example.org", False),
        ("https://example.org.evil.example", "example.org", False),
        ("https://partner.example", "example.org", True),
        ("http://partner.example", "example.org", False),
        ("null", "example.org", False),
        ("null", "", False),
        ("", "", False),
        ("https://example.org", "example.org/../evil", False),
    ],
)
def test_pages_of_the_own_and_of_listed_origins_may_connect(origin: str | None, host: str, is_allowed: bool) -> None:
    assert is_allowed is is_allowed_origin(origin, host, {"https://partner.example"})

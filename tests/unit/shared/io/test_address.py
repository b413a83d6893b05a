"""Attempts are counted for the address that they come from, and a header cannot choose it."""

import pytest

from shared.io.address import address_of, full_address_of


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "address"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("127.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("127.0.0.1", "203.0.113.9, 192.0.2.1", "192.0.2.1"),
        ("192.0.2.1", "nonsense", "192.0.2.1"),
        ("192.0.2.1", "203.0.113.9, ", "192.0.2.1"),
        ("", None, "unknown"),
        ("2001:db8:1:2:3:4:5:6", None, "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", None, "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", None, "192.0.2.1"),
    ],
)
def test_the_last_hop_counts(peer: str, forwarded_for: str | None, address: str) -> None:
    assert address == address_of(peer, forwarded_for)


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "address"),
    [
        ("127.0.0.1", "203.0.113.9, 192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", None, "2001:db8:1:2:3:4:5:6"),
        ("127.0.0.1", "2001:DB8:0::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", None, "192.0.2.1"),
        ("fe80::1%eth0", None, "fe80::1"),
        ("", "not an address", "unknown"),
    ],
)
def test_the_audit_log_gets_the_whole_address(peer: str, forwarded_for: str | None, address: str) -> None:
    assert address == full_address_of(peer, forwarded_for)

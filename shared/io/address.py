"""From where a request comes: for the audit log, and whom a bound on attempts counts. Pure."""

import ipaddress

_IPV6_SITE_BITS = 64


def address_of(peer: str, forwarded_for: str | None) -> str:
    """Return whom to count for a request: its address, of IPv6 the site."""
    text = full_address_of(peer, forwarded_for)
    return str(ipaddress.ip_network((text, _IPV6_SITE_BITS), strict=False)) if ":" in text else text


def full_address_of(peer: str, forwarded_for: str | None) -> str:
    """Return the address that a request comes from.

    `forwarded_for` is trusted for its last hop only, which the proxy in front of us has added.
    """
    last_hop = (forwarded_for or "").rpartition(",")[2].strip()
    for text in (last_hop, peer):
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        if isinstance(address, ipaddress.IPv6Address):
            # a zone, as in fe80::1%eth0, means nothing outside of the machine
            return str(address.ipv4_mapped or ipaddress.IPv6Address(int(address)))
        return str(address)
    return "unknown"

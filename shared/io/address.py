"""From where a request comes: whom a bound on attempts counts. Pure."""

import ipaddress

_IPV6_SITE_BITS = 64


def address_of(peer: str, forwarded_for: str | None) -> str:
    """Return whom to count for a request: its address, of IPv6 the site.

    `forwarded_for` is trusted for its last hop only, which the proxy in front of us has added.
    """
    last_hop = (forwarded_for or "").rpartition(",")[2].strip()
    for text in (last_hop, peer):
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        if isinstance(address, ipaddress.IPv6Address):
            mapped = address.ipv4_mapped
            return str(mapped or ipaddress.ip_network((int(address), _IPV6_SITE_BITS), strict=False))
        return str(address)
    return "unknown"

"""How many TCP connections and UDP sockets are open."""

from __future__ import annotations

from pathlib import Path

import psutil

KERNEL_NETWORK = Path("/proc/net")


def connections(kernel_network: Path = KERNEL_NETWORK) -> dict[str, object]:
    """Give `tcp_connections` and `udp_connections`.

    A TCP connection counts while it is established or waits for this side to close (tcpCurrEstab of RFC 4022); a UDP
    socket while it is open. On Linux both are the kernel's own totals over IPv4 and IPv6, which cost the same however
    many there are; elsewhere they are counted, where this user may.
    """
    if (kernel_network / "snmp").exists():
        return {"tcp_connections": _kernel_tcp(kernel_network), "udp_connections": _kernel_udp(kernel_network)}
    try:
        return _counted()
    except psutil.AccessDenied:
        return {}


def _counted() -> dict[str, object]:
    tcp = [each.status for each in psutil.net_connections("tcp")]
    return {
        "tcp_connections": tcp.count(psutil.CONN_ESTABLISHED) + tcp.count(psutil.CONN_CLOSE_WAIT),
        "udp_connections": len(psutil.net_connections("udp")),
    }


def _kernel_tcp(kernel_network: Path) -> int | None:
    """Read a pair of lines that begin with `Tcp:`: names, then values."""
    lines = (kernel_network / "snmp").read_text(encoding="ascii").splitlines()
    rows = [line.split() for line in lines if line.startswith("Tcp:")]
    return int(rows[1][rows[0].index("CurrEstab")]) if rows else None


def _kernel_udp(kernel_network: Path) -> int | None:
    """Read the numbers after `inuse` in the lines `UDP:` and `UDP6:`."""
    counts: list[int] = []
    for name in ("sockstat", "sockstat6"):
        file = kernel_network / name
        # A kernel without IPv6 has no second one.
        lines = file.read_text(encoding="ascii").splitlines() if file.exists() else []
        rows = [line.split() for line in lines if line.startswith(("UDP:", "UDP6:"))]
        counts += [int(row[row.index("inuse") + 1]) for row in rows]
    return sum(counts) if counts else None

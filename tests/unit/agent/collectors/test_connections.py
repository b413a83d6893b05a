"""Open connections."""

from __future__ import annotations

import socket
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from muster_agent.collectors.connections import connections

SNMP = """\
Ip: Forwarding DefaultTTL
Ip: 2 64
Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs
Tcp: 1 200 120000 -1 121 2 0 0 17 21430
Udp: InDatagrams
Udp: 5
"""
SOCKSTAT = "sockets: used 11\nTCP: inuse 99 orphan 0 tw 0 alloc 1 mem 150\nUDP: inuse 4 mem 0\nUDPLITE: inuse 50\n"
SOCKSTAT6 = "TCP6: inuse 99\nUDP6: inuse 3\nUDPLITE6: inuse 50\n"


def test_the_kernels_totals_are_used(tmp_path: Path) -> None:
    (tmp_path / "snmp").write_text(SNMP, encoding="ascii")
    (tmp_path / "sockstat").write_text(SOCKSTAT, encoding="ascii")
    (tmp_path / "sockstat6").write_text(SOCKSTAT6, encoding="ascii")
    assert {"tcp_connections": 17, "udp_connections": 7} == connections(tmp_path)


def test_a_kernel_without_ipv6_is_fine(tmp_path: Path) -> None:
    (tmp_path / "snmp").write_text(SNMP, encoding="ascii")
    (tmp_path / "sockstat").write_text(SOCKSTAT, encoding="ascii")
    assert {"tcp_connections": 17, "udp_connections": 4} == connections(tmp_path)


def test_elsewhere_sockets_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sockets = {
        "tcp": [SimpleNamespace(status=status) for status in ("ESTABLISHED", "LISTEN", "CLOSE_WAIT", "TIME_WAIT")],
        "udp": [SimpleNamespace(status="NONE")],
    }
    monkeypatch.setattr(psutil, "net_connections", sockets.__getitem__)
    assert {"tcp_connections": 2, "udp_connections": 1} == connections(tmp_path)


@pytest.mark.skipif(not Path("/proc/net/snmp").exists(), reason="only Linux has these totals")
def test_a_new_connection_is_counted() -> None:
    before = connections()["tcp_connections"]
    assert isinstance(before, int)
    # Others come and go meanwhile: many of ours stand out.
    with socket.create_server(("127.0.0.1", 0)) as server:
        opened = [socket.create_connection(server.getsockname()) for _ in range(50)]
        after = connections()["tcp_connections"]
        for each in opened:
            each.close()
    assert isinstance(after, int)
    assert after >= before + 50

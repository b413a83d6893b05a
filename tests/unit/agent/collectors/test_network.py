"""What the network interfaces carry."""

from __future__ import annotations

from pathlib import Path

import psutil

from muster_agent.collectors.network import (
    InterfaceCounters,
    NetworkCollector,
    carried_interfaces,
    counted_interfaces,
    read_interface_counters,
)


def test_totals_and_rates_are_added_up_over_the_interfaces() -> None:
    readings = iter(
        [
            {"eth0": InterfaceCounters(1000, 0), "eth1": InterfaceCounters(0, 0)},
            {"eth0": InterfaceCounters(3000, 100), "eth1": InterfaceCounters(500, 0)},
        ]
    )
    collector = NetworkCollector(lambda: next(readings))
    first = collector.collect(10.0)
    assert (1000, None) == (first["net_rx_total"], first["net_rx_rate"])
    assert {
        "net_rx_total": 3500,
        "net_tx_total": 100,
        "net_rx_rate": 1250.0,
        "net_tx_rate": 50.0,
        "interfaces": [
            {"name": "eth0", "rx_total": 3000, "tx_total": 100, "rx_rate": 1000.0, "tx_rate": 50.0},
            {"name": "eth1", "rx_total": 500, "tx_total": 0, "rx_rate": 250.0, "tx_rate": 0.0},
        ],
    } == collector.collect(12.0)


def test_a_machine_without_a_network_has_no_fields() -> None:
    assert {} == NetworkCollector(dict).collect(10.0)


def test_a_counter_that_starts_anew_gives_no_rate_of_its_own() -> None:
    readings = iter([{"eth0": InterfaceCounters(5000, 0)}, {"eth0": InterfaceCounters(10, 20)}])
    collector = NetworkCollector(lambda: next(readings))
    collector.collect(10.0)
    fields = collector.collect(11.0)
    assert (None, 20.0) == (fields["net_rx_rate"], fields["net_tx_rate"])


def test_an_interface_that_vanishes_and_returns_spoils_nothing() -> None:
    both = {"eth0": InterfaceCounters(100, 0), "usb0": InterfaceCounters(10**9, 0)}
    readings = iter([both, {"eth0": InterfaceCounters(300, 0)}, {**both, "eth0": InterfaceCounters(400, 0)}])
    collector = NetworkCollector(lambda: next(readings))
    rates = [collector.collect(now_s)["net_rx_rate"] for now_s in (10.0, 11.0, 12.0)]
    assert [None, 200.0, 100.0] == rates


def test_only_interfaces_of_devices_count(tmp_path: Path) -> None:
    names = ["lo", "eth0", "docker0", "veth12", "bond0", "wlan0"]
    for name in names:
        (tmp_path / name).mkdir()
    for name in ("eth0", "wlan0"):
        (tmp_path / name / "device").mkdir()
    assert ["eth0", "wlan0"] == counted_interfaces(names, tmp_path)


def test_in_a_container_all_but_the_virtual_ones_count(tmp_path: Path) -> None:
    assert ["eth0", "venet0"] == counted_interfaces(["lo", "eth0", "venet0", "docker0", "br-1f"], tmp_path)


def test_where_all_are_virtual_all_but_the_loopback_count(tmp_path: Path) -> None:
    assert ["docker0", "tun0"] == counted_interfaces(["lo", "tun0", "docker0"], tmp_path)


def test_this_machines_interfaces_can_be_read() -> None:
    assert read_interface_counters().keys() <= psutil.net_io_counters(pernic=True).keys()


def test_what_is_lent_of_a_card_counts_with_the_device_that_leads_it(tmp_path: Path) -> None:
    for name in ("eth0", "enP1", "bond0", "eth1"):
        (tmp_path / name).mkdir()
    for name in ("eth0", "enP1", "eth1"):
        (tmp_path / name / "device").mkdir()
    (tmp_path / "enP1" / "master").symlink_to("../eth0")
    (tmp_path / "eth1" / "master").symlink_to("../bond0")
    assert ["eth0", "eth1"] == counted_interfaces(["eth0", "enP1", "bond0", "eth1"], tmp_path)


def test_bridges_bonds_and_vlans_are_carried_by_the_cards_below_them(tmp_path: Path) -> None:
    for name in ("eno1", "bond0/lower_eno1", "vmbr0/lower_bond0", "vmbr0/lower_tap1", "vmbr0.5/lower_vmbr0", "tap1"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "docker0/lower_veth7").mkdir(parents=True)
    names = ["lo", "eno1", "bond0", "vmbr0", "vmbr0.5", "docker0", "tap1"]
    assert ["bond0", "vmbr0", "vmbr0.5"] == carried_interfaces(names, ["eno1"], tmp_path)
    assert [] == carried_interfaces(names, ["en0"], tmp_path / "no Linux")

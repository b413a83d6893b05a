"""Ports for programs that are started again."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from stack.ports import HIGHEST_PORT, LOWEST_PORT, LoopbackPorts, candidate_ports, is_free


def test_ports_that_the_kernel_lends_to_connections_are_left_alone() -> None:
    candidates = candidate_ports((32_768, 60_999))
    assert not set(candidates) & set(range(32_768, 61_000))
    assert (min(candidates), max(candidates)) == (LOWEST_PORT, HIGHEST_PORT)


def test_a_kernel_that_lends_every_port_leaves_all_of_them_to_us() -> None:
    assert len(candidate_ports((1, 65_535))) == HIGHEST_PORT - LOWEST_PORT + 1


def test_a_port_with_a_listener_is_not_free() -> None:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert not is_free("127.0.0.1", listener.getsockname()[1])


def test_no_port_is_handed_out_twice() -> None:
    ports = LoopbackPorts()
    taken = [ports.take() for _ in range(50)]
    assert len(set(taken)) == 50


def test_running_out_of_ports_is_an_error() -> None:
    ports = LoopbackPorts()
    ports._candidates.clear()
    with pytest.raises(OSError, match="no free port"):
        ports.take()

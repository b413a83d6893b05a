"""The one address of Muster."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from stack.errors import StackError
from stack.origin import choose_origin, require_free


@pytest.mark.parametrize(
    ("host", "ipv6", "addresses", "public_url", "local_url"),
    [
        ("127.0.0.1", True, ["127.0.0.1:80", "[::1]:80"], "http://localhost:80", "http://127.0.0.1:80"),
        ("localhost", False, ["127.0.0.1:80"], "http://localhost:80", "http://127.0.0.1:80"),
        ("0.0.0.0", True, [":80"], "http://localhost:80", "http://127.0.0.1:80"),  # noqa: S104 - nothing is bound
        ("192.0.2.7", True, ["192.0.2.7:80"], "http://192.0.2.7:80", "http://192.0.2.7:80"),
        ("2001:db8::7", True, ["[2001:db8::7]:80"], "http://[2001:db8::7]:80", "http://[2001:db8::7]:80"),
    ],
)
def test_where_caddy_listens_and_what_people_open(
    host: str, *, ipv6: bool, addresses: list[str], public_url: str, local_url: str
) -> None:
    origin = choose_origin(host, 80, has_ipv6_loopback=ipv6)
    assert list(origin.addresses) == addresses
    assert (origin.public_url, origin.local_url) == (public_url, local_url)


def test_a_taken_port_is_named_with_the_way_out() -> None:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(StackError, match=f"port {port} is taken: choose another one with --port"):
            require_free(choose_origin("127.0.0.1", port, has_ipv6_loopback=False))
        with pytest.raises(StackError, match=f"port {port} is taken"):
            require_free(choose_origin("0.0.0.0", port, has_ipv6_loopback=False))  # noqa: S104 - that is what is tried


def test_an_address_that_the_machine_does_not_have_is_named() -> None:
    with pytest.raises(StackError, match=r"this machine has no address 192\.0\.2\.7"):
        require_free(choose_origin("192.0.2.7", 18_000, has_ipv6_loopback=False))

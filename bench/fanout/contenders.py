"""The peers that send the same to as many clients: the floor, bare loops, frameworks, and other realtime servers."""

import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec

from bench.fanout.dialects import Plan
from bench.fanout.peers import install
from bench.fanout.process import Server, pinned
from bench.fanout.stage import Stage

NO_COMPILER = "there is no C compiler: the floor is a loop of write() in Python"
SHORTEST_BYTES = 150
"""No bookmark, and nothing else that is no change, is as long."""

_PEERS = Path(install.__file__).parent

Feed = Callable[[], Awaitable[object]]


class Contender(msgspec.Struct, frozen=True):
    """A server that is up, how its clients come to it, and how it is made to send to each of them."""

    name: str
    server: Server
    plan: Plan
    feed: Feed


class Peers:
    """Starts peers that send payloads of `payload_bytes` to `clients` clients; they end with `stack`."""

    def __init__(self, stage: Stage, stack: ExitStack, *, clients: int, payload_bytes: int) -> None:
        self._stage = stage
        self._stack = stack
        self._clients = clients
        self._payload_bytes = payload_bytes

    def floor(self) -> Contender:
        """Return the loop of write(): in C, or in Python where there is no compiler."""
        program = install.floor()
        return self._start("floor", "raw", *([program] if program else self._module("looped", "floor")))

    def uvloop(self) -> Contender:
        """Return the event loop that writes one ready frame to every transport."""
        return self._start("uvloop", "raw", *self._module("looped", "uvloop"))

    def uvicorn(self) -> Contender:
        """Return the plain ASGI application."""
        return self._start("uvicorn", "plain", *self._module("asgi", "uvicorn"))

    def litestar(self) -> Contender:
        """Return the plain Litestar application."""
        return self._start("litestar", "plain", *self._module("asgi", "litestar"))

    def socketio(self) -> Contender:
        """Return Socket.IO with its Redis Streams adapter; raises Missing."""
        command = (install.node(), str(_PEERS / "socketio.js"))
        return self._start("socket.io", "socketio", *command, path="/socket.io/?EIO=4&transport=websocket")

    def nats(self, *, messages: int = 1) -> Contender:
        """Return the NATS server, which is given so many messages at a time; raises Missing."""
        program = install.nats_server()
        plan, plain_port = self._plan("nats", "nats", "/"), self._stage.ports.take()
        settings = self._stage.folder / "nats.conf"
        settings.write_text(
            f'listen: "127.0.0.1:{plain_port}"\nping_interval: "1h"\n'
            f'websocket {{ listen: "127.0.0.1:{plan.port}", no_tls: true, compression: false }}\n'
        )
        command = [program, "--config", str(settings), "--log", "/dev/null"]
        server = self._stack.enter_context(pinned(command, plan.port, {}))
        server.until_ready()
        publisher = self._stack.enter_context(socket.create_connection(("127.0.0.1", plain_port)))
        publisher.sendall(b'CONNECT {"verbose":false,"pedantic":false}\r\n')
        data = b"y" * (self._payload_bytes - len("MSG bench 1 196\r\n\r\n"))
        batch = b"PUB bench %d\r\n%b\r\n" % (len(data), data) * messages

        async def feed() -> None:
            publisher.sendall(batch)

        return Contender(plan.group, server, plan, feed)

    def _module(self, name: str, kind: str) -> list[str]:
        return [sys.executable, "-m", f"bench.fanout.peers.{name}", kind]

    def _plan(self, name: str, dialect: str, path: str) -> Plan:
        return Plan(
            group=name,
            dialect=dialect,
            port=self._stage.ports.take(),
            count=self._clients,
            shortest=SHORTEST_BYTES,
            path=path,
        )

    def _start(self, name: str, dialect: str, *command: str, path: str = "/") -> Contender:
        plan = self._plan(name, dialect, path)
        whole = [*command, str(self._payload_bytes)]
        server = self._stack.enter_context(pinned(whole, plan.port, {"REDIS_URL": self._stage.valkey_url}))
        server.until_ready()

        async def feed() -> None:
            server.trigger()

        return Contender(name, server, plan, feed)

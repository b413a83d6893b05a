"""The process of the clients: thousands of raw sockets behind one epoll, which read and count, and little else."""

import heapq
import random
import re
import select
import socket
import time
from multiprocessing.connection import Connection

import msgspec

from bench.fanout.dialects import DIALECTS, Client, Plan, Refused
from bench.fanout.wire import PING, Skimmer, pong, take_frames

_READ_BYTES = 1 << 18
_EVENTS = 1024
_PAUSE_S = 0.5  # before a client that was refused comes again, on average
_WHY_CHARACTERS = 60
_SENT_NS = re.compile(rb'"sent_ns":(\d+)')
_CLIENTS_OF_AN_ADDRESS = 20_000  # fewer than an address has ports


class Opened(msgspec.Struct, frozen=True):
    """All connections of a plan are live: the time that it took, and how often one was refused, by why."""

    took_s: float
    refusals: dict[str, int]


class Counts(msgspec.Struct, frozen=True):
    """What the live connections of a group have got, and how many the server has ended."""

    frames: int
    size_bytes: int
    lost: int


class _Socket:
    """One connection; `client` is None once it is live."""

    __slots__ = ("client", "data", "group", "is_open", "number", "skimmer", "socket")

    def __init__(self, group: "_Group", number: int) -> None:
        self.group = group
        self.number = number
        self.client: Client | None = DIALECTS[group.plan.dialect](group.plan, number)
        self.data = bytearray()
        self.skimmer = Skimmer(group.plan.shortest)
        self.is_open = False
        self.socket = socket.socket()
        self.socket.settimeout(0)
        if number >= _CLIENTS_OF_AN_ADDRESS:
            self.socket.bind((f"127.0.0.{1 + number // _CLIENTS_OF_AN_ADDRESS}", 0))
        self.socket.connect_ex(("127.0.0.1", group.plan.port))


class _Group:
    """The connections of one plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.began_s = time.monotonic()
        self.next = 0
        self.live = 0
        self.lost = 0
        self.size_bytes = 0
        self.refusals: dict[str, int] = {}
        self.late: list[tuple[float, int]] = []
        self.latencies_s: list[float] = []
        self.sockets: dict[int, _Socket] = {}
        self.opened: Opened | None = None


class Crowd:
    """Runs the plans that come over `commands` until that is closed."""

    def __init__(self, commands: Connection) -> None:
        self._commands = commands
        self._epoll = select.epoll()
        self._epoll.register(commands.fileno(), select.EPOLLIN)
        self._sockets: dict[int, _Socket] = {}
        self._groups: dict[str, _Group] = {}
        self._opening: _Group | None = None
        self._buffer = bytearray(_READ_BYTES)

    def run(self) -> None:
        """Serve until the other end is gone."""
        command = self._commands.fileno()
        while True:
            for descriptor, events in self._epoll.poll(0.05 if self._opening else 1.0, _EVENTS):
                if descriptor == command:
                    try:
                        self._obey(*self._commands.recv())
                    except EOFError:
                        return
                elif (one := self._sockets.get(descriptor)) is not None:
                    self._attend(one, events)
            if self._opening is not None:
                self._open_more(self._opening)

    def _obey(self, what: str, argument: object) -> None:
        if isinstance(argument, Plan):
            self._opening = self._groups[argument.group] = _Group(argument)
            return
        group = self._groups[str(argument)]
        if what == "counts":
            frames = sum(one.skimmer.frames for one in group.sockets.values())
            self._commands.send(Counts(frames, group.size_bytes, group.lost))
        elif what == "latencies":
            self._commands.send(group.latencies_s)
            group.latencies_s = []
        else:
            for one in list(group.sockets.values()):
                self._drop(one)
            del self._groups[group.plan.group]
            self._commands.send(None)

    def _open_more(self, group: _Group) -> None:
        plan, now = group.plan, time.monotonic()
        while group.next < plan.count and len(group.sockets) - group.live < plan.at_once:
            self._connect(group, group.next)
            group.next += 1
        while group.late and group.late[0][0] <= now:
            self._connect(group, heapq.heappop(group.late)[1])
        if group.live == plan.count:
            self._opening = None
            self._commands.send(Opened(now - group.began_s, group.refusals))

    def _connect(self, group: _Group, number: int) -> None:
        one = _Socket(group, number)
        descriptor = one.socket.fileno()
        self._sockets[descriptor] = group.sockets[descriptor] = one
        self._epoll.register(descriptor, select.EPOLLIN | select.EPOLLOUT)

    def _attend(self, one: _Socket, events: int) -> None:
        try:
            if not one.is_open and events & select.EPOLLOUT and one.client is not None:
                one.is_open = True
                self._epoll.modify(one.socket.fileno(), select.EPOLLIN)
                one.socket.send(one.client.greeting)
            if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                self._read(one)
        except BlockingIOError:
            pass
        except (OSError, Refused) as error:
            self._lose(one, error)

    def _read(self, one: _Socket) -> None:
        buffer = self._buffer
        size = one.socket.recv_into(buffer)
        if not size:
            raise ConnectionError("ended by the server")
        if one.client is None:
            one.group.size_bytes += size
            self._take_in(one, buffer, size)
            return
        one.data += memoryview(buffer)[:size]
        answer = one.client.receive(one.data)
        if answer:
            one.socket.send(answer)
        if one.client.is_live:
            one.client = None
            one.group.live += 1
            rest, one.data = one.data, bytearray()
            self._take_in(one, rest, len(rest))

    def _take_in(self, one: _Socket, data: bytearray, size: int) -> None:
        if one.group.plan.timed:
            arrived_ns = time.monotonic_ns()
            one.data += memoryview(data)[:size]
            for opcode, payload in take_frames(one.data):
                if opcode == PING:
                    one.socket.send(pong(payload))
                one.skimmer.frames += len(payload) >= one.skimmer.shortest
                one.group.latencies_s += [(arrived_ns - int(sent)) / 1e9 for sent in _SENT_NS.findall(payload)]
            return
        for opcode, payload in one.skimmer.skim(data, size):
            if opcode == PING:
                one.socket.send(pong(payload))

    def _lose(self, one: _Socket, error: Exception) -> None:
        group = one.group
        self._drop(one)
        if one.client is None:
            group.lost += 1
            group.live -= 1
            return
        why = str(error)[:_WHY_CHARACTERS]
        group.refusals[why] = group.refusals.get(why, 0) + 1
        heapq.heappush(group.late, (time.monotonic() + random.uniform(0, 2 * _PAUSE_S), one.number))

    def _drop(self, one: _Socket) -> None:
        descriptor = one.socket.fileno()
        self._sockets.pop(descriptor, None)
        one.group.sockets.pop(descriptor, None)
        one.socket.close()


def serve(commands: Connection) -> None:
    """Be the crowd; the entry of its process."""
    Crowd(commands).run()

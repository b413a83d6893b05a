"""Prints the changes of a topic as they happen: `muster watch`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from muster_client import (
    Change,
    ConnectionEvent,
    Delivery,
    Disconnected,
    MusterClient,
    MusterError,
    MustRefetch,
    Position,
    Watch,
)
from stack.errors import StackError
from stack.running import local_url
from stack.sign_in import token_source

ACTION_WIDTH = 8
# what a terminal may take for a command; JSON escapes only the first of these
_CONTROLS = {number: f"\\u{number:04x}" for number in (*range(0x20), *range(0x7F, 0xA0))}


@dataclass(frozen=True)
class Wish:
    """What to watch, as the command line says it; without a `url`, of the Muster in `data_dir`."""

    topic: str
    data_dir: Path
    url: str | None = None
    workspace: str | None = None
    delivery: Delivery = "batch"
    since: Position | None = None
    is_json: bool = False


class Line(msgspec.Struct, frozen=True):
    """A change with `--json`. `position` is where `--since` may go on after this line, null where that is not known."""

    topic: str
    action: str
    id: str
    version: int
    position: str | None
    data: Mapping[str, object] | None


async def watch(wish: Wish, environ: Mapping[str, str]) -> None:
    """Print each change until the reader has gone or the task is cancelled; raises `StackError`."""
    url = wish.url or local_url(wish.data_dir)
    client = _client(url, wish, environ)
    try:
        async with client:
            await _print_all(client, wish)
    except MusterError as error:
        raise StackError(str(error)) from error


def _client(url: str, wish: Wish, environ: Mapping[str, str]) -> MusterClient:
    own_folder = wish.data_dir if wish.url is None else None
    try:
        token = token_source(url, own_folder, environ)
        return MusterClient(url, token=token, workspace=wish.workspace, on_connection=_Notices())
    except ValueError as error:  # of the address
        raise StackError(str(error)) from error


async def _print_all(client: MusterClient, wish: Wish) -> None:
    since = wish.since
    while True:
        watch = client.watch(wish.topic, delivery=wish.delivery, since=since)
        try:
            async for change in watch:
                if not _print(_line(wish, change, watch)):
                    return
        except MustRefetch:
            _say("the changes since that position are not held any more: all records follow")
            since = None
        else:
            return


def _line(wish: Wish, change: Change, watch: Watch) -> str:
    data = None if change.data is None else dict(change.data)
    if wish.is_json:
        position = None if watch.position is None else str(watch.position)
        line = Line(wish.topic, change.action, change.id, change.version, position, data)
        text = msgspec.json.encode(line).decode()
    else:
        shown = "" if data is None else f"  {msgspec.json.encode(data).decode()}"
        text = f"{change.action:<{ACTION_WIDTH}}  {change.id}  version {change.version}{shown}"
    return text.translate(_CONTROLS)


def _print(line: str) -> bool:
    """Print a line at once; return false when nobody reads any more."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        # the interpreter would try to write the rest at exit, and complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


class _Notices:
    """Says on stderr when the connection is lost, and when it stands again."""

    def __init__(self) -> None:
        self._is_lost = False

    def __call__(self, event: ConnectionEvent) -> None:
        if isinstance(event, Disconnected):
            _say(f"{event.reason}; trying again in {event.retry_in_s:.1f} s")
        elif self._is_lost:
            _say("connected again")
        self._is_lost = isinstance(event, Disconnected)


def _say(line: str) -> None:
    print(f"muster: {line.translate(_CONTROLS)}", file=sys.stderr, flush=True)

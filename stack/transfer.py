"""Lists out into files and in again, through the api: `muster export`, `muster import`."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Literal

import httpx
import msgspec

from muster_client import MusterError
from muster_client.addresses import http_url
from stack.errors import StackError
from stack.running import local_url
from stack.sign_in import token_source

Form = Literal["csv", "json"]
ANSWER_WITHIN_S = 300.0
REFUSED = 1


@dataclass(frozen=True)
class Server:
    """Which server, as the command line says it; without a `url`, the Muster in `data_dir`."""

    data_dir: Path
    url: str | None = None
    workspace: str | None = None


class _Outcome(msgspec.Struct, frozen=True):
    line: int
    id: str
    fields: list[str]


class _Fault(msgspec.Struct, frozen=True):
    line: int
    field: str
    message: str


class _Report(msgspec.Struct, frozen=True):
    dry_run: bool
    created: list[_Outcome]
    updated: list[_Outcome]
    unchanged: list[_Outcome]
    errors: list[_Fault]
    change_sets: int


async def export_list(resource: str, form: Form, server: Server, environ: Mapping[str, str]) -> None:
    """Write a list to stdout; raises `StackError`."""
    async with (
        _client(server, environ) as client,
        client.stream("GET", f"/api/v1/{resource}/export", params={"format": form}) as answer,
    ):
        await _require_ok(answer)
        try:
            async for chunk in answer.aiter_bytes():
                sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            # the interpreter would try to write the rest at exit, and complain
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


async def import_file(  # noqa: PLR0913, PLR0917  (what the command line says)
    resource: str, file: Path, form: Form, mode: str, server: Server, environ: Mapping[str, str], *, dry_run: bool
) -> int:
    """Import a file, say what that changed, and return 1 when there is something wrong in it; raises `StackError`."""
    content = _content(file)
    query = {"format": form, "mode": mode, "dry_run": "true"}
    async with _client(server, environ) as client:
        # what is wrong is asked for first, because a dry run names all of it
        report = await _post(client, resource, content, query)
        if not (dry_run or report.errors):
            report = await _post(client, resource, content, query | {"dry_run": "false"})
    for line in _lines(report):
        print(_printable(line))
    return REFUSED if report.errors else 0


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise StackError(f"cannot read {file}: {error.strerror}") from error


async def _post(client: httpx.AsyncClient, resource: str, content: bytes, query: Mapping[str, str]) -> _Report:
    answer = await client.post(f"/api/v1/{resource}/import", params=query, content=content)
    await _require_ok(answer)
    try:
        return msgspec.json.decode(answer.content, type=_Report)
    except msgspec.DecodeError as error:
        raise StackError(f"{client.base_url} answers with what is no report: {error}") from error


def _lines(report: _Report) -> list[str]:
    lines = []
    if report.dry_run and not report.errors:
        lines += [f"line {each.line}: would create {each.id}" for each in report.created]
        lines += [f"line {each.line}: would change {', '.join(each.fields)} of {each.id}" for each in report.updated]
    lines += [f"line {each.line}: {each.field}{': ' if each.field else ''}{each.message}" for each in report.errors]
    counts = f"{len(report.created)} created, {len(report.updated)} changed, {len(report.unchanged)} unchanged"
    if report.errors:
        lines.append(f"Nothing is imported: {len(report.errors)} faults")
    elif report.dry_run:
        lines.append(f"It would be {counts}")
    else:
        sets = f", in {report.change_sets} change sets" if report.change_sets > 1 else ""
        lines.append(f"{counts}{sets}")
    return lines


@asynccontextmanager
async def _client(server: Server, environ: Mapping[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    url = server.url or local_url(server.data_dir)
    try:
        base = http_url(url, "/")
        source = token_source(url, None if server.url else server.data_dir, environ)
        token = source if isinstance(source, str) else await source()
        headers = {"Authorization": f"Bearer {token}"}
        if server.workspace:
            headers["X-Workspace"] = server.workspace
        async with httpx.AsyncClient(base_url=base, headers=headers, timeout=ANSWER_WITHIN_S) as client:
            yield client
    except (MusterError, ValueError) as error:  # ValueError: of the address
        raise StackError(str(error)) from error
    except httpx.HTTPError as error:
        raise StackError(f"{url} does not answer: {error or type(error).__name__}") from error


async def _require_ok(answer: httpx.Response) -> None:
    if answer.status_code in {HTTPStatus.OK, HTTPStatus.ACCEPTED}:
        return
    try:
        detail = str(msgspec.json.decode(await answer.aread()).get("detail", ""))
    except (msgspec.DecodeError, AttributeError, UnicodeError):
        detail = answer.reason_phrase
    raise StackError(_printable(f"{answer.url} answers {answer.status_code}: {detail}"))


def _printable(line: str) -> str:
    """Replace what a terminal may take for a command."""
    return "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in line)

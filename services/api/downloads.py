"""The agents that the installation offers, and the script that installs one.

The agents need no login: there is nothing secret in them, a machine that is about to get one has no credential yet,
and what proves that they are ours is the signature, not where they came from. A name that is asked for is looked up
among those that are there, and never becomes a path.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec
from litestar import HttpMethod, get, route
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath
from litestar.response import Response, Stream

from services.api.agents_offered import Agents, Asked
from services.api.bodies import as_field_error
from services.api.byte_range import Unsatisfiable, byte_range
from services.api.enrolment import EnrolmentTokens, NewToken
from services.api.installer import installer
from services.api.permissions import admit
from services.api.problems import PUBLIC_PROBLEMS
from services.api.records.listing import read_number, read_once
from services.api.requests import ApiRequest, bearer_token, opt, origin_of
from shared.agent_builds import MANIFEST_SUFFIX
from shared.errors import NotFound, Unauthenticated
from shared.io.agent_folder import Offered
from shared.io.identity import Identity
from shared.io.litestar_problems import documented
from shared.io.problem import HttpError

SCRIPT = "text/x-shellscript"
BINARY = "application/octet-stream"
_CHUNK_BYTES = 1 << 18
_NAME = "Added by the installer"


_FILE = {
    int(HTTPStatus.OK): ResponseSpec(bytes, description="The file", generate_examples=False, media_type=BINARY),
    int(HTTPStatus.PARTIAL_CONTENT): ResponseSpec(
        bytes, description="The part of the file that `Range` asks for", generate_examples=False, media_type=BINARY
    ),
    int(HTTPStatus.NOT_MODIFIED): ResponseSpec(
        None, description="The file is the one that `If-None-Match` names", generate_examples=False
    ),
    **documented(*PUBLIC_PROBLEMS, HTTPStatus.NOT_FOUND, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE),
}


@get(
    "/download/agent/{os:str}/{arch:str}/{version:str}",
    opt=opt("public"),
    operation_id="downloadAgent",
    summary="Download an agent, its SHA-256 or its signed manifest",
    tags=["agents' delivery"],
    security=[{}],
    responses=_FILE,
)
async def download_agent(
    os: FromPath[str],
    arch: FromPath[str],
    version: FromPath[str],
    request: ApiRequest,
    agents: NamedDependency[Agents],
) -> Response[Any]:
    """Answer with a file; `latest` is the newest version of a platform."""
    return _answer(await agents.find(os, arch, version), request.headers)


@route(
    "/download/agent/{os:str}/{arch:str}/{version:str}",
    http_method=HttpMethod.HEAD,
    opt=opt("public"),
    include_in_schema=False,
)
async def look_at_agent(
    os: FromPath[str],
    arch: FromPath[str],
    version: FromPath[str],
    request: ApiRequest,
    agents: NamedDependency[Agents],
) -> Response[bytes]:
    """Say what a download would be, as `curl -I` asks for it."""
    return _without_body(_answer(await agents.find(os, arch, version), request.headers))


def _answer(asked: Asked, headers: Mapping[str, str]) -> Response[Any]:
    build = asked.offered.build
    if asked.suffix == MANIFEST_SUFFIX:
        return Response(asked.offered.manifest, media_type=BINARY, headers={"Cache-Control": "no-cache"})
    if asked.suffix:
        line = f"{build.sha256}  {build.name}\n".encode()
        return Response(line, media_type=BINARY, headers={"Cache-Control": "no-cache"})
    return _file(asked.offered, headers)


def _without_body(answer: Response[Any]) -> Response[bytes]:
    headers = dict(answer.headers)
    if isinstance(answer.content, bytes) and answer.content:
        headers["Content-Length"] = str(len(answer.content))
    return Response(b"", status_code=answer.status_code, headers=headers, media_type=answer.media_type)


def _file(found: Offered, asked: Mapping[str, str]) -> Response[Any]:
    build, tag = found.build, f'"{found.build.sha256}"'
    headers = {"ETag": tag, "Accept-Ranges": "bytes", "Cache-Control": "no-cache"}
    if tag in [each.strip().removeprefix("W/") for each in asked.get("if-none-match", "").split(",")]:
        return Response(b"", status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    try:
        # a part of another file would not fit to what the caller has
        wanted = byte_range(asked.get("range"), build.size_bytes) if asked.get("if-range", tag) == tag else None
    except Unsatisfiable:
        raise HttpError(
            416,
            "range_not_satisfiable",
            f"the file has {build.size_bytes} bytes",
            headers=[("Content-Range", f"bytes */{build.size_bytes}")],
        ) from None
    status, sent = HTTPStatus.OK, range(build.size_bytes)
    if wanted is not None:
        status, sent = HTTPStatus.PARTIAL_CONTENT, wanted
        headers["Content-Range"] = f"bytes {sent.start}-{sent.stop - 1}/{build.size_bytes}"
    headers["Content-Length"] = str(len(sent))
    headers["Content-Disposition"] = f'attachment; filename="{build.name}"'
    return Stream(_content(found.path, sent), status_code=status, headers=headers, media_type=BINARY)


async def _content(path: Path, sent: range) -> AsyncIterator[bytes]:
    # opened here, so that a client that goes away closes it; one that is replaced meanwhile stays readable
    file = await asyncio.to_thread(path.open, "rb")
    try:
        await asyncio.to_thread(file.seek, sent.start)
        rest = len(sent)
        while rest:
            chunk = await asyncio.to_thread(file.read, min(rest, _CHUNK_BYTES))
            if not chunk:
                raise OSError(f"{path} has been cut short")
            rest -= len(chunk)
            yield chunk
    finally:
        file.close()


@get(
    "/download/install.sh",
    opt=opt("public", query=("uses", "expires_in_s", "groups", "name")),
    operation_id="downloadInstaller",
    summary="The script that installs an agent",
    tags=["agents' delivery"],
    security=[{}, {"bearer": []}],
    responses={
        int(HTTPStatus.OK): ResponseSpec(bytes, description="The script", generate_examples=False, media_type=SCRIPT),
        **documented(
            *PUBLIC_PROBLEMS,
            HTTPStatus.UNAUTHORIZED,
            HTTPStatus.FORBIDDEN,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.UNPROCESSABLE_ENTITY,
        ),
    },
)
async def download_installer(
    request: ApiRequest,
    agents: NamedDependency[Agents],
    identity: NamedDependency[Identity],
    enrolment_tokens: NamedDependency[EnrolmentTokens],
) -> Response[bytes]:
    """Answer with the script; sent with a token that may make enrolment tokens, it carries a fresh one.

    `uses`, `expires_in_s`, `groups` (repeated) and `name` are those of the enrolment token. Without a token the script
    takes one from `MUSTER_ENROL_TOKEN`.
    """
    write = await _script_of(agents, request)
    wanted = _wanted(request)
    token = ""
    if "authorization" in request.headers:
        principal = await identity.authenticate(bearer_token(request.headers["authorization"]))
        caller = admit(principal, "write", named=request.headers.get("x-workspace"))
        assert caller is not None  # noqa: S101  (writing is about a workspace)
        token = (await enrolment_tokens.add(caller, wanted, origin_of(request))).token
    elif request.query_params:
        raise Unauthenticated("only a script for somebody who is known carries a token: send yours")
    return _script(write(token))


@route("/download/install.sh", http_method=HttpMethod.HEAD, opt=opt("public"), include_in_schema=False)
async def look_at_installer(request: ApiRequest, agents: NamedDependency[Agents]) -> Response[bytes]:
    """Say what everybody would get, as `curl -I` asks for it; no token is made, whoever asks."""
    write = await _script_of(agents, request)
    return _without_body(_script(write("")))


async def _script_of(agents: Agents, request: ApiRequest) -> Callable[[str], str]:
    """Return what makes the script of a token; raises NotFound where there is nothing to install."""
    server = agents.server_for(request)
    builds = [each.build for each in await agents.offered()]
    if not builds:
        raise NotFound("this installation offers no agent yet: muster agent build makes one", code="no_agent")
    return partial(installer, server, builds, await agents.public_key())


def _script(text: str) -> Response[bytes]:
    return Response(text.encode(), media_type=SCRIPT, headers={"Cache-Control": "no-store"})


def _wanted(request: ApiRequest) -> NewToken:
    given: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        given.setdefault(name, []).append(value)
    fields: dict[str, object] = {"name": read_once(given, "name") or _NAME, "groups": given.get("groups", [])}
    for name in ("uses", "expires_in_s"):
        number = read_number(name, read_once(given, name), 0, 10**9)
        if number is not None:
            fields[name] = number
    try:
        return msgspec.convert(fields, NewToken)
    except msgspec.ValidationError as error:
        fault = as_field_error(error)
        raise HttpError(400, "bad_request", f"{fault.field}: {fault.message}", errors=[fault]) from error


DOWNLOAD_ROUTES = (download_agent, look_at_agent, download_installer, look_at_installer)

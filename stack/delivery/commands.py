"""`muster agent list` and `muster agent install-line`: what there is, and how a machine gets it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from muster_client import MusterError
from muster_client.addresses import http_url
from shared.io.agent_folder import offered
from stack.errors import StackError
from stack.running import local_url
from stack.sign_in import token_source
from stack.terminal import Terminal
from stack.transfer import Server

ANSWER_WITHIN_S = 30.0


def list_agents(folder: Path, terminal: Terminal) -> None:
    """Say which agents lie in a folder; raises `StackError`."""
    try:
        found = offered(folder)
    except OSError as error:
        raise StackError(f"cannot read {folder}: {error.strerror}") from error
    for each in found:
        build = each.build
        needs = f"glibc {build.glibc}" if build.glibc else f"Python {build.python}"
        terminal.say(f"{build.os}/{build.arch}/{build.version}  {build.size_bytes / 1e6:.1f} MB  needs {needs}")
    if not found:
        terminal.say(f"There are no agents in {folder}: make them with muster agent build")


async def install_line(
    server: Server, uses: int, expires_in_s: int, environ: Mapping[str, str], terminal: Terminal
) -> None:
    """Make an enrolment token, and print the line that installs an agent with it; raises `StackError`."""
    url = server.url or local_url(server.data_dir)
    body = {"name": "muster agent install-line", "uses": uses, "expires_in_s": expires_in_s}
    try:
        source = token_source(url, None if server.url else server.data_dir, environ)
        token = source if isinstance(source, str) else await source()
        headers = {"Authorization": f"Bearer {token}"}
        if server.workspace:
            headers["X-Workspace"] = server.workspace
        async with httpx.AsyncClient(base_url=http_url(url, "/"), headers=headers, timeout=ANSWER_WITHIN_S) as client:
            answer = await client.post("/api/v1/enrolment-tokens", json=body)
        if answer.status_code != httpx.codes.CREATED:
            raise StackError(f"{url} answers {answer.status_code} when asked for an enrolment token")
        made = answer.json()
        reached_at, line = str(made["server"]), str(made["install_line"])
    except (MusterError, ValueError, KeyError) as error:  # ValueError: of the address, or an answer that is no JSON
        raise StackError(str(error)) from error
    except httpx.HTTPError as error:
        raise StackError(f"{url} does not answer: {error or type(error).__name__}") from error
    if urlsplit(reached_at).hostname in {"localhost", "127.0.0.1", "::1"}:
        advice = "--url, or PUBLIC_URL of the api, names the address for others"
        print(f"muster: this line works on this machine only; {advice}", file=sys.stderr)
    terminal.say(line)

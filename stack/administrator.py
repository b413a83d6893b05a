"""Sees to it that somebody can sign in: the administrator, with a password that the person knows."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

from stack.errors import StackError
from stack.folders import write_private
from stack.program import run_to_end
from stack.services import Services

DEFAULT_EMAIL = "admin@localhost"


async def set_up_administrator(services: Services, environ: Mapping[str, str], password_file: Path) -> str:
    """Create the first workspace and its administrator unless they exist; return how to sign in, for the terminal.

    `MUSTER_ADMIN_PASSWORD` wins over what was. Without it a new administrator gets a generated password, kept in the
    file; one who exists keeps theirs, which they may have changed since. Raises `StackError`.
    """
    email = environ.get("MUSTER_ADMIN_EMAIL") or DEFAULT_EMAIL
    given = environ.get("MUSTER_ADMIN_PASSWORD")
    if given:
        await _run(services, email, given)
        _forget(password_file)
        return f"Sign in as {email} with the password of MUSTER_ADMIN_PASSWORD."
    if await _succeeds_without_password(services, email):
        return f"Sign in as {email} with your password{_where_it_was(password_file)}."
    password = _generate(password_file)
    await _run(services, email, password)
    return f"Sign in as {email} with the password {password} (kept in {password_file})."


def _generate(password_file: Path) -> str:
    # kept before it is used, so that a crash in between leaves no administrator whose password nobody knows
    password = secrets.token_urlsafe(12)
    write_private(password_file, password + "\n")
    return password


def _where_it_was(password_file: Path) -> str:
    return f" (the generated one is kept in {password_file})" if password_file.exists() else ""


def _forget(password_file: Path) -> None:
    password_file.unlink(missing_ok=True)


async def _succeeds_without_password(services: Services, email: str) -> bool:
    status, _ = await run_to_end(services.setup(email, None))
    return status == 0


async def _run(services: Services, email: str, password: str) -> None:
    status, said = await run_to_end(services.setup(email, password))
    if status != 0:
        raise StackError(f"the administrator could not be set up: {said}")

"""How a command signs in: with what the environment says, the password of the data folder, or what a person types."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Mapping
from pathlib import Path

from muster_client import TokenSource, login
from stack.administrator import DEFAULT_EMAIL
from stack.errors import StackError
from stack.layout import DataFolder


def token_source(url: str, data_dir: Path | None, environ: Mapping[str, str]) -> str | TokenSource:
    """Return a token for the server at `url`, or a source of them; raises `StackError`, and ValueError for the address.

    The password of a data folder is for the Muster of that folder only: `data_dir` is None for any other.
    """
    if token := environ.get("MUSTER_TOKEN"):
        return token
    email, password = environ.get("MUSTER_EMAIL"), environ.get("MUSTER_PASSWORD")
    if not (email or password) and data_dir is not None:
        email = environ.get("MUSTER_ADMIN_EMAIL") or DEFAULT_EMAIL
        password = environ.get("MUSTER_ADMIN_PASSWORD") or _kept_password(data_dir)
    if not (email and password) and sys.stdin.isatty():
        email = email or _asked("E-mail address: ")
        password = getpass.getpass("Password: ")
    if not (email and password):
        raise StackError("set MUSTER_TOKEN, or MUSTER_EMAIL and MUSTER_PASSWORD, to sign in")
    return login(url, email, password)


def _asked(question: str) -> str:
    # what a command prints may go into a file
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


def _kept_password(data_dir: Path) -> str | None:
    file = DataFolder(data_dir.absolute()).admin_password
    try:
        return file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StackError(f"cannot read {file}: {error.strerror}") from error

"""How `muster watch` signs in, and where; what it prints is seen in `tests/integration/client`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from muster_client import Change, Disconnected, MusterClient
from muster_client.signing_in import Login
from stack.errors import StackError
from stack.watch import Wish, _line, _local_url, _Notices, _token

READY = '{"url":"http://localhost:8123","redis_url":"","database_url":"","services":{}}'
LOCAL, FOREIGN = "http://localhost:8123", "https://muster.example.org"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    (tmp_path / "ready.json").write_text(READY)
    (tmp_path / "admin-password").write_text("generated\n")
    return tmp_path


def credentials(data_dir: Path, environ: Mapping[str, str], *, url: str | None = None) -> dict[str, str]:
    token = _token(url or LOCAL, Wish("servers", data_dir, url=url), environ)
    assert isinstance(token, Login)
    return token._credentials


def test_the_local_muster_is_where_its_folder_says(data_dir: Path) -> None:
    assert _local_url(data_dir) == LOCAL


def test_the_local_administrator_signs_in_with_the_kept_password(data_dir: Path) -> None:
    assert {"email": "admin@localhost", "password": "generated"} == credentials(data_dir, {})
    given = {"MUSTER_ADMIN_EMAIL": "me@example.org", "MUSTER_ADMIN_PASSWORD": "mine"}
    assert {"email": "me@example.org", "password": "mine"} == credentials(data_dir, given)


def test_nothing_that_a_server_says_reaches_the_terminal_as_a_command(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watch = MusterClient(LOCAL, token="t").watch("servers")
    change = Change("\x1b[2J\x9b", "updated", 7, {"name": "\x1b[2J"})
    line = _line(Wish("servers", data_dir), change, watch)
    assert line == 'updated   \\u001b[2J\\u009b  version 7  {"name":"\\u001b[2J"}'
    _Notices()(Disconnected("\x1b[2J", 1.0))
    assert capsys.readouterr().err == "muster: \\u001b[2J; trying again in 1.0 s\n"


def test_a_token_comes_before_a_password_and_a_user_before_the_administrator(data_dir: Path) -> None:
    user = {"MUSTER_EMAIL": "me@example.org", "MUSTER_PASSWORD": "mine"}
    assert {"email": "me@example.org", "password": "mine"} == credentials(data_dir, user)
    assert {"email": "me@example.org", "password": "mine"} == credentials(data_dir, user, url=FOREIGN)
    assert _token(LOCAL, Wish("servers", data_dir), {**user, "MUSTER_TOKEN": "t"}) == "t"


@pytest.mark.parametrize("environ", [{}, {"MUSTER_ADMIN_PASSWORD": "mine"}, {"MUSTER_EMAIL": "me@example.org"}])
def test_the_local_password_is_for_no_other_server(data_dir: Path, environ: dict[str, str]) -> None:
    with pytest.raises(StackError, match="MUSTER_TOKEN"):
        _token(FOREIGN, Wish("servers", data_dir, url=FOREIGN), environ)


def test_half_of_the_credentials_is_not_mixed_with_the_administrators(data_dir: Path) -> None:
    with pytest.raises(StackError, match="MUSTER_TOKEN"):
        _token(LOCAL, Wish("servers", data_dir), {"MUSTER_EMAIL": "me@example.org"})

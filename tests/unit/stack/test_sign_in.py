"""How commands find the server, and sign in there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from muster_client.signing_in import Login
from stack.errors import StackError
from stack.running import database_url, local_url
from stack.sign_in import token_source

READY = '{"url":"http://localhost:8123","redis_url":"","database_url":"postgresql://x","services":{}}'
LOCAL, FOREIGN = "http://localhost:8123", "https://muster.example.org"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    (tmp_path / "ready.json").write_text(READY)
    (tmp_path / "admin-password").write_text("generated\n")
    return tmp_path


def credentials(url: str, data_dir: Path | None, environ: Mapping[str, str]) -> dict[str, str]:
    source = token_source(url, data_dir, environ)
    assert isinstance(source, Login)
    return source._credentials


def test_the_local_muster_is_where_its_folder_says(data_dir: Path) -> None:
    assert local_url(data_dir) == LOCAL
    assert "postgresql://x" == database_url(data_dir, {})
    assert "postgresql://y" == database_url(data_dir, {"DATABASE_URL": "postgresql://y"})


def test_the_local_administrator_signs_in_with_the_kept_password(data_dir: Path) -> None:
    assert {"email": "admin@localhost", "password": "generated"} == credentials(LOCAL, data_dir, {})
    given = {"MUSTER_ADMIN_EMAIL": "me@example.org", "MUSTER_ADMIN_PASSWORD": "mine"}
    assert {"email": "me@example.org", "password": "mine"} == credentials(LOCAL, data_dir, given)


def test_a_token_comes_before_a_password_and_a_user_before_the_administrator(data_dir: Path) -> None:
    user = {"MUSTER_EMAIL": "me@example.org", "MUSTER_PASSWORD": "mine"}
    assert {"email": "me@example.org", "password": "mine"} == credentials(LOCAL, data_dir, user)
    assert {"email": "me@example.org", "password": "mine"} == credentials(FOREIGN, None, user)
    assert token_source(LOCAL, data_dir, {**user, "MUSTER_TOKEN": "t"}) == "t"


@pytest.mark.parametrize("environ", [{}, {"MUSTER_ADMIN_PASSWORD": "mine"}, {"MUSTER_EMAIL": "me@example.org"}])
def test_the_local_password_is_for_no_other_server(environ: dict[str, str]) -> None:
    with pytest.raises(StackError, match="MUSTER_TOKEN"):
        token_source(FOREIGN, None, environ)


def test_half_of_the_credentials_is_not_mixed_with_the_administrators(data_dir: Path) -> None:
    with pytest.raises(StackError, match="MUSTER_TOKEN"):
        token_source(LOCAL, data_dir, {"MUSTER_EMAIL": "me@example.org"})


def test_a_person_at_a_terminal_is_asked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("sys.stdin.readline", lambda: "me@example.org\n")
    monkeypatch.setattr("getpass.getpass", lambda _: "mine")
    assert {"email": "me@example.org", "password": "mine"} == credentials(FOREIGN, None, {})
    # what goes to stdout may be a file
    assert ("", "E-mail address: ") == capsys.readouterr()

"""The command line, as far as it starts nothing."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from stack import cli


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["up", "--port", "99999"], "--port: '99999' is not a whole number from 1 to 65535"),
        (["up", "--port", "0"], "--port: '0' is not a whole number from 1 to 65535"),
        (["up", "--port", "http"], "--port: 'http' is not a whole number"),
        (["up", "--demo", "-1"], "--demo: "),
        (["up", "--demo", "many"], "--demo: 'many' is not a whole number from 0 to 10000"),
        (["up", "--scale", "webserver=2"], "--scale: 'webserver' is no service, there are ingest, api"),
        (["up", "--scale", "ingest"], "--scale: '' is not a whole number from 1 to 16"),
        (["up", "--scale", "ingest=0"], "--scale: '0' is not a whole number from 1 to 16"),
        (["up", "--scale", "ingest=2,,"], "--scale: '' is no service"),
        (["up", "--fast"], "unrecognized arguments: --fast"),
        (["down"], "invalid choice: 'down'"),
        (["watch"], "required: TOPIC"),
        (["watch", "servers", "--since", "41"], "--since: '41' is not of the form EPOCH-VERSION"),
        (["watch", "servers", "--delivery", "some"], "--delivery: invalid choice: 'some'"),
        (["user"], "required: add|passwd|list"),
        (["user", "add"], "required: EMAIL"),
        (["user", "add", "a@example.org", "--password", "secret"], "unrecognized arguments: --password"),
        (["keys"], "required: rotate"),
        (["agent"], "required: build|list|install-line"),
        (["agent", "build", "--only", "jar"], "--only: invalid choice: 'jar'"),
        (["agent", "install-line", "--uses", "0"], "--uses: '0' is not a whole number from 1 to 1000"),
        (["agent", "install-line", "--expires", "1"], "--expires: '1' is not a whole number from 60"),
        (["audit"], "required: verify"),
        (["export"], "required: RESOURCE"),
        (["restore", "file"], "required: --data-dir"),
        (["backup"], "required: FILE"),
        (["export", "tags", "--format", "xml"], "--format: invalid choice: 'xml'"),
        (["import", "tags"], "required: FILE"),
        ([], "required: COMMAND"),
    ],
)
def test_a_mistake_is_one_line_and_not_success(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        cli.main(arguments)
    said = capsys.readouterr().err
    assert exit_.value.code == 2
    assert complaint in said
    assert said.count("\n") == 1


def test_scale_reads_replicas_by_service() -> None:
    assert cli.scale("ingest=2, broadcaster=3") == {"ingest": 2, "broadcaster": 3}


def test_defaults_are_those_of_the_contract() -> None:
    given = cli.parser().parse_args(["up"])
    assert (str(given.data_dir), given.port, given.host, given.scale) == (".muster", 8000, "127.0.0.1", {})
    assert (given.demo, given.no_agent) == (0, False)


def test_numbers_that_only_look_like_numbers_are_refused() -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        cli.port("٨٠٠٠")


COMMANDS = (
    *("up", "status", "watch", "export", "import", "backup", "restore", "audit", "audit verify"),
    *("user", "user add", "keys rotate", "agent", "agent build", "agent list", "agent install-line"),
)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_success(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        cli.main([*command.split(), "--help"])
    assert exit_.value.code == 0
    assert f"usage: muster {command}".strip() in capsys.readouterr().out


def test_version_is_success(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        cli.main(["--version"])
    assert exit_.value.code == 0
    assert "muster" in capsys.readouterr().out


def test_users_and_keys_need_an_installation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 == cli.main(["user", "list", "--data-dir", str(tmp_path)])
    assert f"muster: no Muster is ready in {tmp_path}: start it" in capsys.readouterr().err

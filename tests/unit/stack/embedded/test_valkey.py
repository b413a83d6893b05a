"""The configuration of Valkey."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack.embedded import valkey


def settings(text: str) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in text.splitlines())


def test_an_acknowledged_append_is_on_the_disk_and_nobody_else_gets_in() -> None:
    found = settings(valkey.configuration(Path("/data"), 7000, "pa55", durable=True))
    expected = {
        "appendonly": "yes",
        "appendfsync": "always",
        "save": '""',
        "maxmemory-policy": "noeviction",
        "bind": "127.0.0.1",
        "port": "7000",
        "requirepass": '"pa55"',
        "dir": '"/data"',
    }
    assert {name: found[name] for name in expected} == expected


def test_a_server_has_the_bound_that_it_is_given() -> None:
    found = settings(valkey.configuration(Path("/data"), 7000, "pa55", durable=True, memory_bytes=70_000_000))
    assert ("70000000", "noeviction") == (found["maxmemory"], found["maxmemory-policy"])


def test_a_server_of_tests_writes_nothing() -> None:
    assert settings(valkey.configuration(Path("/data"), 7000, "pa55", durable=False))["appendonly"] == "no"


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ("/home/me/my fleet", '"/home/me/my fleet"'),
        ('a"b\\c\nd', r'"a\x22b\x5cc\x0ad"'),
        ("/srv/ü", r'"/srv/\xc3\xbc"'),
        ("", '""'),
    ],
)
def test_any_path_is_one_word_of_the_configuration(value: str, quoted: str) -> None:
    assert valkey.quote(value) == quoted

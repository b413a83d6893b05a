"""What the person at the terminal sees."""

from __future__ import annotations

import io
import sys

import pytest

from stack.terminal import Terminal


def test_a_step_is_told_with_its_time_when_it_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    with Terminal().step("Valkey"):
        assert capsys.readouterr().out == ""
    assert capsys.readouterr().out == "  Valkey         ready after 0.0 s\n"


def test_a_step_that_fails_is_not_told_as_done(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no"), Terminal().step("Valkey"):
        raise ValueError("no")
    assert capsys.readouterr().out == ""


def test_a_terminal_that_has_gone_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Gone())
    terminal = Terminal()
    terminal.say("nobody hears this")
    terminal.say("nor this")

"""The description of a process."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from stack import launch
from stack.program import Account, Program, plain_environment, run_to_end


def program(*argv: str, account: Account | None = None) -> Program:
    return Program(name="one", role="one", argv=argv, environment=plain_environment(), account=account)


def test_a_program_is_started_bound_to_this_process_and_as_its_user() -> None:
    command = program("/bin/server", "--flag", account=Account(12, 34)).command()
    assert command[:4] == [sys.executable, "-I", "-S", launch.__file__]
    options = launch.parse(command[4 : command.index("--")])
    assert (options.parent, options.death_signal, options.user) == (os.getpid(), signal.SIGKILL, "12:34")
    assert command[command.index("--") + 1 :] == ["/bin/server", "--flag"]


def test_servers_are_not_steered_by_variables_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGPORT", "XDG_DATA_HOME", "LC_MESSAGES", "VALKEY_CONF"):
        monkeypatch.setenv(name, "caller's")
    assert "caller's" not in plain_environment().values()


async def test_a_program_that_ends_gives_its_status_and_all_that_it_printed() -> None:
    script = "import sys; print('out'); sys.stdout.flush(); print('err', file=sys.stderr); sys.exit(3)"
    assert await run_to_end(program(sys.executable, "-c", script)) == (3, "out\nerr")


async def test_a_program_that_cannot_be_started_says_so() -> None:
    status, said = await run_to_end(program("/nowhere/server"))
    assert status == 126
    assert said == "cannot start /nowhere/server: [Errno 2] No such file or directory"

"""Where everything is in a data folder, and who may use it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stack.errors import StackError
from stack.folders import hold, make_private

CHECKOUT = Path(__file__).absolute().parent.parent
BUILT_PAGE = CHECKOUT / "web" / "dist"


@dataclass(frozen=True)
class DataFolder:
    """The paths of one installation's state; the folder is absolute."""

    path: Path

    @property
    def lock(self) -> Path:
        """Held by the `muster up` that uses the folder."""
        return self.path / "lock"

    @property
    def ready_file(self) -> Path:
        """There as long as the stack is ready."""
        return self.path / "ready.json"

    @property
    def admin_password(self) -> Path:
        """The administrator's password, where Muster made it."""
        return self.path / "admin-password"

    @property
    def agent_token(self) -> Path:
        """What agents of this installation enrol with."""
        return self.path / "agent-token"

    @property
    def demo_machines(self) -> Path:
        """The credentials of the simulated machines."""
        return self.path / "demo.json"

    @property
    def agents(self) -> Path:
        """The agents that machines get from this installation; made if need be."""
        return make_private(self.path / "agents")

    @property
    def agent_signing_key(self) -> Path:
        """The key that they are signed with."""
        return self.path / "agent-signing-key"

    def server(self, name: str) -> Path:
        """Return the folder of an embedded server or the agent, which is made if need be."""
        return make_private(self.path / name)

    def log(self, name: str) -> Path:
        """Return the log file of the program with this name."""
        return make_private(self.path / "logs") / f"{name}.log"


@contextmanager
def occupied(path: Path) -> Iterator[DataFolder]:
    """Take the folder for this process, made if need be; raise `StackError` when another `muster up` has it."""
    folder = DataFolder(make_private(path.absolute()))
    try:
        held = hold(folder.lock)
    except BlockingIOError:
        raise StackError(f"the data folder {path} is in use by another muster up") from None
    try:
        yield folder
    finally:
        os.close(held)


def is_occupied(folder: DataFolder) -> bool:
    """Tell whether a `muster up` uses the folder now. Raises `StackError` when it may not be looked at."""
    if not folder.lock.exists():
        return False
    try:
        os.close(hold(folder.lock))
    except BlockingIOError:
        return True
    except OSError as error:
        raise StackError(f"cannot read {folder.lock}: {error.strerror}") from error
    return False

"""Keeps what enrolling gave this machine, in a file that only its owner can read."""

from __future__ import annotations

import json
import logging
import os
import secrets
import stat
import tempfile
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from muster_agent.errors import StateError

log = logging.getLogger(__name__)

OTHERS = stat.S_IRWXG | stat.S_IRWXO
ROOM_BYTES = 4096
"""As much as a credential needs, and more."""


@dataclass(frozen=True)
class Credential:
    """Who this agent is, to which server. The secret is left out of its repr, and so out of logs and tracebacks."""

    agent_id: str
    secret: str = field(repr=False)
    server_id: str
    workspace_id: str
    server: str
    previous_secret: str = field(repr=False, default="")
    """The one before, until the server has taken this one."""


class StateDirectory:
    """The agent's directory: the only place that it writes to.

    Every method raises StateError with a sentence that names the path.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.credential_path = path / "credential.json"
        self._machine_id_path = path / "machine-id"

    def prepare(self) -> None:
        """Create the directory where it is missing, and prove that it can be written to and has room.

        To be called before enrolling: a token that can be used once must not be spent on a credential that cannot
        be kept.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path) as file:
                file.write(bytes(ROOM_BYTES))
                file.flush()
                # Some file systems say only now that they are full.
                os.fsync(file.fileno())
        except OSError as error:
            raise StateError(f"cannot write to the state directory {self.path}: {_reason(error)}") from error

    def load_credential(self) -> Credential | None:
        """Give the credential, or None where this machine has not enrolled yet."""
        text = self._read(self.credential_path)
        if text is None:
            return None
        self._close_to_others(self.credential_path)
        try:
            stored = json.loads(text)
            values = {each.name: stored[each.name] for each in fields(Credential) if each.name != "previous_secret"}
            previous = stored.get("previous_secret", "")
        except (ValueError, KeyError, TypeError) as error:
            raise StateError(
                f"{self.credential_path} is damaged; remove it and start with a new enrolment token"
            ) from error
        is_whole = all(isinstance(value, str) and value and value.isascii() for value in values.values())
        if not is_whole or not isinstance(previous, str) or not previous.isascii():
            raise StateError(f"{self.credential_path} is damaged; remove it and start with a new enrolment token")
        return Credential(**values, previous_secret=previous)

    def save_credential(self, credential: Credential) -> None:
        """Write the credential so that a crash at any moment leaves either the old file or the new one."""
        self._write(self.credential_path, json.dumps(asdict(credential), indent=2) + "\n")

    def random_machine_id(self) -> str:
        """Give the id kept here for a machine that has none of its own; make one on the first call."""
        text = self._read(self._machine_id_path)
        if text is None or not text.strip():
            text = secrets.token_hex(16)
            self._write(self._machine_id_path, text + "\n")
        return text.strip()

    def _read(self, path: Path) -> str | None:
        try:
            return path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise StateError(f"cannot read {path}: {_reason(error)}") from error

    def _close_to_others(self, path: Path) -> None:
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & OTHERS and os.name == "posix":
                path.chmod(0o600)
                log.warning("%s could be read by others (mode %04o); it is now 0600", path, mode)
        except OSError as error:  # it may be mounted so, read-only, and be for this process alone
            log.warning("%s may be read by others, and cannot be made private: %s", path, _reason(error))

    def _write(self, path: Path, text: str) -> None:
        try:
            # mkstemp creates the file with mode 0600 from the start.
            descriptor, name = tempfile.mkstemp(prefix=path.name + ".", dir=self.path)
            temporary = Path(name)
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
            self._sync()
        except OSError as error:
            raise StateError(f"cannot write {path}: {_reason(error)}") from error

    def _sync(self) -> None:
        """Make the renaming itself durable, where directories can be opened."""
        if os.name != "posix":
            return
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)

"""Names this machine by an id that survives restarts and re-installations of the agent."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable
from pathlib import Path

MACHINE_ID_FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
APPLICATION = b"muster-agent"


def machine_id(random_id: Callable[[], str], files: Iterable[Path] = MACHINE_ID_FILES) -> str:
    """Give 32 hexadecimal digits that are this machine's own.

    The operating system's id is confidential and must not leave the machine as it is (machine-id(5)), so a keyed
    hash of it does. Where there is none, `random_id` is asked: it must give the same text each time.
    """
    for file in files:
        own_id = _read(file)
        if own_id:
            return hmac.new(APPLICATION, own_id.encode(), hashlib.sha256).hexdigest()[:32]
    return random_id()


def _read(file: Path) -> str:
    try:
        text = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        # Missing, or not for us to read: the next source is as good.
        return ""
    # systemd writes this word while the first boot is under way.
    return "" if text == "uninitialized" else text

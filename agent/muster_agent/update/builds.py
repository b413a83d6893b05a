"""Keeps the builds that were taken from the server in the state directory, and what became of them.

`<state>/update/<sha256>` is a build, `chosen.json` names the one that runs in the place of the installed one, `starts`
says how often it was started since it reported last, and `failed.json` on which days builds did not report: that may
have been the server's fault, so that a build is tried again on another day, and given up after three. A build is chosen
by one renaming, after it has proved that it reports: before that, and when anything here is missing or damaged, the
installed one runs.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from muster_agent.update.offer import Offer

log = logging.getLogger(__name__)

CHUNK_BYTES = 1 << 16
MOST_REMEMBERED = 100
MOST_SILENT_STARTS = 5
MOST_TRIES = 3
DAY_S = 86_400


class Builds:
    """The builds below a state directory. The methods raise OSError. `wall_clock` gives seconds since 1970."""

    def __init__(self, state_dir: Path, wall_clock: Callable[[], float] = time.time) -> None:
        self.folder = state_dir / "update"
        self._wall_clock = wall_clock
        self._chosen = self.folder / "chosen.json"
        self._failed = self.folder / "failed.json"
        self._starts = self.folder / "starts"

    def prepare(self) -> None:
        """Create the folder, for this user alone."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, offer: Offer) -> Path:
        """Give where the build is, or will be."""
        return self.folder / offer.sha256

    def has(self, offer: Offer) -> bool:
        """Tell whether the build is there as it was offered."""
        try:
            return digest_of(self.path(offer)) == (offer.sha256, offer.size_bytes)
        except OSError:
            return False

    def chosen(self) -> Offer | None:
        """Give the build that is to run in the place of the installed one, where there is a whole one."""
        try:
            offer = Offer(**json.loads(self._chosen.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        is_sane = all(isinstance(text, str) for text in (offer.version, offer.sha256)) and "/" not in offer.sha256
        return offer if is_sane and self.has(offer) else None

    def choose(self, offer: Offer) -> None:
        """Let this build run from now on, and remove the others."""
        self._write(self._chosen, asdict(offer))
        self.note_report()
        for each in self.folder.iterdir():
            if len(each.name) == len(offer.sha256) and each.name != offer.sha256:
                with contextlib.suppress(OSError):
                    each.unlink()

    def failed(self) -> list[str]:
        """Give the SHA-256 of the builds that are not tried: those that failed today, or on three days."""
        today = self._today()
        return [sha256 for sha256, days in self._days_failed().items() if today in days or len(days) >= MOST_TRIES]

    def give_up(self, offer: Offer) -> None:
        """Remove a build that does not report, and remember not to try it again today."""
        failed = self._days_failed()
        days = sorted({*failed.pop(offer.sha256, []), self._today()})
        kept = list(failed.items())[1 - MOST_REMEMBERED :]
        # first: on a full disk it makes the room to remember
        with contextlib.suppress(FileNotFoundError):
            self.path(offer).unlink()
        self._write(self._failed, dict([*kept, (offer.sha256, days)]))

    def note_start(self) -> bool:
        """Count a start of the chosen build; tell whether it is worth it: one of the last five has lasted."""
        try:
            starts = int(self._starts.read_text(encoding="ascii"))
        except (OSError, ValueError):
            starts = 0
        try:
            self._write(self._starts, starts + 1)
        except OSError as error:  # no reason to go back to an older one
            log.warning("cannot count the starts of the build: %s", error)
        return starts < MOST_SILENT_STARTS

    def note_report(self) -> None:
        """Take note that this agent reports, and has done so for a while."""
        with contextlib.suppress(OSError):
            self._starts.unlink()

    @contextlib.contextmanager
    def being_filled(self, offer: Offer) -> Iterator[int]:
        """Give a descriptor to write the build to; it is in its place when the block ends well, else nowhere."""
        for left in self.folder.glob("*.part"):
            left.unlink()
        descriptor, name = tempfile.mkstemp(suffix=".part", dir=str(self.folder))
        try:
            yield descriptor
            os.fsync(descriptor)
            os.chmod(name, 0o700)  # noqa: PTH101 - a name from mkstemp
            os.replace(name, str(self.path(offer)))  # noqa: PTH105 - likewise
        finally:
            os.close(descriptor)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)  # noqa: PTH108 - likewise

    def _days_failed(self) -> dict[str, list[int]]:
        """Give the days (since 1970) on which builds did not report, by their SHA-256."""
        try:
            stored = json.loads(self._failed.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        days = stored.items() if isinstance(stored, dict) else ()
        return {
            sha256: [day for day in each if isinstance(day, int)] for sha256, each in days if isinstance(each, list)
        }

    def _today(self) -> int:
        return int(self._wall_clock() // DAY_S)

    def _write(self, path: Path, value: object) -> None:
        descriptor, name = tempfile.mkstemp(prefix=path.name + ".", dir=str(self.folder))
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(value, file)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)


def digest_of(path: Path) -> tuple[str, int]:
    """Give the SHA-256 and the size in bytes of a file. Raises OSError."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(CHUNK_BYTES), b""):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size

"""A wire that takes frames only when the test says so."""

from __future__ import annotations

import json
from math import inf
from typing import Any

from services.broadcaster.frames import Form, Frame
from services.broadcaster.outbox import Bounds, Outbox


def _whole(frame: Frame) -> Any:  # noqa: ANN401  (a frame, where a wire takes bytes)
    return frame


WHOLE: Form = _whole
"""The form of a wire that takes frames as they are, to look into them."""


class PlayedWire:
    """The outbox of a client that reads only when the test says so."""

    def __init__(self, bounds: Bounds) -> None:
        self._takes: float = 0
        self._taken: list[Frame] = []
        self.outbox = Outbox(bounds, self._write, WHOLE)
        self.outbox.block()

    def take(self, frames: float = inf) -> list[Frame]:
        """Take up to so many frames, then no more."""
        self._takes = frames
        if frames > 0:
            self.outbox.flow()
        self.outbox.block()
        self._takes = 0
        taken, self._taken = self._taken, []
        return taken

    def take_one(self) -> Frame | None:
        """Take the next frame, if there is one."""
        return next(iter(self.take(1)), None)

    def _write(self, frame: Any) -> None:  # noqa: ANN401  (see WHOLE)
        assert self._takes > 0, "written to a wire that is blocked"
        self._taken.append(frame)
        self._takes -= 1
        if self._takes <= 0:
            self.outbox.block()


def messages(frames: list[Frame]) -> list[dict[str, Any]]:
    """Return what frames say."""
    return [json.loads(payload) for frame in frames for payload in frame.payloads]

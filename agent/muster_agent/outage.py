"""Decides when a failure to deliver is worth a line of the log: when it begins, changes or lasts, and when it ends."""

from __future__ import annotations

REMIND_AFTER_S = 600.0


class Outage:
    """The time from the first failed request to the next delivery. Times are of the monotonic clock."""

    def __init__(self) -> None:
        self._began_s: float | None = None
        self._kind = ""
        self._told_s = 0.0

    def failed(self, kind: str, now_s: float) -> bool:
        """Note a failure; tell whether to speak of it: it is the first, of another kind, or ten minutes went by."""
        is_news = self._began_s is None or kind != self._kind or now_s - self._told_s >= REMIND_AFTER_S
        if self._began_s is None:
            self._began_s = now_s
        if is_news:
            self._kind, self._told_s = kind, now_s
        return is_news

    def ended(self, now_s: float) -> float | None:
        """Note a success; give how many seconds it was impossible before, or None where it was not."""
        began_s, self._began_s = self._began_s, None
        return None if began_s is None else now_s - began_s

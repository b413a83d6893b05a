"""One topic as a client holds it whose messages come twice, late, or in another order; it heals by the protocol.

What no order of messages excuses is still a Violation: a frame that contradicts itself, a digest that differs.
"""

from tests.support.client_topic import Ask, ClientTopic, Message


class ForgivingTopic(ClientTopic):
    """A ClientTopic for a network that keeps no order."""

    def _changes(self, message: Message) -> Ask | None:
        parts, self._parts = self._parts, []
        try:
            return super()._changes(message)
        finally:
            self._keep(parts)

    def _full(self, message: Message) -> Ask | None:
        parts, self._parts = self._parts, []
        try:
            return super()._full(message)
        finally:
            self._keep(parts)

    def _keep(self, parts: list[Message]) -> None:
        """Go on to wait for the rest of a snapshot, unless it was asked for anew."""
        if self.is_current or self._wants_snapshot:
            self._parts = parts

    def _snapshot(self, message: Message) -> Ask | None:
        """Take the parts in their order only; anything else is asked for again."""
        if any(message == part for part in self._parts):
            self.seen["duplicates"] += 1
            return None
        keys = ("epoch", "version", "parts")
        belongs = not self._parts or all(message[key] == self._parts[0][key] for key in keys)
        if not belongs or message["part"] != len(self._parts) + 1:
            self.seen["broken snapshots"] += 1
            self._wants_snapshot = True
            return self.ask()
        return super()._snapshot(message)

    def _check_part(self, message: Message) -> None:
        """Let a late one replace what the client has, as any snapshot that nobody asked for."""

    def _subscribed(self, message: Message) -> Ask | None:
        answers = {"epoch": message["epoch"], "version": message["version"]} == self._asked
        if self.is_current or self._wants_snapshot or not answers:
            self.seen["duplicates"] += 1
            return None
        return super()._subscribed(message)

"""Who may open a stream: a process takes so many, and few of one agent before it shakes hands on them. Pure."""

from types import TracebackType
from typing import Self

from services.ingest.stream.session import HANDSHAKE_WITHIN_S
from shared.errors import RetryLater
from shared.io.problem import HttpError

MOST_NEW = 2
"""How many streams of an agent may stand on which it has not shaken hands: one, and one that broke unnoticed."""


class Places:
    """The places of a process. Of those who have shaken hands an agent has one: the newest."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._new: dict[str, int] = {}

    def check(self) -> None:
        """Raise RetryLater where there is none left."""
        if self._taken >= self._most:
            raise RetryLater("too many streams stand here", retry_after_s=5)

    def take(self, agent_id: str) -> "Place":
        """Return a place, to be entered; raises RetryLater, and HttpError (429) where the agent has enough of them."""
        self.check()
        new = self._new.get(agent_id, 0)
        if new >= MOST_NEW:
            message = "streams of this agent wait for its handshake"
            raise HttpError(429, "too_many_requests", message, retry_after_s=HANDSHAKE_WITHIN_S)
        self._taken += 1
        self._new[agent_id] = new + 1
        return Place(self, agent_id)

    def settle(self, agent_id: str) -> None:
        """Note that an agent has shaken hands on one of its streams."""
        left = self._new[agent_id] - 1
        if left:
            self._new[agent_id] = left
        else:
            del self._new[agent_id]

    def give_back(self) -> None:
        """Note that a stream has ended."""
        self._taken -= 1


class Place:
    """That of one stream, from before it is accepted to its end: the block that it is entered for."""

    __slots__ = ("_agent_id", "_is_new", "_places")

    def __init__(self, places: Places, agent_id: str) -> None:
        self._places = places
        self._agent_id = agent_id
        self._is_new = True

    def __enter__(self) -> Self:
        """Do nothing: the place was taken when this was made."""
        return self

    def settle(self) -> None:
        """Note that the agent has shaken hands."""
        if self._is_new:
            self._is_new = False
            self._places.settle(self._agent_id)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give it back."""
        self.settle()
        self._places.give_back()

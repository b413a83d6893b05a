"""A bounded memory of things that may be looked up again: least recently stored leave first, all leave in time."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class ExpiringMemory(Generic[_Key, _Value]):
    """Remembers up to `capacity` values for `lifetime_s` each, by a clock in seconds."""

    def __init__(self, *, capacity: int, lifetime_s: float, clock: Callable[[], float]) -> None:
        self._entries: OrderedDict[_Key, tuple[float, _Value]] = OrderedDict()
        self._capacity = capacity
        self._lifetime_s = lifetime_s
        self._clock = clock

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: _Key) -> _Value | None:
        """Return what was stored under `key`, None when there is nothing or its time is over."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        stored_at, value = entry
        if self._clock() - stored_at >= self._lifetime_s:
            del self._entries[key]
            return None
        return value

    def store(self, key: _Key, value: _Value) -> None:
        """Remember a value from now on."""
        self._entries.pop(key, None)
        self._entries[key] = (self._clock(), value)
        while len(self._entries) > self._capacity:
            self._entries.popitem(last=False)

    def forget(self, key: _Key) -> None:
        """Drop what is stored under `key`, if anything is."""
        self._entries.pop(key, None)

    def forget_where(self, is_meant: Callable[[_Value], bool]) -> None:
        """Drop all values of which that is true."""
        for key in [key for key, (_, value) in self._entries.items() if is_meant(value)]:
            del self._entries[key]

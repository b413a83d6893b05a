"""Events: changes in the form in which the journal keeps them, and Socket.IO sends them. Pure."""

from typing import Literal

from shared.change import Action, Change, put_before
from shared.resources import Resource

EventType = Literal["add", "update", "delete"]

EVENT_TYPES: dict[Action, EventType] = {"created": "add", "updated": "update", "deleted": "delete"}

REPLAYED_EVENTS = 500
"""A client that missed up to so many events of a topic gets just these: the journal keeps them whatever their age."""


def item_of(resource: Resource, record_id: str, version: int, data: bytes | None) -> bytes:
    """Return a record as a JSON object with its id, under both of its names, and its version among its fields.

    Without data, of a record that was deleted, it has nothing else.
    """
    return put_before(f'{{"id":"{record_id}","{resource.singular}_id":"{record_id}","version":{version}', data)


def payload_of(resource: Resource, change: Change) -> bytes:
    """Return what the journal keeps of a change."""
    return item_of(resource, change.id, change.version, None if change.data is None else bytes(change.data))

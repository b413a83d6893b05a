"""The asyncio client of Muster's sync protocol.

async with MusterClient("https://muster.example.org", token=login(url, email, password)) as muster:
    async for change in muster.watch("servers"):
        print(change.action, change.id, change.data)
"""

import logging

from muster_client.client import MusterClient, Topic, Watch
from muster_client.connection import Connected, ConnectionEvent, Disconnected
from muster_client.errors import MusterError, MustRefetch, NotOpen, Refused, RetryLater, SignedOut
from muster_client.messages import Action, Change, Delivery, Item, Position
from muster_client.signing_in import login
from muster_client.tokens import TokenSource

# whether and where the client logs is for the application to say
logging.getLogger("muster_client").addHandler(logging.NullHandler())

__all__ = [
    "Action",
    "Change",
    "Connected",
    "ConnectionEvent",
    "Delivery",
    "Disconnected",
    "Item",
    "MustRefetch",
    "MusterClient",
    "MusterError",
    "NotOpen",
    "Position",
    "Refused",
    "RetryLater",
    "SignedOut",
    "TokenSource",
    "Topic",
    "Watch",
    "login",
]

"""Starts the broadcaster."""

import time
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack

from services.broadcaster.app import build_app
from services.broadcaster.authenticator import DatabaseAuthenticator
from services.broadcaster.connection import Surroundings
from services.broadcaster.connections import Connections
from services.broadcaster.events import EventsEndpoint
from services.broadcaster.hub import Hub, utc_now
from services.broadcaster.journal import DatabaseJournal
from services.broadcaster.outbox import Bounds
from services.broadcaster.pace import Pace
from services.broadcaster.settings import Broadcasting, load_origins
from services.broadcaster.socketio_endpoint import SocketIoEndpoint
from services.broadcaster.socketio_link import Past
from services.broadcaster.transport import SyncProtocol
from services.broadcaster.websocket import SyncEndpoint
from shared.io.changelog.read import LogReader
from shared.io.database.pool import create_pool
from shared.io.heap import return_large_blocks
from shared.io.identity import Identity
from shared.io.identity_changes import IdentityChanges
from shared.io.lifecycle import run, start
from shared.io.redis import open_redis
from shared.settings import Http, Servers, load


async def main(environment: Mapping[str, str]) -> None:
    """Serve until the process is asked to stop."""
    return_large_blocks()
    servers, http = load(Servers, environment), load(Http, environment)
    settings, origins = load(Broadcasting, environment), load_origins(environment)
    async with AsyncExitStack() as stack:
        redis = open_redis(servers.redis_url)
        stack.push_async_callback(redis.aclose)
        pool = await create_pool(servers.database_url)
        stack.push_async_callback(pool.close)
        reader = LogReader(redis)
        hub = Hub(reader, Pace(tick_s=settings.conflation_tick_s), clock=time.monotonic)
        surroundings = Surroundings(
            hub, DatabaseAuthenticator(Identity(pool)), Bounds(), time.monotonic, utc_now, Counter()
        )
        connections = Connections(surroundings, settings.limits)
        past = Past(reader, DatabaseJournal(pool))
        socketio = SocketIoEndpoint(connections, past, origins, settings.limits) if settings.socketio_enabled else None

        async def drain() -> None:
            await connections.drain()
            if socketio is not None:
                await socketio.drain()

        await run(
            build_app(SyncEndpoint(connections, origins), EventsEndpoint(connections), socketio),
            http,
            checks={"redis": redis.ping, "postgres": lambda: pool.fetchval("SELECT 1"), "log": hub.check},
            background=(hub.run, connections.watch, IdentityChanges(redis, connections.heed).run),
            on_drain=drain,
            websocket=SyncProtocol,
        )


if __name__ == "__main__":
    start("broadcaster", main)

"""Asks a program whether it is ready for others."""

from __future__ import annotations

from http import HTTPStatus

import asyncpg
import httpx
import redis.asyncio
from redis.exceptions import RedisError

from stack.supervisor import Probe

PROBE_TIMEOUT_S = 3.0


def answers_http(client: httpx.AsyncClient, url: str) -> Probe:
    """Make a probe that is content with any answer below 500."""

    async def probe() -> bool:
        try:
            answer = await client.get(url, timeout=PROBE_TIMEOUT_S)
        except httpx.HTTPError:
            return False
        return answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR

    return probe


def answers_redis(url: str) -> Probe:
    """Make a probe that is content when Redis or Valkey has loaded its data and lets us in."""

    async def probe() -> bool:
        try:
            await check_redis(url)
        except (OSError, RedisError):
            return False
        return True

    return probe


def answers_postgres(url: str) -> Probe:
    """Make a probe that is content when PostgreSQL lets us in."""

    async def probe() -> bool:
        try:
            await check_postgres(url)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        return True

    return probe


async def check_redis(url: str) -> None:
    """Ask once; raises what redis-py raises."""
    client = redis.asyncio.Redis.from_url(url, socket_timeout=PROBE_TIMEOUT_S, socket_connect_timeout=PROBE_TIMEOUT_S)
    try:
        await client.ping()
    finally:
        await client.aclose()


async def check_postgres(url: str) -> None:
    """Ask once; raises what asyncpg raises."""
    connection = await asyncpg.connect(url, timeout=PROBE_TIMEOUT_S)
    await connection.close()

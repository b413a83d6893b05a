"""Ingest on real servers, for the tests of this folder."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support.ingest import Enrolled, ImpatientLog, Ingest, running_ingest
from tests.support.log import open_log


@pytest_asyncio.fixture
async def ingest(redis_url: str, database_url: str) -> AsyncIterator[Ingest]:
    """Give ingest with an open log."""
    async with running_ingest(redis_url, database_url) as ingest:
        await open_log(ingest.redis)
        yield ingest


@pytest_asyncio.fixture
async def agent(ingest: Ingest) -> Enrolled:
    """Give an agent that has enrolled and has not shaken hands."""
    return await ingest.enrol()


@pytest_asyncio.fixture
async def sealed_ingest(redis_url: str, database_url: str) -> AsyncIterator[Ingest]:
    """Give ingest whose log nobody has opened, and which does not wait for that."""
    async with running_ingest(redis_url, database_url, log=ImpatientLog) as ingest:
        yield ingest

"""An edit that another change overtakes is done again on top of it, or refused: no change is lost in silence."""

from collections.abc import Awaitable, Callable, Iterable

import msgspec
import pytest
import pytest_asyncio

from services.api.conditions import WriteTerms
from services.api.records.merge import patched
from services.api.records.writer import ATTEMPTS, RecordWriter, Written
from services.api.repetition import Repetition
from shared.errors import Conflict, Overloaded
from shared.io.changelog.read import LogReader
from shared.io.problem import HttpError
from shared.names import Topic
from shared.resources import SERVERS
from shared.resources.servers import Server
from shared.topic import Record
from tests.support.api import WORKSPACE, Api

TOPIC = Topic(WORKSPACE, "servers")


class OvertakenReader(LogReader):
    """Lets something happen right after each of the next reads of records, or right before them."""

    overtake: Callable[[], Awaitable[object]] | None = None
    overtake_first: Callable[[], Awaitable[object]] | None = None
    times = 0

    async def records(self, topic: Topic, ids: Iterable[str]) -> dict[str, Record]:
        """Read single records."""
        self.times -= 1
        if self.overtake_first is not None and self.times >= 0:
            await self.overtake_first()
        found = await super().records(topic, ids)
        if self.overtake is not None and self.times >= 0:
            await self.overtake()
        return found


@pytest_asyncio.fixture
async def reader(api: Api) -> OvertakenReader:
    """Give a reader of a log in which there is a server."""
    await api.put("servers", "s_1", name="one")
    return OvertakenReader(api.redis)


@pytest.fixture
def writer(api: Api, reader: OvertakenReader) -> RecordWriter:
    return RecordWriter(api.log, reader, api.parts.writer._commits, Repetition(api.redis))


def terms(operation_id: str = "o_1", version: int | None = None, digest: str = "") -> WriteTerms:
    versions = None if version is None else frozenset({version})
    return WriteTerms(WORKSPACE, "u_1", operation_id, versions, digest)


async def note(writer: RecordWriter, text: str, of: WriteTerms) -> Written:
    return await writer.edit(SERVERS, ["s_1"], lambda r: patched(SERVERS, r.data, {"notes": text}), of)


async def server(api: Api) -> Server:
    (record,) = (await LogReader(api.redis).snapshot(TOPIC)).records
    return msgspec.json.decode(record.data, type=Server)


async def test_an_overtaken_edit_is_done_again_on_top_of_the_other(
    api: Api, reader: OvertakenReader, writer: RecordWriter
) -> None:
    reader.overtake, reader.times = lambda: api.put("servers", "s_1", name="one", tags=["new"]), 2
    written = await note(writer, "x", terms())
    assert (4, True) == (written.version, written.committed)
    assert Server(name="one", tags=("new",), notes="x") == await server(api)


async def test_an_overtaken_edit_of_a_named_version_loses(
    api: Api, reader: OvertakenReader, writer: RecordWriter
) -> None:
    reader.overtake, reader.times = lambda: api.put("servers", "s_1", name="one", tags=["new"]), 1
    with pytest.raises(Conflict):
        await note(writer, "x", terms(version=1))
    assert Server(name="one", tags=("new",)) == await server(api)


async def test_an_edit_that_is_overtaken_all_the_time_gives_up(
    api: Api, reader: OvertakenReader, writer: RecordWriter
) -> None:
    reader.overtake, reader.times = lambda: api.put("servers", "s_1", name="one", tags=["new"]), ATTEMPTS
    with pytest.raises(Overloaded):
        await note(writer, "x", terms())
    assert Server(name="one", tags=("new",)) == await server(api)


async def test_an_edit_that_its_own_repetition_overtakes_is_answered_with_what_there_is(
    api: Api, reader: OvertakenReader, writer: RecordWriter
) -> None:
    twice = terms(digest="d")

    async def overtake() -> None:
        await note(api.parts.writer, "x", twice)
        await api.put("servers", "s_1", name="two")

    reader.overtake, reader.times = overtake, 1
    written = await note(writer, "x", twice)
    assert [("two", 3)] == [
        (msgspec.json.decode(record.data, type=Server).name, record.version) for record in written.records
    ]
    assert 3 == (await LogReader(api.redis).snapshot(TOPIC)).version


async def test_an_edit_whose_repetition_made_its_version_an_old_one_has_happened(
    api: Api, reader: OvertakenReader, writer: RecordWriter
) -> None:
    twice = terms(version=1, digest="d")
    reader.overtake_first, reader.times = lambda: note(api.parts.writer, "x", twice), 1
    written = await note(writer, "x", twice)
    assert (2, True) == (written.version, written.committed)
    assert 2 == (await LogReader(api.redis).snapshot(TOPIC)).version


async def test_an_edit_that_another_one_with_its_key_overtakes_is_refused(
    api: Api, reader: OvertakenReader, writer: RecordWriter
) -> None:
    reader.overtake, reader.times = lambda: note(api.parts.writer, "theirs", terms(digest="theirs")), 1
    with pytest.raises(HttpError) as refused:
        await note(writer, "mine", terms(digest="mine"))
    assert "idempotency_key_reused" == refused.value.code
    assert "theirs" == (await server(api)).notes

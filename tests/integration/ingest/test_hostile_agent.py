"""A hostile agent, over HTTP and over the stream: bounded, refused with a code, and nothing to the others.

What it tries: a zip bomb, a sample every millisecond, a million different names of fields, texts of 10 MB, samples and
messages sent again.
"""

import asyncio
import gzip
from typing import Any

import msgspec

from services.ingest.stream.session import MAX_REFUSALS
from tests.support.agent_stream import AgentStream, replica_of
from tests.support.ingest import Enrolled, Ingest

TS = "2026-01-02T03:04:05Z"


def sample(seq: int, **fields: object) -> dict[str, Any]:
    return {"ts": TS, "boot_id": "boot-1", "seq": seq, "cpu_percent": 12.5, **fields}


class Other:
    """Another agent, which goes on as if nothing was the matter."""

    def __init__(self, ingest: Ingest, agent: Enrolled, stream: AgentStream | None = None) -> None:
        self._ingest = ingest
        self._agent = agent
        self._stream = stream
        self._seq = 0

    async def is_well(self) -> None:
        """Send a sample, which is taken."""
        self._seq += 1
        if self._stream is None:
            answer = (await self._ingest.post("metrics", sample(self._seq), self._agent)).json()
        else:
            answer = await self._stream.ask("metrics", samples=[sample(self._seq)])
        assert 1 == answer["accepted"]
        assert self._seq == (await self._ingest.record("metrics", self._agent.server_id))["seq"]


async def code_of(ingest: Ingest, agent: Enrolled, body: object, **headers: str) -> tuple[int, str]:
    answer = await ingest.post("metrics", body, agent, headers)
    assert "application/problem+json" == answer.headers["content-type"]
    return answer.status_code, answer.json()["code"]


async def test_zip_bombs(ingest: Ingest, agent: Enrolled) -> None:
    other, bomb = Other(ingest, await ingest.enrol()), gzip.compress(b" " * 100_000_000, 1)
    found = []
    for _ in range(3):
        attempts = (code_of(ingest, agent, bomb, **{"Content-Encoding": "gzip"}) for _ in range(3))
        found += await asyncio.gather(other.is_well(), *attempts)
    codes = [code for code in found if code is not None]
    # once it has decoded more than it may send, not even that is done
    assert {(413, "too_large"), (429, "too_many_requests")} == set(codes)
    assert codes.count((413, "too_large")) <= 3


async def test_sample_every_millisecond(ingest: Ingest, agent: Enrolled) -> None:
    other, refused = Other(ingest, await ingest.enrol()), 0
    for batch in range(4):  # or it would take some seconds more
        await ingest.post("metrics", [sample(1000 * batch + n) for n in range(1, 1001)], agent)
    for millisecond in range(10_000):
        ingest.clock.advance(0.001)
        answer = await ingest.post("metrics", sample(4001 + millisecond), agent)
        if answer.status_code == 429:
            assert "too_many_requests" == answer.json()["code"]
            refused += 1
            if refused == 10:
                break
        if millisecond % 1000 == 0:
            await other.is_well()
    assert 10 == refused
    await other.is_well()


async def test_very_many_names_of_fields(ingest: Ingest, agent: Enrolled) -> None:
    other = Other(ingest, await ingest.enrol())
    names = {f"x{number}": 1 for number in range(80_000)}
    answer = await ingest.post("metrics", msgspec.json.encode(sample(1) | names), agent)
    assert 202 == answer.status_code
    assert sample(1) == await ingest.record("metrics", agent.server_id)  # none of them is kept
    body = msgspec.json.encode({f"x{number}": 1 for number in range(1_000_000)})
    assert (413, "too_large") == await code_of(ingest, agent, body)
    temperatures = {f"x{number}": 50.0 for number in range(50_000)}
    assert (422, "invalid_sample") == await code_of(ingest, agent, sample(2, temperatures=temperatures))
    await other.is_well()


async def test_texts_of_ten_megabytes(ingest: Ingest, agent: Enrolled) -> None:
    other, text = Other(ingest, await ingest.enrol()), "x" * 10_000_000
    assert (413, "too_large") == await code_of(ingest, agent, sample(1, disks=[{"device": text}]))
    encoded = gzip.compress(msgspec.json.encode(sample(1, disks=[{"device": text}])))
    assert (413, "too_large") == await code_of(ingest, agent, encoded, **{"Content-Encoding": "gzip"})
    assert (422, "invalid_sample") == await code_of(ingest, agent, sample(1, disks=[{"device": text[:900_000]}]))
    assert await ingest.record("metrics", agent.server_id) is None
    await other.is_well()


async def test_samples_that_are_each_as_large_as_can_be(ingest: Ingest, agent: Enrolled) -> None:
    other = Other(ingest, await ingest.enrol())
    lists = {name: [{"name": "x" * 200}] * 64 for name in ("gpus", "interfaces", "containers", "top_processes")}
    large = sample(1, **lists, failed_units=["x" * 200] * 64)
    assert (422, "too_large_sample") == await code_of(ingest, agent, large)
    await other.is_well()


async def test_samples_sent_again(ingest: Ingest, agent: Enrolled) -> None:
    other = Other(ingest, await ingest.enrol())
    for _ in range(20):
        assert 2 == (await ingest.post("metrics", [sample(1), sample(2)], agent)).json()["accepted"]
    assert 2 == (await ingest.versions())["metrics"]
    await other.is_well()


async def test_stream_of_a_hostile_agent_ends_and_the_other_stands(ingest: Ingest, agent: Enrolled) -> None:
    honest = await ingest.enrol()
    async with (
        replica_of(ingest) as replica,
        replica.stream(agent) as stream,
        replica.stream(honest) as others,
    ):
        await others.shake_hands()
        other = Other(ingest, honest, others)
        await stream.shake_hands()
        assert 2 == (await stream.ask("metrics", samples=[sample(1), sample(2)]))["accepted"]
        assert 2 == (await stream.ask("metrics", samples=[sample(1), sample(2)]))["accepted"]  # sent again
        names = {f"x{number}": 1 for number in range(60_000)}
        assert 1 == (await stream.ask("metrics", samples=[sample(3) | names]))["accepted"]
        large = await stream.ask("metrics", samples=[sample(4, disks=[{"device": "x" * 900_000}])])
        assert ["invalid_sample"] == [bad["code"] for bad in large["rejected"]]
        many = await stream.ask("metrics", samples=[0] * 300_000)
        assert ("error", "too_many_samples") == (many["op"], many["code"])
        await other.is_well()
        ingest.clock.advance(20)  # what it owes for that
        for batch in range(5):
            await stream.ask("metrics", samples=[sample(1000 * batch + n) for n in range(10, 1010)])
        for seq in range(MAX_REFUSALS):  # a sample every millisecond
            ingest.clock.advance(0.001)
            answer = await stream.ask("metrics", samples=[sample(7000 + seq)])
            assert ("error", "too_many_requests") == (answer["op"], answer["code"])
        assert 4429 == (await stream.closed())[0]
        await other.is_well()

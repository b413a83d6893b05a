"""What the history of a server's metrics says: at which level, up to which moment, and where there was nothing."""

import datetime as dt
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest
import pytest_asyncio

from services.worker.rollups import roll_up
from shared.io.database.pool import connect
from shared.levels import floor
from shared.resources.metrics import Sample
from tests.support.api import OTHER_WORKSPACE, WORKSPACE, Api
from tests.support.metric_history import HistoryWriter, level_stands_at

NOW = floor(dt.datetime.now(dt.UTC), dt.timedelta(days=1)) + dt.timedelta(hours=10, minutes=20, seconds=30)
HOUR, MINUTE, DAY = dt.timedelta(hours=1), dt.timedelta(minutes=1), dt.timedelta(days=1)


@pytest.fixture
def api(sealed_api: Api) -> Api:
    """Give an api whose clock stands still, without appliers: the tests commit themselves."""
    sealed_api.parts.metric_history.now = lambda: NOW
    return sealed_api


@pytest_asyncio.fixture
async def writer(api: Api, database_url: str) -> AsyncIterator[HistoryWriter]:
    connection = await connect(database_url)
    for workspace_id in (WORKSPACE, OTHER_WORKSPACE):
        await add_server(api, workspace_id)
    yield HistoryWriter(connection)
    await connection.close()


async def add_server(api: Api, workspace_id: str, server_id: str = "s_1") -> None:
    await api.pool.execute(
        "INSERT INTO servers SELECT (jsonb_populate_record(NULL::servers, to_jsonb($1::text::jsonb) "
        "|| jsonb_build_object('workspace_id', $2::text, 'id', $3::text, 'version', 1))).*",
        '{"name":"web","hostname":"","machine_id":"","status":"online","tags":[],"groups":[],"notes":"","hidden":false,'
        '"position":0,"os":{},"agent_version":"","provider":"","currency":"","billing_cycle":""}',
        workspace_id,
        server_id,
    )


async def measure(
    writer: HistoryWriter,
    begin: dt.datetime,
    end: dt.datetime,
    every: dt.timedelta,
    workspace_id: str = WORKSPACE,
    **values: Any,  # noqa: ANN401  (fields of a sample)
) -> None:
    numbers = {"cpu_percent": 10.0} | values
    times = [begin + n * every for n in range((end - begin) // every)]
    for first in range(0, len(times), 5000):
        await writer.commit((workspace_id, "s_1", Sample(ts=at, **numbers)) for at in times[first : first + 5000])


async def ask(api: Api, who: str = "viewer", *, server_id: str = "s_1", **parameters: Any) -> httpx.Response:  # noqa: ANN401  (values of parameters)
    named = {"from" if name == "begin" else "to" if name == "end" else name: text(v) for name, v in parameters.items()}
    return await api.http.get(f"/api/v1/servers/{server_id}/metrics", params=named, headers=await api.let_in(who))


def text(value: object) -> str:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, dt.datetime) else str(value)


async def answer(api: Api, who: str = "viewer", **parameters: Any) -> dict[str, Any]:  # noqa: ANN401  (likewise)
    response = await ask(api, who, **parameters)
    assert 200 == response.status_code, response.text
    found: dict[str, Any] = response.json()
    return found


def times(found: dict[str, Any]) -> list[dt.datetime]:
    return [dt.datetime.fromisoformat(point["ts"]) for point in found["points"]]


async def test_short_time_is_answered_with_samples(api: Api, writer: HistoryWriter) -> None:
    begin = NOW - 2 * MINUTE
    await measure(writer, begin, NOW, dt.timedelta(seconds=5), mem_used=2**40 + 1, load1=0.1, net_rx_total=7)
    found = await answer(api, begin=begin, end=NOW)
    assert ("raw", 5.0, 24, []) == (found["resolution"], found["resolution_s"], len(found["points"]), found["gaps"])
    gauges = {"cpu_percent": 10, "load1": 0.1, "mem_used": 2**40 + 1}
    expected = {"ts": text(begin)[:-1] + ".000000Z", "avg": gauges, "min": gauges, "max": gauges | {"net_rx_total": 7}}
    assert expected == found["points"][0]


@pytest.mark.parametrize(
    ("span", "resolution", "step_s"),
    [
        (HOUR, "raw", 60),
        (6 * HOUR, "raw", 60),
        (DAY, "1m", 60),
        (7 * DAY, "15m", 900),
        (31 * DAY, "1h", 3600),
        (366 * DAY, "1d", 86_400),
        (10 * 366 * DAY, "1d", 3 * 86_400),
    ],
)
async def test_level_follows_from_the_span(
    api: Api, writer: HistoryWriter, span: dt.timedelta, resolution: str, step_s: int
) -> None:
    await level_stands_at(api.pool, NOW - 2 * DAY)
    await measure(writer, NOW - HOUR, NOW, MINUTE)
    await roll_up(api.pool, NOW)
    found = await answer(api, begin=NOW - span, end=NOW)
    assert (resolution, step_s) == (found["resolution"], found["resolution_s"])
    assert 0 < len(found["points"]) <= 1500


async def test_level_that_holds_the_time_no_more_is_passed_over(api: Api, writer: HistoryWriter) -> None:
    assert writer
    await api.pool.execute("UPDATE metrics_levels SET kept_from = $1 WHERE level IN ('raw', '1m')", NOW - 14 * DAY)
    assert "15m" == (await answer(api, begin=NOW - 15 * DAY, end=NOW - 15 * DAY + HOUR))["resolution"]
    assert "raw" == (await answer(api, begin=NOW - 13 * DAY, end=NOW - 13 * DAY + HOUR))["resolution"]
    await api.pool.execute("UPDATE metrics_levels SET kept_from = $1", NOW - 13 * DAY)
    assert "1d" == (await answer(api, begin=NOW - 15 * DAY, end=NOW - 15 * DAY + HOUR))["resolution"]


@pytest.mark.parametrize("rolled_up_until", [None, NOW - 6 * HOUR, NOW - 5 * MINUTE, NOW])
@pytest.mark.parametrize("resolution", ["1m", "15m", "1h", "1d", "300", "7200", "30"])
async def test_answer_goes_up_to_now_however_far_it_is_rolled_up(
    api: Api, writer: HistoryWriter, rolled_up_until: dt.datetime | None, resolution: str
) -> None:
    await level_stands_at(api.pool, floor(NOW, DAY))
    begin = NOW - 9 * HOUR
    for n in range(3):
        await measure(
            writer,
            begin + n * 3 * HOUR,
            begin + (n + 1) * 3 * HOUR,
            10 * dt.timedelta(seconds=1),
            cpu_percent=10.0 + n,
            load1=float(n) if n else None,
        )
    if rolled_up_until is not None:
        await roll_up(api.pool, rolled_up_until)
    found = await answer(
        api, begin=max(begin, NOW - 12 * HOUR if resolution != "30" else NOW - HOUR), end=NOW, resolution=resolution
    )
    step = dt.timedelta(seconds=found["resolution_s"])
    assert floor(NOW - dt.timedelta(seconds=1), step) == times(found)[-1]
    assert [] == found["gaps"]
    assert 12.0 == found["points"][-1]["max"]["cpu_percent"]
    if resolution == "1d":
        assert pytest.approx(11.0) == found["points"][0]["avg"]["cpu_percent"]
        assert pytest.approx(1.5) == found["points"][0]["avg"]["load1"]


async def test_fields_are_those_that_are_asked_for(api: Api, writer: HistoryWriter) -> None:
    await measure(writer, NOW - HOUR, NOW, MINUTE, load1=1.0, net_rx_total=7, processes=3)
    for resolution in ("raw", "1m"):
        found = await answer(api, fields="processes,net_rx_total,processes", resolution=resolution, begin=NOW - HOUR)
        numbers = {kind: found["points"][0][kind] for kind in ("avg", "min", "max")}
        assert {"avg": {"processes": 3}, "min": {"processes": 3}, "max": {"processes": 3, "net_rx_total": 7}} == numbers
        only = await answer(api, fields="net_tx_total", resolution=resolution, begin=NOW - HOUR)
        assert ({}, {}, {}) == tuple(only["points"][0][kind] for kind in ("avg", "min", "max"))


async def test_without_a_time_the_last_day_is_answered(api: Api, writer: HistoryWriter) -> None:
    await level_stands_at(api.pool, NOW - 2 * DAY)
    await measure(writer, NOW - 30 * HOUR, NOW, MINUTE)
    found = await answer(api)
    assert (NOW - DAY).replace(second=0) == times(found)[0]
    assert "1m" == found["resolution"]


async def test_many_samples_in_a_short_time_are_answered_in_steps(api: Api, writer: HistoryWriter) -> None:
    await measure(writer, NOW - 26 * MINUTE, NOW, dt.timedelta(seconds=1))
    assert "1m" == (await answer(api, begin=NOW - 26 * MINUTE, end=NOW))["resolution"]
    refused = await ask(api, begin=NOW - 26 * MINUTE, end=NOW, resolution="raw")
    assert (400, "resolution") == (refused.status_code, refused.json()["errors"][0]["field"])


async def test_silence_is_a_gap_at_every_resolution(api: Api, writer: HistoryWriter) -> None:
    quiet = floor(NOW, HOUR) - 3 * HOUR
    await measure(writer, NOW - 6 * HOUR, quiet, dt.timedelta(seconds=15))
    await measure(writer, quiet + 2 * HOUR, NOW, dt.timedelta(seconds=15))
    for resolution in ("raw", "1m", "15m", "1h"):
        found = await answer(api, begin=NOW - 6 * HOUR, end=NOW, resolution=resolution)
        (gap,) = found["gaps"]
        begin, end = (dt.datetime.fromisoformat(gap[name]) for name in ("from", "to"))
        assert (quiet, quiet + 2 * HOUR) == (begin + (quiet - begin) * (resolution == "raw"), end)


async def test_gaps_are_none_of_the_time_to_come(api: Api, writer: HistoryWriter) -> None:
    await measure(writer, NOW - HOUR, NOW, MINUTE)
    assert [] == (await answer(api, begin=NOW - HOUR, end=NOW + HOUR))["gaps"]
    assert [] == (await answer(api, begin=NOW + HOUR, end=NOW + 2 * HOUR))["gaps"]
    found = await answer(api, begin=NOW - 3 * DAY, end=NOW - 2 * DAY)
    assert ([], [{"from": text(NOW - 3 * DAY), "to": text(NOW - 2 * DAY)}]) == (found["points"], found["gaps"])


async def test_history_of_another_workspace_is_not_read(api: Api, writer: HistoryWriter) -> None:
    begin = NOW - HOUR
    await measure(writer, begin, NOW, MINUTE, workspace_id=OTHER_WORKSPACE, cpu_percent=77.0)
    await measure(writer, begin + 30 * MINUTE, NOW, MINUTE, cpu_percent=11.0)
    for rolled_up in (False, True):
        if rolled_up:
            await level_stands_at(api.pool, floor(begin, DAY))
            await roll_up(api.pool, NOW)
        for resolution in ("raw", "1m", "15m"):
            ours = await answer(api, begin=begin, end=NOW, resolution=resolution)
            theirs = await answer(api, who="stranger", begin=begin, end=NOW, resolution=resolution)
            assert {11.0} == {point["max"]["cpu_percent"] for point in ours["points"]}
            assert {77.0} == {point["max"]["cpu_percent"] for point in theirs["points"]}


async def test_history_of_a_deleted_server_is_not_read_through_a_new_one(api: Api, writer: HistoryWriter) -> None:
    await measure(writer, NOW - HOUR, NOW, MINUTE)
    await api.pool.execute("DELETE FROM servers")
    assert 404 == (await ask(api)).status_code
    await add_server(api, OTHER_WORKSPACE)
    assert [] == (await answer(api, who="stranger"))["points"]


@pytest.mark.parametrize("server_id", ["s_nobody", "s 1", "x" * 65, "%00"])
async def test_unknown_server_is_not_found(api: Api, writer: HistoryWriter, server_id: str) -> None:
    assert writer
    assert 404 == (await ask(api, server_id=server_id)).status_code


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"from": "yesterday"}, "from"),
        ({"from": "1700000000"}, "from"),
        ({"from": "2026-01-01T00:00:00"}, "from"),
        ({"from": "2026-01-01"}, "from"),
        ({"from": ""}, "from"),
        ({"to": "2026-01-01T25:00:00Z"}, "to"),
        ({"to": "9999-12-31T23:59:59Z"}, "to"),
        ({"from": "1969-12-31T23:59:59Z"}, "from"),
        ({"from": "0001-01-01T00:00:00+14:00"}, "from"),
        ({"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "from"),
        ({"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "from"),
        ({"from": "2026-01-01T01:00:00+01:00", "to": "2026-01-01T00:00:00Z"}, "from"),
        ({"resolution": "2m"}, "resolution"),
        ({"resolution": ""}, "resolution"),
        ({"resolution": "0"}, "resolution"),
        ({"resolution": "-60"}, "resolution"),
        ({"resolution": "61"}, "resolution"),
        ({"resolution": "1.5"}, "resolution"),
        ({"resolution": "٣"}, "resolution"),
        ({"resolution": "99999999"}, "resolution"),
        ({"resolution": "10" * 4000}, "resolution"),
        ({"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z", "resolution": "1m"}, "resolution"),
        ({"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z", "resolution": "30"}, "resolution"),
        ({"fields": "cpu_percent,gpu"}, "fields"),
        ({"fields": ""}, "fields"),
        ({"fields": "cpu_percent,"}, "fields"),
        ({"fields": "disks"}, "fields"),
        ({"fields": "cpu_percent;DROP TABLE servers"}, "fields"),
        ({"fields": "a\0b"}, "fields"),
        ({"limit": "5"}, "limit"),
        ([("fields", "load1"), ("fields", "load5")], "fields"),
        ([("from", "2026-01-01T00:00:00Z"), ("from", "2026-01-01T00:00:00Z")], "from"),
    ],
)
async def test_wrong_parameter_is_named(
    api: Api, writer: HistoryWriter, parameters: dict[str, str] | Sequence[tuple[str, str]], field: str
) -> None:
    assert writer
    query = httpx.QueryParams(parameters)  # type: ignore[arg-type]  # pairs are taken as well
    response = await api.http.get("/api/v1/servers/s_1/metrics", params=query, headers=await api.let_in("viewer"))
    assert (400, field) == (response.status_code, response.json()["errors"][0]["field"])


async def test_offsets_of_times_are_minded(api: Api, writer: HistoryWriter) -> None:
    await measure(writer, NOW - HOUR, NOW, MINUTE)
    begin = (NOW - HOUR).astimezone(dt.timezone(dt.timedelta(hours=5, minutes=45)))
    found = await answer(api, begin=begin.isoformat(), end=NOW, resolution="1m")
    assert (NOW - HOUR).replace(second=0) == times(found)[0]

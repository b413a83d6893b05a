"""The `muster-agent` command as a process: exit codes, signals, and what it prints."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import cast

import pytest

from muster_agent import __version__, segment
from tests.support.fake_ingest import FakeIngest

DEADLINE_S = 15.0
# What a stop may take, and a machine that is busy with other tests on top.
STOP_WITHIN_S = 5.0

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def ingest() -> Iterator[FakeIngest]:
    server = FakeIngest()
    server.start()
    yield server
    server.release_answers()
    server.stop()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    processes: list[subprocess.Popen[str]] = []

    def started(*arguments: str, **environ: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "muster_agent", *arguments],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "NO_PROXY": "127.0.0.1", **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield started
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.communicate()


@pytest.fixture
def reporting(start: Start, ingest: FakeIngest, tmp_path: Path) -> subprocess.Popen[str]:
    """Give an agent whose samples arrive."""
    state_dir = str(tmp_path / "state")
    process = start(
        *("--server", ingest.url, "--state-dir", state_dir, "--interval", "0.1"),
        MUSTER_ENROL_TOKEN=ingest.token,
        MUSTER_AGENT_TRANSPORT="http",
    )
    ingest.wait_until(lambda server: len(server.samples) >= 2, DEADLINE_S)
    return process


def end(process: subprocess.Popen[str], within_s: float = DEADLINE_S) -> tuple[int, str, str]:
    out, error = process.communicate(timeout=within_s)
    return process.returncode, out, error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "muster-agent: which server? give --server URL or set MUSTER_SERVER\n"),
        (("--server", "localhost"), "muster-agent: argument --server: 'localhost' is not a URL such as"),
        (("--server", "http://127.0.0.1:1"), "muster-agent: this machine is not enrolled yet: give an enrolment"),
        (("--nonsense",), "muster-agent: unrecognized arguments: --nonsense\n"),
    ],
)
def test_a_wrong_start_says_why_in_one_line_and_exits_with_2(
    start: Start, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    code, out, error = end(start("--state-dir", str(tmp_path / "state"), *arguments))
    assert (2, "") == (code, out)
    assert error.startswith(message)
    assert 1 == error.count("\n")
    assert not (tmp_path / "state").exists()


def test_a_state_directory_that_cannot_be_used_exits_with_1(start: Start, tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("", encoding="utf-8")
    code, _, error = end(
        start("--server", "http://127.0.0.1:1", "--token", "t", "--state-dir", str(in_the_way / "below"))
    )
    assert 1 == code
    assert f"muster-agent: cannot read {in_the_way}/below/credential.json: Not a directory\n" == error


def test_a_refused_token_exits_with_1_and_is_not_printed(start: Start, ingest: FakeIngest, tmp_path: Path) -> None:
    code, _, error = end(
        start("--server", ingest.url, "--token", "a-wrong-token", "--state-dir", str(tmp_path / "state"))
    )
    assert 1 == code
    assert error.endswith("refused the enrolment: HTTP 401: unauthenticated: the enrolment token is not valid\n")
    assert "a-wrong-token" not in error


def test_once_prints_what_would_be_sent_and_needs_nothing(start: Start, tmp_path: Path) -> None:
    code, out, error = end(start("--once"))
    assert (0, "") == (code, error)
    assert {"ts", "boot_id", "seq", "mem_used", "disk_used", "uptime_s"} <= json.loads(out).keys()
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_a_goodbye(
    reporting: subprocess.Popen[str], ingest: FakeIngest, number: signal.Signals
) -> None:
    reporting.send_signal(number)
    code, out, error = end(reporting, STOP_WITHIN_S)
    assert (0, "") == (code, out)
    assert 1 == ingest.goodbyes
    assert error.endswith("info said goodbye\n")
    assert ingest.secret not in error
    assert ingest.token not in error


def test_it_does_not_log_each_sample(reporting: subprocess.Popen[str], ingest: FakeIngest) -> None:
    ingest.wait_until(lambda server: len(server.samples) >= 10)
    reporting.send_signal(signal.SIGTERM)
    _, _, error = end(reporting)
    assert [
        f"info muster-agent {__version__} reports to {ingest.url} every 0.1 s",
        "info enrolled as s_1 (agent a_1)",
        f"info connected to {ingest.url} as s_1",
        "info said goodbye",
    ] == [line.split(" ", 1)[1] for line in error.splitlines()]


def test_it_ends_in_time_although_the_server_is_away(reporting: subprocess.Popen[str], ingest: FakeIngest) -> None:
    ingest.stop()
    reporting.send_signal(signal.SIGTERM)
    code, _, error = end(reporting, STOP_WITHIN_S)
    assert 0 == code
    assert "could not say goodbye: cannot reach" in error


def test_it_ends_in_time_although_the_server_hangs(reporting: subprocess.Popen[str], ingest: FakeIngest) -> None:
    hang(ingest)
    began_s = time.monotonic()
    reporting.send_signal(signal.SIGTERM)
    code, _, error = end(reporting, 2 * STOP_WITHIN_S)
    assert 0 == code
    assert time.monotonic() - began_s < STOP_WITHIN_S
    assert "the server or the disk does not answer; leaving" in error


def test_a_second_signal_ends_it_at_once(reporting: subprocess.Popen[str], ingest: FakeIngest) -> None:
    hang(ingest)
    reporting.send_signal(signal.SIGTERM)
    began_s = time.monotonic()
    reporting.send_signal(signal.SIGINT)
    # Of two signals that wait, either may be heard first.
    assert reporting.wait(DEADLINE_S) in {128 + signal.SIGINT, 128 + signal.SIGTERM}
    assert time.monotonic() - began_s < 2.0


def test_a_machine_that_slept_makes_nothing_up(reporting: subprocess.Popen[str], ingest: FakeIngest) -> None:
    reporting.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, reporting.pid, os.WSTOPPED)
    asleep = len(ingest.samples)
    # Here time itself has to pass: ten intervals of it.
    time.sleep(1.0)
    reporting.send_signal(signal.SIGCONT)
    ingest.wait_until(lambda server: len(server.samples) >= asleep + 5)
    reporting.send_signal(signal.SIGTERM)
    end(reporting)
    times_s = [datetime.fromisoformat(sample["ts"]).timestamp() for sample in ingest.samples]
    assert max(after - before for before, after in pairwise(times_s)) >= 1.0
    # Ten instants passed in the sleep; the one sample on waking may stand for one of them.
    assert len(times_s) - 1 <= (times_s[-1] - times_s[0]) / 0.1 - 8
    assert list(range(1, len(times_s) + 1)) == ingest.sequence_numbers()


@pytest.mark.parametrize("transport", ["stream", "http"])
def test_a_process_that_is_killed_in_an_outage_and_started_again_loses_no_sample(
    start: Start, ingest: FakeIngest, tmp_path: Path, transport: str
) -> None:
    arguments = ("--server", ingest.url, "--state-dir", str(tmp_path / "state"), "--interval", "0.1")
    first = start(*arguments, "--transport", transport, MUSTER_ENROL_TOKEN=ingest.token)
    ingest.wait_until(lambda server: len(server.samples) >= 2, DEADLINE_S)
    ingest.stop()
    wait_until(lambda: len(spooled(tmp_path)) >= 5)
    first.kill()
    first.wait(DEADLINE_S)
    # Killed a second time while it sends what was left, it has nothing to lose either.
    left = spooled(tmp_path)
    ingest.start()
    ingest.hold_answers()
    second = start(*arguments, "--transport", transport)
    seen = len(ingest.requests)
    ingest.wait_until(lambda server: len(server.requests) > seen or len(server.streams) == 2, DEADLINE_S)
    second.kill()
    second.wait(DEADLINE_S)
    ingest.release_answers()
    third = start(*arguments, "--transport", transport)
    ingest.wait_until(lambda server: left <= set(server.history) and not server.missing(), DEADLINE_S)
    third.send_signal(signal.SIGTERM)
    assert 0 == end(third)[0]
    assert len(left) >= 5
    assert len(set(ingest.history)) == len(ingest.history)


def test_a_machine_that_slept_on_a_stream_makes_nothing_up_and_goes_on(
    start: Start, ingest: FakeIngest, tmp_path: Path
) -> None:
    ingest.terms["heartbeat_s"] = 0.2
    arguments = ("--server", ingest.url, "--state-dir", str(tmp_path / "state"), "--interval", "0.1")
    process = start(*arguments, "--transport", "stream", MUSTER_ENROL_TOKEN=ingest.token)
    ingest.wait_until(lambda server: len(server.samples) >= 2, DEADLINE_S)
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
    # Here time itself has to pass: more than the agent waits for an answer. The server gives the connection up.
    time.sleep(2.0)
    ingest.close_streams(1001)
    process.send_signal(signal.SIGCONT)
    ingest.wait_until(
        lambda server: len(server.streams) == 2 and len(server.streams[1].received) >= 5 and not server.missing(),
        DEADLINE_S,
    )
    process.send_signal(signal.SIGTERM)
    end(process)
    times_s = sorted(datetime.fromisoformat(sample["ts"]).timestamp() for sample in ingest.samples)
    # Twenty instants passed in the sleep; few samples on waking may stand for some of them.
    assert len(times_s) - 1 <= (times_s[-1] - times_s[0]) / 0.1 - 15
    assert [] == ingest.missing()


def spooled(tmp_path: Path) -> set[tuple[str, int]]:
    """Give the samples that are on disk, whoever is writing there."""
    files = sorted((tmp_path / "state" / "spool").glob("*.samples"))
    stored = [each for file in files for each in segment.read(file.read_bytes())]
    return {each.sample.identity for each in stored}


def wait_until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, "not in time"
        time.sleep(0.02)


def hang(ingest: FakeIngest) -> None:
    """Let the server take requests without answering, and wait until one is held."""
    ingest.hold_answers()
    requests = len(ingest.requests)
    ingest.wait_until(lambda server: len(server.requests) > requests)


def program(folder: Path, name: str, script: str) -> str:
    """Put a program before all others of its name; give the PATH for that."""
    folder.mkdir()
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    file.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def samples_with(ingest: FakeIngest, start: Start, tmp_path: Path, path: str, *flags: str) -> list[dict[str, object]]:
    """Give twenty samples of an agent that finds its programs in `path`."""
    arguments = ("--server", ingest.url, "--state-dir", str(tmp_path / "state"), "--interval", "0.1", *flags)
    start(*arguments, MUSTER_ENROL_TOKEN=ingest.token, PATH=path)
    ingest.wait_until(lambda server: len(server.samples) >= 20, DEADLINE_S)
    return list(ingest.samples)


def test_a_program_that_hangs_costs_only_its_fields(ingest: FakeIngest, start: Start, tmp_path: Path) -> None:
    path = program(tmp_path / "bin", "nvidia-smi", "exec sleep 30")
    samples = samples_with(ingest, start, tmp_path, path)
    assert not any("gpus" in sample for sample in samples)
    times = [datetime.fromisoformat(str(sample["ts"])) for sample in samples]
    assert (times[-1] - times[0]).total_seconds() < STOP_WITHIN_S
    assert all({"cpu_percent", "mem_used", "processes"} <= sample.keys() for sample in samples[1:])


def test_a_graphics_card_is_reported(ingest: FakeIngest, start: Start, tmp_path: Path) -> None:
    path = program(tmp_path / "bin", "nvidia-smi", "echo '0, 37, 1, 2, 61, 118.25, Tesla T4'")
    samples = samples_with(ingest, start, tmp_path, path)
    assert ["Tesla T4"] == [gpu["name"] for gpu in cast("list[dict[str, object]]", samples[-1]["gpus"])]


def test_what_is_turned_off_is_not_measured(ingest: FakeIngest, start: Start, tmp_path: Path) -> None:
    path = program(tmp_path / "bin", "nvidia-smi", f"touch '{tmp_path}/asked'")
    samples = samples_with(ingest, start, tmp_path, path, "--without", "gpus,top_processes,cpu")
    assert not any({"gpus", "top_processes", "cpu_percent", "cpu_cores"} & sample.keys() for sample in samples)
    assert not (tmp_path / "asked").exists()


def test_what_the_agent_takes_is_printed(start: Start) -> None:
    code, out, error = end(start("--footprint", "1", "--interval", "0.2"))
    assert (0, "") == (code, error)
    memory, processor, *_ = out.splitlines()
    assert 5 < float(memory.split()[1]) < 200
    assert 0 < float(processor.split()[1]) < 100

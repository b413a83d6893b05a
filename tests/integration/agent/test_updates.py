"""An agent takes what its server offers when it is signed and works, and the old one comes back when it does not."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from muster_agent import __version__
from shared.agent_builds import ZIPAPP, write_manifest
from stack.delivery import zipapp
from stack.delivery.publish import describe
from tests.support.fake_ingest import FakeIngest

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PUBLIC = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
PLACE = f"/api/v1/download/agent/{'/'.join(ZIPAPP)}"
NEW = "0.99.0"
DEADLINE_S = 60.0
GOOD = ""
CRASHING = "raise SystemExit(3)\n"
# until the agent that tries it has ended
HANGING = "import sys\nsys.stdin.read()\n"

Start = Callable[..., "subprocess.Popen[bytes]"]


def packed(target: Path, version: str, main: str) -> Path:
    """Pack the agent as another version, whose module `main` begins with these lines."""
    agent = target.with_suffix(".d") / "muster_agent"
    shutil.copytree(zipapp.AGENT, agent, ignore=shutil.ignore_patterns("__pycache__"))
    init = agent / "__init__.py"
    init.write_text(re.sub(r'"\d.*"', f'"{version}"', init.read_text()))
    text = (agent / "main.py").read_text()
    begin = "import json\n"
    assert text.count(begin) == 1
    (agent / "main.py").write_text(text.replace(begin, main + begin))
    zipapp.pack(target, agent=agent)
    return target


@pytest.fixture
def ingest() -> Iterator[FakeIngest]:
    server = FakeIngest()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def start(tmp_path: Path, ingest: FakeIngest) -> Iterator[Start]:
    installed = tmp_path / "installed.pyz"
    zipapp.pack(installed)
    processes = []

    def started(trial_s: float = DEADLINE_S) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(installed), "--server", ingest.url, "--state-dir", str(tmp_path / "state")]
        command += ["--interval", "0.2", "--update", "--update-key", PUBLIC]
        command += ["--update-interval", "1", "--update-trial", str(trial_s)]
        environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "NO_PROXY": "127.0.0.1"}
        environ |= {"MUSTER_ENROL_TOKEN": ingest.token, "MUSTER_AGENT_CACHE": str(tmp_path / "cache")}
        with (tmp_path / "log").open("ab") as log:
            processes.append(subprocess.Popen(command, env=environ, stdout=log, stderr=log, start_new_session=True))
        return processes[-1]

    yield started
    for process in processes:
        process.kill()
        process.wait()


def offer(ingest: FakeIngest, folder: Path, main: str, *, key: Ed25519PrivateKey = KEY, cut: bool = False) -> str:
    """Let the server offer a build; return its SHA-256."""
    file = packed(folder / "new.pyz", NEW, main)
    build = describe(file, ZIPAPP, NEW, python="3.9")
    signed = msgspec.json.encode(build)
    content = file.read_bytes()
    ingest.files[f"{PLACE}/{NEW}"] = content[: len(content) // 2] if cut else content
    ingest.files[f"{PLACE}/latest.manifest"] = write_manifest(signed, key.sign(signed))
    return build.sha256


def versions(ingest: FakeIngest) -> list[str]:
    return [handshake["agent_version"] for handshake in ingest.handshakes]


def looks(ingest: FakeIngest, times: int) -> None:
    """Wait until the agent has looked for an update so many times more."""
    before = ingest.requests.count(f"{PLACE}/latest.manifest")
    ingest.wait_until(lambda it: it.requests.count(f"{PLACE}/latest.manifest") >= before + times, DEADLINE_S)


def end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    assert 0 == process.wait(DEADLINE_S)


def test_a_good_update_takes_the_place_of_the_agent_and_stays_after_a_restart(
    start: Start, ingest: FakeIngest, tmp_path: Path
) -> None:
    offer(ingest, tmp_path, GOOD)
    process = start()
    # once in its trial, once in the place of the old one
    ingest.wait_until(lambda it: [__version__, NEW, NEW] == versions(it), DEADLINE_S)
    assert 0 == ingest.goodbyes
    looks(ingest, 2)
    end(process)
    assert 1 == ingest.goodbyes
    again = start()
    ingest.wait_until(lambda it: [__version__, NEW, NEW, NEW] == versions(it), DEADLINE_S)
    end(again)
    assert 1 == len(ingest.enrolments)
    assert 1 == ingest.requests.count(f"{PLACE}/{NEW}")


def test_an_update_with_another_signature_is_not_even_downloaded(
    start: Start, ingest: FakeIngest, tmp_path: Path
) -> None:
    offer(ingest, tmp_path, GOOD, key=Ed25519PrivateKey.generate())
    process = start()
    looks(ingest, 3)
    end(process)
    assert [__version__] == versions(ingest)
    assert 0 == ingest.requests.count(f"{PLACE}/{NEW}")
    assert "is not signed with the key" in (tmp_path / "log").read_text()


def test_an_update_that_is_cut_short_is_not_tried(start: Start, ingest: FakeIngest, tmp_path: Path) -> None:
    offer(ingest, tmp_path, GOOD, cut=True)
    process = start()
    ingest.wait_until(lambda it: it.requests.count(f"{PLACE}/{NEW}") >= 2, DEADLINE_S)
    end(process)
    assert [__version__] == versions(ingest)
    assert "the download is not what was offered" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("main", [CRASHING, HANGING], ids=["crashing", "hanging"])
def test_an_update_that_does_not_report_makes_room_again_and_is_not_tried_twice(
    start: Start, ingest: FakeIngest, tmp_path: Path, main: str
) -> None:
    digest = offer(ingest, tmp_path, main)
    process = start(trial_s=5)
    ingest.wait_until(lambda it: [__version__, __version__] == versions(it), DEADLINE_S)
    assert 0 == ingest.goodbyes
    looks(ingest, 3)
    end(process)
    assert [digest] == list(json.loads((tmp_path / "state" / "update" / "failed.json").read_text()))
    assert 1 == ingest.requests.count(f"{PLACE}/{NEW}")
    assert [__version__, __version__] == versions(ingest)


def test_an_agent_that_is_killed_while_it_tries_an_update_is_whole_at_the_next_start(
    start: Start, ingest: FakeIngest, tmp_path: Path
) -> None:
    offer(ingest, tmp_path, HANGING)
    process = start()
    ingest.wait_until(lambda it: it.requests.count(f"{PLACE}/{NEW}") >= 1, DEADLINE_S)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    again = start()
    ingest.wait_until(lambda it: len(versions(it)) >= 2, DEADLINE_S)
    assert {__version__} == set(versions(ingest))
    end(again)

"""A machine of its own for a test: empty network and process namespaces, and a root of its own made from this machine.

Nothing but the programs below `/usr` is shared, and those can only be read. Its one way out is a socket that listens
on its loopback and is served by the test, which passes what comes on to where it says.
"""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import psutil
import pytest

from tests.support.applier import until

_UNSHARE = ["unshare", "--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc"]
_PREPARE = """
set -eu
ip link set lo up
hostname separate-machine
mount -t tmpfs none "$1"
cd "$1"
mkdir -p usr etc dev proc tmp var/lib var/cache run root
chmod 1777 tmp
mount --bind /usr usr && mount -o remount,bind,ro usr
mount -t tmpfs none usr/local
mkdir -p usr/local/bin usr/local/lib
for each in bin sbin lib lib64; do [ ! -e "/$each" ] || ln -s "usr/$each" "$each"; done
mount -t proc proc proc
for each in null zero urandom random; do : >"dev/$each"; mount --bind "/dev/$each" "dev/$each"; done
for each in ld.so.cache ld.so.conf login.defs nsswitch.conf pam.d security ssl alternatives default; do
  [ ! -e "/etc/$each" ] || cp -rL "/etc/$each" "etc/$each" 2>/dev/null || true
done
printf 'root:x:0:0::/root:/bin/sh\n' >etc/passwd
printf 'root:x:0:\n' >etc/group
: >etc/shadow
: >etc/gshadow
printf '127.0.0.1 localhost separate-machine\n' >etc/hosts
printf '0123456789abcdef0123456789abcdef\n' >etc/machine-id
# there is nobody else to become root from
printf '#!/bin/sh\nexec env "$@"\n' >usr/local/bin/sudo
chmod +x usr/local/bin/sudo
"$3" -I -c 'import socket, sys
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
socket.send_fds(socket.socket(fileno=int(sys.argv[2])), [b"."], [listening.fileno()])' "$2" "$4"
"""
_ALL_OF_IT = ("--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd")
_PATH = "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_RUN_SHELL = f"""
exec env -i {_PATH} HOME=/root LC_ALL=C chroot . "$5"
"""
# as in a container, see https://systemd.io/CONTAINER_INTERFACE/
_BOOT = f"""
mkdir -p sys etc/systemd/system
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs none run
ln -s /dev/null etc/systemd/system/systemd-udevd.service
ln -s /dev/null etc/systemd/system/dbus.service
exec env -i container=muster {_PATH} chroot . /lib/systemd/systemd --unit=multi-user.target --show-status=no
"""


def why_impossible() -> str:
    """Say why there can be no such machine here; nothing where there can."""
    if os.geteuid() != 0:
        return "namespaces with a root of their own need root"
    for program in ("setpriv", "unshare", "ip", "chroot", "curl", "useradd", "python3"):
        if shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
            return f"there is no {program}"
    tried = subprocess.run([*_UNSHARE, "true"], check=False, capture_output=True, text=True)
    return f"namespaces cannot be made here: {tried.stderr.strip()}" if tried.returncode else ""


def why_unbootable() -> str:
    """Say why no such machine can run systemd here; nothing where one can."""
    if reason := why_impossible():
        return reason
    missing = [path for path in ("/lib/systemd/systemd", "/usr/bin/nsenter") if not Path(path).exists()]
    return f"there is no {missing[0]}" if missing else ""


def needs(reason: str) -> pytest.MarkDecorator:
    """Skip tests for such a reason, if there is one; never where everything must hold: root in CI has to be able to."""
    must = bool(os.environ.get("CI")) and os.geteuid() == 0
    return pytest.mark.skipif(bool(reason) and not must, reason=reason)


class Machine(Protocol):
    """What commands can be run on."""

    async def run(self, command: str, within_s: float = 60) -> tuple[int, str]:
        """Run a command; return its exit status and all that it said."""


class BootedMachine:
    """A machine whose first process has this number: each command enters it anew."""

    def __init__(self, pid: int) -> None:
        self._enter = ("nsenter", "--target", str(pid), *_ALL_OF_IT, "env", "-i", _PATH, "HOME=/root", "LC_ALL=C")

    async def run(self, command: str, within_s: float = 60) -> tuple[int, str]:
        """Run a command; return its exit status and all that it said."""
        process = await asyncio.create_subprocess_exec(
            *(*self._enter, "/bin/sh", "-c", command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(within_s):
                said, _ = await process.communicate()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        assert process.returncode is not None
        return process.returncode, said.decode().rstrip("\n")


class SeparateMachine:
    """A shell on the machine."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def run(self, command: str, within_s: float = 60) -> tuple[int, str]:
        """Run a command; return its exit status and all that it said."""
        mark = f"end-{uuid.uuid4().hex}"
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # in a subshell, so that the command cannot end or steer this one
        self._process.stdin.write(f"({command}\n) </dev/null 2>&1; printf '\\n%s %s\\n' {mark} $?\n".encode())
        await self._process.stdin.drain()
        said = ""
        async with asyncio.timeout(within_s):
            while line := (await self._process.stdout.readline()).decode():
                if line.startswith(mark):
                    return int(line.split()[1]), said.rstrip("\n")
                said += line
        raise AssertionError(f"the machine has ended: {said}")


@contextlib.asynccontextmanager
async def separate_machine(folder: Path, port: int, shell: str = "/bin/sh") -> AsyncIterator[SeparateMachine]:
    """Run a machine whose `localhost:port` leads to ours until the block ends; then nothing of it is left."""
    async with _machine(folder, port, _PREPARE + _RUN_SHELL, shell) as process:
        yield SeparateMachine(process)


@contextlib.asynccontextmanager
async def booted_machine(folder: Path, port: int) -> AsyncIterator[BootedMachine]:
    """Run such a machine with systemd as its first process, once it is up."""
    async with _machine(folder, port, _PREPARE + _BOOT, "") as process:
        (first,) = psutil.Process(process.pid).children()

        async def is_systemd() -> bool:
            return Path(f"/proc/{first.pid}/exe").readlink().name == "systemd"

        await until(is_systemd)  # until then its root is still ours
        machine = BootedMachine(first.pid)
        await machine.run("until [ -S /run/systemd/private ]; do sleep 0.1; done; systemctl is-system-running --wait")
        yield machine


@contextlib.asynccontextmanager
async def _machine(folder: Path, port: int, script: str, shell: str) -> AsyncIterator[asyncio.subprocess.Process]:
    folder.mkdir()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        arguments = [
            str(folder),
            str(port),
            shutil.which("python3", path="/usr/bin") or "",
            str(theirs.fileno()),
            shell,
        ]
        process = await asyncio.create_subprocess_exec(
            # so that nothing of it is left whatever becomes of us
            *("setpriv", "--pdeathsig", "KILL", *_UNSHARE),
            *("sh", "-c", script, "sh", *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=(theirs.fileno(),),
        )
        theirs.close()
        try:
            _, descriptors, _, _ = await asyncio.to_thread(socket.recv_fds, ours, 1, 1)
            assert descriptors, "the machine could not be made"

            async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await _relay(reader, writer, port)

            server = await asyncio.start_server(relay, sock=socket.socket(fileno=descriptors[0]))
            async with server:
                yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    with contextlib.suppress(OSError):
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.TaskGroup() as both:
            both.create_task(_copy(reader, far_writer))
            both.create_task(_copy(far_reader, writer))


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await source.read(65_536):
            target.write(chunk)
            await target.drain()
    with contextlib.suppress(OSError):
        target.close()

"""Becomes another program, which ends when the one that started it does, and which need not be root.

The supervisor starts every process through this file (`python -I -S launch.py … -- program arguments`), not through
`preexec_fn`: code between fork and exec of a process with threads can deadlock. It uses the standard library only.

Rules from prctl(2) and capabilities(7): the parent-death signal is cleared by a change of credentials, so it is
set last; it belongs to the parent's *thread*, so the supervisor starts programs from its main thread; and a parent that
died before the signal was set is found by comparing its process id.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2


class CapabilityHeader(ctypes.Structure):
    """`struct __user_cap_header_struct` of capget(2)."""

    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class CapabilitySet(ctypes.Structure):
    """`struct __user_cap_data_struct` of capget(2): 32 of the 64 capabilities."""

    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


class Kernel:
    """The system calls that the `os` module lacks; a call that fails raises `OSError`."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)

    def prctl(self, option: int, first: int, second: int = 0) -> None:
        """Set an attribute of this process; the arguments that the call does not use must be zero."""
        arguments = [ctypes.c_ulong(value) for value in (first, second, 0, 0)]
        self._check(self._libc.prctl(option, *arguments), "prctl")

    def permitted_capabilities(self) -> int:
        """Return the capabilities below 32 that this process may raise, as a bit mask."""
        header, sets = CapabilityHeader(CAPABILITY_VERSION_3, 0), (CapabilitySet * 2)()
        self._check(self._libc.capget(ctypes.byref(header), sets), "capget")
        return int(sets[0].permitted)

    def keep_only(self, capability: int) -> None:
        """Give up every capability but this one, and keep it over the next exec."""
        mask = 1 << capability
        header, sets = CapabilityHeader(CAPABILITY_VERSION_3, 0), (CapabilitySet * 2)()
        sets[0] = CapabilitySet(mask, mask, mask)
        self._check(self._libc.capset(ctypes.byref(header), sets), "capset")
        self.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)

    @staticmethod
    def _check(result: int, call: str) -> None:
        if result != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"{call}: {os.strerror(number)}")


def reading_capability(permitted: int) -> int | None:
    """Choose what lets an ordinary user through folders that only root may read, from a mask of the permitted ones.

    Containers usually grant `CAP_DAC_OVERRIDE` without `CAP_DAC_READ_SEARCH`; the weaker one is preferred.
    """
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        if permitted & (1 << capability):
            return capability
    return None


def become(kernel: Kernel, uid: int, gid: int) -> None:
    """Change from root to this user for good, still able to reach the program and its folder wherever they are."""
    kept = reading_capability(kernel.permitted_capabilities())
    kernel.prctl(PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if kept is not None:
        kernel.keep_only(kept)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the options that `stack.program` writes before the `--`."""
    parser = argparse.ArgumentParser(prog="launch")
    parser.add_argument("--parent", type=int, required=True, help="process id of the supervisor")
    parser.add_argument("--death-signal", type=int, required=True, help="sent when the supervisor ends")
    parser.add_argument("--user", help="UID:GID to become")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Replace this process by the program; return only when that is impossible."""
    end = arguments.index("--")
    options, program = parse(arguments[:end]), arguments[end + 1 :]
    try:
        if options.user:
            uid, _, gid = options.user.partition(":")
            become(Kernel(), int(uid), int(gid))
        if sys.platform == "linux":
            Kernel().prctl(PR_SET_PDEATHSIG, options.death_signal)
        if os.getppid() != options.parent:
            return 1
        os.execv(program[0], program)  # noqa: S606 - no shell is wanted
    except OSError as error:
        print(f"cannot start {program[0]}: {error}", file=sys.stderr)
    return 126


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

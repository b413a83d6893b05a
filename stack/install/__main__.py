"""Installs the packages, then builds the page or runs npm: the command behind the Makefile."""

from __future__ import annotations

import argparse
import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stack.install.failure import InstallError
from stack.install.packages import Packages
from stack.install.page import Page

CHECKOUT = Path(__file__).resolve().parents[2]


@contextmanager
def alone(tools: Path) -> Iterator[None]:
    """Wait until nobody else installs in this checkout."""
    tools.mkdir(exist_ok=True)
    with (tools / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another installation in this folder", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python3 -m stack.install", description="Make this checkout runnable.")
    steps = parser.add_subparsers(dest="step", required=True, metavar="packages|page|npm|lock")
    steps.add_parser("packages", help="install the packages of requirements.lock")
    steps.add_parser("page", help="and build the page, when it is older than its sources")
    npm = steps.add_parser("npm", help="and run npm, with the packages of package-lock.json installed")
    npm.add_argument("arguments", nargs=argparse.REMAINDER)
    lock = steps.add_parser("lock", help="write the locks anew, with the options of uv pip compile")
    lock.add_argument("arguments", nargs=argparse.REMAINDER)
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Do the step; return the exit status."""
    given = parse(arguments)
    packages, page = Packages(CHECKOUT), Page(CHECKOUT)
    try:
        with alone(CHECKOUT / ".tools"):
            if given.step == "lock":
                packages.lock(*given.arguments)
                return 0
            packages.install()
            if given.step == "page" and page.exists:
                page.build()
            if given.step == "npm" and page.exists:
                page.install()
                page.npm(*given.arguments)
    except KeyboardInterrupt:
        return 130
    except (InstallError, OSError) as error:
        print(f"install: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The cost of fan-out: one broadcaster on one core, against peers that take turns with it.

    python -m bench.fanout [frames changes fleet memory herd size] [--turns 5]

The broadcaster is the process as it is, over a real Valkey and PostgreSQL; the clients, the databases and this process
have the other cores. What a server costs is the processor time that it has used, which what else the machine does
hits hardly at all.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from resource import RLIMIT_NOFILE, getrlimit, setrlimit

import uvloop

from bench.fanout import changes, fleet, frames, herd, memory, size
from bench.fanout.stage import Stage, staged
from shared.errors import MusterError

SCENARIOS: dict[str, Callable[[Stage, int], Awaitable[None]]] = {
    "frames": frames.run,
    "changes": changes.run,
    "fleet": fleet.run,
    "memory": memory.run,
    "herd": herd.run,
    "size": size.run,
}


async def run(names: list[str], turns: int) -> list[str]:
    """Run the scenarios one after the other; returns those that could not be measured."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, signal.raise_signal, signal.SIGINT)
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        async with staged(Path(folder)) as stage:
            for name in names:
                try:
                    await SCENARIOS[name](stage, turns)
                except (OSError, RuntimeError, MusterError) as error:
                    print(f"\n{name}: not measured: {error}")
                    failed.append(name)
    return failed


def main() -> None:
    """Run what was asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SCENARIOS)}; all when left out")
    parser.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()
    unknown = set(arguments.names) - SCENARIOS.keys()
    if unknown:
        parser.error(f"there is no scenario {', '.join(sorted(unknown))}")
    _, most = getrlimit(RLIMIT_NOFILE)
    setrlimit(RLIMIT_NOFILE, (most, most))  # the servers and the crowds inherit it
    try:
        failed = uvloop.run(run(arguments.names or list(SCENARIOS), arguments.turns))
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

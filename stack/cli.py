"""The `muster` command: reads its flags, says in one line what is wrong."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn, get_args

from muster_client import Delivery, Position
from stack import audit, transfer
from stack.administration import administer
from stack.backup import backup
from stack.delivery import commands as delivery
from stack.delivery.build import KINDS, build_agents
from stack.errors import StackError
from stack.folders import make_private
from stack.layout import DataFolder
from stack.machine import Options
from stack.restore import restore
from stack.services import SCALABLE
from stack.status import status
from stack.terminal import Terminal
from stack.up import up
from stack.watch import Wish, watch

DEFAULT_DATA_DIR = Path(".muster")
DEFAULT_PORT = 8000
HIGHEST_PORT = 65_535
MOST_REPLICAS = 16
MOST_DEMO_MACHINES = 10_000

ENVIRONMENT = """\
environment:
  REDIS_URL, DATABASE_URL    servers to use instead of the ones that come with Muster
  VALKEY_MEMORY_MB           the memory of the Valkey that comes with Muster (default half of the machine's)
  MUSTER_ADMIN_EMAIL         the administrator (default admin@localhost)
  MUSTER_ADMIN_PASSWORD      their password; without it one is generated and kept in the data folder
  AGENT_SHARED_TOKEN         what agents enrol with; without it one is generated and kept in the data folder
"""

SIGN_IN_ENVIRONMENT = """\
environment:
  MUSTER_TOKEN                      a token to sign in with, or else
  MUSTER_EMAIL, MUSTER_PASSWORD     who signs in; without --url, the administrator of the data folder's own Muster
"""

WATCH_ENVIRONMENT = f"""\
{SIGN_IN_ENVIRONMENT}
With --json, "position" of the last line is what --since goes on from. The exit status is 130 after Ctrl-C.
"""
HOW_TO_TELL = "The password is asked for, or is the first line of a standard input that is no terminal."
BACKING_UP = "Write a whole installation, which may go on running, into a file. It holds secrets: keep it safe."
RESTORING = "Check a backup, and make its installation anew in a folder of its own."
EXPORTING = "Write all records of a list to stdout, as they are at one moment."
IMPORTING = "Create and change records from a file. All of it is checked before anything is written."
BUILDING = "Make the agents that machines get from this installation, and sign them. Takes about half a minute."
INSTALLING = "Make an enrolment token, and print the line that installs an agent with it on another machine."
INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, where argparse would print the usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (try {self.prog} --help)\n")


def port(text: str) -> int:
    """Read a port."""
    return _whole_number(text, 1, HIGHEST_PORT)


def demo_machines(text: str) -> int:
    """Read how many machines to simulate."""
    return _whole_number(text, 0, MOST_DEMO_MACHINES)


def scale(text: str) -> dict[str, int]:
    """Read replicas by service, such as `ingest=2,broadcaster=2`."""
    replicas = {}
    for part in text.split(","):
        service, _, number = part.strip().partition("=")
        if service not in SCALABLE:
            raise argparse.ArgumentTypeError(f"{service!r} is no service, there are {', '.join(SCALABLE)}")
        replicas[service] = _whole_number(number, 1, MOST_REPLICAS)
    return replicas


def position(text: str) -> Position:
    """Read a position, such as `3-41`."""
    try:
        return Position.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _whole_number(text: str, lowest: int, highest: int) -> int:
    if not (text.isascii() and text.isdecimal() and lowest <= int(text) <= highest):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {lowest} to {highest}")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    root = _Parser(prog="muster", description="Keeps a fleet accounted for.")
    root.add_argument("--version", action="version", version=f"muster {metadata.version('muster')}")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser(
        "up",
        help="run the whole system on this machine",
        description="Run the whole system on this machine, until Ctrl-C.",
        epilog=ENVIRONMENT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_data_dir(run)
    run.add_argument("--port", type=port, default=DEFAULT_PORT, help="where the page is (default %(default)s)")
    run.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for all (default %(default)s)")
    run.add_argument("--scale", type=scale, default={}, metavar="SERVICE=N,…", help="replicas of services")
    run.add_argument("--demo", type=demo_machines, default=0, metavar="N", help="add N simulated machines")
    run.add_argument("--no-agent", action="store_true", help="do not watch this machine itself")
    run.set_defaults(run=_up)
    show = commands.add_parser("status", help="show what runs", description="Show what runs in a data folder.")
    _add_data_dir(show)
    show.set_defaults(run=_status)
    _add_export(commands.add_parser("export", help="write a list into a file", **_signing_in(EXPORTING)))
    _add_import(commands.add_parser("import", help="create and change records from a file", **_signing_in(IMPORTING)))
    save = commands.add_parser("backup", help="write a whole installation into a file", description=BACKING_UP)
    save.add_argument("file", metavar="FILE", type=Path, help="the file, which is replaced when the backup is complete")
    _add_data_dir(save)
    save.set_defaults(run=_backup)
    load = commands.add_parser("restore", help="make an installation from a backup", description=RESTORING)
    load.add_argument("file", metavar="FILE", type=Path, help="the backup")
    load.add_argument("--data-dir", type=Path, required=True, metavar="NEW", help="a folder that is empty or not there")
    load.set_defaults(run=_restore)
    _add_audit(commands.add_parser("audit", help="check the audit log", description="Work with the audit log."))
    _add_watch(
        commands.add_parser(
            "watch",
            help="print the changes of a topic as they happen",
            description="Print all records of a topic, then each change as it happens, until Ctrl-C.",
            epilog=WATCH_ENVIRONMENT,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )
    _add_user(commands.add_parser("user", help="create users, list them, give them passwords"))
    _add_agent(commands.add_parser("agent", help="make agents for other machines, and say how they get one"))
    keys = commands.add_parser("keys", help="renew the key that signs access tokens")
    rotate = keys.add_subparsers(dest="action", required=True, metavar="rotate").add_parser(
        "rotate", help="sign with a new key", description="Sign with a new key from now on; who is signed in stays so."
    )
    _add_data_dir(rotate)
    rotate.set_defaults(run=_administer)
    return root


def _add_user(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(dest="action", required=True, metavar="add|passwd|list")
    add = actions.add_parser("add", help="create a user", description=f"Create a user. {HOW_TO_TELL}")
    add.add_argument("email", metavar="EMAIL")
    add.add_argument("--admin", action="store_true", help="let them administer the installation")
    passwd = actions.add_parser(
        "passwd", help="set a password", description=f"Set a password, and end the user's sessions. {HOW_TO_TELL}"
    )
    passwd.add_argument("email", metavar="EMAIL")
    listing = actions.add_parser("list", help="list the users", description="List the users.")
    for action in (add, passwd, listing):
        _add_data_dir(action)
        action.set_defaults(run=_administer)


def _add_agent(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(dest="action", required=True, metavar="build|list|install-line")
    build = actions.add_parser("build", help="make agents, and sign them", description=BUILDING)
    build.add_argument("--out", type=Path, metavar="DIR", help="where they go (default: agents in the data folder)")
    build.add_argument("--only", choices=KINDS, help="one that needs Python 3.9, or one that needs Linux and no Python")
    build.set_defaults(run=_build_agents)
    listing = actions.add_parser("list", help="list the agents", description="List the agents that are offered.")
    listing.add_argument("--out", type=Path, metavar="DIR", help="where they are (default: agents in the data folder)")
    listing.set_defaults(run=_list_agents)
    line = actions.add_parser("install-line", help="print the line that adds a machine", **_signing_in(INSTALLING))
    line.add_argument("--uses", type=_uses, default=1, metavar="N", help="for how many machines (default %(default)s)")
    line.add_argument("--expires", type=_expiry, default=3600, metavar="S", help="for how many seconds (default 3600)")
    _add_server(line)
    line.set_defaults(run=_install_line)
    for action in (build, listing):
        _add_data_dir(action)


def _uses(text: str) -> int:
    return _whole_number(text, 1, 1000)


def _expiry(text: str) -> int:
    return _whole_number(text, 60, 90 * 24 * 3600)


def _add_watch(command: argparse.ArgumentParser) -> None:
    command.add_argument("topic", metavar="TOPIC", help="such as servers")
    command.add_argument(
        "--delivery",
        choices=get_args(Delivery),
        default="batch",
        help="what the server sends: conflated changes, each one, or the full list (default %(default)s)",
    )
    command.add_argument("--json", action="store_true", help="print a JSON object for each change")
    command.add_argument(
        "--since", type=position, metavar="EPOCH-VERSION", help="only what has changed after this position"
    )
    _add_server(command)
    command.set_defaults(run=_watch)


def _signing_in(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "epilog": SIGN_IN_ENVIRONMENT,
        "formatter_class": argparse.RawDescriptionHelpFormatter,
    }


def _add_export(command: argparse.ArgumentParser) -> None:
    command.add_argument("resource", metavar="RESOURCE", help="such as products")
    command.add_argument("--format", choices=get_args(transfer.Form), default="csv", help="(default %(default)s)")
    _add_server(command)
    command.set_defaults(run=_export)


def _add_import(command: argparse.ArgumentParser) -> None:
    command.add_argument("resource", metavar="RESOURCE", help="such as products")
    command.add_argument("file", metavar="FILE", type=Path, help="a table or an array of records")
    command.add_argument("--format", choices=get_args(transfer.Form), help="(default: as the name of the file ends)")
    command.add_argument(
        "--mode",
        choices=("upsert", "create"),
        default="upsert",
        help="upsert: records that exist are changed; create: there must be none (default %(default)s)",
    )
    command.add_argument("--dry-run", action="store_true", help="only say what would change, and what is wrong")
    _add_server(command)
    command.set_defaults(run=_import)


def _add_server(command: argparse.ArgumentParser) -> None:
    command.add_argument("--url", help="the server, such as https://muster.example.org (default: see --data-dir)")
    command.add_argument("--workspace", metavar="ID", help="which of your workspaces, if you are in several")
    _add_data_dir(command)


def _add_audit(command: argparse.ArgumentParser) -> None:
    verify = command.add_subparsers(dest="work", required=True, metavar="verify").add_parser(
        "verify",
        help="say whether it is as it was written",
        description="Follow each chain of the audit log from its first entry to its last; exit with 1 if one breaks.",
    )
    _add_data_dir(verify)
    verify.set_defaults(run=_verify)


def _add_data_dir(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data-dir",
        type=Path,
        default=DEFAULT_DATA_DIR,
        metavar="DIR",
        help="where everything is kept (default %(default)s)",
    )


def _watch(given: argparse.Namespace) -> int:
    wish = Wish(
        topic=given.topic,
        data_dir=given.data_dir,
        url=given.url,
        workspace=given.workspace,
        delivery=given.delivery,
        since=given.since,
        is_json=given.json,
    )
    asyncio.run(watch(wish, os.environ))
    return 0


def _administer(given: argparse.Namespace) -> int:
    arguments = [given.command, given.action]
    if given.command == "user" and given.action != "list":
        arguments += [*(["--admin"] if getattr(given, "admin", False) else []), "--", given.email]
    return administer(arguments, given.data_dir, os.environ)


def _build_agents(given: argparse.Namespace) -> int:
    folder = DataFolder(make_private(given.data_dir.absolute()))
    kinds = (given.only,) if given.only else KINDS
    if given.out:
        # unlike the data folder, it may be for services that run as somebody else
        given.out.mkdir(parents=True, exist_ok=True)
    build_agents((given.out or folder.agents).absolute(), folder.agent_signing_key, kinds, Terminal().say)
    return 0


def _list_agents(given: argparse.Namespace) -> int:
    delivery.list_agents(given.out or given.data_dir.absolute() / "agents", Terminal())
    return 0


def _install_line(given: argparse.Namespace) -> int:
    server = transfer.Server(given.data_dir, given.url, given.workspace)
    asyncio.run(delivery.install_line(server, given.uses, given.expires, os.environ, Terminal()))
    return 0


def _import(given: argparse.Namespace) -> int:
    form = given.format or given.file.suffix.lower().removeprefix(".")
    if form not in get_args(transfer.Form):
        raise StackError(f"{given.file} ends neither with .csv nor with .json: say which it is with --format")
    server = transfer.Server(given.data_dir, given.url, given.workspace)
    work = transfer.import_file(given.resource, given.file, form, given.mode, server, os.environ, dry_run=given.dry_run)
    return asyncio.run(work)


def _export(given: argparse.Namespace) -> int:
    server = transfer.Server(given.data_dir, given.url, given.workspace)
    asyncio.run(transfer.export_list(given.resource, given.format, server, os.environ))
    return 0


def _up(given: argparse.Namespace) -> int:
    options = Options(
        data_dir=given.data_dir,
        host=given.host,
        port=given.port,
        scale=given.scale,
        demo_machines=given.demo,
        has_agent=not given.no_agent,
    )
    asyncio.run(up(options, os.environ, Terminal()))
    return 0


def _status(given: argparse.Namespace) -> int:
    return asyncio.run(status(given.data_dir.absolute(), Terminal()))


def _backup(given: argparse.Namespace) -> int:
    asyncio.run(backup(given.file.absolute(), given.data_dir.absolute(), os.environ, Terminal()))
    return 0


def _restore(given: argparse.Namespace) -> int:
    asyncio.run(restore(given.file, given.data_dir, os.environ, Terminal()))
    return 0


def _verify(given: argparse.Namespace) -> int:
    return asyncio.run(audit.verify(given.data_dir, os.environ, Terminal()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    given = parser().parse_args(arguments)
    try:
        return int(given.run(given))
    except KeyboardInterrupt:
        return INTERRUPTED
    except StackError as error:
        print(f"muster: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

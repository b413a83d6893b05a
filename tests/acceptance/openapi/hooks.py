"""What Schemathesis cannot read from an OpenAPI document, said to it: who asks, and which values name something.

Schemathesis loads this file into its own process; `python -m tests.acceptance.openapi.fuzz` starts that.
"""

import json
import os
import urllib.request
import uuid
from typing import Any

import schemathesis
from schemathesis import AuthContext, Case, GenerationMode, HookContext

ORIGIN = os.environ["MUSTER_ORIGIN"]
ENDS_THE_SESSION = r"/auth/logout$"
LONGEST_KEY = 255
VARIED = "abcde"


def log_in() -> dict[str, Any]:
    """Open a session as the administrator."""
    body = json.dumps({"email": os.environ["MUSTER_EMAIL"], "password": os.environ["MUSTER_PASSWORD"]}).encode()
    asked = urllib.request.Request(  # noqa: S310  (the origin is that of an installation on this machine)
        f"{ORIGIN}/api/v1/auth/login",
        body,
        # from an address of its own: the one of the tests has failed to log in too often
        {"Content-Type": "application/json", "X-Forwarded-For": "192.0.2.1"},
    )
    with urllib.request.urlopen(asked) as answer:  # noqa: S310  (likewise)
        pair: dict[str, Any] = json.load(answer)
    return pair


class Session:
    """A session of the administrator: of the api's calls all but one go on in it."""

    def get(self, case: Case[Any], context: AuthContext) -> str:
        return str(log_in()["access_token"])

    def set(self, case: Case[Any], data: str, context: AuthContext) -> None:
        case.headers["Authorization"] = f"Bearer {data}"


class Agent:
    """An agent, which keeps its secret."""

    def get(self, case: Case[Any], context: AuthContext) -> str:
        return os.environ["MUSTER_AGENT_SECRET"]

    def set(self, case: Case[Any], data: str, context: AuthContext) -> None:
        case.headers["Authorization"] = f"Bearer {data}"


_of_the_api = schemathesis.auth(refresh_interval=600).apply_to(path_regex=rf"^/api/(?!.*{ENDS_THE_SESSION})")
_of_the_api(Session)
_that_ends = schemathesis.auth(refresh_interval=None).apply_to(path_regex=ENDS_THE_SESSION)
_that_ends(Session)
_of_ingest = schemathesis.auth(refresh_interval=None).apply_to(path_regex=r"^/ingest/")
_of_ingest(Agent)


# what these bodies are made of is beyond a schema: they are made as any bytes, and as any text
schemathesis.serializer.alias("application/x-protobuf", "application/octet-stream")
schemathesis.serializer.alias("application/x-ndjson", "text/plain")


def is_valid(case: Case[Any]) -> bool:
    """Whether Schemathesis means this request to be taken."""
    return case.meta is None or case.meta.generation.mode == GenerationMode.POSITIVE


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Make what is valid by its form name something.

    A workspace that was made up is nobody's, a cursor that no list gave out is refused, and so are a key of another
    request, two operations of one bulk about the same record, and a password like aaaaaaaaaaaa: no schema can tell.
    """
    if not is_valid(case):
        return
    if case.path.startswith("/api/"):
        case.headers["X-Workspace"] = os.environ["MUSTER_WORKSPACE"]
    if "Idempotency-Key" in case.headers:
        fresh = str(uuid.uuid4())
        case.headers["Idempotency-Key"] = str(case.headers["Idempotency-Key"])[: LONGEST_KEY - len(fresh)] + fresh
    if "cursor" in case.query:
        del case.query["cursor"]
    body: Any = case.body
    if isinstance(body, dict):
        if case.path.endswith("/bulk"):
            body["operations"] = with_different_ids(body["operations"])
        if isinstance(body.get("password"), str):
            body["password"] = body["password"][: -len(VARIED)] + VARIED


def with_different_ids(operations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the first operation about each record, and those that make an id."""
    named = {operation["id"]: operation for operation in reversed(operations) if "id" in operation}
    return [each for each in operations if "id" not in each or named[each["id"]] is each]

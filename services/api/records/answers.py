"""Answers about records: status, headers and body of what was read or written, and how OpenAPI describes them."""

import msgspec
from litestar import MediaType
from litestar.openapi.datastructures import ResponseSpec
from litestar.response import Response

from services.api.conditions import WriteTerms, etag
from services.api.records.reader import Page
from services.api.records.representation import represent, represent_all
from services.api.records.writer import Written
from shared.topic import Record

JSON_BYTES = "application/json"

OK = 200
CREATED = 201
ACCEPTED = 202
NO_CONTENT = 204


def record_answer(record: Record) -> Response[bytes]:
    """Answer with one record as PostgreSQL holds it."""
    return Response(represent(record), media_type=JSON_BYTES, headers={"ETag": etag(record.version)})


def page_answer(page: Page) -> Response[bytes]:
    """Answer with a part of a list."""
    body = represent_all(
        page.records, total=page.total, epoch=str(page.epoch), version=page.version, next_cursor=page.next_cursor
    )
    return Response(body, media_type=JSON_BYTES)


def written_answer(written: Written, terms: WriteTerms, *, done: int = OK) -> Response[bytes]:
    """Answer a write of one record: `done` when it is committed, 202 when it is in the log."""
    (record,) = written.records
    headers = {"ETag": etag(record.version), **preference_applied(terms)}
    status = done if written.committed else ACCEPTED
    return Response(represent(record), status_code=status, media_type=JSON_BYTES, headers=headers)


def deleted_answer(terms: WriteTerms, *, committed: bool) -> Response[None]:
    """Answer a deletion: 204 when it is committed, 202 when it is in the log."""
    status = NO_CONTENT if committed else ACCEPTED
    return Response(None, status_code=status, media_type=MediaType.TEXT, headers=preference_applied(terms))


def edited_answer(written: Written, terms: WriteTerms) -> Response[bytes]:
    """Answer a write of several records, likewise."""
    body = represent_all(written.records, epoch=str(written.epoch), version=written.version)
    status = OK if written.committed else ACCEPTED
    return Response(body, status_code=status, media_type=JSON_BYTES, headers=preference_applied(terms))


def preference_applied(terms: WriteTerms) -> dict[str, str]:
    """Return the header that tells a caller who wanted it that the commit was not waited for (RFC 7240)."""
    return {"Preference-Applied": "respond-async"} if terms.respond_async else {}


def described(kind: type[msgspec.Struct] | None, description: str) -> ResponseSpec:
    """Return the description of an answer for OpenAPI."""
    return ResponseSpec(kind, description=description, generate_examples=False)

"""The OpenAPI documents state every bound of what clients may send, and when to come again."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

import services.api.app as api
import services.ingest.app as ingest
from shared.validation import words_of

Schema = Mapping[str, Any]


def ingest_document() -> bytes:
    nobody: Any = None
    return ingest.describe(nobody, dict.fromkeys(("enrolments", "registrations", "presence", "rotation")))


DOCUMENTS: dict[str, Any] = {"api": json.loads(api._document()), "ingest": json.loads(ingest_document())}
both = pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)


def operations(document: Schema) -> Iterator[tuple[str, Schema]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


BY_SIZE_ALONE = {"post /ingest/otlp/v1/metrics", "post /ingest/prometheus/write"}
"""What others have specified bounds no text, and one long attribute must not cost a whole request: the size of the body
bounds them all."""


def sent(document: Schema) -> Iterator[tuple[str, Schema]]:
    """Yield every schema of what clients send, with where it stands."""
    for name, operation in operations(document):
        if name in BY_SIZE_ALONE:
            continue
        for parameter in operation.get("parameters", ()):
            yield from within(document, parameter["schema"], f"{name} {parameter['name']}")
        for content in operation.get("requestBody", {}).get("content", {}).values():
            yield from within(document, content["schema"], name)


def within(document: Schema, schema: Schema, at: str) -> Iterator[tuple[str, Schema]]:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        yield from within(document, document["components"]["schemas"][name], name)
    else:
        yield at, schema
    for key in ("anyOf", "oneOf", "allOf"):
        for inner in schema.get(key, ()):
            yield from within(document, inner, at)
    for key in ("items", "additionalProperties", "propertyNames"):
        if isinstance(schema.get(key), dict):
            yield from within(document, schema[key], f"{at}.{key}")
    for name, inner in schema.get("properties", {}).items():
        yield from within(document, inner, f"{at}.{name}")


def bounds(pattern: str) -> bool:
    """Whether a regular expression repeats nothing without an end."""
    bare = re.sub(r"\[(\\.|[^\]])*\]|\\.", "", pattern)
    return re.search(r"[*+]|,\}", bare) is None


def is_bounded(schema: Schema) -> bool:
    kind = schema.get("type")
    if "enum" in schema or "const" in schema:
        return True
    if kind == "string":
        return "maxLength" in schema or schema.get("format") == "date-time" or bounds(schema.get("pattern", ".*"))
    if kind == "array":
        return (
            "maxItems" in schema or "minItems" in schema
        )  # one that is only said not to be empty is bounded elsewhere
    if kind == "object" and not schema.keys() & {"properties", "minProperties"}:
        return "maxProperties" in schema or "description" in schema
    return kind is not None or bool(schema)


@both
def test_every_bound_of_what_is_sent_is_stated(document: Schema) -> None:
    assert [] == sorted({at for at, schema in sent(document) if not is_bounded(schema)})


@both
def test_every_form_of_a_text_has_words(document: Schema) -> None:
    forms = {schema["pattern"] for _, schema in sent(document) if "pattern" in schema}
    assert forms
    assert [] == sorted(pattern for pattern in forms - KNOWN_OTHERWISE if words_of(pattern) is None)


KNOWN_OTHERWISE = {
    parameter["schema"]["pattern"]
    for document in DOCUMENTS.values()
    for _, operation in operations(document)
    for parameter in operation.get("parameters", ())
    if parameter["in"] in {"header", "query"} and "pattern" in parameter["schema"]
}
"""Forms of headers and queries, which are checked by hand, and said in the words of the check."""


@both
def test_the_size_of_bodies_and_the_depth_of_json_are_stated(document: Schema) -> None:
    assert "1,000,000 bytes" in document["info"]["description"]
    assert "nested" in document["info"]["description"]


@both
def test_who_is_to_come_again_later_is_told_when(document: Schema) -> None:
    asked = [
        (name, status, response.get("headers", {}))
        for name, operation in operations(document)
        for status, response in operation["responses"].items()
        if status in {"429", "503"}
    ]
    assert asked
    assert [] == [(name, status) for name, status, headers in asked if not headers["Retry-After"]["required"]]


@both
def test_a_path_names_things_by_their_ids(document: Schema) -> None:
    named = [p["schema"] for _, o in operations(document) for p in o.get("parameters", ()) if p["in"] == "path"]
    assert all(schema["maxLength"] == 64 for schema in named)

"""Request bodies: strict JSON into a declared type, or every field that is wrong, by its path. Pure."""

from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any, TypeVar, get_args, get_origin

import msgspec

from shared.errors import Malformed
from shared.io.problem import FieldError, HttpError
from shared.validation import LOOKED_INTO_BYTES, UNREADABLE, decode, fault_in, require_json, with_integers

MAX_REPORTED_FIELDS = 20
_LONGEST_REPORTED_NAME = 100

_Body = TypeVar("_Body", bound=msgspec.Struct)


def decode_json(body: bytes) -> Any:  # noqa: ANN401  (JSON is what it is)
    """Decode a body that may be any JSON, whole numbers as integers; raises Malformed."""
    try:
        return with_integers(msgspec.json.decode(body))
    except UNREADABLE as error:
        raise _no_json(error) from error


def decode_body(body: bytes, kind: type[_Body]) -> _Body:
    """Decode a body of this type; raises Malformed (400) when it is no JSON, else HttpError (422) with its fields.

    Of a large body, the first wrong field is named alone: to look for the others would be the dearest of all requests.
    """
    try:
        return decode(body, kind)
    except msgspec.ValidationError as error:
        raise invalid(*(_faults_in(body, kind) or [as_field_error(error)])) from error
    except UNREADABLE as error:
        raise _no_json(error) from error


def _no_json(error: Exception) -> Malformed:
    reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
    return Malformed(f"the body is not JSON that is taken here: {reason}")


def _faults_in(body: bytes, kind: type[msgspec.Struct]) -> list[FieldError]:
    """Return all that is wrong with a body, as far as it is small; raises Malformed when it is no JSON."""
    if len(body) <= LOOKED_INTO_BYTES:
        return _wrong_fields(decode_json(body), kind)
    try:
        require_json(body)
    except UNREADABLE as error:
        raise _no_json(error) from error
    return []


def invalid(*errors: FieldError) -> HttpError:
    """Return the error that names fields with unacceptable values."""
    reported = errors[:MAX_REPORTED_FIELDS]
    detail = "; ".join(f"{error.field}: {error.message}" if error.field else error.message for error in reported)
    return HttpError(422, "invalid", detail, errors=reported)


def as_field_error(error: msgspec.ValidationError, within: str = "") -> FieldError:
    """Split what msgspec says into the path of the field and the message; `within` is the path of what was decoded."""
    path, message = fault_in(error)
    joint = "." if within and path and not path.startswith("[") else ""
    return FieldError(within + joint + path[:_LONGEST_REPORTED_NAME], message)


def _wrong_fields(given: object, kind: type[msgspec.Struct]) -> list[FieldError]:
    if not isinstance(given, dict):
        return [FieldError("", "the body must be a JSON object")]
    return list(islice(_faults(given, kind, ""), MAX_REPORTED_FIELDS))


def _faults(given: object, kind: Any, path: str) -> Iterator[FieldError]:  # noqa: ANN401  (any type that msgspec knows)
    """Yield what is wrong with a value that may not be of this type, as deep inside as it can be told."""
    try:
        msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        inner: Iterator[FieldError] = iter(())
        if isinstance(given, dict) and (struct := _struct_of(kind, given)):
            inner = _faults_of_fields(given, struct, path)
        elif isinstance(given, list) and (element := _element_of(kind)):
            inner = (fault for n, item in enumerate(given) for fault in _faults(item, element, f"{path}[{n}]"))
        first = next(inner, None) or as_field_error(error, path)
        yield first
        yield from inner


def _faults_of_fields(given: dict[str, Any], kind: type[msgspec.Struct], path: str) -> Iterator[FieldError]:
    declared = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    inside = f"{path}." if path else ""
    for name, value in given.items():
        if name in declared:
            yield from _faults(value, declared[name].type, inside + name)
        elif name != kind.__struct_config__.tag_field:
            yield FieldError(inside + name[:_LONGEST_REPORTED_NAME], "there is no such field to set here")
    for name, field in declared.items():
        if field.required and name not in given:
            yield FieldError(inside + name, "this field is required")


def _struct_of(kind: Any, given: dict[str, Any]) -> type[msgspec.Struct] | None:  # noqa: ANN401  (likewise)
    """Return the struct that an object is to be: of several, the one whose tag it has."""
    if get_origin(kind) is Annotated:
        return _struct_of(get_args(kind)[0], given)
    candidates = [
        each for each in (get_args(kind) or (kind,)) if isinstance(each, type) and issubclass(each, msgspec.Struct)
    ]
    if len(candidates) == 1:
        return candidates[0]
    configs = ((each, each.__struct_config__) for each in candidates)
    return next(
        (each for each, config in configs if config.tag_field and given.get(config.tag_field) == config.tag), None
    )


def _element_of(kind: Any) -> Any:  # noqa: ANN401  (likewise)
    if get_origin(kind) is Annotated:
        return _element_of(get_args(kind)[0])
    return get_args(kind)[0] if get_origin(kind) in {tuple, list} else None

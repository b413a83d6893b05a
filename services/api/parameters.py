"""Query parameters of a request as a declared type. Pure."""

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from services.api.bodies import as_field_error
from shared.io.problem import HttpError

_Kind = TypeVar("_Kind", bound=msgspec.Struct)


def read_parameters(kind: type[_Kind], parameters: Iterable[tuple[str, Any]], *, strict: bool = False) -> _Kind:
    """Read the parameters of a request; raises HttpError (400), which names the one that is wrong.

    A `strict` reading makes no numbers of text, nor times of numbers.
    """
    given: dict[str, object] = {}
    for name, value in parameters:
        # what is given twice is a list, which is none of the types that are wanted
        given[name] = [given[name], value] if name in given else value
    try:
        return msgspec.convert(given, kind, strict=strict)
    except msgspec.ValidationError as error:
        fault = as_field_error(error)
        raise HttpError(400, "bad_request", f"{fault.field}: {fault.message}", errors=[fault]) from error

"""How OpenAPI describes a body of samples: by what is taken, which is more than a list of good samples."""

from dataclasses import dataclass
from typing import Any, cast

from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema

from services.ingest.items import MAX_SAMPLES
from shared.resources.metrics import DETAILS, MEASUREMENTS

_SAMPLE = {"$ref": "#/components/schemas/Sample"}


@dataclass
class SamplesOperation(Operation):
    """An operation that takes one sample, or an array or lines that are judged one by one."""

    def __post_init__(self) -> None:
        """Put the schema of the body in the place of that of a sample."""
        array = {
            "type": "array",
            "maxItems": MAX_SAMPLES,
            "items": {"anyOf": [_SAMPLE, {"description": "Anything else is reported in `rejected`, by itself"}]},
        }
        schema = {"oneOf": [{**_SAMPLE, "anyOf": [_having(name) for name in MEASUREMENTS]}, array]}
        content = {"application/json": OpenAPIMediaType(schema=cast("Schema", schema))}
        lines = {"description": "One Sample as JSON in each line; anything else is reported in `rejected`, by itself"}
        content["application/x-ndjson"] = OpenAPIMediaType(schema=cast("Schema", lines))
        self.request_body = RequestBody(required=True, content=content)


def _having(name: str) -> dict[str, Any]:
    """Return the schema of an object in which this measurement is neither left out nor empty."""
    kind: dict[str, Any] = {"type": "number"}
    if name in DETAILS:
        is_object = name == "temperatures"
        kind = {"type": "object", "minProperties": 1} if is_object else {"type": "array", "minItems": 1}
    return {"required": [name], "properties": {name: kind}}

"""What the page knows of each resource, as TypeScript: `python -m services.api.typescript` writes it anew.

Types and constraints are those of msgspec's JSON schema, which OpenAPI shows as well and by which bodies are checked.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec

from shared.resources import RESOURCES, Resource

GENERATED = Path(__file__).parents[2] / "web" / "src" / "resources" / "generated.ts"

_HEAD = """// Written by `make types` from the declarations in shared/resources: what is changed here is lost.

import type { Descriptor } from "./descriptor.ts";
"""
_REFERENCE = "{name}"
_ACRONYMS = frozenset({"cname", "cpu", "https", "id", "os", "sku"})
_CONSTRAINTS = ("minimum", "maximum", "minLength", "maxLength", "pattern")
_TYPES = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}

Schema = Mapping[str, Any]


def typescript(resources: Mapping[str, Resource]) -> str:
    """Return the module: an interface of each record and what it holds, and a descriptor of each resource."""
    declared = [resources[name] for name in sorted(resources)]
    models = [resource.model for resource in declared]
    _, schemas = msgspec.json.schema_components(models, ref_template=_REFERENCE)
    partial = {each.__name__ for each in _structs(models) if each.__struct_config__.omit_defaults}
    interfaces = [_interface(name, schemas[name], is_partial=name in partial) for name in sorted(schemas)]
    records = [f"  readonly {resource.name}: {resource.model.__name__};" for resource in declared]
    descriptors = [line for resource in declared for line in _descriptor(resource, schemas, resources)]
    return "\n".join(
        [
            _HEAD,
            *interfaces,
            "/** The record of each resource. */",
            "export interface Records {",
            *records,
            "}\n",
            "export const RESOURCES: { readonly [Name in keyof Records]: Descriptor } = {",
            *descriptors,
            "};\n",
        ]
    )


def _structs(models: Iterable[object]) -> set[type[msgspec.Struct]]:
    """Return the structs among these types, and those that their fields are made of."""
    found: set[type[msgspec.Struct]] = set()
    for model in models:
        parts = get_args(model)
        if isinstance(model, type) and issubclass(model, msgspec.Struct):
            found.add(model)
            parts = tuple(field.type for field in msgspec.structs.fields(model))
        found |= _structs(parts)
    return found


def _interface(name: str, schema: Schema, *, is_partial: bool) -> str:
    """Return the interface of a record; the encoder of a partial one leaves out what has its default."""
    summary = " ".join(schema.get("description", name).split("\n\n")[0].split())
    required = set(schema.get("required", ()))
    fields = (
        f"  readonly {field}{'?' if is_partial and field not in required else ''}: {_type(kind)};"
        for field, kind in schema["properties"].items()
    )
    return "\n".join([f"/** {summary} */", f"export interface {name} {{", *fields, "}\n"])


def _type(schema: Schema) -> str:
    if "$ref" in schema:
        return str(schema["$ref"])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(each) for each in schema["anyOf"]))
    if schema["type"] == "array":
        element = _type(schema["items"])
        return f"readonly ({element})[]" if "|" in element else f"readonly {element}[]"
    if schema["type"] == "object":
        return f"Readonly<Record<string, {_type(schema['additionalProperties'])}>>"
    return _TYPES[schema["type"]]


def _descriptor(resource: Resource, schemas: Schema, resources: Mapping[str, Resource]) -> Iterator[str]:
    searched = [name for name in resource.columns if name in resource.searched]
    said = {
        "name": resource.name,
        "label": _label(resource.name),
        "singular": resource.singular.replace("_", " "),
        "titleField": (resource.searched or resource.sortable)[0],
        "writers": sorted(resource.writers) if resource.editable else [],
        "isDeletable": resource.deletable,
        "isJournalled": resource.journalled,
        "sortable": list(resource.sortable),
        "searched": searched,
    }
    properties = schemas[resource.model.__name__]["properties"]
    yield f"  {resource.name}: {{"
    yield from (f"    {key}: {_literal(value)}," for key, value in said.items())
    yield "    fields: ["
    for field in msgspec.structs.fields(resource.model):
        described = _field(field, properties[field.name], isEditable=field.name in resource.editable)
        if described.get("resource", resource.name) not in resources:
            raise LookupError(f"{resource.name}.{field.name} refers to what is no resource: {described['resource']}")
        yield f"      {_literal(described)},"
    yield "    ],"
    yield "  },"


def _field(field: msgspec.structs.FieldInfo, schema: Schema, **more: bool) -> dict[str, Any]:
    """Describe a field: its kind, and what a value of it must be."""
    variants = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    inner = variants[0] if variants else schema
    kind = _kind(inner)
    described: dict[str, Any] = {"name": field.name, "label": _label(field.name, kind), "kind": kind, **more}
    described |= {"isRequired": field.required, "isNullable": bool(variants), "default": schema.get("default")}
    hint = inner.get("description") or inner.get("items", {}).get("description")
    if hint:
        described["hint"] = hint
    described |= {name: inner[name] for name in _CONSTRAINTS if name in inner}
    if kind == "choice":
        # the schema has them sorted; the declaration, in an order that means something
        options = get_args(field.type) if get_origin(field.type) is Literal else inner["enum"]
        described["options"] = list(options)
    if kind == "reference":
        described["resource"] = inner["x-resource"]
    if kind == "list":
        described["maxItems"] = inner["maxItems"]
        described["item"] = {name: inner["items"][name] for name in _CONSTRAINTS if name in inner["items"]}
    return described


def _kind(schema: Schema) -> str:
    if "enum" in schema:
        return "choice"
    if "x-resource" in schema:
        return "reference"
    named = {"multi-line": "long-text", "color": "color", "date-time": "time"}
    plain = {"string": "text", "integer": "integer", "number": "number", "boolean": "boolean"}
    if schema.get("format") in named:
        return named[schema["format"]]
    if schema.get("type") == "array" and schema["items"].get("type") == "string":
        return "list"
    return plain.get(schema.get("type", ""), "object")


def _label(name: str, kind: str = "") -> str:
    """Return a declared name as people read it: `line_group_id` is “Line group ID”, of a reference “Line group”."""
    words = (name.removesuffix("_id") if kind == "reference" else name).split("_")
    text = " ".join(word.upper() if word in _ACRONYMS else word for word in words)
    return text[0].upper() + text[1:]


def _literal(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    GENERATED.write_text(typescript(RESOURCES), encoding="utf-8")

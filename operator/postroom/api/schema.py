# SPDX-License-Identifier: Apache-2.0
"""From a pydantic model to the structural schema that a CustomResourceDefinition takes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter

from postroom.api.fields import DURATION_PATTERN, RULES, Model, format_duration

#: What a structural schema keeps of a JSON schema.
_KEPT = (
    "description",
    "type",
    "format",
    "default",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
)


def structural(model: type[Model]) -> dict[str, Any]:
    """Return the structural schema of a model: references inlined, null alternatives dropped.

    A field that may be absent is simply not required; Kubernetes has no use for ``null``.
    """
    schema = model.model_json_schema(mode="validation", by_alias=True)
    return _node(schema, schema.get("$defs", {}))


def _node(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    schema = _resolved(schema, definitions)
    built = {key: schema[key] for key in _KEPT if key in schema}
    _put_default(built)
    if "const" in schema:
        built |= {"type": "string", "enum": [schema["const"]]}
    if schema.get("type") == "object":
        properties = schema.get("properties", {})
        built["properties"] = {name: _node(one, definitions) for name, one in properties.items()}
        if schema.get("required"):
            built["required"] = list(schema["required"])
    if "items" in schema:
        built["items"] = _node(schema["items"], definitions)
    elif "prefixItems" in schema:
        raise TypeError(f"a tuple of fixed length has no structural schema: {schema}")
    for key, value in schema.items():
        if key.startswith("x-kubernetes-"):
            built[key] = value
    return built


def _put_default(built: dict[str, Any]) -> None:
    """Write a default the way the API server wants it, or drop it where it says nothing."""
    match built:
        case {"default": None}:
            del built["default"]
        case {"type": "object", "default": _}:
            # The defaults of its fields apply inside.
            built["default"] = {}
        case {"type": "array", "default": []}:
            # An absent list reads the same, and Git shows no difference.
            del built["default"]
        case {"type": "string", "pattern": pattern, "default": str(text)} if (
            pattern == DURATION_PATTERN
        ):
            # pydantic writes timedeltas in ISO 8601.
            built["default"] = format_duration(TypeAdapter(timedelta).validate_python(text))


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Inline references and collapse ``X | null`` to X; what stands beside them wins."""
    merged = dict(schema)
    while True:
        if "$ref" in merged:
            name = merged.pop("$ref").rpartition("/")[2]
            merged = _merged(definitions[name], merged)
        elif "anyOf" in merged:
            options = [one for one in merged.pop("anyOf") if one.get("type") != "null"]
            if len(options) != 1:
                raise TypeError(f"a union has no structural schema: {schema}")
            merged = _merged(options[0], merged)
        else:
            return merged


def _merged(inner: Mapping[str, Any], outer: Mapping[str, Any]) -> dict[str, Any]:
    """Lay the schema of a field over that of its type; rules of both hold."""
    merged = {**inner, **outer}
    both = [*inner.get(RULES, ()), *outer.get(RULES, ())]
    if both:
        merged[RULES] = both
    return merged

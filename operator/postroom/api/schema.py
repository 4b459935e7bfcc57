# SPDX-License-Identifier: Apache-2.0
"""From a pydantic model to the structural schema that a CustomResourceDefinition takes."""

from collections.abc import Mapping
from copy import deepcopy
from datetime import timedelta
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from postroom.api.fields import RULES, Model, format_duration

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
    "maxProperties",
)
#: What is rewritten below, or says nothing to the API server.
_REWRITTEN = ("const", "properties", "required", "items", "additionalProperties")
_DROPPED = ("title", "$defs")
#: What the keys begin with that Kubernetes adds to OpenAPI.
EXTENSION = "x-kubernetes-"


def structural(model: type[Model]) -> dict[str, Any]:
    """Return the structural schema of a model: references inlined, null alternatives dropped.

    A field that may be absent is simply not required; Kubernetes has no use for ``null``. Raises
    `TypeError` for what no structural schema can say, so that no check is lost in silence.
    """
    return deepcopy(_made(model))


@cache
def _made(model: type[Model]) -> dict[str, Any]:
    schema = model.model_json_schema(mode="validation", by_alias=True)
    return _node(schema, schema.get("$defs", {}))


def _node(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    schema = _resolved(schema, definitions)
    _refuse_what_would_be_lost(schema)
    built = {key: schema[key] for key in _KEPT if key in schema}
    if "const" in schema:
        built |= {"type": "string", "enum": [schema["const"]]}
    if _is_map(schema):
        built["additionalProperties"] = _node(schema["additionalProperties"], definitions)
    elif schema.get("type") == "object":
        # The API server drops an empty map, so that who applies one would seem to change it.
        if properties := schema["properties"]:
            built["properties"] = {
                name: _node(inner, definitions) for name, inner in properties.items()
            }
        if schema.get("required"):
            built["required"] = list(schema["required"])
    if "items" in schema:
        built["items"] = _node(schema["items"], definitions)
    _put_default(built)
    return built | {key: value for key, value in schema.items() if key.startswith(EXTENSION)}


def _refuse_what_would_be_lost(schema: Mapping[str, Any]) -> None:
    """Raise `TypeError` for keywords that the translation does not carry over."""
    known = {*_KEPT, *_REWRITTEN, *_DROPPED}
    lost = {key for key in schema if key not in known and not key.startswith(EXTENSION)}
    # Unknown fields are pruned, or refused by strict validation.
    if schema.get("additionalProperties") is True:
        lost.add("additionalProperties")
    if schema.get("type") == "object" and "properties" not in schema and not _is_map(schema):
        lost.add("an object without properties")
    # The keys of a map are bounded by a CEL rule of the field.
    lost.discard("propertyNames")
    if lost:
        raise TypeError(f"no structural schema for {', '.join(sorted(lost))} of {schema}")


def _is_map(schema: Mapping[str, Any]) -> bool:
    """Whether this is a map from any key to one type of value."""
    return isinstance(schema.get("additionalProperties"), Mapping)


def _put_default(built: dict[str, Any]) -> None:
    """Write a default the way the API server wants it, or drop it where it says nothing."""
    duration = built.get("format") == "duration"
    if duration:
        # What Kubernetes calls so is not what users write here; the CRD has a rule instead.
        del built["format"]
    match built:
        case {"default": None}:
            del built["default"]
        case {"additionalProperties": _, "default": _}:
            # An absent map reads the same as an empty one.
            del built["default"]
        case {"type": "object", "default": _}:
            # The defaults of its fields apply inside.
            built["default"] = {}
        case {"type": "array", "default": []}:
            # An absent list reads the same, and Git shows no difference.
            del built["default"]
        case {"default": str(text)} if duration:
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
            options = [option for option in merged.pop("anyOf") if option.get("type") != "null"]
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

# SPDX-License-Identifier: Apache-2.0
"""Every field of every kind, from the CustomResourceDefinitions that the API server enforces.

The examples of specs are of `docs/made/examples`, whose resources a test validates: a field without
one fails there. Those of statuses are never written by hand: `captured` says where they come from.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from made.page import codes, page, prose, table
from postroom.api.crd import definitions
from postroom.api.names import GROUP, Kind

EXAMPLES = Path(__file__).parent / "examples"
SAMPLES = Path(__file__).parent / "samples"
STATES = Path(__file__).parents[2] / "manifests/integrations/argocd/resource_customizations" / GROUP
#: What is longer is not read in a table.
_CELL_LIMIT = 100
Schema = Mapping[str, Any]


def pages() -> dict[str, str]:
    """Return a page for each kind."""
    made = {Kind(crd["spec"]["names"]["kind"]): crd for crd in definitions()}
    return {f"reference/{kind.value.lower()}.md": _kind(kind, crd) for kind, crd in made.items()}


def fields(schema: Schema, path: str) -> Iterator[tuple[str, Schema, bool]]:
    """Yield path, schema and whether it is required, of each field below one, in its order."""
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        here = f"{path}.{name}"
        yield here, field, name in required
        while field["type"] == "array":
            here, field = f"{here}[]", field["items"]
        yield from fields(field, here)
        values = field.get("additionalProperties")
        if isinstance(values, Mapping):
            yield f"{here}.*", values, False
            yield from fields(values, f"{here}.*")


def examples(kind: Kind) -> list[dict[str, Any]]:
    """Return the example resources of a kind."""
    return list(
        yaml.load_all(
            (EXAMPLES / f"{kind.value.lower()}.yaml").read_text("utf-8"), Loader=yaml.CSafeLoader
        )
    )


@cache
def captured(kind: Kind) -> list[dict[str, Any]]:
    """Return objects of a kind with statuses that postroom wrote.

    They are the samples at the lab, then an object in each state of the state map, on a real API
    server. `make states` captures both; tests hold that they still come out like that.
    """
    states = sorted((STATES / kind.value / "testdata").glob("*.yaml"))
    return [
        resource
        for path in (SAMPLES / "good.yaml", SAMPLES / "broken.yaml", *states)
        for resource in yaml.load_all(path.read_text("utf-8"), Loader=yaml.CSafeLoader)
        if resource["kind"] == kind.value
    ]


def example_of(path: str, resources: list[dict[str, Any]]) -> object:
    """Return what the first resource that has it says for a field, or None."""
    return next((value for resource in resources for value in _values(path, resource)), None)


def status_example(path: str, objects: list[dict[str, Any]]) -> str:
    """Return what an object has in a field that has none of its own, in a line; empty: none has it.

    What says nothing (an empty text or list) is no example.
    """
    found = [value for each in objects for value in _values(path, each)]
    telling = [value for value in found if value not in ("", [], {})]
    short = (text for value in telling if len(text := _flow(value)) <= _CELL_LIMIT)
    return next(short, None) or next((f"{_flow(value)[:_CELL_LIMIT]}…" for value in telling), "")


def _values(path: str, resource: Mapping[str, Any]) -> list[Any]:
    """Return all that a resource has in a field."""
    found: list[Any] = [resource]
    for step in path.split("."):
        name, *lists = step.split("[]")
        found = [
            value
            for holder in found
            if isinstance(holder, Mapping)
            for value in (holder.values() if name == "*" else [holder.get(name)])
            if value is not None
        ]
        for _ in lists:
            found = [entry for value in found for entry in value]
    return found


def _kind(kind: Kind, crd: Mapping[str, Any]) -> str:
    """Write the page of one kind."""
    spec, version = crd["spec"], crd["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    resources = examples(kind)
    lines = [
        "The rules are those of the API server (CEL), and `postroom check` has the same. "
        f"What it is for, and how to work with it: [{kind.value}](../{kind.value.lower()}.md).",
        "",
        *_names(spec, version),
        "## Spec",
        "",
        *_rules(schema["properties"]["spec"]),
    ]
    for path, field, required in fields(schema["properties"]["spec"], "spec"):
        lines += _field(path, field, required, example_of(path, resources))
    lines += ["## Status", "", _STATUS_LEAD, ""]
    # What kinds share (findings, who uses it) is the same field: others may have more to say.
    others = [each for other in Kind if other is not kind for each in captured(other)]
    objects = [*captured(kind), *others]
    rows = [
        (f"`{path}`", _type(field), prose(_meaning(field)), _example(path, field, objects))
        for path, field, _ in fields(schema["properties"]["status"], "status")
    ]
    lines += table(("Field", "Type", "Meaning", "Example"), rows)
    text = (EXAMPLES / f"{kind.value.lower()}.yaml").read_text("utf-8").rstrip()
    lines += ["## Examples", "", "```yaml", text, "```"]
    return page(f"{kind.value}: every field", prose(schema["description"]), lines)


_STATUS_LEAD = (
    "Written by postroom alone. The examples are what it wrote of the samples at the lab, and of "
    "an object in each of its states in a cluster; a field without one did not occur there, and "
    "what has fields of its own is shown in these."
)


def _example(path: str, field: Schema, objects: list[dict[str, Any]]) -> str:
    """Write the cell of an example of a status."""
    example = "" if has_fields(field) else status_example(path, objects)
    return f"`{example}`" if example else ""


def has_fields(field: Schema) -> bool:
    """Whether a field, or each of its entries, has fields of its own."""
    return "properties" in field.get("items", field)


def _names(spec: Mapping[str, Any], version: Mapping[str, Any]) -> list[str]:
    """Write what kubectl calls the kind, and what it shows of it."""
    names = spec["names"]
    known = [names["plural"], names["singular"], *names.get("shortNames", ())]
    lines = [
        f"`apiVersion: {spec['group']}/{version['name']}`, `kind: {names['kind']}`. "
        f"For kubectl: {codes(known)}; with others: {codes(names.get('categories', ()))}.",
        "",
    ]
    rows = [
        (
            column["name"],
            "`-o wide`" if column.get("priority") else "always",
            f"`{column['jsonPath']}`",
        )
        for column in version["additionalPrinterColumns"]
    ]
    lines += table(("Column", "Shown", "From"), rows)
    if selectable := version.get("selectableFields"):
        selectors = codes(entry["jsonPath"].removeprefix(".") for entry in selectable)
        lines += [f"`--field-selector` takes {selectors}.", ""]
    return lines


def _field(path: str, field: Schema, required: bool, example: object) -> list[str]:
    """Write the section of one field of the spec."""
    lines = [f"### `{path}`", "", prose(_meaning(field)), "", f"- Type: {_type(field)}"]
    if required:
        lines.append("- Required")
    elif "default" in field:
        lines.append(f"- Default: `{json.dumps(field['default'])}`")
    lines += [f"- Bounds: {bounds}" for bounds in filter(None, [_bounds(field)])]
    lines += [f"- Rule: {prose(message)}" for message in _messages(field)]
    if example is not None:
        lines.append(f"- Example: `{_flow(example)}`")
    return [*lines, ""]


def _rules(schema: Schema) -> list[str]:
    """Write the rules that join several fields of a spec."""
    rules = [
        f"- `spec{rule.get('fieldPath', '')}` {prose(rule['message'])}"
        for rule in schema.get("x-kubernetes-validations", ())
    ]
    return ["Rules of several fields together:", "", *rules, ""] if rules else []


def _messages(field: Schema) -> Iterator[str]:
    """Yield what the API server says where a rule of a field, or of its entries, is broken."""
    for rule in field.get("x-kubernetes-validations", ()):
        where = rule.get("fieldPath", "").removeprefix(".")
        yield f"{where}: {rule['message']}" if where else rule["message"]
    if field["type"] == "array" and "properties" not in field["items"]:
        for message in _messages(field["items"]):
            yield f"each {message}"


def _meaning(field: Schema) -> str:
    return str(field.get("description", "A value, by its name."))


def _type(field: Schema) -> str:
    """Return the type in a few words."""
    if field["type"] == "array":
        return f"list of {_type(field['items'])}"
    if field["type"] == "object" and "additionalProperties" in field:
        return f"map of {_type(field['additionalProperties'])}"
    kind = "time" if field.get("format") == "date-time" else field["type"]
    return f"{kind}: {codes(field['enum'])}" if "enum" in field else str(kind)


def _bounds(field: Schema) -> str:
    """Return what a value may be at least and at most."""
    parts = []
    for least, most, unit in (
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " entries"),
        ("minProperties", "maxProperties", " entries"),
    ):
        low, high = field.get(least), field.get(most)
        if low is not None and high is not None:
            parts.append(f"{low} to {high}{unit}")
        elif high is not None:
            parts.append(f"at most {high}{unit}")
        elif low is not None:
            parts.append(f"at least {low}{unit}")
    if field.get("x-kubernetes-list-type") == "set":
        parts.append("each once")
    if keys := field.get("x-kubernetes-list-map-keys"):
        parts.append(f"each {codes(keys)} once")
    return ", ".join(parts)


def _flow(value: object) -> str:
    """Write a value in one line of YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False)
    return text.removesuffix("\n...\n").strip()

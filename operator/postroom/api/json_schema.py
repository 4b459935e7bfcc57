# SPDX-License-Identifier: Apache-2.0
"""JSON schemas of the kinds, for editors and for kubeconform: strict, so that a typo is refused.

Made of the CustomResourceDefinitions, with what JSON Schema can say of their rules: `cel_rules`.
Files are named as kubeconform asks for them:
``{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json``.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

from postroom.api import cel_rules, crd
from postroom.api.names import API_VERSION, GROUP, VERSION, Kind
from postroom.api.schema import EXTENSION

#: The dialect that editors and kubeconform know alike.
DIALECT = "http://json-schema.org/draft-07/schema#"
_TEXT: Mapping[str, Any] = {"type": "string"}
_TEXTS: Mapping[str, Any] = {"type": "object", "additionalProperties": {"type": "string"}}
#: What the API server takes as metadata (meta/v1 ObjectMeta).
_METADATA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "anyOf": [{"required": ["name"]}, {"required": ["generateName"]}],
    "properties": {
        "name": {**_TEXT, "description": "Name, unique among the objects of its kind."},
        "generateName": {**_TEXT, "description": "Beginning of a name that is made up."},
        "namespace": {**_TEXT, "description": "Namespace; default: the one of the request."},
        "labels": {**_TEXTS, "description": "Labels, to select objects by."},
        "annotations": {**_TEXTS, "description": "Notes of people and tools."},
        "finalizers": {"type": "array", "items": _TEXT},
        "ownerReferences": {"type": "array", "items": {"type": "object"}},
        "managedFields": {"type": "array", "items": {"type": "object"}},
        "uid": _TEXT,
        "resourceVersion": _TEXT,
        "selfLink": _TEXT,
        "generation": {"type": "integer"},
        "creationTimestamp": {"type": ["string", "null"]},
        "deletionTimestamp": {"type": ["string", "null"]},
        "deletionGracePeriodSeconds": {"type": "integer"},
    },
}
METADATA_FIELDS: Collection[str] = _METADATA["properties"].keys()


def file_name(kind: Kind) -> str:
    """Where the schema of a kind stands, as kubeconform looks for it."""
    return f"{GROUP}/{kind.value.lower()}_{VERSION}.json"


def schema(kind: Kind) -> dict[str, Any]:
    """The schema of a kind."""
    (version,) = crd.definition(kind)["spec"]["versions"]
    made = strict(version["schema"]["openAPIV3Schema"])
    made["properties"] |= {
        "apiVersion": {"type": "string", "enum": [API_VERSION]},
        "kind": {"type": "string", "enum": [kind.value]},
        "metadata": _METADATA,
    }
    # Nobody writes it.
    made["properties"]["status"].pop("default", None)
    made["required"] = ["apiVersion", "kind", "metadata", "spec"]
    return {"$schema": DIALECT, "title": kind.value, **made}


def strict(node: Mapping[str, Any]) -> dict[str, Any]:
    """A schema that takes no field that it does not know, of a structural schema."""
    made = {key: value for key, value in node.items() if not key.startswith(EXTENSION)}
    if "properties" in node:
        made["properties"] = {name: strict(each) for name, each in node["properties"].items()}
    if isinstance(node.get("additionalProperties"), Mapping):
        made["additionalProperties"] = strict(node["additionalProperties"])
    elif node.get("type") == "object":
        made["additionalProperties"] = False
    if "items" in node:
        made["items"] = strict(node["items"])
    if node.get(f"{EXTENSION}list-type") == "set":
        made["uniqueItems"] = True
    for rule in node.get(f"{EXTENSION}validations", ()):
        for clause in cel_rules.clauses(rule["rule"], node):
            # The messages are what editors say instead of the pattern, or of what failed.
            if "pattern" in clause and "pattern" not in made:
                made |= {**clause, "patternErrorMessage": rule["message"]}
            else:
                made.setdefault("allOf", []).append({**clause, "errorMessage": rule["message"]})
    return made


def render() -> dict[str, str]:
    """The schemas as texts, by the names of their files."""
    return {file_name(kind): f"{json.dumps(schema(kind), indent=1)}\n" for kind in Kind}

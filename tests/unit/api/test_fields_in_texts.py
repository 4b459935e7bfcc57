# SPDX-License-Identifier: Apache-2.0
"""Advice names only fields that exist: every field that a catalogue, a preset, a page of docs/ or
the README names is one of the CustomResourceDefinitions."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rows import over

ROOT = Path(__file__).parents[3]
DATA = ROOT / "operator" / "postroom"
TEXTS = sorted(
    path
    for pattern in (
        "README.md",
        "CONTRIBUTING.md",
        "docs/*.md",
        "docs/decisions/*.md",
        "docs/findings/*.md",
        "operator/postroom/mail/**/*.yaml",
        "operator/postroom/dns/diagnosis/**/*.yaml",
        "operator/postroom/dns/presets/**/*.yaml",
        "operator/postroom/**/*.py",
    )
    for path in ROOT.glob(pattern)
)
#: What begins with the name of a field and is a host, a file or a flag all the same.
_HOST_OR_FILE = re.compile(
    r"\.(?:com|net|org|us|cn|io|de|eu|me|ru|jp|in|uk|dev|example|test|local|svc|md|yaml|yml|py|txt"
    r"|html|json|php)$"
)
_DOTTED = re.compile(
    r"(?<![\w.@/:{-])((?>[a-z][A-Za-z]*(?:\[[^\]]*\])?(?:\.(?:[A-Za-z]+|\*)(?:\[[^\]]*\])?)+))"
    r"(?![\w({*-]|\.[\w{])"
)
#: Keys of a Secret of type kubernetes.io/tls, and a top-level domain that is a brand.
_NO_FIELDS = re.compile(r"tls\.(?:crt|key)|.*\.microsoft")
_CAMEL = re.compile(r"`([a-z]+(?:[A-Z][A-Za-z]*)?(?:Key|ID|URL))`")
_REFERENCE = re.compile(r"(?<![\w.@/-])([a-z][A-Za-z]*Ref)(?![\w(-])")
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader)
    return found


def schemas() -> dict[str, Any]:
    found = {}
    for path in ROOT.glob("crds/*.yaml"):
        crd = read(path)
        if crd["kind"] == "CustomResourceDefinition":
            version = crd["spec"]["versions"][0]
            found[crd["spec"]["names"]["kind"]] = version["schema"]["openAPIV3Schema"]
    return found


SCHEMAS = schemas()


def properties(schema: dict[str, Any]) -> dict[str, Any]:
    """The fields of an object, of the items of a list, or of the values of a map."""
    inner = schema.get("items", schema)
    more = inner.get("additionalProperties")
    found: dict[str, Any] = inner.get("properties", {})
    return {"*": more} if isinstance(more, dict) and not found else found


def exists(schema: dict[str, Any], path: list[str]) -> bool:
    if not path:
        return True
    found = properties(schema)
    if "*" in found:
        return exists(found["*"], path[1:])
    if path[0] == "*":
        return any(exists(inner, path[1:]) for inner in found.values())
    return path[0] in found and exists(found[path[0]], path[1:])


def names(schema: dict[str, Any]) -> Iterator[str]:
    for name, inner in properties(schema).items():
        yield name
        yield from names(inner)


TOPS = {
    name
    for schema in SCHEMAS.values()
    for part in ("spec", "status")
    for name in properties(schema["properties"][part])
}
NAMES = {name for schema in SCHEMAS.values() for name in names(schema)} | {
    one["name"]
    for path in DATA.glob("*/presets/providers/*.yaml")
    for one in read(path).get("parameters", ())
}


def is_a_field(path: list[str]) -> bool:
    if path[0] in ("spec", "status"):
        return any(exists(schema, path) for schema in SCHEMAS.values())
    return any(
        exists(schema["properties"][part], path)
        for schema in SCHEMAS.values()
        for part in ("spec", "status")
    )


def unknown_fields(text: str) -> list[str]:
    found = []
    for token in _DOTTED.findall(text):
        path = re.sub(r"\[[^\]]*\]", "", token).split(".")
        if path[0] not in {"spec", "status", *TOPS} or is_a_field(path):
            continue
        if not _HOST_OR_FILE.search(token) and not _NO_FIELDS.fullmatch(token):
            found.append(token)
    plain = _FENCED.sub("", text)
    named = _CAMEL.findall(plain) + _REFERENCE.findall(plain)
    found += [name for name in named if name not in NAMES]
    return sorted(set(found))


def text_of(path: Path) -> str:
    """What users may read of a file: of code only its sentences."""
    text = path.read_text("utf-8")
    if path.suffix != ".py":
        return text
    strings = (one.value for one in ast.walk(ast.parse(text)) if isinstance(one, ast.Constant))
    return "\n".join(string for string in strings if isinstance(string, str) and " " in string)


@over(TEXTS)
def test_every_field_that_a_text_names_exists(path: Path) -> None:
    assert unknown_fields(text_of(path)) == []


def test_texts_are_found_and_fields_in_them() -> None:
    assert len(TEXTS) > 60
    assert {"spec.oauth.tenant", "tls.mode", "imap.mailbox"} <= {
        token for path in TEXTS for token in _DOTTED.findall(path.read_text("utf-8"))
    }


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("Set tls.mode and spec.oauth.scopes.", []),
        ("Set tls.modes.", ["tls.modes"]),
        ("Set spec.oauth.scope or `clientSecretsRef`.", ["spec.oauth.scope"]),
        ("Use `credentialRef`.", ["credentialRef"]),
        ("The host imap.gmail.com, status.records[].state, dkim[].publicKeyRef", []),
        ("Read status.*.result.authentication.", []),
    ],
)
def test_what_does_not_exist_is_found(text: str, unknown: list[str]) -> None:
    assert set(unknown) <= set(unknown_fields(text))
    if not unknown:
        assert unknown_fields(text) == []

# SPDX-License-Identifier: Apache-2.0
"""The schemas for editors: up to date, strict in every object, valid for every sample, and able to
refuse what the kinds refuse."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from postroom.api import json_schema
from postroom.api.names import API_VERSION, Kind
from postroom.api.resource import parse_spec

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = ROOT / "manifests" / "samples"
MODELINE = re.compile(r"^# yaml-language-server: \$schema=(\S+)$", re.MULTILINE)
DOCUMENTS = [
    (file, text)
    for file in sorted(SAMPLES.rglob("*.yaml"))
    for text in re.split(r"^---$", file.read_text(), flags=re.MULTILINE)
    if f"apiVersion: {API_VERSION}" in text
]
VALIDATORS = {kind.value: jsonschema.Draft7Validator(json_schema.schema(kind)) for kind in Kind}


def problems(raw: dict[str, Any]) -> list[str]:
    return [error.message for error in VALIDATORS[raw["kind"]].iter_errors(raw)]


@pytest.mark.parametrize("name", sorted(json_schema.render()))
def test_the_committed_files_are_those_of_the_models(name: str) -> None:
    committed = (ROOT / "schemas" / name).read_text()
    assert committed == json_schema.render()[name], "run `make crds`"
    jsonschema.Draft7Validator.check_schema(json.loads(committed))


def test_no_other_file_lies_beside_them() -> None:
    there = {file.name for file in (ROOT / "schemas" / "postroom.dev").iterdir()}
    assert there == {Path(name).name for name in json_schema.render()}
    assert json_schema.file_name(Kind.MAIL_SERVER) == "postroom.dev/mailserver_v1alpha1.json"


def objects(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        if isinstance(node.get("properties"), dict) and node.get("type") == "object":
            yield path, node
        for name, inner in node.items():
            yield from objects(inner, f"{path}/{name}")


@pytest.mark.parametrize("kind", Kind)
def test_no_object_takes_an_unknown_field_and_nothing_of_kubernetes_is_left(kind: Kind) -> None:
    schema = json_schema.schema(kind)
    found = list(objects(schema))
    assert len(found) > 10
    for path, node in found:
        assert node["additionalProperties"] is False, path
    assert "x-kubernetes" not in json.dumps(schema)


@pytest.mark.parametrize(("file", "text"), DOCUMENTS, ids=lambda each: getattr(each, "name", ""))
def test_every_sample_is_valid_and_names_the_schema_of_its_kind(file: Path, text: str) -> None:
    raw = yaml.load(text, Loader=yaml.CSafeLoader)
    (named,) = MODELINE.findall(text)
    schema = (file.parent / named).resolve()
    assert schema == ROOT / "schemas" / json_schema.file_name(Kind(raw["kind"]))
    assert problems(raw) == []


GOOD: dict[str, dict[str, Any]] = {
    "SendingDomain": {"domain": "a.example", "dkim": [{"selector": "a", "cname": "b.example"}]},
    "MailServer": {"host": "smtp.a.example", "credentialsRef": {"name": "x"}},
    "EmailAccount": {
        "address": "a@a.example",
        "imap": {"host": "i.a.example", "credentialsRef": {"name": "x"}},
    },
}


def changed(kind: str, place: str, value: Any) -> dict[str, Any]:
    metadata = {"name": "a"}
    raw = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": GOOD[kind]}
    raw = copy.deepcopy(raw)
    target: Any = raw
    *steps, last = place.split("/")
    for step in steps:
        target = target[int(step)] if step.isdigit() else target[step]
    target[last] = value
    return raw


@pytest.mark.parametrize(
    ("kind", "place", "value"),
    [
        ("SendingDomain", "spec/dkimm", []),
        ("SendingDomain", "spec/dkim/0/selectr", "a"),
        ("SendingDomain", "spec/domain", "Not A Domain"),
        ("SendingDomain", "spec/domain", 7),
        ("SendingDomain", "spec/provider", "Mailgnu"),
        ("SendingDomain", "specs", {}),
        ("SendingDomain", "metadata/nmae", "x"),
        ("SendingDomain", "metadata", {"namespace": "x"}),
        ("SendingDomain", "apiVersion", "postroom.dev/v1"),
        ("SendingDomain", "spec/dkim/0/publicKey", "x"),
        ("SendingDomain", "spec/parameters", {"dkimKey": "x"}),
        ("MailServer", "spec", {"port": 587}),
        ("MailServer", "spec/oauth", {"provider": "Google", "flow": "ServiceAccount"}),
        ("EmailAccount", "spec/imap", {"host": "i.a.example"}),
        ("EmailAccount", "spec/roundTrip", {"enabled": True, "interval": "soon"}),
        ("MailServer", "spec/port", "587"),
        ("MailServer", "spec/port", 70000),
        ("MailServer", "spec/credentialsRef/naem", "x"),
        ("MailServer", "spec/tls", {"mode": "SSL"}),
        ("EmailAccount", "spec/imap/hots", "x"),
        ("EmailAccount", "spec/recoveryContact", "a\u2028b"),
        ("EmailAccount", "metadata/labels", {"a": 1}),
    ],
)
def test_a_slip_is_refused(kind: str, place: str, value: Any) -> None:
    assert problems(changed(kind, "metadata/name", "a")) == []
    assert problems(changed(kind, place, value)) != []


def test_patterns_say_the_same_in_python_and_have_words() -> None:
    seen = 0
    for kind in Kind:
        for _, node in objects(json_schema.schema(kind)):
            for field in node["properties"].values():
                if "pattern" in field:
                    re.compile(field["pattern"])
                    seen += "patternErrorMessage" in field
    assert seen > 30
    parse_spec(Kind.SENDING_DOMAIN, GOOD["SendingDomain"])

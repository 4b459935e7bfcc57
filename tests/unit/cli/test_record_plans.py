# SPDX-License-Identifier: Apache-2.0
"""Plans of the sending domains in manifests; what is wrong gets file and line, or the flag."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from postroom.api.resource import Problem
from postroom.cli import manifests
from postroom.cli.manifests import Manifests
from postroom.cli.record_plans import FLAGS, complain_of_conflicts, complaint, plan_all
from postroom.cli.yaml_documents import Manifest
from unit.dns.domains import RSA

KEYS = (b"an-ownership-key-of-tests",)
SPEC = {"domain": "example.com", "dmarc": {"policy": "none"}}


def domain(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "postroom.dev/v1alpha1",
        "kind": "SendingDomain",
        "metadata": {"name": name, "namespace": "mail"},
        "spec": {**SPEC, **spec},
    }


def key(kind: str, name: str = "dkim", allow: str = "dkim-public-key", **more: Any) -> Any:
    annotations = {"postroom.dev/allow": allow}
    metadata = {"name": name, "namespace": "mail", "annotations": annotations}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **more}


def read(folder: Path, *objects: Any) -> Manifests:
    (folder / "x.yaml").write_text(yaml.safe_dump_all(objects, sort_keys=False))
    return manifests.load([folder / "x.yaml"], "mail")


def told(found: Manifests) -> list[str]:
    return [str(each).rpartition("x.yaml:")[2] for each in found.complaints]


def test_domains_are_planned_in_order_and_whose_token_is_derived_is_known(tmp_path: Path) -> None:
    written = {"ownership": {"value": "handed-out=1"}}
    found = read(tmp_path, domain("b", domain="b.example"), domain("a", **written))
    planned = plan_all(found, KEYS)
    assert [(each.key.name, each.derives_token) for each in planned] == [("a", False), ("b", True)]
    assert told(found) == []


BY_SECRET = {"dkim": [{"selector": "s1", "publicKeyRef": {"name": "dkim", "key": "public"}}]}
BY_MAP = {
    "dkim": [
        {"selector": "s1", "publicKeyRef": {"kind": "ConfigMap", "name": "dkim", "key": "public"}}
    ]
}


@pytest.mark.parametrize(
    ("spec", "source"),
    [
        (BY_SECRET, key("Secret", stringData={"public": RSA})),
        (BY_MAP, key("ConfigMap", data={"public": RSA})),
    ],
)
def test_a_public_key_is_read_from_what_is_public(
    spec: dict[str, Any], source: Any, tmp_path: Path
) -> None:
    found = read(tmp_path, domain("a", **spec), source)
    (planned,) = plan_all(found, KEYS)
    assert told(found) == []
    assert RSA in str(planned.plan)


@pytest.mark.parametrize(
    ("spec", "sources", "says"),
    [
        (BY_SECRET, [], "has no Secret dkim with a key public in namespace mail"),
        (BY_MAP, [], "has no ConfigMap dkim with a key public in namespace mail"),
        (
            BY_MAP,
            [key("ConfigMap", data={"other": RSA})],
            "has no ConfigMap dkim with a key public",
        ),
        (
            BY_SECRET,
            [key("Secret", allow="binding", stringData={"public": RSA})],
            "is not declared public",
        ),
    ],
)
def test_a_key_that_cannot_be_read_is_told_with_the_line_of_its_reference(
    spec: dict[str, Any], sources: list[Any], says: str, tmp_path: Path
) -> None:
    found = read(tmp_path, domain("a", **spec), *sources)
    assert plan_all(found, KEYS) == []
    (said,) = told(found)
    line = (tmp_path / "x.yaml").read_text().splitlines()[int(said.partition(":")[0]) - 1]
    assert "publicKeyRef" in line
    assert says in said


def test_a_record_that_rules_out_one_of_another_domain_is_told_once(tmp_path: Path) -> None:
    def asks(policy: str) -> dict[str, Any]:
        return {"dmarc": {"policy": policy}, "ownership": {"value": "handed-out=1"}}

    found = read(tmp_path, domain("a", **asks("none")), domain("b", **asks("reject")))
    complain_of_conflicts(found, plan_all(found, KEYS))
    (said,) = told(found)
    assert "of which there may be only one" in said
    alone = read(tmp_path, domain("a", **asks("none")))
    complain_of_conflicts(alone, plan_all(alone, KEYS))
    assert told(alone) == []


@pytest.mark.parametrize(
    ("path", "says"),
    [
        (("spec", "domain"), "postroom: DOMAIN: is wrong"),
        (("spec", "provider"), "postroom: --provider: is wrong"),
        (("spec", "parameters", "region"), "postroom: --set region: is wrong"),
        (("spec", "dmarc"), "postroom: spec.dmarc: is wrong"),
    ],
)
def test_what_came_from_the_command_line_is_named_by_its_flag(
    path: tuple[str, ...], says: str
) -> None:
    assert str(complaint(Manifest(FLAGS, {}, {}), Problem(path, "is wrong"))) == says


def test_what_came_from_a_file_is_named_by_its_line() -> None:
    manifest = Manifest("x.yaml", {}, {("spec", "dmarc"): 7})
    assert str(complaint(manifest, Problem(("spec", "dmarc", "policy"), "is wrong"))) == (
        "x.yaml:7: spec.dmarc.policy: is wrong"
    )

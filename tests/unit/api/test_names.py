# SPDX-License-Identifier: Apache-2.0
"""How kinds and objects are named where Kubernetes names them."""

from __future__ import annotations

from pathlib import Path

import yaml

from postroom.api.names import API_VERSION, GROUP, VERSION, Key, Kind

CRDS = Path(__file__).resolve().parents[3] / "crds"


def test_the_plural_of_a_kind_is_that_of_its_definition() -> None:
    served = {}
    for file in CRDS.glob("*.yaml"):
        definition = yaml.load(file.read_text("utf-8"), Loader=yaml.CSafeLoader)
        if definition.get("kind") == "CustomResourceDefinition":
            spec = definition["spec"]
            names = spec["names"]
            assert (spec["group"], spec["versions"][0]["name"]) == (GROUP, VERSION)
            served[names["kind"]] = names["plural"]
    assert served == {kind.value: kind.plural for kind in Kind}
    assert f"{GROUP}/{VERSION}" == API_VERSION


def test_a_key_reads_like_a_resource() -> None:
    key = Key(Kind.SENDING_DOMAIN, "mail", "example-com")
    assert str(key) == "sendingdomains/mail/example-com"
    assert key == (Kind.SENDING_DOMAIN, "mail", "example-com")

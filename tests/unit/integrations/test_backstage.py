# SPDX-License-Identifier: Apache-2.0
"""The snippets for Backstage: the kinds that there are, read only, and a component that finds its
account by the label that Backstage asks for.

That the rights are enough is shown by tests/cluster/test_integrations.py.
"""

from typing import Any

import yaml

from postroom.api.names import GROUP, VERSION, Kind
from postroom.api.resource import parse_spec
from state_map import INTEGRATIONS

PLACE = INTEGRATIONS / "backstage"


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.load_all((PLACE / name).read_text(), Loader=yaml.CSafeLoader))


def test_backstage_is_told_of_every_kind() -> None:
    (config,) = documents("app-config.yaml")
    assert config["kubernetes"]["customResources"] == [
        {"group": GROUP, "apiVersion": VERSION, "plural": kind.plural} for kind in Kind
    ]


def test_it_reads_them_and_nothing_else() -> None:
    role, binding = documents("rbac.yaml")
    assert role["rules"] == [
        {
            "apiGroups": [GROUP],
            "resources": [kind.plural for kind in Kind],
            "verbs": ["get", "list", "watch"],
        }
    ]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]


def test_the_component_finds_its_account() -> None:
    (component,), (account,) = documents("catalog-info.yaml"), documents("emailaccount.yaml")
    parse_spec(Kind.EMAIL_ACCOUNT, account["spec"])
    annotations = component["metadata"]["annotations"]
    label = account["metadata"]["labels"]["backstage.io/kubernetes-id"]
    assert annotations["backstage.io/kubernetes-id"] == label
    assert annotations["backstage.io/kubernetes-namespace"] == account["metadata"]["namespace"]

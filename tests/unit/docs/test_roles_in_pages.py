# SPDX-License-Identifier: Apache-2.0
"""What docs/tenants.md says of the roles for tenants is what the manifests grant."""

import re

import yaml

from unit.docs.reading import ROOT

_JOINED = "rbac.authorization.k8s.io/aggregate-to-"
_ROW = re.compile(r"^\| `(postroom-[a-z-]+)` \| (read|write) ([^|]*) \| ([^|]*) \|$", re.M)
_READ, _WRITTEN = {"get", "list", "watch"}, {"create", "update", "patch", "delete"}
_KINDS = {"sendingdomains", "mailservers", "emailaccounts"}


def _names(text: str) -> set[str]:
    return set(re.findall(r"`([a-z]+)`", text))


def test_the_roles_of_tenants_are_told_as_they_are() -> None:
    roles = {
        each["metadata"]["name"]: each
        for path in (ROOT / "manifests/install/tenants").glob("*.yaml")
        for each in yaml.load_all(path.read_text("utf-8"), yaml.CSafeLoader)
        if each["kind"] == "ClusterRole"
    }
    rows = _ROW.findall((ROOT / "docs/tenants.md").read_text("utf-8"))
    assert sorted(name for name, *_ in rows) == sorted(roles)
    for name, may, what, joined in rows:
        role = roles[name]
        labels = role["metadata"].get("labels", {})
        assert _names(joined) == {
            label.removeprefix(_JOINED) for label in labels if label.startswith(_JOINED)
        }
        (rule,) = role["rules"]
        if rule["resources"] == ["tenants"]:
            assert (may, rule["verbs"]) == ("write", ["assign"])
        elif may == "read":
            assert (set(rule["resources"]), set(rule["verbs"])) == (_KINDS, _READ)
        else:
            assert set(rule["resources"]) == _names(what)
            assert set(rule["verbs"]) == _READ | _WRITTEN

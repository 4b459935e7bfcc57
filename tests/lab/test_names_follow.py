# SPDX-License-Identifier: Apache-2.0
"""An installation under other names: whatever refers to an object of it still does.

Covers: kustomizations that set namespace, prefix, suffix and labels, with every component; the
recipe of docs/install.md for some namespaces; releases of the chart under names of their own.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.helm import ROOT, kustomized, rendered

INSTALL = ROOT / "manifests" / "install"
CLUSTER = ("binding/cluster", "token-rotation/cluster", "publishing/cluster", "deliver/cluster")
SERVED = ("binding/namespaced", "publishing/namespaced", "deliver/namespaced")
ANYWHERE = ("metrics-auth", "ui", "watch-secrets", "shards")
MOVED: dict[str, dict[str, Any]] = {
    "as it is": {},
    "another namespace": {"namespace": "acme-mail"},
    "other names": {"namePrefix": "acme-", "nameSuffix": "-eu"},
    "all of it": {
        "namespace": "acme-mail",
        "namePrefix": "acme-",
        "labels": [{"pairs": {"team": "mail"}, "includeSelectors": True}],
    },
}
RELEASES: dict[str, tuple[str, dict[str, str]]] = {
    "another release": ("eu", {}),
    "a name of the chart": ("eu", {"nameOverride": "mailroom"}),
    "a name of everything": ("eu", {"fullnameOverride": "mailroom"}),
    "a name of 52": ("eu", {"fullnameOverride": "m" * 52}),
    "an account": ("eu", {"serviceAccount.name": "robot", "deliver.serviceAccount.name": "other"}),
    "some namespaces": ("eu", {"settings.namespaces": "{mail,shop}"}),
}
FEATURES = {
    "settings.allowBindings": "true",
    "settings.allowTokenRotation": "true",
    "settings.publishDnsEndpoints": "true",
    "settings.ui": "true",
    "settings.uiAuth": "true",
    "settings.metricsAuth": "true",
    "metrics.service.enabled": "true",
    "deliver.enabled": "true",
    "tenants.enabled": "true",
    "inUseWarning.enabled": "true",
}


def dangling(objects: list[dict[str, Any]]) -> list[str]:
    """What refers to nothing of the installation."""
    there = {_place(each["kind"], each["metadata"]) for each in objects}
    found = [
        f"{each['kind']} {each['metadata']['name']}: {' '.join(filter(None, wanted))}"
        for each in objects
        for wanted in _referred(each)
        if wanted not in there
    ]
    pods = [
        (each["metadata"]["namespace"], each["spec"]["template"]["metadata"]["labels"])
        for each in objects
        if each["kind"] in ("Deployment", "StatefulSet")
    ]
    for each in objects:
        selector = _selector(each)
        space = each["metadata"].get("namespace")
        if selector is not None and not any(
            space == where and selector.items() <= labels.items() for where, labels in pods
        ):
            found.append(f"{each['kind']} {each['metadata']['name']} selects {selector}")
    return found


def _place(kind: str, metadata: dict[str, Any]) -> tuple[str, str, str]:
    # kustomize gives policies a namespace, too, which the API server takes away.
    nowhere = kind == "ValidatingAdmissionPolicy"
    return kind, "" if nowhere else metadata.get("namespace") or "", metadata["name"]


def _referred(each: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    space = each["metadata"].get("namespace") or ""
    if (role := each.get("roleRef")) is not None:
        yield role["kind"], space if role["kind"] == "Role" else "", role["name"]
        for subject in each["subjects"]:
            yield subject["kind"], subject["namespace"], subject["name"]
    if each["kind"] == "ValidatingAdmissionPolicyBinding":
        yield "ValidatingAdmissionPolicy", "", each["spec"]["policyName"]
    if each["kind"] in ("Deployment", "StatefulSet"):
        yield "ServiceAccount", space, each["spec"]["template"]["spec"]["serviceAccountName"]


def _selector(each: dict[str, Any]) -> dict[str, str] | None:
    spec = each.get("spec", {})
    if each["kind"] == "Service":
        return dict(spec["selector"])
    if each["kind"] in ("Deployment", "StatefulSet", "PodDisruptionBudget"):
        return dict(spec["selector"]["matchLabels"])
    return dict(spec["podSelector"]["matchLabels"]) if each["kind"] == "NetworkPolicy" else None


def built(scratch: Path, base: str, components: tuple[str, ...], **moved: Any) -> Any:
    """What a kustomization beside the repository makes."""
    here = os.path.relpath(INSTALL, scratch)
    kustomization = {
        "resources": [f"{here}/{base}", f"{here}/tenants-strict", f"{here}/in-use"],
        "components": [f"{here}/{name}" for name in components],
        **moved,
    }
    (scratch / "kustomization.yaml").write_text(json.dumps(kustomization))
    return kustomized(scratch)


@pytest.mark.parametrize("moved", MOVED)
def test_a_kustomization_that_moves_everything_leaves_nothing_behind(
    moved: str, tmp_path: Path
) -> None:
    objects = built(tmp_path, "cluster", CLUSTER + ANYWHERE, **MOVED[moved])
    assert len(objects) > 30
    assert dangling(objects) == []
    space = MOVED[moved].get("namespace", "postroom-system")
    spaces = {each["metadata"].get("namespace", space) for each in objects}
    assert spaces == {space}


def test_rights_on_some_namespaces_stay_there_by_the_recipe(tmp_path: Path) -> None:
    """`namespace` of a kustomization would move them, too: to the Secrets beside the operator."""
    page = (ROOT / "docs" / "install.md").read_text()
    recipe = next(
        text
        for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
        if "install/namespaced]" in text and "value: mail-system" in text
    )
    moved = {"patches": yaml.safe_load(recipe)["patches"]}
    for components in ((), SERVED + ANYWHERE):
        objects = built(tmp_path, "namespaced", components, **moved)
        assert dangling(objects) == []
        spaces: dict[str, set[str]] = {}
        for each in objects:
            spaces.setdefault(each["kind"], set()).add(each["metadata"].get("namespace", ""))
        for kind, found in spaces.items():
            assert "postroom-system" not in found, kind
        granted = [each for each in objects if each["kind"] == "Role" and _on_objects(each)]
        assert {each["metadata"]["namespace"] for each in granted} == {"mail"}


def _on_objects(role: dict[str, Any]) -> bool:
    return any("postroom.dev" in rule["apiGroups"] for rule in role["rules"])


@pytest.mark.parametrize("release", RELEASES)
def test_a_release_of_whatever_name_refers_to_itself(release: str) -> None:
    name, values = RELEASES[release]
    flags = [f"--set={key}={value}" for key, value in {**FEATURES, **values}.items()]
    objects = rendered(*flags, release=name, namespace="acme-mail")
    assert dangling(objects) == []
    served = {"mail", "shop"} if "settings.namespaces" in values else set()
    spaces = {each["metadata"].get("namespace", "acme-mail") for each in objects}
    assert spaces == {"acme-mail", *served}


def test_what_leads_nowhere_is_seen(tmp_path: Path) -> None:
    """Each kind of reference, broken by taking away what it leads to."""
    objects = built(tmp_path, "cluster", CLUSTER)
    assert dangling(objects) == []
    for kind in (
        "ServiceAccount",
        "Role",
        "ClusterRole",
        "ValidatingAdmissionPolicy",
        "Deployment",
    ):
        assert dangling([each for each in objects if each["kind"] != kind]), kind

# SPDX-License-Identifier: Apache-2.0
"""All components of the installation at once: in whatever order a kustomization names them, and
under whatever names and namespace it puts them."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.helm import ROOT, kustomized
from postroom.api.names import Kind

INSTALL = ROOT / "manifests" / "install"
Objects = list[dict[str, Any]]
_WORKLOADS = ("Deployment", "StatefulSet")


def components(scope: str) -> list[Path]:
    """The directories of all components for a scope, as they are named."""
    found = []
    for part in sorted(INSTALL.iterdir()):
        place = part / scope if (part / scope).is_dir() else part
        described = (place / "kustomization.yaml").read_text()
        if yaml.load(described, Loader=yaml.CSafeLoader)["kind"] == "Component":
            found.append(place)
    assert {"shards", "watch-secrets"} < {place.name for place in found}
    return found


def made(directory: Path, scope: str, parts: list[Path], **moved: Any) -> Objects:
    """What a kustomization makes of them, without the definitions, which are long."""
    directory.mkdir()
    base = yaml.load((INSTALL / scope / "kustomization.yaml").read_text(), Loader=yaml.CSafeLoader)
    described = {
        "resources": [
            os.path.relpath(INSTALL / scope / each, directory)
            for each in base["resources"]
            if "crds" not in each
        ],
        "components": [os.path.relpath(part, directory) for part in parts],
    }
    (directory / "kustomization.yaml").write_text(json.dumps({**described, **moved}))
    return kustomized(directory)


def arguments(objects: Objects) -> dict[str, set[str]]:
    return {
        each["metadata"]["name"]: set(each["spec"]["template"]["spec"]["containers"][0].pop("args"))
        for each in objects
        if each["kind"] in _WORKLOADS
    }


def names(objects: Objects) -> set[tuple[str, str]]:
    return {(each["kind"], each["metadata"]["name"]) for each in objects}


@pytest.mark.parametrize("scope", ["cluster", "namespaced"])
def test_their_order_has_no_meaning(scope: str, tmp_path: Path) -> None:
    parts = components(scope)
    one, other = (
        made(tmp_path / str(number), scope, order)
        for number, order in enumerate((parts, parts[::-1]))
    )
    flags = arguments(one)
    assert {"--allow-bindings", "--metrics-auth", "--watch-secrets"} < flags["postroom"]
    assert "--watch-secrets" in flags["postroom-deliver"]
    assert arguments(other) == flags
    key = json.dumps
    assert sorted(map(key, one)) == sorted(map(key, other))


def test_what_removes_the_operator_forgets_no_kind(tmp_path: Path) -> None:
    page = " ".join((ROOT / "docs" / "install.md").read_text().replace("\\\n", "").split())
    command = r"kubectl delete ([a-z,]+) -n postroom-system -l app.kubernetes.io/part-of=postroom"
    (kinds,) = re.findall(command, page)
    objects = [
        each
        for number, parts in enumerate(([], components("cluster")))
        for each in made(tmp_path / str(number), "cluster", parts)
    ]
    ours = [each for each in objects if each["metadata"].get("namespace") == "postroom-system"]
    assert {each["kind"].lower() for each in ours} == set(kinds.split(","))
    bound = [each for each in objects if each["kind"] == "ClusterRoleBinding"]
    assert "kubectl delete clusterrolebinding -l app.kubernetes.io/part-of=postroom" in page
    for each in ours + bound:
        assert each["metadata"]["labels"]["app.kubernetes.io/part-of"] == "postroom"


@pytest.mark.parametrize("scope", ["cluster", "namespaced"])
def test_the_worker_watches_secrets_where_the_operator_does(scope: str, tmp_path: Path) -> None:
    worker = next(part for part in components(scope) if part.parent.name == "deliver")
    objects = made(tmp_path / "alone", scope, [worker])
    assert not any("--watch-secrets" in flags for flags in arguments(objects).values())
    verbs = [
        rule["verbs"]
        for each in objects
        if each["kind"] in ("Role", "ClusterRole")
        for rule in each["rules"]
        if "secrets" in rule["resources"]
    ]
    assert verbs == [["get"]] * 2
    # How the one is told of the other is nothing that anybody sees.
    assert not any(each["metadata"].get("annotations") for each in objects)


@pytest.mark.parametrize(
    "moved",
    [
        {"namePrefix": "acme-", "nameSuffix": "-eu"},
        {"namespace": "mail-ops", "namePrefix": "acme-"},
        {"labels": [{"pairs": {"team": "mail"}, "includeSelectors": True}]},
    ],
)
def test_whatever_they_are_called_they_find_each_other(
    moved: dict[str, Any], tmp_path: Path
) -> None:
    objects = made(tmp_path / "moved", "cluster", components("cluster"), **moved)
    known, place = names(objects), moved.get("namespace", "postroom-system")
    referred = set()
    for each in objects:
        kind, spec = each["kind"], each.get("spec", {})
        if kind.endswith("RoleBinding"):
            referred.add((each["roleRef"]["kind"], each["roleRef"]["name"]))
            for subject in each["subjects"]:
                assert subject["namespace"] == place
                referred.add((subject["kind"], subject["name"]))
        if kind == "ValidatingAdmissionPolicyBinding":
            referred.add(("ValidatingAdmissionPolicy", spec["policyName"]))
        if kind in _WORKLOADS:
            template = spec["template"]
            referred.add(("ServiceAccount", template["spec"]["serviceAccountName"]))
            guards = [
                other["spec"].get("podSelector") or other["spec"]["selector"]
                for other in objects
                if other["kind"] in ("NetworkPolicy", "PodDisruptionBudget")
                and other["metadata"]["name"] == each["metadata"]["name"]
            ]
            assert len(guards) == 2
            for guard in guards:
                assert guard["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert len(referred) > 10
    assert referred - known == set()


def test_an_air_gapped_cluster_pulls_the_one_image_of_its_registry(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "evaluating.md").read_text()
    (recipe,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    told = yaml.load(recipe, Loader=yaml.CSafeLoader)
    named = {name: told[name] for name in ("images", "patches")}
    parts = [ROOT / path.removeprefix("postroom/") for path in told["components"]]
    objects = made(tmp_path / "air-gapped", "cluster", parts, **named)
    pods = [each["spec"]["template"]["spec"] for each in objects if each["kind"] in _WORKLOADS]
    (image,) = told["images"]
    pulled = {container["image"] for pod in pods for container in pod["containers"]}
    assert pulled == {f"{image['newName']}@{image['digest']}"}
    accounts = {
        each["metadata"]["name"]: each["imagePullSecrets"]
        for each in objects
        if each["kind"] == "ServiceAccount"
    }
    used = {pod["serviceAccountName"] for pod in pods}
    assert accounts == {name: [{"name": "registry"}] for name in used}
    assert len(used) == 2


def test_going_back_leaves_out_the_definitions_and_nothing_else(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "upgrading.md").read_text()
    (recipe,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    told = yaml.load(recipe, Loader=yaml.CSafeLoader)
    (installed,) = (ROOT / path.removeprefix("postroom/") for path in told["resources"])
    told["resources"] = [os.path.relpath(installed, tmp_path)]
    (tmp_path / "kustomization.yaml").write_text(json.dumps(told))
    whole = names(kustomized(installed))
    left_out = whole - names(kustomized(tmp_path))
    assert len(left_out) == len(Kind)
    assert left_out == {each for each in whole if each[0] == "CustomResourceDefinition"}

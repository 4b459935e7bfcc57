# SPDX-License-Identifier: Apache-2.0
"""Upgrading the definitions under objects that earlier ones stored, on the real API server.

Each test has its set of earlier definitions in a group of its own, so that those of the other tests
stay as they are, and those that another one left are not still about to go: what is stored with
them is then served, changed and made anew with those of today.
"""

from __future__ import annotations

import copy
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from cluster.api_client import administrator, apply
from cluster.objects import eventually
from postroom.controller.inbound.progress import MANAGER
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import ROOT
from stored import VERSIONS, definitions, holds, objects

TODAY = [
    yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    for path in sorted((ROOT / "crds").glob("*s.yaml"))
]


def owned_by_field(definition: dict[str, Any]) -> dict[str, Any]:
    """A definition of now whose status has an owner of each field, as that of accounts once had."""
    found = copy.deepcopy(definition)
    for each in found["spec"]["versions"]:
        del each["schema"]["openAPIV3Schema"]["properties"]["status"]["x-kubernetes-map-type"]
    return found


def listed(found: list[dict[str, Any]]) -> str:
    """Objects as kubectl takes them; written as YAML the definitions take seconds."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": found})


def moved(definition: dict[str, Any], group: str, told: str) -> dict[str, Any]:
    """A definition in another group, in no category and without labels: `kubectl get postroom` of
    another test would ask for its kinds, too, and find that they have gone. `told` is what it says
    of itself."""
    kinds = {**definition["spec"]["names"], "categories": [], "shortNames": []}
    named = {"name": f"{kinds['plural']}.{group}"}
    spec = copy.deepcopy({**definition["spec"], "group": group, "names": kinds})
    for each in spec["versions"]:
        each["schema"]["openAPIV3Schema"]["description"] = told
    return {**definition, "metadata": named, "spec": spec}


def define(plane: ControlPlane, group: str, found: list[dict[str, Any]]) -> None:
    """Have definitions, and wait until they are those that are served: a moment later."""
    told = uuid.uuid4().hex
    text = listed([moved(each, group, told) for each in found])
    apply(plane, text)
    names = [f"crd/{each['spec']['names']['plural']}.{group}" for each in found]
    plane.kubectl("wait", "--for=condition=Established", *names, "--timeout=120s")
    schemas = f"/openapi/v3/apis/{group}/v1alpha1"

    def are_served() -> bool:
        status, schema = administrator(plane).answer("GET", schemas, None, {})
        return status == 200 and json.dumps(schema).count(told) >= len(found)

    eventually(are_served, "the definitions are served")


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def group(plane: ControlPlane, version: str) -> Iterator[str]:
    """A group with the earlier definitions."""
    name = f"v{VERSIONS.index(version)}-{uuid.uuid4().hex[:8]}.stored.example"
    define(plane, name, list(definitions(version)))
    yield name
    names = [f"{each['spec']['names']['plural']}.{name}" for each in definitions(version)]
    plane.kubectl("delete", "crd", *names, "--wait=false")


def test_what_was_stored_is_served_changed_and_made_anew(
    plane: ControlPlane, namespace: str, version: str, group: str
) -> None:
    mine = [{**raw, "apiVersion": f"{group}/v1alpha1"} for raw in objects(version)]
    kinds = ",".join(f"{each['spec']['names']['plural']}.{group}" for each in TODAY)

    def said(*words: str, given: list[dict[str, Any]] | None = None, check: bool = True) -> str:
        text = None if given is None else listed(given)
        done = plane.kubectl(*words, "-n", namespace, input=text, check=check)
        return done.stdout if done.returncode == 0 else ""

    def stands(change: dict[str, Any]) -> None:
        found = json.loads(said("get", kinds, "-o", "json"))["items"]
        kept = {(raw["kind"], raw["metadata"]["name"]): raw for raw in found}
        for raw in mine:
            now = kept[raw["kind"], raw["metadata"]["name"]]
            assert holds(now["spec"], {**raw["spec"], **change})
            assert holds(now["status"], raw["status"])

    def specs() -> list[dict[str, Any]]:
        found = json.loads(said("get", kinds, "-o", "json"))["items"]
        return [raw["spec"] for raw in found]

    # Discovery of new kinds takes a moment.
    eventually(lambda: bool(said("apply", "-f", "-", given=mine, check=False)), "they are stored")
    again = ("apply", "--server-side", "--force-conflicts", "-f", "-")
    said(*again, "--subresource=status", given=mine)
    stands({})
    before = specs()
    define(plane, group, TODAY)
    stands({})
    # What the definitions of now add to a spec, the operator of before would not know.
    if version == VERSIONS[-1]:
        assert specs() == before
    # As people and the operator do: a label, an edit, a status of now.
    said("label", kinds, "--all", "upgraded=yes")
    rested = [{**raw, "spec": {**raw["spec"], "suspend": True}} for raw in mine]
    said(*again, given=[{**raw, "status": None} for raw in rested])
    said(*again, "--subresource=status", given=mine)
    stands({"suspend": True})
    anew = [{**raw, "metadata": {"generateName": "new-"}, "status": None} for raw in mine]
    said("create", "--validate=strict", "--dry-run=server", "-f", "-", given=anew)


@pytest.mark.parametrize("version", VERSIONS[-1:])
def test_a_status_that_two_managers_shared_is_written_on_whole_by_both(
    plane: ControlPlane, namespace: str, version: str, group: str
) -> None:
    def said(*words: str, given: dict[str, Any] | None = None, check: bool = True) -> str:
        text = None if given is None else json.dumps(given)
        done = plane.kubectl(*words, "-n", namespace, input=text, check=check)
        return done.stdout if done.returncode == 0 else ""

    def stored() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            said("get", place, "-o", "json", "--show-managed-fields")
        )
        return found

    def owners(found: dict[str, Any], part: str = "f:status") -> dict[str, Any]:
        return {
            f"{each['manager']} {each['operation']}": each["fieldsV1"][part]
            for each in found["metadata"]["managedFields"]
            if part in each["fieldsV1"]
        }

    def put(manager: str, status: dict[str, Any]) -> dict[str, Any]:
        """Put a whole status onto what stands, as both programs do; returns what stands then."""
        before = stored()
        version_of = {"resourceVersion": before["metadata"]["resourceVersion"]}
        body = {**head, "metadata": {**named, "namespace": namespace, **version_of}}
        path = f"/apis/{group}/v1alpha1/namespaces/{namespace}/emailaccounts/{named['name']}/status"
        words = ("replace", "--raw", f"{path}?fieldManager={manager}", "-f", "-")
        said(*words, given={**body, "status": status})
        now = stored()
        assert now["status"] == status
        assert (now["spec"], now["metadata"].get("labels")) == (before["spec"], labels)
        assert owners(now, "f:spec") == owners(before, "f:spec")
        return now

    raw = max(
        (each for each in objects(version) if each["kind"] == "EmailAccount"),
        key=lambda each: len(json.dumps(each["status"])),
    )
    labels = {"team": "mail"}
    raw = {**raw, "apiVersion": f"{group}/v1alpha1"}
    raw["metadata"] = {"name": raw["metadata"]["name"], "labels": labels}
    place = f"emailaccounts.{group}/{raw['metadata']['name']}"
    # As the operator wrote it before, beside what an earlier `postroom deliver` applies.
    spec = ("apply", "--server-side", "--field-manager=people", "-f", "-")
    eventually(
        lambda: bool(said(*spec, given={**raw, "status": None}, check=False)), "it is stored"
    )
    merge = ("--subresource=status", "--type=merge", "--field-manager=postroom", "-p")
    said("patch", place, *merge, json.dumps({"status": raw["status"]}))
    define(plane, group, [owned_by_field(each) for each in TODAY])
    delivering = {**raw["status"]["conditions"][0], "type": "InboundDelivering"}
    named = {"name": raw["metadata"]["name"]}
    head = {"apiVersion": raw["apiVersion"], "kind": raw["kind"], "metadata": named}
    forced = ("--force-conflicts", f"--field-manager={MANAGER}")
    apply = ("apply", "--server-side", "--subresource=status", *forced, "-f", "-")
    earlier = {**head, "status": {"conditions": [delivering], "inbound": {"waiting": 3}}}
    said(*apply, given=earlier)
    found = stored()["status"]
    assert found["inbound"] == {**raw["status"]["inbound"], "waiting": 3}
    # With the definitions of before, which a `postroom deliver` of now may meet, too.
    now = put(MANAGER, {**found, "inbound": {**found["inbound"], "waiting": 4}})
    assert owners(now)["postroom Update"]["f:serverName"] == {}
    define(plane, group, TODAY)
    assert stored()["status"] == now["status"]
    now = put("postroom", {**now["status"], "serverName": "another", "findings": []})
    assert owners(now) == {"postroom Update": {}}
    now = put(MANAGER, {**now["status"], "inbound": {**now["status"]["inbound"], "waiting": 5}})
    assert owners(now) == {f"{MANAGER} Update": {}}
    # What an earlier one applies takes the place of all: it must not be at work any more, and its
    # rights are no longer given. Whoever judges the object next says all of it again.
    said(*apply, given=earlier)
    assert stored()["status"] == {**earlier["status"], "observedGeneration": -1}
    put("postroom", now["status"])


@pytest.mark.parametrize("version", VERSIONS[-1:])
def test_a_status_of_one_manager_that_was_owned_field_by_field_is_written_on_whole(
    plane: ControlPlane, namespace: str, version: str, group: str
) -> None:
    def said(*words: str, given: dict[str, Any], check: bool = True) -> str:
        done = plane.kubectl(*words, "-n", namespace, input=json.dumps(given), check=check)
        return done.stdout if done.returncode == 0 else ""

    def stored(place: str) -> dict[str, Any]:
        words = ("get", place, "-o", "json", "--show-managed-fields")
        found: dict[str, Any] = json.loads(said(*words, given={}))
        return found

    def owned(found: dict[str, Any]) -> Any:
        (mine,) = [
            each["fieldsV1"]["f:status"]
            for each in found["metadata"]["managedFields"]
            if each["manager"] == "postroom"
        ]
        return mine

    kinds = {"SendingDomain": "sendingdomains", "MailServer": "mailservers"}
    raws = {each["kind"]: each for each in objects(version) if each["kind"] in kinds}
    merge = ("--subresource=status", "--type=merge", "--field-manager=postroom", "-p")
    for kind, raw in raws.items():
        place = f"{kinds[kind]}.{group}/{raw['metadata']['name']}"
        made = {**raw, "apiVersion": f"{group}/v1alpha1", "status": None}
        apply_ = ("apply", "--server-side", "--field-manager=people", "-f", "-")
        eventually(lambda: bool(said(*apply_, given=made, check=False)), "it is stored")  # noqa: B023
        said("patch", place, *merge, json.dumps({"status": raw["status"]}), given={})
        assert "f:conditions" in owned(stored(place))
    define(plane, group, TODAY)
    for kind, raw in raws.items():
        name = raw["metadata"]["name"]
        place = f"{kinds[kind]}.{group}/{name}"
        found = stored(place)
        assert holds(found["status"], raw["status"])
        status = {name: told for name, told in found["status"].items() if name != "lastReadyTime"}
        named = {"name": name, "namespace": namespace}
        named["resourceVersion"] = found["metadata"]["resourceVersion"]
        body = {"apiVersion": f"{group}/v1alpha1", "kind": kind, "metadata": named}
        path = f"/apis/{group}/v1alpha1/namespaces/{namespace}/{kinds[kind]}/{name}/status"
        put = ("replace", "--raw", f"{path}?fieldManager=postroom", "-f", "-")
        said(*put, given={**body, "status": status})
        now = stored(place)
        assert (now["status"], now["spec"]) == (status, found["spec"])
        assert owned(now) == {}

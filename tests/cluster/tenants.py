# SPDX-License-Identifier: Apache-2.0
"""Namespaces held to what their annotations allow, and attempts to get round it."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from cluster import taking_effect
from cluster.api_client import administrator, apply, leave_namespace, post, refusal
from cluster.objects import eventually, path_of
from postroom.api.names import API_VERSION, Kind
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import ROOT

INSTALL = ROOT / "manifests" / "install"
DOMAINS, HOSTS = "postroom.dev/domains", "postroom.dev/mail-hosts"
RECIPIENTS = "postroom.dev/test-recipients"
ZONES = "postroom.dev/publish-zones"
ASSIGNER = "only who may assign tenants.postroom.dev"
GIVEN = {"domains": "example.com", "mail_hosts": "smtp.example.com", "test_recipients": "a@b.org"}
#: Who may write Namespaces, and nothing else.
EDITORS = "namespace-editors"
ALICE = ("--as=alice", f"--as-group={EDITORS}")
ASK, ASK_FOR = "postroom.dev/send-test", "postroom.dev/send-test-to"


@contextmanager
def policies(
    plane: ControlPlane, scratch: Path, directory: str = "tenants", **fields: Any
) -> Iterator[None]:
    """The policies of a directory, as a kustomization with these fields makes them; they are in
    force in the block, and no longer after it."""
    here = os.path.relpath(INSTALL, scratch)
    described = {"resources": [f"{here}/{directory}"], **fields}
    (scratch / "kustomization.yaml").write_text(json.dumps(described))
    text = plane.kubectl("kustomize", str(scratch), "--load-restrictor=LoadRestrictionsNone").stdout
    apply(plane, text)
    bound = [
        item["spec"]["policyName"]
        for item in yaml.load_all(text, Loader=yaml.CSafeLoader)
        if item["kind"] == "ValidatingAdmissionPolicyBinding"
    ]
    made = [
        item["metadata"]["name"]
        for item in yaml.load_all(text, Loader=yaml.CSafeLoader)
        if item["kind"] == "ValidatingAdmissionPolicy"
    ]
    assert sorted(bound) == sorted(made)
    try:
        taking_effect.await_all(administrator(plane))
        yield
    finally:
        plane.kubectl("delete", "-f", "-", "--wait=false", input=text)
        taking_effect.await_all(administrator(plane))


@contextmanager
def tenant(plane: ControlPlane, **annotations: str) -> Iterator[Tenant]:
    """A namespace with annotations of postroom.dev, `_` standing for `-` in their names."""
    name = f"tenant-{uuid.uuid4().hex[:8]}"
    marks = {f"postroom.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
    post(plane, "/api/v1/namespaces", {"metadata": {"name": name, "annotations": marks}})
    yield Tenant(plane, name)
    leave_namespace(plane, name)


class Tenant:
    """Somebody who writes in one namespace; what is said is what kubectl printed."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self.plane, self.namespace = plane, namespace

    def run(self, *args: str, input: str | None = None) -> str:
        done = self.plane.kubectl("-n", self.namespace, *args, input=input, check=False)
        return done.stdout + done.stderr

    def tries(
        self,
        kind: str,
        spec: dict[str, Any],
        *,
        annotations: dict[str, str] | None = None,
        name: str = "x",
        verb: tuple[str, ...] = (),
    ) -> str:
        """Without a verb of kubectl: what is said of an object that would be created."""
        body = {"apiVersion": API_VERSION, "kind": kind, "spec": spec}
        body |= {"metadata": {"name": name, "annotations": annotations or {}}}
        if verb:
            return self.run(*verb, "-f", "-", input=json.dumps(body))
        collection = path_of(self.namespace, Kind(kind))
        return refusal(self.plane, "POST", collection, body, dry=True) or "created"

    def makes(self, kind: str, spec: dict[str, Any], **more: Any) -> None:
        said = self.tries(kind, spec, verb=("apply", "--server-side"), **more)
        assert "serverside-applied" in said, said

    def waits_for_refusal(self, kind: str, spec: dict[str, Any], sentence: str) -> None:
        """Until the API server's own caches know the annotation, too."""
        eventually(lambda: sentence in self.tries(kind, spec), f"{kind} {spec} is refused")


def anew() -> str:
    """Domains that were not annotated before: what changes nothing, as a try before the policy was
    in force would leave behind, is refused to nobody."""
    return f"{DOMAINS}={uuid.uuid4().hex}.example.com"


def allow_to_write_namespaces(plane: ControlPlane, group: str) -> None:
    role = (
        *("create", "clusterrole", group, "--verb=get,list,create,update,patch"),
        "--resource=namespaces,namespaces/status,namespaces/finalize",
    )
    plane.kubectl(*role, check=False)
    binding = ("create", "clusterrolebinding", group, f"--clusterrole={group}", f"--group={group}")
    plane.kubectl(*binding, check=False)
    taking_effect.await_rights(administrator(plane))


def annotate(plane: ControlPlane, namespace: str, mark: str, *user: str) -> str:
    """What is said to who annotates a namespace, as `kubectl annotate --overwrite` does with
    KEY=VALUE or KEY-; `user` are flags of kubectl."""
    key, given, value = mark.partition("=")
    marks = {key: value} if given else {key.removesuffix("-"): None}
    asks = dict(flag.removeprefix("--").split("=") for flag in user)
    said = refusal(
        *(plane, "PATCH", f"/api/v1/namespaces/{namespace}", {"metadata": {"annotations": marks}}),
        user=asks.get("as", ""),
        group=asks.get("as-group", ""),
    )
    return said or "annotated"

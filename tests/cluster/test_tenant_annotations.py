# SPDX-License-Identifier: Apache-2.0
"""Who says what a namespace may do: the annotations of a Namespace, where the policies guard them.

Covers: they are written by those who may assign them alone, through every subresource, and only in
a form that is read as it was meant. The policies stand for all of the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from cluster import taking_effect
from cluster.api_client import administrator
from cluster.objects import eventually
from cluster.tenants import (
    ALICE,
    ASSIGNER,
    DOMAINS,
    EDITORS,
    GIVEN,
    HOSTS,
    RECIPIENTS,
    ZONES,
    allow_to_write_namespaces,
    anew,
    annotate,
    policies,
    tenant,
)
from postroom.lab.controlplane import ControlPlane


@pytest.fixture(scope="module")
def guarded(
    installed: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    allow_to_write_namespaces(installed, EDITORS)
    with policies(installed, tmp_path_factory.mktemp("guarded")), tenant(installed, **GIVEN) as one:
        eventually(
            lambda: ASSIGNER in annotate(installed, one.namespace, anew(), *ALICE),
            "the policy is in force",
        )
        yield installed


@pytest.mark.parametrize("key", [DOMAINS, HOSTS, RECIPIENTS, ZONES])
def test_who_edits_a_namespace_does_not_say_what_it_may_do(guarded: ControlPlane, key: str) -> None:
    with tenant(guarded, **GIVEN, publish_zones="example.com") as made:
        for mark in (f"{key}=*", f"{key}-", f"{key}="):
            assert ASSIGNER in annotate(guarded, made.namespace, mark, *ALICE)
        assert "annotated" in annotate(guarded, made.namespace, "example.com/else=1", *ALICE)
        assert "annotated" in annotate(guarded, made.namespace, f"{key}=")


def test_nor_whoever_creates_one(guarded: ControlPlane) -> None:
    body = {"apiVersion": "v1", "kind": "Namespace"}
    named = {**body, "metadata": {"name": "alices", "annotations": {DOMAINS: "example.com"}}}
    create = (*ALICE, "create", "--dry-run=server", "-f", "-")
    said = guarded.kubectl(*create, input=json.dumps(named), check=False)
    assert ASSIGNER in said.stderr
    plain = {**body, "metadata": {"name": "alices"}}
    assert "created" in guarded.kubectl(*create, input=json.dumps(plain)).stdout


def test_nor_through_a_subresource(guarded: ControlPlane) -> None:
    with tenant(guarded, **GIVEN) as made:
        patch = json.dumps({"metadata": {"annotations": {DOMAINS: "*"}}})
        through = ("patch", "namespace", made.namespace, "--subresource=status", "--type=merge")
        said = guarded.kubectl(*ALICE, *through, "-p", patch, check=False)
        assert ASSIGNER in said.stderr
        stored = json.loads(
            guarded.kubectl("get", "namespace", made.namespace, "-o", "json").stdout
        )
        stored["metadata"]["annotations"][DOMAINS] = "*"
        raw = f"/api/v1/namespaces/{made.namespace}/finalize"
        said = guarded.kubectl(
            *ALICE, "replace", "--raw", raw, "-f", "-", input=json.dumps(stored), check=False
        )
        assert ASSIGNER in said.stderr
        kept = guarded.kubectl("get", "namespace", made.namespace, "-o", "json").stdout
        assert json.loads(kept)["metadata"]["annotations"][DOMAINS] == "example.com"


def test_who_is_given_the_role_may(guarded: ControlPlane) -> None:
    bind = ("create", "clusterrolebinding", "bob", "--clusterrole=postroom-tenant-assigner")
    guarded.kubectl(*bind, "--user=bob")
    bob = ("--as=bob", f"--as-group={EDITORS}")
    try:
        with tenant(guarded, **GIVEN) as made:
            eventually(
                lambda: "annotated" in annotate(guarded, made.namespace, f"{DOMAINS}=b.org", *bob),
                "he may",
            )
    finally:
        guarded.kubectl("delete", "clusterrolebinding", "bob")


def test_everything_on_our_kinds_within_a_namespace_is_not_the_right_to_assign(
    guarded: ControlPlane,
) -> None:
    with tenant(guarded, **GIVEN) as made:
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role"}
        role |= {"metadata": {"name": "all"}}  # type: ignore[dict-item]
        role |= {"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}  # type: ignore[dict-item]
        made.run("create", "-f", "-", input=json.dumps(role))
        made.run("create", "rolebinding", "all", "--role=all", f"--group={EDITORS}")
        taking_effect.await_rights(administrator(guarded))
        assert "yes" in made.run(*ALICE, "auth", "can-i", "assign", "tenants.postroom.dev")
        assert ASSIGNER in annotate(guarded, made.namespace, f"{DOMAINS}=*", *ALICE)


@pytest.mark.parametrize(
    "mark",
    [
        f"{DOMAINS}=example.com,",
        f"{DOMAINS}=,",
        f"{DOMAINS}=example.com.",
        f"{DOMAINS}=müller.example",
        f"{DOMAINS}=example.com example.net",
        f"{DOMAINS}=*example.com",
        f"{DOMAINS}=a.*.example.com",
        f"{DOMAINS}=*.com",
        f"{DOMAINS}=*.",
        f"{DOMAINS}=@example.com",
        f"{DOMAINS}=com",
        f"{HOSTS}=smtp.example.com:25",
        f"{HOSTS}=192.0.2.1",
        f"{HOSTS}=https://smtp.example.com",
        f"{HOSTS}=smtp.example.com.",
        f"{ZONES}=*",
        f"{ZONES}=example.com.",
        f"{RECIPIENTS}=example.com",
        f"{RECIPIENTS}=a b@example.com",
        f"{RECIPIENTS}=a@*.example.com",
        f"{RECIPIENTS}=*@example.com",
        f"{RECIPIENTS}=ops@müller.example",
    ],
)
def test_what_would_not_be_read_as_it_was_meant_is_refused(
    guarded: ControlPlane, namespace: str, mark: str
) -> None:
    said = annotate(guarded, namespace, mark)
    assert mark.partition("=")[0] in said
    assert "must be a list with commas" in said


@pytest.mark.parametrize(
    "mark",
    [
        f"{DOMAINS}=example.com",
        f"{DOMAINS}=Example.com , *.xn--mller-kva.example,*",
        f"{DOMAINS}=",
        f"{ZONES}=example.com, *.example.org",
        f"{HOSTS}=smtp, smtp.mail.svc, *.svc, *.example.com",
        f"{RECIPIENTS}=o'ps+x@example.com, @example.com, @*.example.com, *",
    ],
)
def test_what_is_readable_is_taken(guarded: ControlPlane, namespace: str, mark: str) -> None:
    assert "annotated" in annotate(guarded, namespace, mark)

# SPDX-License-Identifier: Apache-2.0
"""The policies of tenants under other names, the strict variant, and who says what is allowed.

Covers: a kustomization that sets namespace, prefix and suffix refuses as before; without
annotations nothing is allowed where that is strict; the annotations of a Namespace are written by
those who may assign them alone, through every subresource, and only in a form that is read as it
was meant.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from cluster import taking_effect
from cluster.api_client import administrator, refusal
from cluster.objects import eventually
from cluster.tenants import DOMAINS, HOSTS, RECIPIENTS, ZONES, Tenant, policies, tenant
from postroom.lab.controlplane import ControlPlane

DOMAIN, SERVER, ACCOUNT = "SendingDomain", "MailServer", "EmailAccount"
FOREIGN = {"domain": "foreign.example.org"}
SENDS = {"address": "a@example.com", "roundTrip": {"enabled": True}}
REFUSALS: dict[str, tuple[str, dict[str, Any]]] = {
    "may not use the domain": (DOMAIN, FOREIGN),
    "dialled: its annotation": (SERVER, {"host": "smtp.evil.org"}),
    "may not have messages sent to": (ACCOUNT, SENDS),
}
ASSIGNER = "only who may assign tenants.postroom.dev"
GIVEN = {"domains": "example.com", "mail_hosts": "smtp.example.com", "test_recipients": "a@b.org"}
EVERYTHING = dict.fromkeys(GIVEN, "*")


@pytest.mark.parametrize("directory", ["tenants", "tenants-strict"])
@pytest.mark.parametrize(
    "moved",
    [
        {"namespace": "acme-mail"},
        {"namePrefix": "acme-", "nameSuffix": "-eu"},
        {
            "namespace": "acme-mail",
            "namePrefix": "acme-",
            "labels": [{"pairs": {"a": "b"}, "includeSelectors": True}],
        },
    ],
)
def test_a_kustomization_that_renames_them_refuses_as_before(
    installed: ControlPlane,
    tmp_path_factory: pytest.TempPathFactory,
    directory: str,
    moved: dict[str, Any],
) -> None:
    scratch = tmp_path_factory.mktemp("moved")
    with policies(installed, scratch, directory, **moved), tenant(installed, **GIVEN) as made:
        for sentence, (kind, spec) in REFUSALS.items():
            made.waits_for_refusal(kind, {**spec, "suspend": False}, sentence)
        assert "created" in made.tries(DOMAIN, {"domain": "example.com"})
        alice = ("--as=alice", "--as-group=namespace-editors")
        allow_to_write_namespaces(installed, "namespace-editors")
        eventually(
            lambda: ASSIGNER in annotate(installed, made.namespace, anew(), *alice),
            "the annotations are kept",
        )


def test_the_strict_variant_allows_nothing_without_annotations(
    installed: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with (
        policies(installed, tmp_path_factory.mktemp("strict"), "tenants-strict"),
        tenant(installed, **EVERYTHING) as free,
        tenant(installed, domains="example.com") as partly,
    ):
        for missing, (sentence, (kind, spec)) in zip(EVERYTHING, REFUSALS.items(), strict=True):
            others = {key: every for key, every in EVERYTHING.items() if key != missing}
            with tenant(installed, **others) as silent:
                silent.waits_for_refusal(kind, spec, sentence)
            assert "created" in free.tries(kind, spec)
        assert "created" in partly.tries(DOMAIN, {"domain": "example.com"})
        assert "denied request" in partly.tries(SERVER, {"host": "smtp.example.com"})
        # What names no host and sends to nobody needs no annotation.
        assert "created" in partly.tries(ACCOUNT, {"address": "a@example.com"})


def test_a_namespace_that_was_marked_before_can_still_be_edited(
    installed: ControlPlane, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert "annotated" in annotate(installed, namespace, f"{DOMAINS}=müller.example.")
    with policies(installed, tmp_path_factory.mktemp("late")):
        eventually(
            lambda: "must be a list" in annotate(installed, namespace, f"{DOMAINS}={uuid4().hex}."),
            "the policy is in force",
        )
        assert "annotated" in annotate(installed, namespace, "example.com/else=1")
        # Each policy comes into force by itself.
        Tenant(installed, namespace).waits_for_refusal(DOMAIN, FOREIGN, "denied request")


@pytest.fixture(scope="module")
def guarded(
    installed: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    allow_to_write_namespaces(installed, "namespace-editors")
    with policies(installed, tmp_path_factory.mktemp("guarded")), tenant(installed, **GIVEN) as one:
        eventually(
            lambda: ASSIGNER in annotate(installed, one.namespace, anew(), *ALICE),
            "the policy is in force",
        )
        yield installed


def anew() -> str:
    """Domains that were not annotated before: what changes nothing, as a try before the policy was
    in force would leave behind, is refused to nobody."""
    return f"{DOMAINS}={uuid4().hex}.example.com"


ALICE = ("--as=alice", "--as-group=namespace-editors")


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
    bob = ("--as=bob", "--as-group=namespace-editors")
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
        made.run("create", "rolebinding", "all", "--role=all", "--group=namespace-editors")
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

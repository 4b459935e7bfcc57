# SPDX-License-Identifier: Apache-2.0
"""The install manifests as data.

Covers: the exact rights of the operator, that both ways of installing differ only in reach, that
writing Secrets is an addition with a policy of its own, what tenants get without being asked, the
restricted Pod, and that every definition is installed. That they render and are accepted is shown
by tests/cluster/test_schema.py and test_token_rotation.py.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from postroom import __version__
from postroom.api import crd
from postroom.api.names import GROUP, Kind
from postroom.controller.health import METRICS_PATH
from postroom.controller.rotation import SECRET_TYPE
from postroom.controller.status_page import PAGE_PATH
from postroom.lab.operator_process import USER
from postroom.mail.connect.guard import DEFAULT_PORTS
from postroom.reconcile.account.binding_content import SECRET_TYPE as BINDING_TYPE
from postroom.settings import Settings, flag

ROOT = Path(__file__).resolve().parents[3]
INSTALL = ROOT / "manifests" / "install"
Rights = set[tuple[str, str, str]]
#: What tells the policy who may write Secrets as the operator; there is no such resource.
MARK = (GROUP, "refreshtokens", "keep")
READING = {"get", "list", "watch"}
PLURALS = [kind.plural for kind in Kind]
NEEDED: Rights = {
    *((GROUP, plural, verb) for plural in PLURALS for verb in READING),
    # Whoever may patch may apply a part of a status, in the place of all of it.
    *((GROUP, f"{plural}/status", "update") for plural in PLURALS),
    ("", "secrets", "get"),
    ("", "configmaps", "get"),
    ("", "events", "create"),
}
#: What whoever serves all namespaces asks of the cluster besides.
SCANNING: Rights = {
    *(("apiextensions.k8s.io", "customresourcedefinitions", verb) for verb in ("list", "watch")),
    ("coordination.k8s.io", "leases", "list"),
    ("authorization.k8s.io", "subjectaccessreviews", "create"),
}


def objects(path: str, kind: str) -> list[dict[str, Any]]:
    documents = yaml.load_all((INSTALL / path).read_text(), Loader=yaml.CSafeLoader)
    return [document for document in documents if document["kind"] == kind]


def rights(role: dict[str, Any]) -> Rights:
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def pod() -> dict[str, Any]:
    (deployment,) = objects("base/deployment.yaml", "Deployment")
    spec: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return spec


def test_cluster_wide_it_may_do_what_it_needs_and_no_more() -> None:
    (role,) = objects("cluster/rbac.yaml", "ClusterRole")
    assert rights(role) == NEEDED | SCANNING


def test_in_namespaces_it_needs_no_right_outside_of_them() -> None:
    (role,) = objects("namespaced/rbac.yaml", "Role")
    assert rights(role) == NEEDED
    assert objects("namespaced/rbac.yaml", "ClusterRole") == []


def test_writing_secrets_is_an_addition_of_its_own() -> None:
    (role,) = objects("token-rotation/base/role.yaml", "ClusterRole")
    assert rights(role) == {("", "secrets", "create"), ("", "secrets", "patch"), MARK}
    for path in ("cluster", "namespaced"):
        named = yaml.load(
            (INSTALL / path / "kustomization.yaml").read_text(), Loader=yaml.CSafeLoader
        )
        assert "components" not in named


@pytest.mark.parametrize(
    ("path", "kind"), [("cluster", "ClusterRoleBinding"), ("namespaced", "RoleBinding")]
)
def test_who_may_write_secrets_is_told_so_and_watched(path: str, kind: str) -> None:
    where = f"token-rotation/{path}"
    component = yaml.load(
        (INSTALL / where / "kustomization.yaml").read_text(), Loader=yaml.CSafeLoader
    )
    base = yaml.load(
        (INSTALL / "token-rotation/base/kustomization.yaml").read_text(), Loader=yaml.CSafeLoader
    )
    (operation,) = yaml.load(base["patches"][0]["patch"], Loader=yaml.CSafeLoader)
    assert (component["kind"], component["components"]) == ("Component", ["../base"])
    assert operation["value"] == flag("allow_token_rotation")
    (role,) = objects("token-rotation/base/role.yaml", "ClusterRole")
    (binding,) = objects(f"{where}/binding.yaml", kind)
    assert binding["roleRef"]["name"] == role["metadata"]["name"]


def test_the_policy_is_about_the_operator_and_its_secrets() -> None:
    (policy,) = objects("token-rotation/base/policy.yaml", "ValidatingAdmissionPolicy")
    (binding,) = objects("token-rotation/base/policy.yaml", "ValidatingAdmissionPolicyBinding")
    marked, restricted = (each["expression"] for each in policy["spec"]["matchConditions"])
    (validation,) = policy["spec"]["validations"]
    # By what it may do, not by a name that an installation may change.
    group, resource, verb = MARK
    assert f"group('{group}').resource('{resource}')" in marked
    assert f"check('{verb}')" in marked
    # Whoever may do what no role grants is an administrator.
    assert f"!authorizer.group('{group}').resource('{resource}')" in restricted
    assert "check('administer')" in restricted
    assert USER not in str(policy)
    assert "postroom-system" not in str(policy)
    assert f"'{SECRET_TYPE}'" in validation["expression"]
    assert binding["spec"]["policyName"] == policy["metadata"]["name"]
    assert binding["spec"]["validationActions"] == ["Deny"]


def test_bindings_are_an_addition_of_their_own() -> None:
    (role,) = objects("binding/base/role.yaml", "ClusterRole")
    mark = (GROUP, "bindings", "project")
    writing = {("", "secrets", verb) for verb in ("create", "patch", "delete")}
    assert rights(role) == writing | {mark}
    (shown,) = objects("binding/base/service-binding.yaml", "ClusterRole")
    assert shown["metadata"]["labels"]["servicebinding.io/controller"] == "true"
    assert rights(shown) == {(GROUP, "emailaccounts", verb) for verb in READING}
    for path, kind in (("cluster", "ClusterRoleBinding"), ("namespaced", "RoleBinding")):
        component = yaml.load(
            (INSTALL / f"binding/{path}/kustomization.yaml").read_text(), Loader=yaml.CSafeLoader
        )
        assert component["components"] == ["../base"]
        (bound,) = objects(f"binding/{path}/binding.yaml", kind)
        assert bound["roleRef"]["name"] == role["metadata"]["name"]
    base = yaml.load(
        (INSTALL / "binding/base/kustomization.yaml").read_text(), Loader=yaml.CSafeLoader
    )
    (operation,) = yaml.load(base["patches"][0]["patch"], Loader=yaml.CSafeLoader)
    assert operation["value"] == flag("allow_bindings")
    (policy,) = objects("binding/base/policy.yaml", "ValidatingAdmissionPolicy")
    validation, tried = policy["spec"]["validations"]
    assert "dry-run" in tried["expression"]
    assert f"'{BINDING_TYPE}'" in validation["expression"]
    (rule,) = policy["spec"]["matchConstraints"]["resourceRules"]
    assert set(rule["operations"]) == {"CREATE", "UPDATE", "DELETE"}


def test_the_worker_may_do_what_it_needs_and_no_more() -> None:
    needed: Rights = {
        *((GROUP, plural, verb) for plural in PLURALS for verb in READING),
        (GROUP, f"{Kind.EMAIL_ACCOUNT.plural}/status", "update"),
        *(("", resource, "get") for resource in ("secrets", "configmaps", "services")),
    }
    (everywhere,) = objects("deliver/cluster/rbac.yaml", "ClusterRole")
    (there,) = objects("deliver/namespaced/rbac.yaml", "Role")
    assert (rights(everywhere), rights(there)) == (needed | SCANNING, needed)
    assert objects("deliver/namespaced/rbac.yaml", "ClusterRole") == []
    (leases,) = objects("deliver/base/leases.yaml", "Role")
    (of_operator,) = objects("base/leases.yaml", "Role")
    assert leases["rules"] == of_operator["rules"]


def worker() -> dict[str, Any]:
    (deployment,) = objects("deliver/base/deployment.yaml", "Deployment")
    return deployment


def test_the_worker_stands_beside_the_operator_as_restricted_and_under_a_name_of_its_own() -> None:
    (operator,) = objects("base/deployment.yaml", "Deployment")
    theirs, ours = (each["spec"]["template"]["spec"] for each in (operator, worker()))
    (first,), (second,) = theirs["containers"], ours["containers"]
    for same in ("image", "ports", "startupProbe", "readinessProbe", "livenessProbe"):
        assert first[same] == second[same]
    assert first["securityContext"] == second["securityContext"]
    assert theirs["securityContext"] == ours["securityContext"]
    assert worker()["spec"]["strategy"] == operator["spec"]["strategy"]
    for kind, path in (
        ("NetworkPolicy", "networkpolicy.yaml"),
        ("PodDisruptionBudget", "poddisruptionbudget.yaml"),
    ):
        (guard,) = objects(f"deliver/base/{path}", kind)
        chosen = guard["spec"].get("podSelector") or guard["spec"]["selector"]
        assert chosen == worker()["spec"]["selector"] != operator["spec"]["selector"]


def test_the_spool_is_memory_that_the_worker_has() -> None:
    spec = worker()["spec"]["template"]["spec"]
    (container,), (volume,) = spec["containers"], spec["volumes"]
    assert volume["emptyDir"] == {"medium": "Memory", "sizeLimit": "128Mi"}
    assert container["args"] == [
        *("deliver", "--spool=128Mi", "--spool-dir=/spool"),
        *("--sessions=256", "--sessions-per-namespace=64"),
    ]
    (mount,) = container["volumeMounts"]
    assert mount == {"name": volume["name"], "mountPath": "/spool"}
    assert container["resources"]["limits"]["memory"] == "384Mi"
    assert spec["terminationGracePeriodSeconds"] > Settings().shutdown_grace.total_seconds()


def test_the_worker_reaches_mailboxes_and_applications_of_the_cluster() -> None:
    (policy,) = objects("deliver/base/networkpolicy.yaml", "NetworkPolicy")
    *dialled, applications = policy["spec"]["egress"]
    assert applications == {"to": [{"namespaceSelector": {}}]}
    ports = {(port["protocol"], port["port"]) for rule in dialled for port in rule["ports"]}
    tcp = {("TCP", port) for port in (53, 443, 6443, 143, 993)}
    assert ports == tcp | {("UDP", 53)}


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("cluster/rbac.yaml", "ClusterRoleBinding"),
        ("namespaced/rbac.yaml", "RoleBinding"),
        ("base/leases.yaml", "RoleBinding"),
    ],
)
def test_rights_of_the_worker_are_bound_to_its_own_account(path: str, kind: str) -> None:
    (binding,) = objects(f"deliver/{path}", kind)
    (account,) = objects("deliver/base/serviceaccount.yaml", "ServiceAccount")
    (subject,) = binding["subjects"]
    name = account["metadata"]["name"]
    assert subject["name"] == name == worker()["spec"]["template"]["spec"]["serviceAccountName"]
    assert subject["namespace"] == account["metadata"]["namespace"]


def test_publishing_is_an_addition_that_is_told_guarded_and_bound_to_nobody_by_name() -> None:
    base = yaml.load(
        (INSTALL / "publishing/base/kustomization.yaml").read_text(), Loader=yaml.CSafeLoader
    )
    (operation,) = yaml.load(base["patches"][0]["patch"], Loader=yaml.CSafeLoader)
    assert operation["value"] == flag("publish_dns_endpoints")
    (role,) = objects("publishing/base/role.yaml", "ClusterRole")
    mark = ("postroom.dev", "dnsendpoints", "publish")
    verbs = {"get", "create", "patch", "delete"}
    assert rights(role) == {mark} | {("externaldns.k8s.io", "dnsendpoints", verb) for verb in verbs}
    (policy,) = objects("publishing/base/policy.yaml", "ValidatingAdmissionPolicy")
    (binding,) = objects("publishing/base/policy.yaml", "ValidatingAdmissionPolicyBinding")
    marked, restricted = (each["expression"] for each in policy["spec"]["matchConditions"])
    assert "group('postroom.dev').resource('dnsendpoints')" in marked
    assert "check('publish')" in marked
    # What the role does not grant.
    assert restricted.startswith("!authorizer.group('externaldns.k8s.io')")
    assert "check('update')" in restricted
    assert USER not in str(policy)
    assert "postroom-system" not in str(policy)
    assert policy["spec"]["failurePolicy"] == "Fail"
    assert binding["spec"]["policyName"] == policy["metadata"]["name"]
    assert binding["spec"]["validationActions"] == ["Deny"]


def test_the_network_is_open_where_the_operator_dials() -> None:
    (policy,) = objects("base/networkpolicy.yaml", "NetworkPolicy")
    spec = policy["spec"]
    ports = {(port["protocol"], port["port"]) for rule in spec["egress"] for port in rule["ports"]}
    mail = {("TCP", port) for port in DEFAULT_PORTS}
    assert ports == mail | {("UDP", 53), ("TCP", 53), ("TCP", 443), ("TCP", 6443)}
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    (ingress,) = spec["ingress"]
    assert ingress["ports"] == [
        {"protocol": "TCP", "port": pod()["containers"][0]["ports"][0]["name"]}
    ]


@pytest.mark.parametrize(
    ("path", "kind", "selector"),
    [
        ("base/networkpolicy.yaml", "NetworkPolicy", ("podSelector", "matchLabels")),
        ("base/poddisruptionbudget.yaml", "PodDisruptionBudget", ("selector", "matchLabels")),
    ],
)
def test_what_guards_the_pod_selects_it(path: str, kind: str, selector: tuple[str, str]) -> None:
    (guard,) = objects(path, kind)
    (deployment,) = objects("base/deployment.yaml", "Deployment")
    selected = guard["spec"][selector[0]][selector[1]]
    assert selected.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    assert guard["metadata"]["namespace"] == deployment["metadata"]["namespace"]


def test_a_drain_is_never_held_up() -> None:
    (budget,) = objects("base/poddisruptionbudget.yaml", "PodDisruptionBudget")
    assert budget["spec"]["maxUnavailable"] == 1
    assert "minAvailable" not in budget["spec"]


def test_whoever_scrapes_with_a_token_needs_one_right() -> None:
    asking, reading = objects("metrics-auth/rbac.yaml", "ClusterRole")
    assert rights(asking) == {
        ("authentication.k8s.io", "tokenreviews", "create"),
        ("authorization.k8s.io", "subjectaccessreviews", "create"),
    }
    assert reading["rules"] == [{"nonResourceURLs": [METRICS_PATH], "verbs": ["get"]}]


def test_the_metrics_component_sets_flags_that_exist() -> None:
    component = yaml.load(
        (INSTALL / "metrics-auth/kustomization.yaml").read_text(), Loader=yaml.CSafeLoader
    )
    operations = yaml.load(component["patches"][0]["patch"], Loader=yaml.CSafeLoader)
    given = [
        each["value"].partition("=")[0] for each in operations if each["path"].endswith("/args/-")
    ]
    assert given == [
        flag("metrics_auth"),
        flag("metrics_address"),
        flag("metrics_tls_directory"),
    ]


def test_whoever_reads_the_page_with_a_token_needs_one_right() -> None:
    asking, reading = objects("ui/rbac.yaml", "ClusterRole")
    scraping, _ = objects("metrics-auth/rbac.yaml", "ClusterRole")
    assert rights(asking) == rights(scraping)
    assert reading["rules"] == [
        {"nonResourceURLs": [PAGE_PATH, f"{PAGE_PATH}/*"], "verbs": ["get"]}
    ]
    component = yaml.load((INSTALL / "ui/kustomization.yaml").read_text(), Loader=yaml.CSafeLoader)
    operations = yaml.load(component["patches"][0]["patch"], Loader=yaml.CSafeLoader)
    assert [each["value"] for each in operations] == [flag("ui"), flag("ui_auth")]


def test_the_base_image_is_named_by_its_digest() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    (pinned,) = [line for line in lines if line.startswith("ARG PYTHON=")]
    assert re.fullmatch(r"ARG PYTHON=python:3\.\d+-slim@sha256:[0-9a-f]{64}", pinned)
    assert all("${PYTHON}" in line for line in lines if line.startswith("FROM "))


def test_leases_are_those_of_its_own_namespace() -> None:
    (role,) = objects("base/leases.yaml", "Role")
    (account,) = objects("base/serviceaccount.yaml", "ServiceAccount")
    assert role["metadata"]["namespace"] == account["metadata"]["namespace"]
    assert {resource for _, resource, _ in rights(role)} == {"leases"}


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("cluster/rbac.yaml", "ClusterRoleBinding"),
        ("token-rotation/cluster/binding.yaml", "ClusterRoleBinding"),
        ("token-rotation/namespaced/binding.yaml", "RoleBinding"),
        ("publishing/cluster/binding.yaml", "ClusterRoleBinding"),
        ("publishing/namespaced/binding.yaml", "RoleBinding"),
        ("namespaced/rbac.yaml", "RoleBinding"),
        ("base/leases.yaml", "RoleBinding"),
        ("metrics-auth/rbac.yaml", "ClusterRoleBinding"),
        ("ui/rbac.yaml", "ClusterRoleBinding"),
    ],
)
def test_rights_are_bound_to_the_account_of_the_pod(path: str, kind: str) -> None:
    (binding,) = objects(path, kind)
    (account,) = objects("base/serviceaccount.yaml", "ServiceAccount")
    (subject,) = binding["subjects"]
    assert subject["name"] == account["metadata"]["name"] == pod()["serviceAccountName"]
    assert subject["namespace"] == account["metadata"]["namespace"]


def test_the_namespaces_served_are_those_with_rights() -> None:
    (patch,) = yaml.load(
        (INSTALL / "namespaced/kustomization.yaml").read_text(), Loader=yaml.CSafeLoader
    )["patches"]
    (operation,) = yaml.load(patch["patch"], Loader=yaml.CSafeLoader)
    granted = {
        one["metadata"]["namespace"]
        for kind in ("Role", "RoleBinding")
        for one in objects("namespaced/rbac.yaml", kind)
    }
    assert operation["value"] == ["run", *(f"--namespace={name}" for name in sorted(granted))]


def test_who_may_edit_a_namespace_may_not_send_its_secrets_anywhere() -> None:
    joined = [
        one
        for one in objects("tenants/roles.yaml", "ClusterRole")
        if "rbac.authorization.k8s.io/aggregate-to-edit" in one["metadata"]["labels"]
    ]
    written = {
        resource for one in joined for _, resource, verb in rights(one) if verb not in READING
    }
    assert written == {"sendingdomains"}


def test_every_role_that_writes_may_read_what_it_writes() -> None:
    # On its own, too: kubectl apply gets before it patches.
    for role in objects("tenants/roles.yaml", "ClusterRole"):
        written = {resource for _, resource, verb in rights(role) if verb not in READING}
        for resource in written:
            assert {(GROUP, resource, verb) for verb in READING} <= rights(role), role


def test_no_tenant_writes_status() -> None:
    for role in objects("tenants/roles.yaml", "ClusterRole"):
        assert not any("/status" in resource for _, resource, _ in rights(role))


def test_the_pod_is_restricted() -> None:
    (container,) = pod()["containers"]
    (namespace,) = objects("base/namespace.yaml", "Namespace")
    labels = namespace["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert pod()["securityContext"]["runAsNonRoot"] is True
    assert pod()["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_pod_is_bounded_and_probed() -> None:
    (container,) = pod()["containers"]
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("liveness", "readiness")}
    assert set(container["resources"]) == {"requests", "limits"}
    assert ports == {"http": 8080}
    assert probes["liveness"] == {"path": "/healthz", "port": "http"}
    assert probes["readiness"] == {"path": "/readyz", "port": "http"}


def test_one_replica_ends_before_the_next_begins() -> None:
    (deployment,) = objects("base/deployment.yaml", "Deployment")
    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}


def test_the_image_is_of_this_version() -> None:
    (container,) = pod()["containers"]
    assert container["image"].endswith(f":{__version__}")


def test_every_definition_is_installed() -> None:
    listed = yaml.load((ROOT / "crds" / "kustomization.yaml").read_text(), Loader=yaml.CSafeLoader)[
        "resources"
    ]
    assert sorted(listed) == sorted(crd.render())

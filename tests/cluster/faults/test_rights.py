# SPDX-License-Identifier: Apache-2.0
"""An administrator takes the operator's rights away, rule by rule, and gives them back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from cluster import taking_effect
from cluster.api_client import (
    administrator,
    create_namespace,
    delete,
    delete_namespace,
    post,
    read,
    service_account_kubeconfig,
)
from cluster.faults.scene import ACCOUNT, DOMAIN, SERVER, SMTP, standing
from cluster.objects import eventually
from cluster.post_office import PostOffice
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import ROOT, OperatorProcess

Rules = list[dict[str, Any]]
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
#: Not the one of the project: of that no request may ever have been denied.
_NAME = "rights-taken"
_ROLE = f"{_RBAC}/clusterroles/{_NAME}"
_STANDING = ((DOMAIN, "standing"), (SERVER, "smtp"), (ACCOUNT, "desk"))
#: The rules of the role, in their order, by what is first of theirs, and what is said where one is
#: missing; nothing where all goes on until the next start.
_RULES = {
    "sendingdomains": "sweep failed: waiting for the right to list",
    "sendingdomains/status": "grant this service account update on",
    "secrets": "grant this service account get on",
    "events": "",
    "customresourcedefinitions": "",
    "leases": "",
    "subjectaccessreviews": "",
}


def rules() -> Rules:
    """What the project's role has."""
    manifests = (ROOT / "manifests" / "install" / "cluster" / "rbac.yaml").read_text()
    found: Rules = next(yaml.safe_load_all(manifests))["rules"]
    return found


def test_each_rule_of_the_role_is_taken_away_here() -> None:
    assert [rule["resources"][0] for rule in rules()] == list(_RULES)


@pytest.fixture(scope="module")
def running(
    installed: ControlPlane, office: PostOffice, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """An operator whose role is ours to change."""
    if installed.audit_log is None:
        pytest.skip("no fault is inflicted on a cluster that is not ours")
    create_namespace(installed, _NAME)
    account = {"kind": "ServiceAccount", "name": "own", "namespace": _NAME}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": _NAME}
    named = {"metadata": {"name": _NAME}}
    post(installed, f"{_RBAC}/clusterroles", {**named, "rules": rules()})
    binding = {**named, "roleRef": role, "subjects": [account]}
    post(installed, f"{_RBAC}/clusterrolebindings", binding)
    accounts = f"/api/v1/namespaces/{_NAME}/serviceaccounts"
    post(installed, accounts, {"metadata": {"name": "own"}})
    directory = tmp_path_factory.mktemp("rights")
    kubeconfig = service_account_kubeconfig(installed, directory, "own", _NAME)
    flags = (*office.reach.flags, "--sweep-interval=2s", "--log-format=text")
    process = OperatorProcess(kubeconfig, directory, flags).start()
    yield process
    process.stop()
    delete(installed, f"{_RBAC}/clusterrolebindings/{_NAME}")
    delete(installed, _ROLE)
    delete_namespace(installed, _NAME)


@contextmanager
def without(plane: ControlPlane, resource: str) -> Iterator[None]:
    """Have the role lack the rule that begins with a resource."""

    def have(wanted: Rules) -> None:
        administrator(plane).request("PUT", _ROLE, {**read(plane, _ROLE), "rules": wanted})
        taking_effect.await_rights(administrator(plane))

    have([rule for rule in rules() if rule["resources"][0] != resource])
    yield
    have(rules())


@pytest.mark.parametrize("resource", _RULES)
def test_a_rule_is_taken_away_and_given_back(
    resource: str, installed: ControlPlane, office: PostOffice, running: OperatorProcess
) -> None:
    def said() -> str:
        return running.log.read_bytes()[place.logged :].decode(errors="replace")

    def answered() -> bool:
        return all(place.answered(*each) for each in _STANDING) and place.all_judged()

    with standing(installed, office, running) as place:
        with without(installed, resource):
            for each in _STANDING:
                place.ask(*each)
            place.create(SERVER, "late", **SMTP)
            if _RULES[resource]:
                eventually(lambda: _RULES[resource] in said(), "it says what is missing")
            else:
                eventually(answered, "all goes on")
        eventually(answered, place.told)
        place.assert_nothing_flipped()
        eventually(lambda: running.answers("/readyz"), "the next sweep has found the right again")
        assert running.exit_code() is None
        assert "Traceback" not in said()

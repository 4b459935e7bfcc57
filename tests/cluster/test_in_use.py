# SPDX-License-Identifier: Apache-2.0
"""The warning before something is deleted that others use, with kubectl and a real API server.

Covers: what status counts and what it lists; one at a time, many at once and by a controller; that
nothing is kept from being deleted; no warning where nothing is used, or its namespace goes; the
audit log.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cluster import taking_effect
from cluster.api_client import administrator, apply, create_namespace, merge
from cluster.objects import eventually, path_of
from cluster.tenants import Tenant, policies
from postroom.api.names import API_VERSION, Kind
from postroom.lab.controlplane import ControlPlane

SPECS: dict[str, dict[str, Any]] = {
    "MailServer": {"host": "smtp.example.com"},
    "SendingDomain": {"domain": "example.com"},
    "EmailAccount": {"address": "a@example.com"},
}
WARNING = "is used by"
FAILURE = "validation.policy.admission.k8s.io/validation_failure"
USED = {"accounts": 2}


@pytest.fixture(scope="module")
def warned(
    installed: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    with policies(installed, tmp_path_factory.mktemp("in-use"), "in-use"):
        yield installed


def has_status(made: Tenant, name: str, status: dict[str, Any], kind: str = "MailServer") -> None:
    body = {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": name},
        "spec": SPECS[kind],
    }
    apply(made.plane, json.dumps(body), made.namespace)
    path = f"{path_of(made.namespace, Kind(kind))}/{name}/status"
    merge(made.plane, path, {"status": status})


@pytest.fixture
def user(warned: ControlPlane, namespace: str) -> Tenant:
    made = Tenant(warned, namespace)
    has_status(made, "first", USED)
    delete = ("delete", "mailserver", "first", "--dry-run=server")
    eventually(lambda: WARNING in made.run(*delete), "the policy is in force")
    return made


def test_kubectl_warns_and_deletes(user: Tenant) -> None:
    done = user.plane.kubectl("-n", user.namespace, "delete", "mailserver", "first")
    assert "Warning:" in done.stderr
    assert "MailServer first is used by 2 objects, which then stop working" in done.stderr
    assert "deleted" in done.stdout
    assert "NotFound" in user.run("get", "mailserver", "first")


@pytest.mark.parametrize("kind", sorted(SPECS))
@pytest.mark.parametrize("status", [{}, {"accounts": 0}, {"isDefault": True}])
def test_what_nobody_uses_goes_silently(user: Tenant, kind: str, status: dict[str, Any]) -> None:
    has_status(user, "idle", status, kind)
    done = user.plane.kubectl("-n", user.namespace, "delete", kind.lower(), "idle")
    assert WARNING not in done.stderr


def test_one_user_is_one(user: Tenant) -> None:
    has_status(user, "one", {"accounts": 1})
    said = user.run("delete", "mailserver", "one")
    assert "MailServer one is used by 1 object, which then stops working" in said


def test_it_warns_of_each_of_many(user: Tenant) -> None:
    has_status(user, "second", {"accounts": 3})
    has_status(user, "idle", {})
    done = user.plane.kubectl("-n", user.namespace, "delete", "mailservers", "--all")
    assert "MailServer first is used by 2" in done.stderr
    assert "MailServer second is used by 3" in done.stderr
    assert "idle" not in done.stderr
    collection = f"/apis/postroom.dev/v1alpha1/namespaces/{user.namespace}/mailservers"
    has_status(user, "second", {"accounts": 3})
    done = user.plane.kubectl("delete", "--raw", collection)
    assert "NotFound" in user.run("get", "mailserver", "second")


@pytest.mark.parametrize("how", ["background", "foreground", "orphan"])
def test_nobody_is_kept_from_deleting(user: Tenant, how: str) -> None:
    role = ("create", "role", "gitops", "--verb=get,list,watch,delete")
    user.run(*role, "--resource=mailservers.postroom.dev")
    user.run("create", "rolebinding", "gitops", "--role=gitops", "--user=argocd")
    taking_effect.await_rights(administrator(user.plane))
    done = user.plane.kubectl(
        *("--as=argocd", "-n", user.namespace, "delete", "mailserver", "first"),
        f"--cascade={how}",
    )
    assert done.returncode == 0
    assert "NotFound" in user.run("get", "mailserver", "first")


def failures(plane: ControlPlane, namespace: str) -> list[tuple[str, str, str]]:
    """What the audit log says of deletions in a namespace: who deleted what, and what was said.

    A line may come after the answer, so that those of what was tried first count for no test.
    """
    return [
        (
            request["user"]["username"],
            request["objectRef"].get("name", ""),
            request["annotations"][FAILURE],
        )
        for request in plane.audit_events()
        if request["verb"] in ("delete", "deletecollection")
        and request.get("objectRef", {}).get("namespace") == namespace
        and FAILURE in request.get("annotations", {})
    ]


def test_the_audit_log_keeps_it(user: Tenant) -> None:
    if user.plane.audit_log is None:
        pytest.skip("the audit log is not ours")
    has_status(user, "audited", USED)

    def told() -> list[str]:
        return [said for _, name, said in failures(user.plane, user.namespace) if name == "audited"]

    user.run("delete", "mailserver", "audited")
    eventually(lambda: told() != [], "it is in the audit log")
    (failure,) = told()
    assert "MailServer audited is used by 2" in failure


def test_a_namespace_goes_with_all_that_is_in_it(user: Tenant) -> None:
    if user.plane.audit_log is None or not user.plane.has_controllers:
        pytest.skip("namespaces are not deleted here, or nobody tells")
    user.plane.kubectl("delete", "namespace", user.namespace)
    told = failures(user.plane, user.namespace)
    assert {who for who, _, _ in told} <= {"admin"}, "who tried it first"
    create_namespace(user.plane, user.namespace)


@pytest.mark.parametrize(("listed", "counted"), [(1, 1), (2, 2), (2, 31)])
def test_users_that_are_listed_or_counted_are_told(user: Tenant, listed: int, counted: int) -> None:
    users = [
        {"kind": "EmailAccount", "name": f"a{number}", "use": "Domain"} for number in range(listed)
    ]
    has_status(user, "listed", {"usedBy": users, "usedByCount": counted}, "SendingDomain")
    said = user.run("delete", "sendingdomain", "listed", "--dry-run=server")
    assert f"SendingDomain listed is used by {counted} object" in said


@pytest.mark.parametrize(
    ("kind", "falling"),
    [
        ("SendingDomain", "is the domain of the fallbackSender of {}, without one then"),
        ("EmailAccount", "is for the fallbackSender of {}, which may still send as it while"),
    ],
)
@pytest.mark.parametrize(("stop", "fall"), [(0, 1), (2, 2), (1, 0)])
def test_who_only_falls_back_on_it_does_not_stop(
    user: Tenant, kind: str, falling: str, stop: int, fall: int
) -> None:
    uses = ["Receiver"] * stop + ["FallbackSender"] * fall
    users = [
        {"kind": "EmailAccount", "name": f"a{number}", "use": use}
        for number, use in enumerate(uses)
    ]
    has_status(user, "listed", {"usedBy": users, "usedByCount": len(users)}, kind)
    said = user.run("delete", kind, "listed", "--dry-run=server")
    stops = f"is used by {stop} object{'s, which then stop' if stop > 1 else ', which then stops'}"
    assert (f"{kind} listed {stops} working" in said) is bool(stop)
    assert ("working" in said) is bool(stop)
    told = falling.format(f"{fall} object{'s' if fall > 1 else ''}")
    assert (told in said) is bool(fall), said

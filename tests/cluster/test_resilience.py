# SPDX-License-Identifier: Apache-2.0
"""The operator when things go wrong, and when nothing does.

Covers: no write at rest and after a restart; SIGKILL while 200 objects converge; the API server
restarted under it; poisoned objects; deletion without the operator; one namespace only.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cluster.api_client import (
    apply,
    create_namespace,
    delete_namespace,
    read,
    refusal,
    service_account_kubeconfig,
)
from cluster.audit_log import comes_to_rest, forbidden, requests_of, writes_of
from cluster.lab_process import LabProcess
from cluster.objects import (
    domains,
    eventually,
    hello,
    is_judged,
    is_ready,
    objects,
    one,
    path_of,
    reason_of,
)
from cluster.waiting import said_at
from kstatus import conditions_of
from postroom.api.crd import definition
from postroom.api.names import Kind
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import ROOT, OperatorFailed, OperatorProcess

DOMAIN, ACCOUNT = Kind.SENDING_DOMAIN, Kind.EMAIL_ACCOUNT


def test_no_write_at_rest_nor_after_a_restart(
    installed: ControlPlane, operator: OperatorProcess, namespace: str
) -> None:
    with operator:
        apply(installed, hello(), namespace)
        eventually(lambda: is_ready(one(installed, namespace, DOMAIN, "hello")), "ready")
        # What is told a moment later, and of namespaces of tests before.
        before = comes_to_rest(installed)
        time.sleep(10)
        assert writes_of(installed, since=before) == []
    with operator:
        time.sleep(5)
        assert writes_of(installed, since=before) == []


def judged_in(plane: ControlPlane, namespace: str, *kinds: Kind) -> list[bool]:
    """Of each domain, or object of some kinds, whether it is evaluated; `objects`, which looks at
    all there is of them, takes long."""
    found = (read(plane, path_of(namespace, kind))["items"] for kind in kinds or (DOMAIN,))
    return [is_judged(each) for items in found for each in items]


def mixed(count: int, first: int = 0) -> str:
    """A List of domains, of which each takes dozens of questions, and four times as many accounts
    of other domains, without a server."""
    items = json.loads(domains(count, first))["items"]
    for number, each in enumerate(items, first):
        if number % 5:
            each["kind"], each["spec"] = ACCOUNT, {"address": f"a@d{number}.example.com"}
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def test_killed_while_converging(
    installed: ControlPlane, operator: OperatorProcess, namespace: str
) -> None:
    operator.start()
    create = ("create", "-n", namespace, "-f", "-")

    def judged() -> list[bool]:
        return judged_in(installed, namespace, DOMAIN, ACCOUNT)

    with ThreadPoolExecutor() as pool:
        created = pool.submit(installed.kubectl, *create, input=mixed(150))
        eventually(lambda: any(judged()), "the first is judged")
        operator.kill()
        created.result()
    # It is done with them nearly as fast as they come: some have come since.
    installed.kubectl(*create, input=mixed(50, first=150))
    assert not all(judged())
    with operator:
        eventually(lambda: all(judged()), "all judged", 600)
    objects(installed, namespace)  # each honours the status contract


def test_api_server_restarted(
    installed: ControlPlane, operator: OperatorProcess, namespace: str
) -> None:
    if installed.audit_log is None:
        pytest.skip("a cluster that is not ours is not restarted")
    operator.start()
    installed.kubectl("create", "-n", namespace, "-f", "-", input=domains(20))
    eventually(lambda: all(judged_in(installed, namespace)), "all judged")
    installed.restart()
    installed.kubectl("create", "-n", namespace, "-f", "-", input=domains(20, first=100))

    def converged() -> bool:
        if operator.exit_code() is not None:  # Kubernetes would restart it
            operator.start()
        return all(judged_in(installed, namespace))

    eventually(converged, "all judged after the restart", 600)
    objects(installed, namespace)  # each honours the status contract


def lax() -> dict[str, Any]:
    """The definition of a domain before its schema was tightened."""
    loose = definition(DOMAIN)
    schema = loose["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    for part in ("spec", "status"):
        schema[part] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    del loose["spec"]["versions"][0]["selectableFields"]
    return loose


def test_poisoned_objects_affect_no_other(
    installed: ControlPlane, operator: OperatorProcess, namespace: str
) -> None:
    poisons: list[dict[str, Any]] = [
        {"domain": 7},
        {"domain": "x.example.com", "interval": "5 minutes"},
        {"domain": "y.example.com", "dkim": {"selector": None}},
        {"domain": "z.example.com", "surprise": ["a", {"b": 1}], "require": ["Everything"]},
        {},
    ]

    def is_created(item: dict[str, Any]) -> bool:
        return not refusal(installed, "POST", path_of(namespace, DOMAIN), item)

    apply(installed, json.dumps(lax()))
    for number, spec in enumerate(poisons):
        item = json.loads(hello(f"poison-{number}")) | {"spec": spec, "status": {"records": 5}}
        # What the API server takes changes a moment after the definition.
        eventually(partial(is_created, item), f"{spec} is taken")
    apply(installed, json.dumps(definition(DOMAIN)))
    eventually(lambda: not is_created(json.loads(hello("late")) | {"spec": {}}), "it is strict")
    with operator:
        apply(installed, hello(), namespace)
        eventually(lambda: is_ready(one(installed, namespace, DOMAIN, "hello")), "ready")
        assert operator.answers("/healthz")
        assert operator.exit_code() is None
    assert "Traceback" not in operator.tail(200)


def test_an_invalid_spec_is_said_in_status(
    installed: ControlPlane, operator: OperatorProcess, namespace: str
) -> None:
    """What the schema cannot see, such as a key that is none, stalls the object alone."""
    bad = hello("bad", dkim=[{"selector": "s1", "publicKey": "A" * 60}])
    with operator:
        apply(installed, bad, namespace)
        eventually(lambda: is_judged(one(installed, namespace, DOMAIN, "bad")), "judged")
        found = one(installed, namespace, DOMAIN, "bad")
        assert reason_of(found) == "InvalidSpec"
        assert "spec.dkim[0].publicKey" in conditions_of(found)["Stalled"]["message"]


def test_objects_can_be_deleted_without_the_operator(
    installed: ControlPlane, operator: OperatorProcess, namespace: str
) -> None:
    with operator:
        apply(installed, hello(), namespace)
        eventually(lambda: is_ready(one(installed, namespace, DOMAIN, "hello")), "ready")
    installed.kubectl("delete", "sdom/hello", "-n", namespace, "--timeout=120s")


def role_in(place: str, owner: str) -> str:
    """What the installation for one namespace grants there, to a ServiceAccount of the owner's."""
    role = (ROOT / "manifests" / "install" / "namespaced" / "rbac.yaml").read_text()
    return role.replace("namespace: mail", f"namespace: {place}").replace(
        "name: postroom, namespace: postroom-system", f"name: own, namespace: {owner}"
    )


def test_one_namespace_with_a_role_only(
    installed: ControlPlane, lab: LabProcess, tmp_path: Path, namespace: str
) -> None:
    apply(installed, role_in(namespace, namespace))
    installed.kubectl("create", "serviceaccount", "own", "-n", namespace)
    kubeconfig = service_account_kubeconfig(installed, tmp_path, "own", namespace)
    flags = (*lab.reach.flags, f"--namespace={namespace}", "--log-format=text")
    with OperatorProcess(kubeconfig, tmp_path, flags):
        apply(installed, hello(), namespace)
        eventually(lambda: is_ready(one(installed, namespace, DOMAIN, "hello")), "ready")
    user = f"system:serviceaccount:{namespace}:own"
    assert forbidden(requests_of(installed, user)) == []


def test_a_namespace_that_takes_its_permission_away_holds_no_other_up(
    installed: ControlPlane, lab: LabProcess, tmp_path: Path, namespace: str
) -> None:
    """Its administrator may delete a RoleBinding of it, and whoever may the namespace."""
    other = f"{namespace}-other"
    create_namespace(installed, other)
    for place in (namespace, other):
        installed.kubectl("apply", "-f", "-", input=role_in(place, namespace))
    installed.kubectl("create", "serviceaccount", "own", "-n", namespace)
    installed.kubectl("apply", "-n", other, "-f", "-", input=hello())
    binding = ("rolebinding", "--all", "-n", other)
    installed.kubectl("delete", *binding)
    kubeconfig = service_account_kubeconfig(installed, tmp_path, "own", namespace)
    flags = (*lab.reach.flags, f"--namespace={other}", f"--namespace={namespace}")
    with OperatorProcess(kubeconfig, tmp_path, (*flags, "--log-format=text")):
        installed.kubectl("apply", "-n", namespace, "-f", "-", input=hello())
        eventually(lambda: is_ready(one(installed, namespace, DOMAIN, "hello")), "ready")
        assert not is_judged(one(installed, other, DOMAIN, "hello"))
        installed.kubectl("apply", "-f", "-", input=role_in(other, namespace))
        # Both may not have it without a token: either verdict tells that it is looked at.
        eventually(lambda: is_judged(one(installed, other, DOMAIN, "hello")), "judged")
    delete_namespace(installed, other)


def test_a_watch_that_is_refused_is_said_also_where_there_are_no_objects(
    installed: ControlPlane, lab: LabProcess, tmp_path: Path, namespace: str
) -> None:
    def role(*verbs: str) -> str:
        given = role_in(namespace, namespace)
        assert "[get, list, watch]" in given
        return given.replace("[get, list, watch]", f"[{', '.join(verbs)}]")

    apply(installed, role("get", "list"))
    installed.kubectl("create", "serviceaccount", "own", "-n", namespace)
    kubeconfig = service_account_kubeconfig(installed, tmp_path, "own", namespace)
    flags = (*lab.reach.flags, f"--namespace={namespace}", "--log-format=text")
    running = OperatorProcess(kubeconfig, tmp_path, flags)
    try:
        with suppress(OperatorFailed):
            # It may have looked ready before the watch was answered.
            running.start(ready_within=0)
        plurals = ", ".join(sorted(kind.plural for kind in Kind))
        missing = f"the right to watch {plurals} in namespace {namespace}"
        eventually(lambda: missing in said_at(running, "/readyz")[1], "it says what is missing")
        assert said_at(running, "/readyz")[0] == 503
        assert "waiting for the right to watch" in running.tail(200)
        apply(installed, role("get", "list", "watch"))
        eventually(lambda: running.answers("/readyz"), "ready once it may watch")
        apply(installed, hello(), namespace)
        eventually(lambda: is_ready(one(installed, namespace, DOMAIN, "hello")), "ready")
    finally:
        running.stop()

# SPDX-License-Identifier: Apache-2.0
"""The operator on a real API server, with the project's own RBAC, as users meet it.

Covers: the samples and the broken samples; that nothing but status is written; any order of
application; kubectl wait; suspend and requests; a record that breaks and is mended; Events.
"""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cluster.api_client import apply
from cluster.audit_log import writes_of
from cluster.lab_process import LabProcess
from cluster.objects import (
    KINDS,
    eventually,
    hello,
    is_judged,
    is_ready,
    objects,
    one,
    reason_of,
)
from kstatus import argo_health, compute, conditions_of
from postroom.api.names import Kind
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import ROOT, OperatorProcess

SAMPLES = ROOT / "manifests" / "samples"
DOMAIN = Kind.SENDING_DOMAIN


def expectations() -> dict[str, str]:
    """What the first line of each broken sample says, by object."""
    found = {}
    for path in sorted((SAMPLES / "broken").glob("*-*.yaml")):
        text = path.read_text()
        expected = re.match(r"# expect: (\w+)", text)
        name = re.search(r"^  name: (.+)$", text, re.MULTILINE)
        kind = re.search(r"^kind: (.+)$", text, re.MULTILINE)
        assert expected and name and kind, path
        found[f"{kind[1]}/{name[1]}"] = expected[1]
    return found


def apply_samples(plane: ControlPlane, lab: LabProcess, directory: Path) -> None:
    plane.kubectl("apply", "-k", str(directory))
    plane.kubectl("apply", "-f", str(lab.manifest), check=False)


def remove_samples(plane: ControlPlane, directory: Path, namespace: str) -> None:
    plane.kubectl("delete", "-k", str(directory), "--wait=false", check=False)
    if plane.has_controllers:
        plane.kubectl("wait", "--for=delete", f"namespace/{namespace}", "--timeout=120s")


def test_the_samples_become_ready_and_nothing_but_status_is_written(
    installed: ControlPlane, lab: LabProcess, operator: OperatorProcess
) -> None:
    before = datetime.now(UTC)
    with operator:
        apply_samples(installed, lab, SAMPLES)
        for kind in Kind:
            installed.kubectl(
                *("wait", "--for=condition=Ready", kind.plural, "--all", "-n", "mail"),
                "--timeout=120s",
            )
        found = objects(installed, "mail")
        assert {(compute(each), argo_health(each)) for each in found} == {("Current", "Healthy")}
        shown = installed.kubectl("get", "postroom", "-n", "mail").stdout
        assert "send.example.com" in shown
        # What was written is what stands: no definition has a default or a bound that changes it.
        assert "as it is written" not in operator.log.read_text()
    for write in writes_of(installed, since=before):
        target = write["objectRef"]
        status = (write["verb"], target.get("subresource")) == ("update", "status")
        event = target["resource"] == "events" and write["verb"] in ("create", "patch")
        assert event or (status and target["resource"] in KINDS.split(",")), write
    remove_samples(installed, SAMPLES, "mail")


def test_each_broken_sample_gets_its_reason(
    installed: ControlPlane, lab: LabProcess, operator: OperatorProcess
) -> None:
    wanted = expectations()
    with operator:
        apply_samples(installed, lab, SAMPLES / "broken")

        def reasons() -> dict[str, str]:
            return {
                f"{each['kind']}/{each['metadata']['name']}": reason_of(each)
                for each in objects(installed, "mail-broken")
            }

        try:
            eventually(lambda: reasons() == wanted, "every reason is as expected")
        except AssertionError:
            assert reasons() == wanted
    remove_samples(installed, SAMPLES / "broken", "mail-broken")


def test_any_order_converges(
    installed: ControlPlane, lab: LabProcess, operator: OperatorProcess
) -> None:
    with operator:
        installed.kubectl("apply", "-f", str(SAMPLES / "namespace.yaml"))
        for name in ("accounts", "servers", "domains"):
            installed.kubectl("apply", "-f", str(SAMPLES / f"{name}.yaml"))
            time.sleep(1)
        waiting = one(installed, "mail", Kind.EMAIL_ACCOUNT, "support")
        assert compute(waiting) == "InProgress"
        apply_samples(installed, lab, SAMPLES)
        eventually(lambda: all(map(is_ready, objects(installed, "mail"))), "all ready")
    remove_samples(installed, SAMPLES, "mail")


def test_wait_works_right_after_a_change(
    installed: ControlPlane, operator: OperatorProcess, namespace: str
) -> None:
    with operator:
        command = ("wait", "--for=condition=Ready", "sdom/hello", "-n", namespace, "--timeout=120s")
        apply(installed, hello(), namespace)
        installed.kubectl(*command)
        for hours in (2, 3):
            changed = hello(interval=f"{hours}h")
            apply(installed, changed, namespace)
            installed.kubectl(*command)
            assert is_ready(one(installed, namespace, DOMAIN, "hello"))


def test_a_record_breaks_and_its_fix_mends_it(
    installed: ControlPlane, lab: LabProcess, operator: OperatorProcess, namespace: str
) -> None:
    spf = {"includes": ["spf.provider.example.net"]}
    good = ('"provider-verify=k7f3a9"', '"v=spf1 include:spf.provider.example.net ~all"')
    with operator:
        apply(installed, hello(spf=spf), namespace)
        eventually(lambda: is_ready(one(installed, namespace, DOMAIN, "hello")), "ready")
        lab.put("example.com", "send", "TXT", good[0], '"v=spf1 mx -all"')
        try:
            ask = ("annotate", "--overwrite", "sdom/hello", "-n", namespace)

            def look(token: str) -> dict[str, Any]:
                installed.kubectl(*ask, f"postroom.dev/requested-at={token}")
                return one(installed, namespace, DOMAIN, "hello")

            def is_broken() -> bool:
                time.sleep(1.5)  # a break counts once it was seen twice, a second apart
                return reason_of(look(f"{time.time()}")) == "RequiredMechanismMissing"

            eventually(is_broken, "the break is seen")
            broken = one(installed, namespace, DOMAIN, "hello")
            assert (compute(broken), argo_health(broken)) == ("InProgress", "Degraded")
            fix = broken["status"]["findings"][0]["fix"]
            assert fix["value"] == "v=spf1 include:spf.provider.example.net mx -all"
            lab.put("example.com", "send", "TXT", good[0], f'"{fix["value"]}"')
            look("mended")
            eventually(lambda: is_ready(one(installed, namespace, DOMAIN, "hello")), "mended")
        finally:
            lab.put("example.com", "send", "TXT", *good)


def test_suspended_objects_rest(
    installed: ControlPlane, operator: OperatorProcess, namespace: str
) -> None:
    with operator:
        apply(installed, hello(), namespace)
        eventually(lambda: is_ready(one(installed, namespace, DOMAIN, "hello")), "ready")
        apply(installed, hello(suspend=True), namespace)
        eventually(lambda: is_judged(one(installed, namespace, DOMAIN, "hello")), "suspended")
        rested = one(installed, namespace, DOMAIN, "hello")
        assert conditions_of(rested)["Suspended"]["status"] == "True"
        assert (is_ready(rested), argo_health(rested)) == (True, "Suspended")
        apply(installed, hello(), namespace)
        eventually(
            lambda: (
                is_judged(found := one(installed, namespace, DOMAIN, "hello"))
                and "Suspended" not in conditions_of(found)
            ),
            "resumed",
        )


@pytest.mark.parametrize("key", ["postroom.dev/requested-at", "reconcile.fluxcd.io/requestedAt"])
def test_requests_are_acknowledged(
    installed: ControlPlane, operator: OperatorProcess, namespace: str, key: str
) -> None:
    with operator:
        apply(installed, hello(), namespace)
        eventually(lambda: is_ready(one(installed, namespace, DOMAIN, "hello")), "ready")
        installed.kubectl("annotate", "sdom/hello", "-n", namespace, f"{key}=now")
        installed.kubectl(
            *("wait", "--for=jsonpath={.status.lastHandledReconcileAt}=now", "sdom/hello"),
            *("-n", namespace, "--timeout=120s"),
        )


def test_events_tell_transitions_only(
    installed: ControlPlane, operator: OperatorProcess, namespace: str
) -> None:
    with operator:
        apply(installed, hello(mx=[{"host": "mx.other.example.org"}]), namespace)
        eventually(
            lambda: reason_of(one(installed, namespace, DOMAIN, "hello")) == "ExchangeMismatch",
            "the mismatch is seen",
        )
        apply(installed, hello(), namespace)
        eventually(lambda: is_ready(one(installed, namespace, DOMAIN, "hello")), "ready")
        for token in ("1", "2", "3"):
            annotation = f"postroom.dev/requested-at={token}"
            installed.kubectl("annotate", "--overwrite", "sdom/hello", "-n", namespace, annotation)
            status = "{.status.lastHandledReconcileAt}"
            handled = ("wait", f"--for=jsonpath={status}={token}", "sdom/hello", "-n", namespace)
            installed.kubectl(*handled, "--timeout=120s")

        def events() -> list[dict[str, Any]]:
            listed = installed.kubectl("get", "events", "-n", namespace, "-o", "json").stdout
            return list(json.loads(listed)["items"])

        def told() -> set[tuple[str, str]]:
            return {(each["type"], each["reason"]) for each in events()}

        wanted = {("Warning", "ExchangeMismatch"), ("Normal", "Succeeded")}
        # An Event follows the status that it tells of.
        eventually(lambda: told() >= wanted, lambda: f"{told()}")
        found = events()
        assert (told(), len(found)) == (wanted, 2), found
        assert found[0]["involvedObject"]["kind"] == "SendingDomain"

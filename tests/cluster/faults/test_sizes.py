# SPDX-License-Identifier: Apache-2.0
"""Objects that are as large as etcd takes them: no room is left in them for a status."""

from __future__ import annotations

from typing import Any

from cluster.api_client import administrator, merge, post, refusal
from cluster.audit_log import requests_of
from cluster.conftest import new_namespace
from cluster.faults.scene import SERVER, SMTP, Keeper, Place, assert_all_is_well
from cluster.objects import eventually, is_judged, one, path_of
from postroom.api.names import API_VERSION
from postroom.lab.controlplane import ControlPlane

TOO_LARGE = "etcdserver: request is too large"
#: Of all 4000 labels the API server writes their names a second time, in `managedFields`.
LABELS = {f"{'x' * 60}.{'y' * 60}.{'z' * 60}.{'w' * 60}/{at:056d}": "v" * 63 for at in range(4000)}


def large(name: str, padding: int) -> dict[str, Any]:
    metadata = {"name": name, "labels": LABELS, "annotations": {"padding": "x" * padding}}
    return {"apiVersion": API_VERSION, "kind": SERVER, "metadata": metadata, "spec": SMTP}


def most_padding(plane: ControlPlane, servers: str) -> int:
    """How much padding still fits, to less than what a status needs."""
    client = administrator(plane)
    fits, beyond = 64_000, 128_000
    while beyond - fits > 500:
        tried = (fits + beyond) // 2
        said = refusal(plane, "POST", servers, large("tried", tried))
        assert said in ("", TOO_LARGE)
        if said:
            beyond = tried
        else:
            fits = tried
            client.request("DELETE", f"{servers}/tried")
    return fits


def test_there_is_no_room_for_a_status(
    place: Place, installed: ControlPlane, keeper: Keeper
) -> None:
    """It is told once, and tried again as seldom as what a definition refuses."""
    operator = keeper.operator
    with new_namespace(installed) as crammed:
        servers = path_of(crammed, SERVER)
        post(installed, servers, large("full", most_padding(installed, servers)))
        told = "/full: no room for a status"
        eventually(lambda: told in operator.tail(1000), operator.tail)
        refused = f'postroom_status_refused{{namespace="{crammed}",result="invalid"}} 1.0'
        assert refused in operator.metrics()
        place.busy()
        assert_all_is_well(place, keeper)
        writes = [
            each
            for each in requests_of(installed)
            if (target := each.get("objectRef", {})).get("namespace") == crammed
            and (target["name"], target.get("subresource")) == ("full", "status")
        ]
        assert [each["responseStatus"]["code"] for each in writes] == [500]
        assert operator.tail(1000).count(told) == 1
        # What is taken away is no new spec: somebody asks, or it is tried again in two minutes.
        smaller = {"annotations": {"padding": None}, "labels": dict.fromkeys(LABELS)}
        merge(installed, f"{servers}/full", {"metadata": smaller, "spec": {"interval": "2h"}})
        eventually(lambda: is_judged(one(installed, crammed, SERVER, "full")), "it has its status")
        assert f'namespace="{crammed}"' not in "".join(
            line for line in operator.metrics().splitlines() if "status_refused{" in line
        )

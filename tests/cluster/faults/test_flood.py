# SPDX-License-Identifier: Apache-2.0
"""A tenant that creates, changes and deletes thousands of objects as fast as the API server takes
them, beside one with a few."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import Any

from cluster.api_client import administrator
from cluster.audit_log import writes_of
from cluster.conftest import new_namespace
from cluster.faults.scene import (
    ACCOUNT,
    DOMAIN,
    SERVER,
    Keeper,
    Place,
    assert_all_is_well,
    known,
)
from cluster.objects import eventually, path_of
from postroom.api.names import API_VERSION
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import OperatorProcess

FLOOD = int(os.environ.get("POSTROOM_FAULT_FLOOD", "600"))
#: Statuses of others that may be written before that of a neighbour: those that are at work when it
#: comes, and what is written while it is looked at.
MOST_BEFORE = 250
#: Octets of memory that may be in use afterwards beyond those before.
MOST_LEFT = 64 * 2**20
_AT_ONCE = 4
_MERGE = {"Content-Type": "application/merge-patch+json"}
_JSON = {"Content-Type": "application/json"}
_KINDS = (DOMAIN, SERVER, ACCOUNT)


def spec_of(number: int) -> dict[str, Any]:
    name = f"n{number}.flood.example.com"
    return ({"domain": name}, {"host": name}, {"address": f"a@{name}"})[number % len(_KINDS)]


def flood(plane: ControlPlane, namespace: str, numbers: range) -> None:
    """Create each, change half of them and delete all."""
    client = administrator(plane)
    for number in numbers:
        kind = _KINDS[number % len(_KINDS)]
        there, metadata = path_of(namespace, kind), {"name": f"n{number}"}
        made = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata}
        client.answer("POST", there, {**made, "spec": spec_of(number)}, _JSON)
        if number % 2:
            client.answer("PATCH", f"{there}/n{number}", {"spec": {"interval": "2h"}}, _MERGE)
    for number in numbers:
        kind = _KINDS[number % len(_KINDS)]
        client.answer("DELETE", f"{path_of(namespace, kind)}/n{number}", None, {})


def resident(operator: OperatorProcess) -> int:
    """Octets of memory that it has."""
    fields = Path(f"/proc/{operator.pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def written(plane: ControlPlane, place: Place) -> list[tuple[str, str]]:
    """Whose statuses were written since the fault began, in order."""
    writes = [
        each
        for each in writes_of(plane, since=place.began)
        if each["objectRef"].get("subresource") == "status"
        and each["responseStatus"]["code"] == HTTPStatus.OK
    ]
    targets = [
        each["objectRef"] for each in sorted(writes, key=lambda each: each["stageTimestamp"])
    ]
    return [(target["namespace"], target["name"]) for target in targets]


def test_a_flood_keeps_no_neighbour_waiting(
    place: Place, installed: ControlPlane, keeper: Keeper
) -> None:
    """What the neighbour changes has its turn, however many others come and go meanwhile; in the
    end nothing is left of them, and no memory that counts."""
    ended, before = keeper.ends, resident(keeper.operator)
    with new_namespace(installed) as flooded, ThreadPoolExecutor(_AT_ONCE) as crowd:
        parts = [range(first, FLOOD, _AT_ONCE) for first in range(_AT_ONCE)]
        flowing = [crowd.submit(flood, installed, flooded, part) for part in parts]
        eventually(lambda: known(keeper.operator) > FLOOD // 4, "it flows")
        begun = len(written(installed, place))
        place.busy()
        eventually(lambda: place.is_answered() and place.all_judged(), place.told)
        order = written(installed, place)[begun:]
        for each in flowing:
            each.result()
        for name in ("edited", "late", "desk"):
            assert order.index((place.name, name)) < MOST_BEFORE, name
        assert_all_is_well(place, keeper)
        assert resident(keeper.operator) - before < MOST_LEFT
    assert keeper.ends == ended

# SPDX-License-Identifier: Apache-2.0
"""Several operators that share the namespaces, as real processes at a real API server.

Covers: their number changes again and again, with processes of both numbers side by side: every
request is handled once, by the shard that its namespace belongs to, and none is lost; what they
tell of themselves; operators of other namespaces with leader election in one namespace.

Who handled a request is read from the operators' own audit. A shard that was stopped while others
took over is in test_fencing.py.
"""

from __future__ import annotations

import itertools
import random
import re
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from cluster.api_client import apply, create_namespace, delete_namespace, service_account_kubeconfig
from cluster.audit_log import forbidden, requests_of
from cluster.lab_process import LabProcess
from cluster.objects import domains, eventually, one
from cluster.test_audit import audit_of
from postroom.api.names import Kind
from postroom.concurrency.shards import Shard, shard_of
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import NAMESPACE, OperatorProcess

DOMAIN = Kind.SENDING_DOMAIN
#: One more than shards, so that one of them has two namespaces.
NUMBERS, PLACES = (2, 3, 1), 4


def names_of_all_shards() -> list[str]:
    """Names of which every shard has one, whatever their number."""
    stem = f"shards-{uuid.uuid4().hex[:6]}"
    for first in itertools.count(step=PLACES):
        names = [f"{stem}-{number}" for number in range(first, first + PLACES)]
        if all({shard_of(name, of) for name in names} == set(range(of)) for of in NUMBERS):
            return names
    raise AssertionError("count ends never")


@pytest.fixture
def places(installed: ControlPlane) -> Iterator[list[str]]:
    names = names_of_all_shards()
    for name in names:
        create_namespace(installed, name)
        apply(installed, domains(1), name)
    yield names
    for name in names:
        delete_namespace(installed, name)


class Fleet:
    """Processes of any number of shards over the same namespaces."""

    def __init__(self, plane: ControlPlane, lab: LabProcess, directory: Path) -> None:
        self._plane, self._directory = plane, directory
        self._kubeconfig = service_account_kubeconfig(plane, directory)
        self._flags = (*lab.reach.flags, "--leader-election")
        self._flags += (f"--leader-election-namespace={NAMESPACE}", "--log-format=json")
        self.all: list[tuple[Shard, OperatorProcess]] = []

    def start(self, *parts: tuple[Shard, list[str]]) -> list[OperatorProcess]:
        """Start one process for each shard of namespaces, all at once; they work or stand by."""
        started = []
        for shard, namespaces in parts:
            served = [f"--namespace={name}" for name in namespaces]
            flags = (*self._flags, f"--shard={shard}", *served)
            started.append(OperatorProcess(self._kubeconfig, self._directory, flags))
            self.all.append((shard, started[-1]))
        with ThreadPoolExecutor() as pool:
            return list(pool.map(OperatorProcess.start, started))

    def handled(self) -> Counter[tuple[str, str]]:
        """How often each request of a namespace was handled, by whoever may."""
        found: Counter[tuple[str, str]] = Counter()
        for shard, process in self.all:
            for line in audit_of(process):
                place = line["object"]["namespace"] if line.get("object") else ""
                if line["action"] == "RequestHandled":
                    assert shard.has(place), (shard, line)
                    found[place, str(line["token"])] += 1
        return found


@pytest.fixture
def fleet(installed: ControlPlane, lab: LabProcess, tmp_path: Path) -> Iterator[Fleet]:
    found = Fleet(installed, lab, tmp_path)
    with ExitStack() as stack:
        stack.callback(lambda: [process.stop() for _, process in found.all])
        yield found
    assert forbidden(requests_of(installed)) == []


def ask(plane: ControlPlane, place: str, token: str) -> None:
    request = f"postroom.dev/requested-at={token}"
    plane.kubectl("annotate", "--overwrite", "sendingdomain/d0", "-n", place, request)


def answered(plane: ControlPlane, place: str) -> str:
    return str(one(plane, place, DOMAIN, "d0").get("status", {}).get("lastHandledReconcileAt"))


def all_answered(plane: ControlPlane, places: list[str], token: str) -> bool:
    return all(answered(plane, place) == token for place in places)


def all_owned(processes: list[OperatorProcess]) -> bool:
    """Whether each object is one process's."""
    return sum(map(owned, processes)) == PLACES


def owned(process: OperatorProcess) -> int:
    found = re.search(
        r'postroom_shard_objects\{part="own",scope="[^"]+"\} (\d+)', process.metrics()
    )
    return int(found[1]) if found else 0


def test_the_number_changes_and_no_request_is_lost_or_handled_twice(
    installed: ControlPlane, places: list[str], fleet: Fleet
) -> None:
    chance = random.Random(uuid.uuid4().hex)  # noqa: S311 - any order will do
    before: list[OperatorProcess] = []
    asked: set[tuple[str, str]] = set()
    for number in NUMBERS:
        after = fleet.start(*((Shard(index, number), places) for index in range(number)))
        # Some before those of the other number end, some while they do, some after it.
        late = chance.sample(places, PLACES)
        token = f"at-{number}"
        for process in chance.sample(before, len(before)):
            assert all(owned(other) == 0 for other in after), "they stand by until all have ended"
            ask(installed, late.pop(), token)
            process.stop()
        for place in late:
            ask(installed, place, token)
        asked |= {(place, token) for place in places}
        eventually(
            partial(all_answered, installed, places, token),
            f"{number} shards handle every request",
        )
        eventually(partial(all_owned, after), "each object is one shard's")
        before = after
    # What is in status already is told in the log by whoever wrote it.
    eventually(lambda: fleet.handled().keys() >= asked, "each is told of")
    assert fleet.handled() == Counter(asked)


def test_operators_of_other_namespaces_work_side_by_side(
    installed: ControlPlane, places: list[str], fleet: Fleet
) -> None:
    """Each with leader election, and with its Lease in the same namespace."""
    fleet.start(*((Shard(), [place]) for place in places[:2]))
    for place in places[:2]:
        ask(installed, place, "both")
    eventually(
        lambda: all(answered(installed, place) == "both" for place in places[:2]),
        "neither stands by for the other",
    )

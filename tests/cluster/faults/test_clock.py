# SPDX-License-Identifier: Apache-2.0
"""Somebody sets the wall clock of the operator's machine while it works: two hours ahead, and back.

libfaketime (https://github.com/wolfcw/libfaketime) is what sets it, for that process alone; its
monotonic clock goes on. Covers: everything is judged all the while; the Lease is kept; a message
waits for five minutes that really pass; no time in any status lies ahead in the end.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cluster.audit_log import forbidden, requests_of
from cluster.faults.conftest import Identity
from cluster.faults.scene import (
    ACCOUNT,
    DOMAIN,
    SERVER,
    SMTP,
    Keeper,
    Place,
    known,
    there_are,
)
from cluster.objects import eventually
from cluster.post_office import PostOffice
from postroom.api.names import Kind
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import NAMESPACE, OperatorProcess

AHEAD = 7200
#: Between two messages through one account.
SPACING = 300.0
_SEND_TEST = "postroom.dev/send-test"


@dataclass(frozen=True)
class Clock:
    """The wall clock of one process."""

    file: Path

    def set(self, seconds: int) -> None:
        """Set it so far ahead."""
        fresh = self.file.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}")
        fresh.replace(self.file)


def library() -> Path:
    """libfaketime for programs with threads; skips loudly where it is not there."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        if os.environ.get("POSTROOM_REQUIRE_FAKETIME"):
            pytest.fail("POSTROOM_REQUIRE_FAKETIME is set, but there is no libfaketime")
        pytest.skip("NO TEST OF CLOCKS: install libfaketime")
    return found[0]


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    made = Clock(tmp_path_factory.mktemp("clock") / "offset")
    made.set(0)
    return made


@pytest.fixture(scope="module")
def keeper(
    installed: ControlPlane, office: PostOffice, identity: Identity, clock: Clock
) -> Iterator[Keeper]:
    """An operator that holds a Lease, and whose clock can be set."""
    flags = (
        *office.lab.reach.flags,
        "--sweep-interval=2s",
        "--log-format=text",
        "--leader-election",
        f"--leader-election-namespace={NAMESPACE}",
    )
    operator = OperatorProcess(identity.kubeconfig, identity.kubeconfig.parent, flags)
    operator.environment = {
        "LD_PRELOAD": str(library()),
        "FAKETIME_TIMESTAMP_FILE": str(clock.file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    yield Keeper(operator.start())
    operator.stop()
    assert forbidden(requests_of(installed)) == []


def looked_at(place: Place, keeper: Keeper) -> None:
    """Have everything looked at that there is, and wait until it was."""
    there = [(Kind(each["kind"]), each["metadata"]["name"]) for each in place.objects()]
    for kind, name in there:
        place.ask(kind, name)

    def done() -> bool:
        judged = place.all_judged() and known(keeper.operator) == there_are(place.plane)
        return judged and all(place.answered(kind, name) for kind, name in there)

    eventually(done, "everything is looked at")


def sent_by(place: Place, nonce: str) -> bool:
    """Whether it is told what became of a message."""
    test = place.get(ACCOUNT, "desk")["status"].get("lastTest") or {}
    return "result" in test and test["nonce"] == nonce


def times_in(value: Any) -> list[datetime]:
    """Every time that a status tells of what was; a certificate's end is to come."""
    if isinstance(value, dict | list):
        named = value.items() if isinstance(value, dict) else enumerate(value)
        parts = [part for name, part in named if not str(name).lower().endswith("notafter")]
        return [moment for part in parts for moment in times_in(part)]
    try:
        found = datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ")
    except (TypeError, ValueError):
        return []
    return [found.replace(tzinfo=UTC)]


def test_the_clock_is_set_ahead_and_back(
    place: Place, office: PostOffice, keeper: Keeper, clock: Clock
) -> None:
    asked_at = time.monotonic()
    place.change(ACCOUNT, "desk", {"metadata": {"annotations": {_SEND_TEST: "one"}}})
    eventually(lambda: sent_by(place, "one"), "the message is sent")
    place.change(ACCOUNT, "desk", {"metadata": {"annotations": {_SEND_TEST: "two"}}})
    late = f"late.{place.name}.fault.example.com"
    office.lab.zones.add(late, "TXT", "provider-verify=late")
    for number, offset in enumerate((AHEAD, 0, AHEAD, 0)):
        # In the midst of it: what is new is looked at before and after.
        place.create(SERVER, f"before-{number}", **SMTP)
        place.change(SERVER, "edited", {"spec": {"interval": f"{number + 2}h"}})
        clock.set(offset)
        place.create(SERVER, f"after-{number}", **SMTP)
        if number == 0:
            place.create(DOMAIN, "late", domain=late, ownership={"value": "provider-verify=late"})
        looked_at(place, keeper)
        place.assert_nothing_flipped()
        sent, told = office.delivered.count(place.address), sent_by(place, "two")
        if time.monotonic() - asked_at < SPACING:
            assert (sent, told) == (1, False), "no five minutes have passed"
    times = [moment for each in place.objects() for moment in times_in(each.get("status"))]
    assert times and max(times) < datetime.now(UTC) + timedelta(seconds=5), place.told()
    ready = [each for each in place.told().splitlines() if "'Ready'" in each]
    assert all("'status': 'True'" in each for each in ready), "\n".join(ready)
    log = keeper.operator.log.read_bytes()[place.logged :].decode(errors="replace")
    assert "Traceback" not in log and "lost lease" not in log, log[-4000:]
    assert keeper.ends == 0 and keeper.operator.exit_code() is None
    # Each look is acknowledged, tells anew what a wrong clock told, and may say first that it takes
    # long; nobody looks by himself again and again.
    allowed = {"edited": 16, "desk": 16}
    beyond = {
        name: count for name, count in place.writes().items() if count > allowed.get(name, 12)
    }
    assert not beyond, f"{beyond}\n{place.changed(beyond)}"

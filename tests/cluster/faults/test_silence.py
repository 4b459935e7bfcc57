# SPDX-License-Identifier: Apache-2.0
"""Mail servers and DNS, which are a process of their own here, are stopped: for a minute, longer
than any deadline, and in the midst of handing mail over. They take connections, and say nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cluster.faults.scene import ACCOUNT, SERVER, Keeper, Mail, Place, assert_all_is_well
from cluster.faults.test_around_it import STANDING, look
from cluster.faults.test_worker import at_work
from cluster.lab_process import LabProcess
from cluster.objects import eventually, is_ready
from cluster.post_office import SUPPORT
from kstatus import conditions_of
from loopback import own_address
from postroom.api.names import Kind
from postroom.lab.controlplane import ControlPlane
from postroom.lab.lab import PASSWORDS, Reach

#: Seconds; 45 are the most that a look at a mail server may take.
SILENCE = 60.0
#: Between two looks that somebody asks for: more often is not served.
PAUSE = 10.0
#: Looks until all must be as before.
MOST = 30
#: What a look writes that finds everything as it was.
_OF_A_LOOK = {"lastCheckTime", "lastReadyTime", "lastHandledReconcileAt", "nextCheckTime"}


@dataclass
class SilentOffice:
    """`postroom lab` as a place needs it."""

    lab: LabProcess
    _at_first: dict[str, int] = field(default_factory=dict)

    @property
    def reach(self) -> Reach:
        return self.lab.reach

    @property
    def ca_pem(self) -> str:
        return self.lab.ca_pem

    def open_account(self, name: str) -> tuple[str, str]:
        """One that the lab has, as it takes no others."""
        self._at_first[SUPPORT] = self.lab.messages(SUPPORT)
        return SUPPORT, PASSWORDS[SUPPORT]

    def publish(self, label: str, text: str) -> None:
        self.lab.put("example.com", label, "TXT", f'"{text}"')

    def arrive(self, recipient: str, content: bytes) -> None:
        self.lab.arrive(recipient, content)

    def taken_for(self, address: str) -> int:
        return self.lab.messages(address) - self._at_first[address]


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mail]:
    with LabProcess(own_address(45), tmp_path_factory.mktemp("lab")) as lab:
        yield SilentOffice(lab)


def changed(place: Place, kind: Kind, name: str) -> set[str]:
    """What status says otherwise than before, times of looks left out."""
    before, now = place.statuses[name], place.get(kind, name)["status"]
    return {key for key in {*before, *now} if before.get(key) != now.get(key)} - _OF_A_LOOK


def test_the_lab_is_stopped_for_a_minute(
    place: Place, office: SilentOffice, keeper: Keeper
) -> None:
    """Whoever could not be looked at is not judged by that, however often somebody asks."""
    looks = 0
    with office.lab.stopped():
        ends = time.monotonic() + SILENCE
        place.busy()
        while time.monotonic() < ends:
            look(place)
            looks += 1
            place.assert_nothing_flipped()
            time.sleep(PAUSE)
        late = conditions_of(place.get(SERVER, "late"))
        assert late["Ready"]["status"] == "Unknown", place.told()
    # Name servers that were silent are left out for minutes, unless somebody asks again.
    while changes := [each for kind, name in STANDING for each in changed(place, kind, name)]:
        assert looks < MOST, changes
        look(place)
        looks += 1
        time.sleep(PAUSE)
    eventually(lambda: all(map(is_ready, place.objects())), "all is Ready again", 300)
    allowed = {name: looks + 1 for _, name in STANDING}
    assert_all_is_well(place, keeper, more_writes=3, bystanders=allowed, silent=True)
    outcome = place.get(ACCOUNT, "desk")["status"]["lastTest"]["result"]["outcome"]
    if outcome != "Unknown":
        assert office.taken_for(place.address) == (outcome == "Accepted")


def test_the_lab_is_stopped_while_mail_is_handed_over(
    rights: ControlPlane, office: SilentOffice, keeper: Keeper, namespace: str, tmp_path: Path
) -> None:
    """Until the worker waits for an answer of the mailbox."""
    with at_work(rights, office, keeper, namespace, tmp_path) as scene:
        scene.tickets.answering.clear()
        for _ in range(3):
            scene.arrive()
        scene.wait_for(lambda: len(scene.tickets.taken) == 2)
        worker = scene.workers[0].pid
        with office.lab.stopped():
            scene.tickets.answering.set()
            scene.wait_for(lambda: office.lab.has_unread(worker))
        scene.arrive()
        scene.assert_all_is_well()

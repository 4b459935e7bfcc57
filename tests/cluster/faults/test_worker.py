# SPDX-License-Identifier: Apache-2.0
"""The worker that hands mail over (`postroom deliver`): it is stopped, its disk is full or
read-only. Its mailbox is stopped in test_silence.py.

In the end, each time: the application has every message, in the order in which they came; what it
has twice it has under the same id; the account stands as it stood; nothing is left to hand over.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cluster import services
from cluster.api_client import apply
from cluster.audit_log import writes_of
from cluster.faults.scene import Keeper
from cluster.mail_worker import USER, Tickets, arrive, delivering, worker_processes
from cluster.objects import eventually, one
from cluster.post_office import SUPPORT, Mailboxes, PostOffice, account, manifests
from kstatus import conditions_of
from loopback import own_address
from postroom.api.names import Kind
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import NAMESPACE, OperatorProcess

#: Octets of a message that goes through the disk, and of a disk that has no room for it.
LARGE, SMALL_DISK = 300_000, 100_000
ROOM = 16 * LARGE
#: What the spool's file system is made, and what mends it again: options of mount.
DISKS = {"full": (f"size={SMALL_DISK}", f"size={ROOM}"), "read-only": ("ro", "rw")}


@dataclass
class Office:
    """An account whose mail is handed over, to whom, and by whom."""

    plane: ControlPlane
    mail: Mailboxes
    tickets: Tickets
    workers: list[OperatorProcess]
    operator: OperatorProcess
    namespace: str
    #: Since when the account is Ready.
    since: str = ""
    came: int = 0

    def arrive(self, *, octets: int = 0) -> None:
        """Have the next message come."""
        self.came += 1
        if not octets:
            arrive(self.mail, str(self.came))
            return
        head = f"From: a@example.net\r\nTo: {SUPPORT}\r\nSubject: {self.came}\r\n\r\n"
        line = "." * 70 + "\r\n"
        self.mail.arrive(SUPPORT, (head + line * (octets // len(line))).encode())

    def delivering(self) -> str:
        return delivering(self.plane, self.namespace)

    def message(self) -> str:
        """What is told of the handing over."""
        found = conditions_of(one(self.plane, self.namespace, Kind.EMAIL_ACCOUNT, "support"))
        return str(found.get("InboundDelivering", {}).get("message"))

    def ready(self) -> str:
        found = conditions_of(one(self.plane, self.namespace, Kind.EMAIL_ACCOUNT, "support"))
        ready = found.get("Ready", {})
        return f"{ready.get('status')} since {ready.get('lastTransitionTime')}"

    def tell(self) -> str:
        told = f"{self.delivering()} {self.message()}"
        return f"{self.numbers()} of {self.came} came; it is told: {told}; it is {self.ready()}"

    def wait_for(self, check: Callable[[], bool]) -> None:
        eventually(check, self.tell)

    def begin(self) -> None:
        """The first worker hands over, and has nothing left to do."""
        self.workers[0].start()
        self.wait_for(lambda: self.delivering() == "True Delivering")
        self.wait_for(lambda: self.ready().startswith("True "))
        self.since = self.ready()
        self.arrive()
        self.wait_for(self.has_all)

    def numbers(self) -> list[int]:
        """The messages that the application has, in the order of their coming."""
        return [int(subject.split()[1]) for subject in self.tickets.subjects()]

    def has_all(self) -> bool:
        """Whether the application has them."""
        return set(self.numbers()) == set(range(1, self.came + 1))

    def assert_all_is_well(self, *, repeated: int = 0) -> None:
        self.wait_for(lambda: self.has_all() and self.delivering() == "True Delivering")
        for each in self.workers:
            # How far it is, it writes once a minute, and when it ends.
            if each.log.exists() and each.exit_code() is None:
                assert each.stop() == 0, self.tell()
        stored = one(self.plane, self.namespace, Kind.EMAIL_ACCOUNT, "support")["status"]
        assert stored["inbound"]["waiting"] == 0, self.tell()
        numbers = self.numbers()
        assert list(dict.fromkeys(numbers)) == list(range(1, self.came + 1)), "their order"
        ids = {headers["ce-id"] for headers, _ in self.tickets.taken}
        assert len(ids) == self.came, "what comes again has the same id"
        assert len(numbers) - self.came <= repeated, self.tell()
        assert self.ready() == self.since, self.tell()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, for as long as the test takes."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "postroom-spool", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, check=False).returncode != 0:
        pytest.skip("NO TEST OF FULL DISKS: a file system is mounted by root alone")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextmanager
def at_work(
    rights: ControlPlane,
    office: Mailboxes,
    keeper: Keeper,
    namespace: str,
    tmp_path: Path,
    *more: str,
) -> Iterator[Office]:
    with Tickets.at_work(own_address(32)) as tickets:
        host, port = str(tickets.server_address[0]), int(tickets.server_address[1])
        services.expose(rights, namespace, "tickets", host, port)
        key = "whsec_" + base64.b64encode(os.urandom(32)).decode()
        hook = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "tickets-hook"}}
        apply(rights, json.dumps({**hook, "stringData": {"current": key}}), namespace)
        deliver = {
            "service": {"name": "tickets", "port": port, "path": "/mail"},
            "signingKeyRef": {"name": "tickets-hook"},
        }
        spec = account(SUPPORT, inbound={"deliver": deliver})
        apply(rights, manifests(office.ca_pem, support=spec), namespace)
        leads = ("--leader-election", f"--leader-election-namespace={NAMESPACE}")
        flags = (f"--allow-cidr={host}/32", *leads, *more)
        with worker_processes(rights, office, (namespace,), tmp_path, *flags) as made:
            scene = Office(rights, office, tickets, made, keeper.operator, namespace)
            scene.begin()
            try:
                yield scene
            finally:
                tickets.answering.set()
                for each in made:
                    if each.exit_code() is None and each.log.exists():
                        os.kill(each.pid, signal.SIGCONT)


@pytest.fixture
def scene(
    rights: ControlPlane, office: PostOffice, keeper: Keeper, namespace: str, tmp_path: Path
) -> Iterator[Office]:
    with at_work(rights, office, keeper, namespace, tmp_path) as made:
        yield made


def test_the_worker_is_stopped_while_it_hands_over(scene: Office) -> None:
    """Until another one has taken its place, with which it has to share nothing when it goes on."""
    frozen, standby = scene.workers
    standby.start()
    scene.tickets.answering.clear()
    scene.arrive()
    scene.arrive()
    scene.wait_for(lambda: len(scene.tickets.taken) == 2)
    os.kill(frozen.pid, signal.SIGSTOP)
    scene.tickets.answering.set()
    # The application's answer was never read: the message comes again, and so may those of the last
    # minute, of which was not written yet that they were handed over.
    scene.wait_for(scene.has_all)
    assert scene.numbers() in ([1, 2, 2, 3], [1, 2, 1, 2, 3]), scene.tell()
    os.kill(standby.pid, signal.SIGSTOP)
    scene.arrive()
    before, taken = datetime.now(UTC), len(scene.tickets.taken)
    os.kill(frozen.pid, signal.SIGCONT)
    scene.wait_for(lambda: frozen.exit_code() is not None)
    assert frozen.exit_code() == 1 and "lost lease" in frozen.tail()
    assert writes_of(scene.plane, USER, before, frozen) == [], frozen.tail()
    assert len(scene.tickets.taken) == taken, "it hands nothing over any more"
    os.kill(standby.pid, signal.SIGCONT)
    frozen.start()  # as Kubernetes does
    scene.assert_all_is_well(repeated=5)


@pytest.mark.parametrize(("fault", "mended"), DISKS.values(), ids=DISKS)
def test_the_spool_takes_nothing(
    rights: ControlPlane,
    office: PostOffice,
    keeper: Keeper,
    namespace: str,
    tmp_path: Path,
    disk: Path,
    fault: str,
    mended: str,
) -> None:
    """What is small goes by memory alone, and waits for what came before it."""

    def mount(options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)

    with at_work(rights, office, keeper, namespace, tmp_path, f"--spool-dir={disk}") as scene:
        scene.arrive(octets=LARGE)
        scene.wait_for(scene.has_all)
        mount(fault)
        scene.arrive(octets=LARGE)
        scene.arrive()
        scene.wait_for(lambda: scene.delivering() == "Unknown AwaitingDependency")
        assert "--spool-dir is full, read-only or not there" in scene.message()
        assert len(scene.tickets.taken) == 2, "nothing goes before it"
        mount(mended)
        scene.wait_for(scene.has_all)
        assert scene.workers[0].exit_code() is None, scene.tell()
        scene.assert_all_is_well()

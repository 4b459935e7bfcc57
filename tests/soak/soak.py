# SPDX-License-Identifier: Apache-2.0
"""Proof that inbound delivery loses nothing: real processes on a real API server, mailboxes of the
lab, an application that misbehaves, and faults by a seed.

    make soak                            5,000 messages, 20 accounts; SEED=7 MESSAGES=500 for others

Meanwhile processes are killed and told to end, sessions are cut wherever they are, mailboxes are
numbered anew, messages are removed for good, keys are exchanged and accounts get another Service.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGTERM
from typing import Any

if __name__ == "__main__":
    ROOT = Path(__file__).resolve().parents[2]
    # In the place of this directory.
    sys.path[:1] = [str(ROOT / "operator"), str(ROOT / "tests")]

from cluster.api_client import merge
from cluster.objects import path_of
from loopback import own_address
from postroom.api.names import API_VERSION, Kind
from postroom.lab.controlplane import ControlPlane, obtain
from postroom.lab.operator_process import ROOT as CHECKOUT
from soak.consumer import Consumer, Taken
from soak.mail import CANARY, MAX_SIZE, Mail
from soak.workers import Worker, faulted

#: What a process may have of memory besides its spool.
_MEMORY = 90 * 1024 * 1024
_SPOOL = 32 * 1024 * 1024


@dataclass(frozen=True)
class Scale:
    """How much: of messages, accounts, processes and faults, and the seconds for all to arrive."""

    messages: int = 5000
    accounts: int = 20
    processes: int = 2
    faults: int = 60
    #: The part of messages that the application misbehaves at.
    mischief: float = 0.03
    patience: float = 600.0


SMALL = Scale(messages=90, accounts=3, processes=1, faults=7, mischief=0.05, patience=300.0)


@dataclass
class Outcome:
    """What came of it; all lists are empty where nothing is wrong."""

    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    taken: int = 0
    repeated: int = 0
    repeated_marked: int = 0
    oversized: int = 0
    mischief: Counter[str] = field(default_factory=Counter)
    memory: int = 0
    memory_at_first: int = 0
    #: Of each worker, at ten times or so from the beginning to the end.
    memory_at_times: list[list[int]] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        most, first = self.memory // 2**20, self.memory_at_first // 2**20
        return "\n".join(
            (
                f"seed {self.seed}: {self.taken} taken in {self.seconds:.0f} s",
                f"  lost: {len(self.lost)}",
                f"  repeated: {self.repeated} under the same id, {self.repeated_marked} marked",
                f"  without body: {self.oversized}",
                f"  memory of a process: {first} MiB when it was ready, at most {most}",
                *(f"    as time went by: {_mebi(each)}" for each in self.memory_at_times),
                f"  faults: {dict(self.faults)}",
                f"  answers: {dict(self.mischief)}",
                f"  wrong: {self.wrong or 'nothing'}",
            )
        )


class Soak:
    """One run in a namespace of a control plane that has the definitions."""

    def __init__(
        self, plane: ControlPlane, namespace: str, directory: Path, scale: Scale, seed: int
    ) -> None:
        self._plane, self._namespace, self._scale = plane, namespace, scale
        self._directory = directory
        dice = [random.Random(seed + number) for number in range(3)]  # noqa: S311 - no secrets
        self._dice = dice[0]
        self._mail = Mail(own_address(31), directory / "lab", scale.accounts, dice[1])
        self._consumer = Consumer(own_address(32), 2, dice[2], scale.mischief)
        self._keys: list[bytes] = []
        self._workers: list[Worker] = []
        self._places: dict[str, int] = {}
        self._generations = dict.fromkeys(self._mail.names, 1)
        self.outcome = Outcome(seed)

    def run(self) -> Outcome:
        """All of it."""
        with self._servers():
            self._furnish()
            for worker in self._workers:
                worker.start()
            for worker in self._workers:
                worker.wait_until_ready()
            begun = time.monotonic()
            self._trouble()
            self._wait_for_all()
            self.outcome.seconds = time.monotonic() - begun
            self._judge()
        return self.outcome

    @contextmanager
    def _servers(self) -> Iterator[None]:
        self._mail.start()
        self._mail.happens(self._consumer.start())
        reach = [flag for flag in self._mail.lab.reach.flags if "ownership" not in flag]
        flags = [
            f"--allow-cidr={self._consumer.address}/32",
            *reach,
            f"--kubeconfig={self._plane.kubeconfig}",
            f"--namespace={self._namespace}",
            f"--spool={_SPOOL // 2**20}Mi",
            f"--spool-dir={self._directory}",
            "--watch-secrets",
        ]
        if self._scale.processes > 1:
            flags += ["--leader-election", f"--leader-election-namespace={self._namespace}"]
        numbers = range(self._scale.processes)
        self._workers = [Worker(self._directory, number, flags) for number in numbers]
        try:
            yield
        finally:
            for worker in self._workers:
                worker.end(SIGTERM)
            self._mail.happens(self._consumer.stop())
            self._mail.stop()

    def _apply(self, *objects: dict[str, Any]) -> None:
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        self._plane.kubectl("apply", "-n", self._namespace, "-f", "-", input=text)

    def _furnish(self) -> None:
        """Everything that users apply, and what the operator would say of it."""
        cidr = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "ServiceCIDR",
            "metadata": {"name": "loopback"},
            "spec": {"cidrs": ["127.64.0.0/10"]},
        }
        self._plane.kubectl("apply", "-f", "-", input=json.dumps(cidr))
        # One Service with two ports, behind which the same application listens.
        first, second = self._consumer.ports
        address = self._consumer.address
        ports = [{"name": "a", "port": first}, {"name": "b", "port": second}]
        one = {"clusterIP": address, "ports": ports}
        service = _made("v1", "Service", "tickets", spec=one)
        logins = [
            _made("v1", "Secret", name, stringData=login) for name, login in self._mail.logins()
        ]
        bundle = _made("v1", "ConfigMap", "lab-ca", data={"ca.crt": self._mail.lab.ca_pem})
        self._places = dict.fromkeys(self._mail.names, first)
        labels = {"postroom.dev/watch": "true"}
        hook = _made("v1", "Secret", "hook", labels, data=self._new_key())
        accounts = [self._account(name) for name in self._mail.names]
        self._apply(service, *logins, bundle, hook, *accounts)
        for name in self._mail.names:
            self._say(name, "ReferencesResolved", "IMAPAuthenticated", "Ready")

    def _account(self, name: str) -> dict[str, Any]:
        deliver = {
            "service": {"name": "tickets", "port": self._places[name], "path": f"/{name}"},
            "signingKeyRef": {"name": "hook"},
            "mailboxes": self._mail.mailboxes_of(name),
            "start": "Backfill",
            "maxSize": str(MAX_SIZE // 1024) + "Ki",
        }
        return _made(API_VERSION, "EmailAccount", name, spec=self._mail.spec(name, deliver))

    def _say(self, name: str, *true: str) -> None:
        """Have the operator say of an account, as it is now, that these are true."""
        said: dict[str, Any] = {"observedGeneration": self._generations[name]}
        if true:
            said["conditions"] = [
                {
                    "type": kind,
                    "status": "True",
                    "reason": "ProbeSucceeded",
                    "message": "",
                    "observedGeneration": 1,
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                }
                for kind in true
            ]
        path = path_of(self._namespace, Kind.EMAIL_ACCOUNT)
        merge(self._plane, f"{path}/{name}/status", {"status": said})

    def _new_key(self) -> dict[str, str]:
        self._keys.append(self._dice.randbytes(32))
        self._consumer.keys = list(self._keys)
        written = ["whsec_" + base64.b64encode(key).decode() for key in self._keys[-2:]]
        data = {"current": written[-1], "previous": written[0]}
        return {name: base64.b64encode(text.encode()).decode() for name, text in data.items()}

    def _exchange_key(self) -> None:
        path = f"/api/v1/namespaces/{self._namespace}/secrets/hook"
        merge(self._plane, path, {"data": self._new_key()})

    def _move(self) -> None:
        """An account gets another place of the application."""
        name = self._dice.choice(self._mail.names)
        first, second = self._consumer.ports
        self._places[name] = second if self._places[name] == first else first
        path = path_of(self._namespace, Kind.EMAIL_ACCOUNT)
        merge(self._plane, f"{path}/{name}", {"spec": self._account(name)["spec"]})
        self._generations[name] += 1
        self._say(name)

    def _trouble(self) -> None:
        """Let messages come, and things go wrong in between."""
        scale, faults = self._scale, self.outcome.faults
        #: One of each kind at least, numbering anew seldom: it has a day's mail come again.
        kinds = ["process", "hang up", "expunge", "key", "service", "anew", "process"]
        while len(kinds) < scale.faults:
            kinds.append(self._dice.choice(["process", "hang up", "expunge", "service", "key"]))
        self._dice.shuffle(kinds)
        come, each = 0, scale.messages / (len(kinds) + 1)
        for number, kind in enumerate([*kinds, ""], 1):
            due = round(number * each) - come
            self._mail.arrive(due // 2)
            self._keep_pace(come)
            match kind:
                case "process":
                    kind = faulted(self._workers, self._dice)
                case "hang up":
                    self._mail.hang_up()
                case "expunge":
                    self._mail.expunge()
                case "key":
                    self._exchange_key()
                case "service":
                    self._move()
                case "anew":
                    self._mail.make_anew()
            faults.update([kind] if kind else [])
            if sum(faults.values()) % 10 == 0:
                print(
                    f"  {sum(faults.values())} faults, {len(self._consumer.taken)} taken",
                    flush=True,
                )
            self._mail.arrive(due - due // 2)
            come += due
            for worker in self._workers:
                worker.note_memory()

    def _keep_pace(self, come: int) -> None:
        """Wait until half of what came was taken, so that things go wrong in the midst of work."""
        deadline = time.monotonic() + self._scale.patience / 10
        while len(self._consumer.taken) < come / 2 and time.monotonic() < deadline:
            time.sleep(0.05)

    def _missing(self) -> list[str]:
        got = {taken.message_id for taken in list(self._consumer.taken)}
        return [name for name in self._mail.sent if name not in got | self._mail.expunged]

    def _wait_for_all(self) -> None:
        """Wait until all has arrived; the last of it without mischief."""
        before, deadline = -1, time.monotonic() + self._scale.patience
        while (missing := self._missing()) and time.monotonic() < deadline:
            if len(missing) < self._scale.messages / 10:
                self._consumer.faults = 0.0
            if len(missing) != before:
                before = len(missing)
                print(f"  {before} messages are on their way", flush=True)
            time.sleep(1.0)
            for worker in self._workers:
                worker.note_memory()

    def _judge(self) -> None:
        found, taken = self.outcome, list(self._consumer.taken)
        found.taken, found.lost, found.mischief = len(taken), self._missing(), self._consumer.did
        found.oversized = sum(each.oversized for each in taken)
        if self._consumer.unsigned:
            found.wrong.append(f"{self._consumer.unsigned} without a valid signature")
        self._judge_messages(taken)
        if flags := self._mail.changed_flags():
            found.wrong.append(f"flags changed of {len(flags)}")
        found.memory = 1024 * max(worker.peak for worker in self._workers)
        found.memory_at_first = 1024 * max(worker.at_first for worker in self._workers)
        found.memory_at_times = [
            [1024 * each for each in worker.at_times[:: max(1, len(worker.at_times) // 10)]]
            for worker in self._workers
        ]
        # What tests need is installed beside it here, and some of that is loaded with it.
        if found.memory > max(_MEMORY, found.memory_at_first) + _SPOOL:
            found.wrong.append(f"{found.memory} octets of memory")
        texts = {
            "status": self._plane.kubectl(
                "get", "emailaccounts,events,leases", "-n", self._namespace, "-o", "json"
            ).stdout,
            "metrics": "".join(worker.asked("/metrics") or "" for worker in self._workers),
            "logs": "".join(worker.log.read_text(errors="replace") for worker in self._workers),
        }
        found.wrong += [f"content in {what}" for what, text in texts.items() if CANARY in text]
        found.wrong += [
            f"an address in {what}" for what in ("metrics", "logs") if "@send" in texts[what]
        ]
        if (begins := texts["logs"].find("Traceback")) >= 0:
            line = texts["logs"].rfind("\n", 0, begins) + 1
            found.wrong.append(f"a traceback in the logs: {texts['logs'][line : line + 6000]}")

    def _judge_messages(self, taken: list[Taken]) -> None:
        found = self.outcome
        events: dict[str, set[str]] = defaultdict(set)
        bodies: dict[str, str] = {}
        last: dict[tuple[str, str], int] = defaultdict(int)
        for each in taken:
            sent = self._mail.sent[each.message_id]
            if each.account != sent.account:
                found.wrong.append(f"{each.message_id} went to another application")
            if not each.oversized and each.body != sent.body:
                found.wrong.append(f"{each.message_id} is not byte for byte")
            if each.oversized is not sent.oversized:
                found.wrong.append(f"{each.message_id} came with body: {not each.oversized}")
            if bodies.setdefault(each.event, each.message_id) != each.message_id:
                found.wrong.append(f"{each.message_id} has the id of another message")
            known = events[each.message_id]
            if each.event in known:
                found.repeated += 1
            elif known:
                found.repeated_marked += 1
                if not each.marked:
                    found.wrong.append(f"{each.message_id} came again under another id, unmarked")
            else:
                place = sent.account, sent.mailbox
                if sent.number < last[place]:
                    found.wrong.append(f"{each.message_id} came after one that followed it")
                last[place] = max(last[place], sent.number)
            known.add(each.event)


def _mebi(sizes: list[int]) -> str:
    return ", ".join(str(size // 2**20) for size in sizes)


def _made(
    version: str, kind: str, name: str, labels: dict[str, str] | None = None, **rest: Any
) -> dict[str, Any]:
    metadata = {"name": name, "labels": labels or {}}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}


def main() -> int:
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(10**6))
    messages = int(os.environ.get("MESSAGES") or Scale.messages)
    scale = Scale(messages=messages)
    # The lab's sessions are cut while it writes: nothing to read about.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    print(f"seed {seed}: {messages} messages, {scale.accounts} accounts", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="postroom-soak-") as directory,
        obtain(lambda line: print(line, flush=True)) as plane,
    ):
        plane.kubectl("apply", "--server-side", "-k", str(CHECKOUT / "crds"))
        plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        plane.kubectl("create", "namespace", "soak")
        outcome = Soak(plane, "soak", Path(directory), scale, seed).run()
    print(outcome)
    return int(bool(outcome.lost or outcome.wrong))


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""What goes on while a fault lasts, and what must be so when it is over.

In a namespace of each fault's own stand a domain, a server and an account that are Ready. While the
fault lasts somebody edits a server, adds one, deletes one, and asks for a message. In the end:
nothing is lost (every object is judged as it is, and the operator knows no other), nothing flipped
(what stood has stood all the time), no message was sent twice, and writes are counted.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Protocol

from cluster.api_client import (
    create_namespace,
    delete,
    delete_namespace,
    merge,
    post,
    read,
    refusal,
)
from cluster.audit_log import writes_of
from cluster.objects import eventually, is_judged, is_ready, objects, path_of
from kstatus import conditions_of
from postroom.api.names import API_VERSION, Kind
from postroom.lab.controlplane import ControlPlane
from postroom.lab.lab import SUBMISSION_PORT
from postroom.lab.operator_process import OperatorProcess

Raw = dict[str, Any]
DOMAIN, SERVER, ACCOUNT = Kind.SENDING_DOMAIN, Kind.MAIL_SERVER, Kind.EMAIL_ACCOUNT
_SEND_TEST, _REQUEST = "postroom.dev/send-test", "postroom.dev/requested-at"
#: The spec of a server of the lab, at which nobody signs in.
SMTP = {
    "host": "smtp.mail.example.org",
    "port": SUBMISSION_PORT,
    "tls": {"caBundleRef": {"name": "lab-ca"}},
}
#: Statuses that are written of what is changed, at most, where nothing goes wrong: of a new spec
#: also that it is looked at, where that takes longer than five seconds; a message is announced,
#: sent, and told of.
_USUALLY = {"edited": 2, "late": 2, "desk": 4}


@dataclass
class Keeper:
    """Starts the operator again when it has ended, as Kubernetes does; `ends` counts that."""

    operator: OperatorProcess
    ends: int = 0

    def look(self) -> None:
        """Start it where it has ended."""
        if self.operator.exit_code() is not None:
            self.ends += 1
            self.operator.start()


class Mail(Protocol):
    """What a place needs of a lab, whichever process that is in."""

    @property
    def ca_pem(self) -> str: ...

    def open_account(self, name: str) -> tuple[str, str]: ...

    def publish(self, label: str, text: str) -> None: ...

    def taken_for(self, address: str) -> int: ...


@dataclass
class Place:
    """One namespace, and what stood there before the fault."""

    plane: ControlPlane
    office: Mail
    name: str = field(default_factory=lambda: f"fault-{uuid.uuid4().hex[:8]}")
    #: Of its account.
    address: str = ""
    #: Since when what is Ready is so, by kind and name.
    stood: dict[tuple[str, str], str] = field(default_factory=dict)
    #: How often somebody asked for a look.
    asked: int = 0
    #: The process that was there before.
    pid: int = 0
    #: Since when writes count.
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    #: Octets of its log before.
    logged: int = 0
    #: Statuses before, by name.
    statuses: dict[str, Raw] = field(default_factory=dict)

    def furnish(self) -> None:
        """Create everything; the operator may be at it already."""
        self.address, password = self.office.open_account(self.name)
        proof = f"provider-verify={self.name}"
        self.office.publish(f"{self.name}.fault", proof)
        create_namespace(self.plane, self.name)
        core = f"/api/v1/namespaces/{self.name}"
        authority = {"data": {"ca.crt": self.office.ca_pem}}
        post(self.plane, f"{core}/configmaps", {"metadata": {"name": "lab-ca"}, **authority})
        login = {"username": self.address, "password": password}
        post(self.plane, f"{core}/secrets", {"metadata": {"name": "login"}, "stringData": login})
        self.create(SERVER, "smtp", **SMTP, default=True, credentialsRef={"name": "login"})
        desk = {"address": self.address, "credentialsRef": {"name": "login"}}
        self.create(ACCOUNT, "desk", **desk)
        domain = f"{self.name}.fault.example.com"
        self.create(DOMAIN, "standing", domain=domain, ownership={"value": proof})
        for name in ("edited", "doomed"):
            self.create(SERVER, name, **SMTP)

    def create(self, kind: Kind, name: str, **spec: Any) -> None:
        made = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
        post(self.plane, path_of(self.name, kind), made)

    def get(self, kind: Kind, name: str) -> Raw:
        return read(self.plane, f"{path_of(self.name, kind)}/{name}")

    def objects(self) -> list[Raw]:
        """All of them, in whatever state."""
        return [
            each for kind in Kind for each in read(self.plane, path_of(self.name, kind))["items"]
        ]

    def change(self, kind: Kind, name: str, changed: Raw) -> None:
        merge(self.plane, f"{path_of(self.name, kind)}/{name}", changed)

    def all_judged(self) -> bool:
        """Whether every object is evaluated as it is now."""
        return all(map(is_judged, self.objects()))

    def stands(self) -> bool:
        """Whether all is as it should be before a fault; noted then."""
        there = self.objects()
        ready = {_identity(each): _since(each) for each in there if is_ready(each)}
        wanted = {(DOMAIN, "standing"), (SERVER, "smtp"), (ACCOUNT, "desk")}
        # Who uses an object is told later than whether it works.
        told = {_identity(each): each.get("status", {}).get("usedByCount") for each in there}
        if not ready.keys() >= wanted or not all(map(is_judged, there)):
            return False
        if told[SERVER, "smtp"] != 1:
            return False
        self.stood = {identity: ready[identity] for identity in wanted}
        return True

    def begin(self, operator: OperatorProcess) -> None:
        """From now on writes count."""
        self.pid, self.logged = operator.pid, operator.log.stat().st_size
        self.began = datetime.now(UTC)
        self.statuses = self._statuses()

    def _statuses(self) -> dict[str, Raw]:
        return {each["metadata"]["name"]: each.get("status", {}) for each in self.objects()}

    def changed(self, names: Iterable[str]) -> str:
        """What is written otherwise than before, of some objects."""
        before, after = self.statuses, self._statuses()
        return "\n".join(
            f"{name}.{key}: {json.dumps(before[name].get(key))} -> {json.dumps(now)}"
            for name in sorted({*names} & before.keys() & after.keys())
            for key, now in after[name].items()
            if now != before[name].get(key)
        )

    def revision(self) -> int:
        """Which version the store is at."""
        return int(read(self.plane, path_of(self.name, SERVER))["metadata"]["resourceVersion"])

    def ask(self, kind: Kind, name: str) -> None:
        """Have an object looked at now."""
        self.asked += 1
        self.change(
            kind, name, {"metadata": {"annotations": {_REQUEST: f"{self.name}-{self.asked}"}}}
        )

    def answered(self, kind: Kind, name: str) -> bool:
        """Whether it was, since it was last asked for."""
        found = self.get(kind, name)
        wanted = found["metadata"]["annotations"][_REQUEST]
        return bool(found["status"].get("lastHandledReconcileAt") == wanted)

    # -- while the fault lasts ----------------------------------------------------------------

    def busy(self) -> None:
        """What people do meanwhile."""
        self.change(SERVER, "edited", {"spec": {"interval": "2h"}})
        self.create(SERVER, "late", **SMTP)
        delete(self.plane, f"{path_of(self.name, SERVER)}/doomed")
        self.change(ACCOUNT, "desk", {"metadata": {"annotations": {_SEND_TEST: "one"}}})

    # -- afterwards ---------------------------------------------------------------------------

    def is_answered(self) -> bool:
        """Whether it is told what became of the message."""
        test = self.get(ACCOUNT, "desk")["status"].get("lastTest") or {}
        return "result" in test and test["nonce"] == "one"

    def assert_nothing_flipped(self) -> None:
        """What stood before stands, and has done so all the time; every status is sound."""
        now = {_identity(each): _since(each) for each in objects(self.plane, self.name)}
        flipped = [
            f"{name}: Ready {before} -> {now.get((kind, name))}"
            for (kind, name), before in self.stood.items()
            if now.get((kind, name)) != before
        ]
        assert flipped == [], self.changed(name for _, name in self.stood)

    def writes(self) -> Counter[str]:
        """Statuses that were written since the fault began, by the name of the object."""
        return Counter(
            each["objectRef"]["name"]
            for each in writes_of(self.plane, since=self.began)
            if each["objectRef"].get("namespace") == self.name
            and each["objectRef"].get("subresource") == "status"
            and each["responseStatus"]["code"] == 200
        )

    def told(self) -> str:
        """Every condition that there is, for whoever reads a failure."""
        return "\n".join(
            f"{each['kind']} {each['metadata']['name']}: {condition}"
            for each in self.objects()
            for condition in each.get("status", {}).get("conditions", [])
        )


def takes(plane: ControlPlane, spec: Raw, version: str = API_VERSION) -> bool:
    """Whether the API server takes a domain: what it takes changes a moment after the definition,
    and meanwhile it is told to come later (429)."""
    path = path_of("default", DOMAIN).replace(API_VERSION, version)
    made = {"apiVersion": version, "kind": DOMAIN, "metadata": {"name": "tried"}, "spec": spec}
    return not refusal(plane, "POST", path, made, dry=True)


def known(operator: OperatorProcess) -> int:
    """How many objects the operator knows; -1 where it does not answer now."""
    try:
        told = operator.metrics()
    except OSError:
        return -1
    for line in told.splitlines():
        if line.startswith("postroom_objects "):
            return int(float(line.rpartition(" ")[2]))
    raise AssertionError("the operator tells no postroom_objects")


def there_are(plane: ControlPlane) -> int:
    """How many there are: the first of each kind is read, and the number of those that follow."""
    found = (read(plane, f"/apis/{API_VERSION}/{kind.plural}?limit=1") for kind in Kind)
    return sum(len(each["items"]) + each["metadata"].get("remainingItemCount", 0) for each in found)


@contextmanager
def standing(plane: ControlPlane, office: Mail, operator: OperatorProcess) -> Iterator[Place]:
    """A place in which everything stands before a fault begins."""
    place = Place(plane, office)
    place.furnish()
    eventually(place.stands, "what is there before the fault is Ready")
    place.begin(operator)
    yield place
    delete_namespace(plane, place.name)


def assert_all_is_well(
    place: Place,
    keeper: Keeper,
    *,
    more_writes: int = 0,
    bystanders: Mapping[str, int] = MappingProxyType({}),
    tracebacks: bool = False,
    silent: bool = False,
) -> None:
    """Wait until the fault is overcome; then hold what happened against what may happen.

    So many writes more than usual are there of each object that is changed; `bystanders` tells how
    often others may be written, `tracebacks` whether the log may have some, `silent` whether the
    mail server was silent, so that it may not have got the message.
    """

    def recovered() -> bool:
        keeper.look()
        answered = place.is_answered() or begun_anew()
        return answered and place.all_judged() and known(keeper.operator) == there_are(place.plane)

    def begun_anew() -> bool:
        # Of a young account nobody knows then what it sent: its message waits for five minutes.
        return keeper.operator.pid != place.pid

    def told() -> str:
        numbers = f"{known(keeper.operator)} known of {there_are(place.plane)}"
        open_ones = [_identity(each)[1] for each in place.objects() if not is_judged(each)]
        test = place.get(ACCOUNT, "desk")["status"].get("lastTest")
        return f"{numbers}, not judged: {open_ones}, the message: {json.dumps(test)}"

    eventually(recovered, told)
    place.assert_nothing_flipped()
    sent = place.office.taken_for(place.address)
    assert sent in ((0, 1) if silent or begun_anew() else (1,)), told()
    written = place.writes()
    allowed = {name: count + more_writes for name, count in _USUALLY.items()} | dict(bystanders)
    beyond = {name: count for name, count in written.items() if count > allowed.get(name, 0)}
    assert not beyond, f"{beyond} of {allowed}\n{place.changed(beyond)}"
    log = keeper.operator.log.read_bytes()[place.logged :].decode(errors="replace")
    assert tracebacks or "Traceback" not in log, log[log.index("Traceback") :][:4000]


def _identity(raw: Raw) -> tuple[str, str]:
    return raw["kind"], raw["metadata"]["name"]


def _since(raw: Raw) -> str:
    """Ready's status and since when, which moves with it."""
    ready = conditions_of(raw).get("Ready", {})
    return f"{ready.get('status')} since {ready.get('lastTransitionTime')}"

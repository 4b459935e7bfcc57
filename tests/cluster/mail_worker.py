# SPDX-License-Identifier: Apache-2.0
"""`postroom deliver` as users install it, beside the operator, and examples/tickets as the
application that it hands mail to."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import yaml

from cluster import services
from cluster.api_client import apply, service_account_kubeconfig
from cluster.audit_log import forbidden, requests_of
from cluster.objects import eventually, one
from cluster.post_office import SUPPORT, Mailboxes, PostOffice, account
from kstatus import conditions_of
from postroom.api.names import Kind
from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import NAMESPACE, ROOT, OperatorProcess

ACCOUNT = "postroom-deliver"
#: How processes tell among them whose turn it is.
ELECTED = ("--leader-election", f"--leader-election-namespace={NAMESPACE}")
USER = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
_INSTALL = ROOT / "manifests" / "install"


@contextmanager
def worker_rights(plane: ControlPlane, scratch: Path) -> Iterator[None]:
    """The component, without its Pods, which nothing here would run; it goes with the block."""
    here = os.path.relpath(_INSTALL, scratch)
    described = {"resources": [f"{here}/cluster"], "components": [f"{here}/deliver/cluster"]}
    (scratch / "kustomization.yaml").write_text(json.dumps(described))
    unrestricted = "--load-restrictor=LoadRestrictionsNone"
    text = plane.kubectl("kustomize", str(scratch), unrestricted).stdout
    own = [
        each
        for each in yaml.load_all(text, Loader=yaml.CSafeLoader)
        if ACCOUNT in each["metadata"]["name"] and each["kind"] != "Deployment"
    ]
    assert len(own) == 7
    made = yaml.safe_dump_all(own)
    apply(plane, made)
    yield
    plane.kubectl("delete", "-f", "-", "--ignore-not-found", input=made)


class TicketsProcess:
    """The receiver of examples/tickets at an address of loopback, port 8080; it reads its keys in
    `place`, and keeps its tickets there."""

    def __init__(self, address: str, place: Path) -> None:
        self.address, self.port = address, 8080
        self._data, self._log = place / "tickets.sqlite", place / "tickets.log"
        self._environment = {
            "KEYS": str(place / "keys"),
            "DATA": str(self._data),
            "HOOK": f"{address}:{self.port}",
            "PAGE": "localhost:0",
        }

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run it."""
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, str(ROOT / "examples" / "tickets" / "tickets.py")],
                stdout=log,
                stderr=log,
                env={**os.environ, **self._environment},
            )
        try:
            # Its port may be somebody else's, at all addresses.
            eventually(lambda: self._listens() or process.poll() is not None, "it listens")
            assert process.poll() is None, self._log.read_text()
            yield
        finally:
            process.terminate()
            process.wait(timeout=60)

    def _listens(self) -> bool:
        """It tells so once it takes messages."""
        return b"Hook at" in self._log.read_bytes()

    def messages(self) -> list[tuple[Any, ...]]:
        """Ticket, account, sender and subject of each message."""
        asked = (
            "SELECT ticket, account, sender, message.subject FROM message "
            "JOIN ticket ON ticket.id = ticket ORDER BY message.id"
        )
        if not self._data.exists():
            return []
        with closing(sqlite3.connect(self._data)) as opened:
            return opened.execute(asked).fetchall()

    @property
    def posts(self) -> list[str]:
        """The answer to each post."""
        lines = self._log.read_text().splitlines()
        return [line.split()[-2] for line in lines if '"POST /mail' in line]


class Tickets(ThreadingHTTPServer):
    """An application that takes messages; `answering` holds its answers back."""

    def __init__(self, address: str) -> None:
        self.taken: list[tuple[dict[str, str], bytes]] = []
        self.answering = threading.Event()
        self.answering.set()
        super().__init__((address, 0), _Taker)

    @classmethod
    @contextmanager
    def at_work(cls, address: str) -> Iterator[Self]:
        """One that listens, in a thread of its own."""
        with cls(address) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield server
            finally:
                server.answering.set()
                server.shutdown()
                thread.join(60)

    @property
    def address(self) -> str:
        return str(self.server_address[0])

    @property
    def allowed(self) -> tuple[str, ...]:
        """What lets a worker go there."""
        return (f"--allow-cidr={self.address}/32",)

    def has_taken(self, count: int) -> bool:
        return len(self.taken) >= count

    def subjects(self) -> list[bytes]:
        return [line for _, body in self.taken for line in body.splitlines() if b"Subject" in line]


class _Taker(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Tickets)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((dict(self.headers), body))
        self.server.answering.wait(60)
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def worker_processes(
    rights: ControlPlane, office: Mailboxes, namespaces: Sequence[str], tmp_path: Path, *more: str
) -> Iterator[list[OperatorProcess]]:
    """Two workers, not started yet, each with a token of its own; no request of theirs may have
    been forbidden."""
    place = tmp_path / "worker"
    place.mkdir()  # the operator's kubeconfig is beside it
    kubeconfigs = []
    for name in ("first", "second"):
        (place / name).mkdir()
        kubeconfigs.append(service_account_kubeconfig(rights, place / name, ACCOUNT))
    flags = (
        *office.reach.network_flags,
        *(f"--namespace={namespace}" for namespace in namespaces),
        f"--spool-dir={place}",
        "--log-format=text",
        *more,
    )
    made = [OperatorProcess(each, place, flags, "deliver") for each in kubeconfigs]
    yield made
    for process in made:
        process.stop()
    assert forbidden(requests_of(rights, USER)) == []


def hand_over(
    rights: ControlPlane,
    office: PostOffice,
    tickets: Tickets,
    namespace: str,
    address: str = SUPPORT,
) -> None:
    """Make an account of a namespace that hands its mail to an application, and what it names."""
    services.expose(rights, namespace, "tickets", tickets.address, tickets.server_port)
    make_key(rights, namespace, current=new_key())
    asked = {
        "service": {"name": "tickets", "port": tickets.server_port, "path": "/mail"},
        "signingKeyRef": {"name": "tickets-hook"},
    }
    spec = account(address, inbound={"deliver": asked})
    manifests = office.manifests(support=spec)
    apply(rights, manifests, namespace)


def make_key(plane: ControlPlane, namespace: str, **data: str) -> None:
    """Make the Secret that signs, or another one in its place."""
    hook = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "tickets-hook"}}
    text = json.dumps({**hook, "stringData": data})
    apply(plane, text, namespace)


def new_key() -> str:
    """A signing key as Secrets have it."""
    return "whsec_" + base64.b64encode(os.urandom(32)).decode()


def arrive(office: Mailboxes, subject: str, address: str = SUPPORT) -> None:
    """Have a message come."""
    text = f"From: a@example.net\r\nTo: {address}\r\nSubject: {subject}\r\n\r\nHello.\r\n"
    office.arrive(address, text.encode())


def delivering(plane: ControlPlane, namespace: str) -> str:
    """Status and reason of the condition."""
    found = conditions_of(one(plane, namespace, Kind.EMAIL_ACCOUNT, "support"))
    told = found.get("InboundDelivering", {})
    return f"{told.get('status')} {told.get('reason')}"

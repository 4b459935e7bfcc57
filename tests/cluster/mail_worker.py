# SPDX-License-Identifier: Apache-2.0
"""`postroom deliver` as users install it, beside the operator, and examples/tickets as the
application that it hands mail to."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import yaml

from postroom.lab.controlplane import ControlPlane
from postroom.lab.operator_process import ROOT

ACCOUNT = "postroom-deliver"
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
        for each in yaml.safe_load_all(text)
        if ACCOUNT in each["metadata"]["name"] and each["kind"] != "Deployment"
    ]
    assert len(own) == 7
    made = yaml.safe_dump_all(own)
    plane.kubectl("apply", "--server-side", "-f", "-", input=made)
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
            yield
        finally:
            process.terminate()
            process.wait(timeout=10)

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
                thread.join(10)

    def subjects(self) -> list[bytes]:
        return [line for _, body in self.taken for line in body.splitlines() if b"Subject" in line]


class _Taker(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Tickets)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((dict(self.headers), body))
        self.server.answering.wait(20)
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

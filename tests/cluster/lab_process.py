# SPDX-License-Identifier: Apache-2.0
"""A mail lab in a process of its own, and edits of its zones by DNS UPDATE."""

from __future__ import annotations

import imaplib
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import dns.query
import dns.rcode
import dns.update
import yaml

from postroom.lab.lab import DNS_PORT, IMAPS_PORT, PASSWORDS, Reach
from postroom.lab.operator_process import ROOT


class LabProcess:
    """`postroom lab` on a loopback address; `manifest` is the ConfigMap with its authority."""

    def __init__(self, address: str, state: Path) -> None:
        self.reach = Reach(address, DNS_PORT)
        self.manifest = state / "lab-ca.yaml"
        self._state = state
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "postroom", "lab"),
                f"--address={self.reach.address}",
                f"--state-dir={self._state}",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT / "operator"), "PYTHONUNBUFFERED": "1"},
        )
        assert self._process.stdout is not None
        seen = []
        for line in self._process.stdout:
            seen.append(line)
            if "Stop with" in line:
                return self
        raise AssertionError(f"the lab did not start: {''.join(seen)}")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(timeout=60)
        assert self._process.stdout is not None
        self._process.stdout.close()

    @property
    def ca_pem(self) -> str:
        """The authority of its servers."""
        return str(
            next(yaml.load_all(self.manifest.read_text(), Loader=yaml.CSafeLoader))["data"][
                "ca.crt"
            ]
        )

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop it (SIGSTOP) while the block runs: it takes connections, and says nothing."""
        assert self._process is not None
        pid = self._process.pid
        try:
            os.kill(pid, signal.SIGSTOP)
            os.waitid(os.P_PID, pid, os.WSTOPPED)
            yield
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            assert state == "T", "nobody let it go on"
        finally:
            os.kill(pid, signal.SIGCONT)

    def messages(self, address: str) -> int:
        """How many lie in an INBOX."""
        trusting = ssl.create_default_context(cadata=self.ca_pem)
        trusting.check_hostname = False
        place = self.reach.address, IMAPS_PORT
        with imaplib.IMAP4_SSL(*place, ssl_context=trusting, timeout=60) as client:
            client.login(address, PASSWORDS[address])
            _, (count,) = client.select("INBOX", readonly=True)
            assert count is not None
            return int(count)

    def put(self, zone: str, owner: str, kind: str, *texts: str) -> None:
        """Put these records in the place of all of the name and type."""
        self.update(zone, {(owner, kind): texts})

    def update(self, zone: str, records: Mapping[tuple[str, str], Sequence[str]]) -> None:
        """Put records in the place of all of their names and types, at once."""
        update = dns.update.UpdateMessage(zone)
        for (owner, kind), texts in records.items():
            update.delete(owner, kind)
            for text in texts:
                update.add(owner, 1, kind, text)
        answer = dns.query.tcp(update, self.reach.address, port=self.reach.dns_port, timeout=60)
        assert answer.rcode() == dns.rcode.NOERROR
        time.sleep(1.1)  # the TTL of what was there

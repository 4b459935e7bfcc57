# SPDX-License-Identifier: Apache-2.0
"""A mail lab in a process of its own, and edits of its zones by DNS UPDATE."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import dns.query
import dns.rcode
import dns.update

from postroom.lab.lab import DNS_PORT, Reach
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
        self._process.wait(timeout=10)
        assert self._process.stdout is not None
        self._process.stdout.close()

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
        answer = dns.query.udp(update, self.reach.address, port=self.reach.dns_port, timeout=5)
        assert answer.rcode() == dns.rcode.NOERROR
        time.sleep(1.1)  # the TTL of what was there

# SPDX-License-Identifier: Apache-2.0
"""A mail lab in a process of its own, and edits of its zones by DNS UPDATE."""

from __future__ import annotations

import imaplib
import os
import signal
import ssl
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

from cluster import forked
from cluster.objects import eventually
from forking import Forked
from postroom.lab.lab import DNS_PORT, IMAPS_PORT, PASSWORDS, Reach

#: How /proc/net/tcp says that nothing waits to be read.
_NOTHING = ":00000000"


class LabProcess:
    """`postroom lab` on a loopback address; `manifest` is the ConfigMap with its authority."""

    def __init__(self, address: str, state: Path) -> None:
        self.reach = Reach(address, DNS_PORT)
        self.manifest = state / "lab-ca.yaml"
        self._state = state
        self._process: Forked | None = None

    def __enter__(self) -> Self:
        reading, writing = os.pipe()
        self._told = open(reading)  # noqa: PTH123 - closed with the process
        with open(writing, "w") as told:  # noqa: PTH123 - a descriptor
            self._process = forked.lab(
                f"--address={self.reach.address}", f"--state-dir={self._state}", told=told
            )
        seen = []
        for line in self._told:
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
        self._told.close()

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
            eventually(lambda: _is_stopped(pid), "it is stopped")
            yield
            assert _is_stopped(pid), "nobody let it go on"
        finally:
            os.kill(pid, signal.SIGCONT)

    @contextmanager
    def _signed_in(self, address: str) -> Iterator[imaplib.IMAP4_SSL]:
        trusting = ssl.create_default_context(cadata=self.ca_pem)
        trusting.check_hostname = False
        place = self.reach.address, IMAPS_PORT
        with imaplib.IMAP4_SSL(*place, ssl_context=trusting, timeout=60) as client:
            client.login(address, PASSWORDS[address])
            yield client

    def has_unread(self, process: int) -> bool:
        """Whether a process has asked its IMAP server for something that is not read yet."""
        links = {_link_of(each) for each in Path(f"/proc/{process}/fd").iterdir()}
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        here = f":{IMAPS_PORT:04X}"
        asking = {row[1] for row in rows if row[2].endswith(here) and f"socket:[{row[9]}]" in links}
        told = {row[2] for row in rows if row[1].endswith(here) and not row[4].endswith(_NOTHING)}
        return bool(asking & told)

    def messages(self, address: str) -> int:
        """How many lie in an INBOX."""
        with self._signed_in(address) as client:
            _, (count,) = client.select("INBOX", readonly=True)
            assert count is not None
            return int(count)

    def arrive(self, recipient: str, content: bytes) -> None:
        """Have a message come: it is put into the INBOX, whoever watches that."""
        with self._signed_in(recipient) as client:
            answer, told = client.append("INBOX", "", "", content)
            assert answer == "OK", told

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


def _is_stopped(process: int) -> bool:
    """Whether all its threads are."""
    states = Path(f"/proc/{process}/task").glob("*/stat")
    return {each.read_text().rpartition(")")[2].split()[0] for each in states} == {"T"}


def _link_of(descriptor: Path) -> str:
    """Where a descriptor leads; nothing if it was closed meanwhile."""
    try:
        return str(descriptor.readlink())
    except FileNotFoundError:
        return ""

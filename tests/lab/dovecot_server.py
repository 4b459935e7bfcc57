# SPDX-License-Identifier: Apache-2.0
"""A real Dovecot without root: IMAP, submission and LMTP, with passwords and locally minted tokens.

Written for Dovecot 2.3 (Debian 12: packages dovecot-imapd, dovecot-submissiond, dovecot-lmtpd);
version 2.4 has another configuration language. What is submitted goes to an `Exchange` in the test
process, which delivers it back by LMTP: a complete round trip.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NoReturn

import pytest
import trustme
from aiosmtpd.smtp import SMTP

from lab.dovecot_server_files import server_user, write_files
from lab.mail_probing import AUTHORITY, HOST, PATIENT
from loopback import own_address
from postroom.api.mailserver import TLSMode
from postroom.mail.connect.dial import Resolve
from postroom.mail.connect.guard import DialPolicy
from postroom.mail.probes import NetworkProbes
from postroom.mail.report import Endpoint

_PACKAGES = {"imap": "dovecot-imapd", "submission": "dovecot-submissiond", "lmtp": "dovecot-lmtpd"}
#: Seconds until the server must answer, have written its log, and have ended.
PATIENCE = 120.0

PORTS = ("imap", "imaps", "submission", "submissions", "lmtp", "sasl")


def mail_program(name: str, package: str) -> str:
    """Find a mail server's program, or skip, as `cannot_run` does."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/lib/dovecot")
    if found is None:
        cannot_run(f"{name} is not installed (Debian package {package})")
    return found


def cannot_run(reason: str) -> NoReturn:
    """Skip the test; a failure where the variable demands it."""
    if os.environ.get("POSTROOM_REQUIRE_MAIL_SERVERS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@cache
def _version(program: str) -> str:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return said.stdout.strip()


def free_ports(address: str, count: int) -> list[int]:
    """Ports of TCP where nothing listens, each another."""
    with contextlib.ExitStack() as held:
        taken = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in taken:
            one.bind((address, 0))
        return [int(one.getsockname()[1]) for one in taken]


@dataclass
class Exchange:
    """Takes what was submitted, and delivers it by LMTP; an aiosmtpd handler.

    `refused` maps senders to the reply that RCPT gets after them, as servers with sender login
    maps answer; `deliver_to` changes the mailbox (``alice+Junk@example.com``); `rewrite` changes
    the message on its way.
    """

    lmtp: tuple[str, int] = ("", 0)
    refused: dict[str, str] = field(default_factory=dict)
    deliver_to: Callable[[str], str] = str
    rewrite: Callable[[bytes], bytes] = bytes
    taken: list[bytes] = field(default_factory=list)

    async def handle_RCPT(  # the name is aiosmtpd's
        self, server: object, session: object, envelope: Any, address: str, options: list[str]
    ) -> str:
        if envelope.mail_from in self.refused:
            return self.refused[envelope.mail_from]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:
        message: bytes = envelope.content
        self.taken.append(message)
        recipients = [self.deliver_to(one) for one in envelope.rcpt_tos]
        await asyncio.to_thread(self.deliver, envelope.mail_from, recipients, message)
        return "250 2.0.0 Ok: queued"

    def deliver(self, sender: str, recipients: list[str], message: bytes) -> None:
        """Put a message into mailboxes; blocks."""
        with smtplib.LMTP(*self.lmtp, local_hostname="mx.example.com", timeout=60) as session:
            session.sendmail(sender, recipients, self.rewrite(message))


@dataclass(frozen=True)
class MailServerProcess:
    """A running server; `ports` by the names of its services. Its log is the file ``log``."""

    address: str
    ports: dict[str, int]
    directory: Path

    def endpoint(self, name: str) -> Endpoint:
        """Where one of its services is, for probes that trust `AUTHORITY`."""
        mode = TLSMode.IMPLICIT if name in ("imaps", "submissions") else TLSMode.START_TLS
        authority = AUTHORITY.cert_pem.bytes().decode()
        return Endpoint(HOST, self.ports[name], mode, HOST, authority, "mail")

    def reach(self) -> tuple[DialPolicy, Resolve]:
        """What probes need to dial it, and nothing else; every name leads to it."""

        async def resolve(host: str) -> tuple[str, ...]:
            return (self.address,)

        networks = (ip_network("127.0.0.0/8"),)
        return DialPolicy(networks, frozenset(self.ports.values())), resolve

    def probes(self) -> NetworkProbes:
        """Probes with a budget of refusals of their own, that wait for nothing."""
        return NetworkProbes(*self.reach(), PATIENT, quiet=0)

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    async def logs(self, text: str) -> bool:
        """Wait until its log says this, soon: another process writes it than answers us. A failure
        shows what it says instead."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.log:
            if time.monotonic() > deadline:
                pytest.fail(f"{text!r} is not in the log:\n{self.log[-8000:]}", pytrace=False)
            await asyncio.sleep(0.02)
        return True

    async def wait(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until all services listen; fail with the server's own words."""
        deadline = time.monotonic() + PATIENCE
        waiting = list(self.ports.values())
        while process.poll() is None and time.monotonic() < deadline:
            try:
                _, writer = await asyncio.open_connection(self.address, waiting[-1])
            except OSError:
                await asyncio.sleep(0.01)
                continue
            writer.close()
            waiting.pop()
            if not waiting:
                return
        said = [one for one in ("stderr", "log") if (self.directory / one).exists()]
        words = "".join((self.directory / one).read_text(errors="replace") for one in said)
        pytest.fail(f"The server does not start: {words}")


@dataclass(frozen=True)
class Dovecot(MailServerProcess):
    """A running Dovecot; `ports` by the names in `PORTS`."""

    exchange: Exchange

    def deliver(self, recipient: str, message: bytes) -> None:
        """Put a message into a mailbox at once; blocks."""
        self.exchange.deliver("sender@example.org", [recipient], message)

    @property
    def refusals(self) -> int:
        """How many wrong passwords it was sent."""
        return self.log.count(": Password mismatch")


@asynccontextmanager
async def dovecot(
    *,
    mechanisms: str = "plain login cram-md5 xoauth2 oauthbearer",
    penalty: bool = False,
    leaf: trustme.LeafCert | None = None,
) -> AsyncIterator[Dovecot]:
    """Run Dovecot as an ordinary user, on free ports of a loopback address of this process.

    Clients do not come from that address, so that it takes no password in the clear. `penalty`
    leaves on what delays the clients that sent wrong passwords.
    """
    for module, package in _PACKAGES.items():
        mail_program(module, package)
    version = await asyncio.to_thread(_version, mail_program("dovecot", "dovecot-core"))
    if not version.startswith("2.3."):
        cannot_run(f"the lab's configuration is for Dovecot 2.3, not {version}")
    address, exchange = own_address(23), Exchange()
    with _directory() as directory:
        running = Dovecot(
            address, dict(zip(PORTS, free_ports(address, 6), strict=True)), directory, exchange
        )
        exchange.lmtp = (address, running.ports["lmtp"])
        relay = await asyncio.get_running_loop().create_server(
            lambda: SMTP(exchange, hostname="mx.example.com"), "127.0.0.1", 0
        )
        write_files(
            directory,
            address,
            running.ports,
            relay=relay.sockets[0].getsockname()[1],
            mechanisms=mechanisms,
            penalty=penalty,
            leaf=leaf or AUTHORITY.issue_cert(HOST),
        )
        try:
            async with _process(running):
                yield running
        finally:
            relay.close()
            await relay.wait_closed()


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    """A directory that the server's user may enter, unlike those of pytest, which are root's."""
    with tempfile.TemporaryDirectory(prefix="postroom-") as name:
        yield Path(name)


@asynccontextmanager
async def _process(running: Dovecot) -> AsyncIterator[None]:
    """Run the server until the end of the block."""
    user, group = server_user()
    changed = os.getuid() == 0
    command = [mail_program("dovecot", "dovecot-core"), "-F", "-c"]
    with (running.directory / "stderr").open("wb") as stream:
        process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
            [*command, running.directory / "dovecot.conf"],
            stdout=stream,
            stderr=stream,
            start_new_session=True,
            user=user if changed else None,
            group=group if changed else None,
            extra_groups=[] if changed else None,
        )
    try:
        await running.wait(process)
        yield
    finally:
        await _stop(process)


async def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server and its children, of which it is the group's leader.

    Not with SIGTERM, after which it looks only every second whether they have ended.
    """
    os.killpg(process.pid, signal.SIGKILL)
    await asyncio.to_thread(process.wait, timeout=PATIENCE)

# SPDX-License-Identifier: Apache-2.0
"""Probes against servers that misbehave in every way, and against the lab's that do not.

Covers: each stage's failures for SMTP and IMAP; certificates; that nothing is sent in the clear,
one AUTH attempt is made, no secret shows anywhere, no text of a server is repeated, no task and no
socket is left; and the budget of refusals per host.
"""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from lab.hostile import Hostile, Step, smtp_until_auth
from loopback import own_address
from postroom.api.mailserver import ProbeStage, TLSMode
from postroom.api.masked import Masked
from postroom.api.reasons import Reason
from postroom.lab.lab import IMAPS_PORT, SUBMISSION_PORT, SUBMISSIONS_PORT, Lab
from postroom.mail.dial import Deadlines
from postroom.mail.guard import DialPolicy
from postroom.mail.probes import NetworkProbes
from postroom.mail.report import Endpoint, Login, ProbeReport

CANARY = 'hunter2"\\ canary-Gs8'
LOGIN = Login("user@example.com", Masked(CANARY))
HOST = "mail.example.com"
SOON = Deadlines(resolve=0.5, connect=0.5, tls=0.5, greeting=0.5, command=0.5, auth=0.5, total=4)
AUTHORITY = trustme.CA()


def context(*names: str, ca: trustme.CA = AUTHORITY, days: int | None = None) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ends = datetime.now(UTC) + timedelta(days=days) if days is not None else None
    ca.issue_cert(*(names or (HOST,)), not_after=ends).configure_cert(made)
    return made


def probes(
    port: int,
    addresses: tuple[str, ...] | None = ("127.0.0.1",),
    deadlines: Deadlines = SOON,
) -> NetworkProbes:
    async def resolve(host: str) -> tuple[str, ...] | None:
        return addresses

    policy = DialPolicy((ipaddress.ip_network("127.0.0.0/8"),), frozenset({port}))
    return NetworkProbes(policy, resolve, deadlines)


def endpoint(port: int, mode: TLSMode = TLSMode.NONE) -> Endpoint:
    bundle = AUTHORITY.cert_pem.bytes().decode()
    return Endpoint(HOST, port, mode, HOST, bundle, "mail")


async def smtp(server: Hostile, mode: TLSMode, login: Login | None = None) -> ProbeReport:
    return await probes(server.port).smtp(endpoint(server.port, mode), login)


async def imap(server: Hostile, login: Login | None = LOGIN) -> ProbeReport:
    return await probes(server.port).imap(endpoint(server.port, TLSMode.IMPLICIT), login, "INBOX")


def outcome(report: ProbeReport) -> tuple[str, str]:
    return report.stage.value, report.reason.value


@pytest.fixture(autouse=True)
async def nothing_leaks(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """No secret in any log, no task and no socket left behind."""
    caplog.set_level(logging.DEBUG)
    before = asyncio.all_tasks()
    yield
    for _ in range(20):
        await asyncio.sleep(0.01)
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    ours = [one for one in left if not one.done() and "postroom" in repr(one.get_stack())]
    assert ours == []
    gc.collect()
    assert "hunter2" not in caplog.text
    assert "canary" not in caplog.text


PLAIN: list[tuple[str, tuple[Step, ...], str, str]] = [
    ("silence", ("stall",), "Greeting", "ConnectionTimeout"),
    ("closed at once", ("close",), "Greeting", "UnexpectedGreeting"),
    ("reset", ("reset",), "Greeting", "UnexpectedGreeting"),
    ("http", (b"HTTP/1.1 400 Bad Request\r\n\r\n",), "Greeting", "UnexpectedGreeting"),
    ("ssh", (b"SSH-2.0-OpenSSH_9.6\r\n", "stall"), "Greeting", "UnexpectedGreeting"),
    ("binary", (b"\x00\xff\x15\x03\r\n", "stall"), "Greeting", "UnexpectedGreeting"),
    ("421", (b"421 4.7.0 canary busy\r\n",), "Greeting", "ServiceUnavailable"),
    ("554", (b"554 5.7.1 canary blocked\r\n",), "Greeting", "ServiceUnavailable"),
    ("endless", ("endless",), "Greeting", "UnexpectedGreeting"),
    ("ehlo refused", (b"220 x\r\n", "read", b"502 no\r\n", "stall"), "Capabilities", ""),
    ("ehlo then silence", (b"220 x\r\n", "read", "stall"), "Capabilities", "ConnectionTimeout"),
    ("ehlo then closed", (b"220 x\r\n", "read", "close"), "Capabilities", "ProbeInconclusive"),
]


@pytest.mark.parametrize(
    ("steps", "stage", "reason"), [p[1:] for p in PLAIN], ids=[p[0] for p in PLAIN]
)
async def test_smtp_servers_that_misbehave(
    steps: tuple[Step, ...], stage: str, reason: str
) -> None:
    async with Hostile(*steps) as server:
        report = await smtp(server, TLSMode.NONE)
    assert report.stage.value == stage
    assert report.reason.value == reason or not reason
    assert "canary" not in report.message


async def test_nothing_listens() -> None:
    async with Hostile() as server:
        pass
    assert outcome(await smtp(server, TLSMode.NONE)) == ("Connect", "ConnectionRefused")


async def test_a_name_without_addresses() -> None:
    report = await probes(587, ()).smtp(endpoint(587), None)
    assert (*outcome(report), report.conclusive) == ("Resolve", "HostNotFound", True)


async def test_a_name_that_cannot_be_looked_up() -> None:
    report = await probes(587, None).smtp(endpoint(587), None)
    assert (*outcome(report), report.conclusive) == ("Resolve", "LookupFailed", False)


async def test_denied_targets_are_not_dialled() -> None:
    inner = await probes(587, ("10.0.0.1",)).smtp(endpoint(587), None)
    assert outcome(inner) == ("Guard", "AddressDenied")
    odd = await probes(587).smtp(endpoint(6379), None)
    assert outcome(odd) == ("Guard", "PortDenied")


async def test_credentials_are_not_sent_in_the_clear() -> None:
    async with Hostile(*smtp_until_auth(b"AUTH PLAIN LOGIN", after=("read",))) as server:
        report = await smtp(server, TLSMode.NONE, LOGIN)
    assert outcome(report) == ("Auth", "EncryptionRequired")
    assert server.received == []


async def test_a_stripped_starttls_ends_the_probe() -> None:
    async with Hostile(*smtp_until_auth(b"AUTH PLAIN", after=("read", "stall"))) as server:
        report = await smtp(server, TLSMode.START_TLS, LOGIN)
    assert outcome(report) == ("Capabilities", "StartTLSNotOffered")
    assert not any(b"AUTH" in one for one in server.received)


CERTIFICATES = [
    ("other name", context("other.example.com"), "CertificateNameMismatch"),
    ("expired", context(days=-1), "CertificateExpired"),
    ("other authority", context(ca=trustme.CA()), "CertificateUntrusted"),
]


@pytest.mark.parametrize(
    ("made", "reason"), [c[1:] for c in CERTIFICATES], ids=[c[0] for c in CERTIFICATES]
)
@pytest.mark.parametrize("mode", [TLSMode.START_TLS, TLSMode.IMPLICIT])
async def test_bad_certificates(made: ssl.SSLContext, reason: str, mode: TLSMode) -> None:
    implicit = mode is TLSMode.IMPLICIT
    plain = smtp_until_auth(b"STARTTLS", after=("read", b"220 go\r\n", "tls"))
    steps: tuple[Step, ...] = (b"220 x\r\n", "stall") if implicit else plain
    async with Hostile(*steps, context=made, implicit=implicit) as server:
        report = await smtp(server, mode, LOGIN)
    assert outcome(report) == ("TLS", reason)
    assert report.tls is not None
    assert report.tls.dns_names
    assert report.tls.version is None
    assert not any(b"AUTH" in one for one in server.received)


async def test_plain_smtp_where_tls_is_expected() -> None:
    async with Hostile(b"220 x\r\n", "stall") as server:
        report = await smtp(server, TLSMode.IMPLICIT)
    assert outcome(report) == ("TLS", "HandshakeFailed")
    assert "StartTLS" in report.message


async def test_a_bundle_that_is_none() -> None:
    where = replace(endpoint(587, TLSMode.IMPLICIT), ca_bundle="not PEM")
    assert outcome(await probes(587).smtp(where, None)) == ("TLS", "CABundleInvalid")


AUTH: list[tuple[str, bytes, tuple[Step, ...], str, bool]] = [
    ("535", b"AUTH PLAIN", ("read", b"535 5.7.8 canary\r\n"), "AuthenticationRejected", True),
    ("454", b"AUTH PLAIN", ("read", b"454 4.7.0 canary\r\n"), "TemporaryFailure", False),
    ("no auth", b"SIZE 10", ("stall",), "CapabilityMissing", True),
    ("oauth only", b"AUTH XOAUTH2", ("stall",), "MechanismUnsupported", True),
    ("silence", b"AUTH PLAIN", ("read", "stall"), "ConnectionTimeout", False),
    ("closed", b"AUTH PLAIN", ("read", "close"), "ProbeInconclusive", False),
]


@pytest.mark.parametrize(
    ("offer", "after", "reason", "conclusive"), [a[1:] for a in AUTH], ids=[a[0] for a in AUTH]
)
async def test_smtp_logins_that_fail(
    offer: bytes, after: tuple[Step, ...], reason: str, conclusive: bool
) -> None:
    steps = smtp_until_auth(offer, after=after)
    async with Hostile(*steps, context=context(), implicit=True) as server:
        report = await smtp(server, TLSMode.IMPLICIT, LOGIN)
    assert (*outcome(report), report.conclusive) == ("Auth", reason, conclusive)
    assert sum(one.startswith(b"AUTH") for one in server.received) <= 1
    for text in (report.message, repr(report)):
        assert "canary" not in text
        assert "hunter2" not in text


IMAP: list[tuple[str, tuple[Step, ...], str, str]] = [
    ("silence", ("stall",), "Greeting", "ConnectionTimeout"),
    ("bye", (b"* BYE canary\r\n",), "Greeting", "ServiceUnavailable"),
    ("smtp", (b"220 mail.example.com ESMTP\r\n", "stall"), "Greeting", "UnexpectedGreeting"),
    ("closed", ("close",), "Greeting", "ProbeInconclusive"),
    ("endless line", ("endless",), "Greeting", "UnexpectedGreeting"),
    ("greets, then silence", (b"* OK ready\r\n", "stall"), "Capabilities", "ConnectionTimeout"),
    ("greets, then bye", (b"* OK x\r\n", "read", b"* BYE canary\r\n"), "Capabilities", ""),
    ("greets, then closed", (b"* OK x\r\n", "read", "close"), "Capabilities", "ProbeInconclusive"),
    (
        "ten thousand lines",
        (b"* OK x\r\n", "read", b"* LIST () NIL x\r\n" * 10_000, "stall"),
        "Capabilities",
        "ConnectionTimeout",
    ),
    (
        "a literal without end",
        (b"* OK x\r\n", "read", b"* LIST {99999999}\r\n", "endless"),
        "Greeting",
        "UnexpectedGreeting",
    ),
]


@pytest.mark.parametrize(
    ("steps", "stage", "reason"), [i[1:] for i in IMAP], ids=[i[0] for i in IMAP]
)
async def test_imap_servers_that_misbehave(
    steps: tuple[Step, ...], stage: str, reason: str
) -> None:
    async with Hostile(*steps, context=context(), implicit=True) as server:
        report = await imap(server)
    assert report.stage.value == stage
    assert report.reason.value == reason or not reason
    assert "canary" not in repr(report)


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with Lab(tmp_path, address=own_address(2)) as running:
        yield running


def lab_endpoint(lab: Lab, host: str, port: int, mode: TLSMode) -> tuple[NetworkProbes, Endpoint]:
    made = probes(port, (lab.reach.address,), Deadlines())
    name = f"{host}.mail.example.org"
    return made, Endpoint(name, port, mode, name, lab.ca_pem, "mail")


RELAY = Login("relay@example.com", Masked("lab-relay-password"))


@pytest.mark.parametrize(
    ("port", "mode"),
    [(SUBMISSION_PORT, TLSMode.START_TLS), (SUBMISSIONS_PORT, TLSMode.IMPLICIT)],
)
async def test_smtp_works(lab: Lab, port: int, mode: TLSMode) -> None:
    made, where = lab_endpoint(lab, "smtp", port, mode)
    report = await made.smtp(where, RELAY)
    assert (outcome(report), report.authenticated) == (("Done", "ProbeSucceeded"), True)
    assert report.server is not None
    assert "PLAIN" in report.server.auth_mechanisms
    assert report.tls is not None
    assert report.tls.version == "TLSv1.3"


async def test_imap_works(lab: Lab) -> None:
    made, where = lab_endpoint(lab, "imap", IMAPS_PORT, TLSMode.IMPLICIT)
    report = await made.imap(where, RELAY, "INBOX")
    assert outcome(report) == ("Done", "ProbeSucceeded")
    assert report.mailbox is not None
    assert (report.mailbox.messages, report.mailbox.unseen, report.mailbox.uid_next) == (3, 3, 4)


@pytest.mark.parametrize(
    ("login", "mailbox", "stage", "reason"),
    [
        (LOGIN, "INBOX", "Auth", "AuthenticationRejected"),
        (RELAY, "Archive", "Mailbox", "MailboxNotFound"),
        (RELAY, "Entwürfe", "Mailbox", "MailboxNotFound"),
    ],
)
async def test_imap_refuses(lab: Lab, login: Login, mailbox: str, stage: str, reason: str) -> None:
    made, where = lab_endpoint(lab, "imap", IMAPS_PORT, TLSMode.IMPLICIT)
    report = await made.imap(where, login, mailbox)
    assert outcome(report) == (stage, reason)
    assert "hunter2" not in repr(report)


async def test_too_many_refusals_pause_signing_in_for_all(lab: Lab) -> None:
    made, where = lab_endpoint(lab, "smtp", SUBMISSIONS_PORT, TLSMode.IMPLICIT)
    for _ in range(3):
        assert (await made.smtp(where, LOGIN)).reason is Reason.AUTHENTICATION_REJECTED
    paused = await made.smtp(where, RELAY)
    assert (paused.stage, paused.reason) == (ProbeStage.AUTH, Reason.NOT_ATTEMPTED)
    assert not paused.conclusive
    assert (await made.smtp(where, None)).stage is ProbeStage.DONE


async def test_a_cancelled_probe_leaves_nothing() -> None:
    async with Hostile("stall", context=context(), implicit=True) as server:
        task = asyncio.create_task(imap(server))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

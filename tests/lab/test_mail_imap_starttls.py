# SPDX-License-Identifier: Apache-2.0
"""IMAP that begins in the clear: STARTTLS or nothing.

Covers: the upgrade, with what is asked again after it; servers that do not offer, refuse or break
it; what is injected before TLS begins; certificates; and that no credential is sent in the clear.
"""

from __future__ import annotations

import pytest

from lab.hostile import Answers, Hostile, Step, answer, imap_until_login
from lab.mail_probing import (
    ECHO,
    LOGIN,
    context,
    imap,
    nothing_leaks,  # noqa: F401 - a fixture
    outcome,
    verdict,
)
from postroom.api.mailserver import TLSMode
from postroom.mail.report import Login, ProbeReport

OFFERED = answer(b"OK done", b"CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED AUTH=PLAIN")


async def probed(
    *steps: Step, login: Login | None = LOGIN, mode: TLSMode = TLSMode.START_TLS, name: str = ""
) -> tuple[ProbeReport, list[bytes]]:
    made = context(name) if name else context()
    async with Hostile(*steps, context=made) as server:
        report = await imap(server, login, mode=mode)
    return report, server.received


def upgraded(*capabilities: bytes, after: tuple[Step, ...] = ()) -> tuple[Step, ...]:
    """Upgrade, answer CAPABILITY anew with these, then play the rest."""
    begun = imap_until_login(b"STARTTLS", b"LOGINDISABLED")
    secure = imap_until_login(*capabilities, after=after)[1:]
    return (*begun, "read", answer(b"OK go"), "tls", *secure)


def secrets_sent(received: list[bytes]) -> bool:
    return any(b"LOGIN" in one or b"AUTHENTICATE" in one for one in received)


async def test_the_upgrade() -> None:
    opened: tuple[Step, ...] = ("read", answer(b"NO x"), "read", answer(b"OK", b"3 EXISTS"), "read")
    steps = upgraded(b"AUTH=PLAIN", b"SASL-IR", after=("read", answer(b"OK in"), *opened))
    report, received = await probed(*steps)
    assert (outcome(report), report.authenticated) == (("Done", "ProbeSucceeded"), True)
    assert [one.split()[1] for one in received[:4]] == [
        b"CAPABILITY",
        b"STARTTLS",
        b"CAPABILITY",
        b"AUTHENTICATE",
    ]
    assert report.tls is not None
    assert report.tls.version is not None
    assert report.mailbox is not None
    assert report.mailbox.messages == 3


async def test_what_was_offered_in_the_clear_no_longer_counts() -> None:
    report, received = await probed(*upgraded(b"LOGINDISABLED", after=("stall",)))
    assert verdict(report) == ("Auth", "MechanismUnsupported", True)
    assert report.server is not None
    assert report.server.capabilities == ["IMAP4REV1", "LOGINDISABLED"]
    assert not secrets_sent(received)


async def test_alerts_that_anyone_could_have_told_in_the_clear_are_not_shown() -> None:
    steps = upgraded(after=("read", answer(b"NO No"), "stall"))
    told = b"* OK [ALERT] Call this number\r\n"
    report, _ = await probed(told, steps[1], told, *steps[2:])
    assert (report.reason.value, report.server_text) == ("AuthenticationRejected", "No")


FAILURES: dict[str, tuple[tuple[Step, ...], tuple[str, str, bool]]] = {
    "no": (("read", answer(b"NO canary"), "stall"), ("TLS", "HandshakeFailed", True)),
    "bad": (("read", answer(b"BAD canary"), "stall"), ("TLS", "HandshakeFailed", True)),
    "bye": (("read", b"* BYE canary\r\n"), ("TLS", "ServiceUnavailable", False)),
    "silence": (("read", "stall"), ("TLS", "HandshakeFailed", False)),
    "silence after ok": (("read", answer(b"OK"), "stall"), ("TLS", "HandshakeFailed", False)),
    "closed": (("read", "close"), ("TLS", "ProbeInconclusive", False)),
    "reset": (("read", "reset"), ("TLS", "ProbeInconclusive", False)),
    "closed in the answer": (("read", b"A1 O", "close"), ("TLS", "ProbeInconclusive", False)),
    "closed after ok": (("read", answer(b"OK"), "close"), ("TLS", "HandshakeFailed", True)),
    "reset after ok": (("read", answer(b"OK"), "reset"), ("TLS", "HandshakeFailed", True)),
    "goes on in the clear": (
        ("read", answer(b"OK"), "read", b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n", "stall"),
        ("TLS", "HandshakeFailed", True),
    ),
    "endless": (("read", "endless"), ("TLS", "ProbeInconclusive", False)),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_servers_that_fail_at_starttls(name: str) -> None:
    after, expected = FAILURES[name]
    report, received = await probed(b"* OK x\r\n", "read", OFFERED, *after)
    assert verdict(report) == expected
    assert not secrets_sent(received)
    assert ECHO not in repr(report)


async def test_a_stripped_starttls_ends_the_probe() -> None:
    report, received = await probed(*imap_until_login(b"AUTH=PLAIN", after=("read", "stall")))
    assert verdict(report) == ("Capabilities", "StartTLSNotOffered", True)
    assert not secrets_sent(received)


@pytest.mark.parametrize("login", [LOGIN, None])
async def test_preauth_is_too_late_for_starttls(login: Login | None) -> None:
    report, received = await probed(b"* PREAUTH canary\r\n", "stall", login=login)
    assert verdict(report) == ("Greeting", "StartTLSNotOffered", True)
    assert received == []


@pytest.mark.parametrize("more", [b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n", b"*", b"A1 OK x\r\n"])
async def test_what_is_injected_before_tls_ends_the_probe(more: bytes) -> None:
    def injected(command: bytes) -> bytes:
        return command.split()[0] + b" OK go\r\n" + more

    steps = imap_until_login(b"STARTTLS", after=("read", injected, "tls", "read"))
    report, received = await probed(*steps)
    assert verdict(report) == ("TLS", "HandshakeFailed", True)
    assert "someone in between" in report.message
    assert not secrets_sent(received)


async def test_a_literal_before_tls_takes_nothing_from_what_follows() -> None:
    def announcing(command: bytes) -> bytes:
        return command.split()[0] + b" OK {0}\r\n"

    secure = imap_until_login(b"IDLE", after=("read",))[1:]
    steps = imap_until_login(b"STARTTLS", after=("read", announcing, "tls", *secure))
    report, _ = await probed(*steps, login=None)
    assert outcome(report) == ("Done", "ProbeSucceeded")
    assert report.server is not None
    assert report.server.capabilities == ["IDLE", "IMAP4REV1"]


async def test_a_certificate_for_another_name_is_looked_at_again() -> None:
    steps = Answers(
        {b"CAPABILITY": (OFFERED,), b"STARTTLS": (answer(b"OK go"), "tls")}, until=b"STARTTLS"
    )
    report, received = await probed(b"* OK x\r\n", steps, name="other.example.com")
    assert verdict(report) == ("TLS", "CertificateNameMismatch", True)
    assert "other.example.com" in report.message
    assert not secrets_sent(received)


async def test_a_server_that_waits_for_tls() -> None:
    async with Hostile(b"* OK x\r\n", "stall", context=context(), implicit=True) as server:
        report = await imap(server, mode=TLSMode.START_TLS)
    assert verdict(report) == ("Greeting", "UnexpectedGreeting", True)
    assert "waits for TLS from the first byte" in report.message


async def test_capabilities_may_be_asked_in_the_clear_without_a_login() -> None:
    steps = imap_until_login(b"STARTTLS", after=("read",))
    report, received = await probed(*steps, login=None, mode=TLSMode.NONE)
    assert (outcome(report), report.tls) == (("Done", "ProbeSucceeded"), None)
    assert received[-1] == b"zz LOGOUT\r\n"


async def test_what_was_told_in_the_clear_is_not_told_after_it() -> None:
    """RFC 9051 section 6.2.1: not even where the server says nothing more."""
    begun = imap_until_login(b"STARTTLS", b"QUOTA")
    report, _ = await probed(*begun, "read", answer(b"OK go"), "tls", "read", "close")
    assert report.tls is not None
    assert report.server is None

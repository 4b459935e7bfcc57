# SPDX-License-Identifier: Apache-2.0
"""SMTP probes against servers that misbehave in every way.

Covers: greetings, EHLO, STARTTLS and AUTH, each with the stage, the reason and whether it is a
verdict; servers that speak TLS where none is expected and the other way round; that nothing is
sent in the clear, and one AUTH attempt is made with one mechanism.
"""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest

from lab.hostile import Hostile, Step, smtp_until_auth
from lab.mail_probing import (
    ECHO,
    LOGIN,
    PASSWORD,
    context,
    nothing_leaks,  # noqa: F401 - a fixture
    outcome,
    smtp,
    verdict,
)
from postroom.api.mailserver import TLSMode
from postroom.api.masked import Masked
from postroom.mail.report import Login, ProbeReport

GREETINGS: dict[str, tuple[tuple[Step, ...], str, bool]] = {
    "silence": (("stall",), "ConnectionTimeout", True),
    "closed at once": (("close",), "ProbeInconclusive", False),
    "reset": (("reset",), "ProbeInconclusive", False),
    "http": ((b"HTTP/1.1 400 Bad Request\r\n\r\n",), "UnexpectedGreeting", True),
    "ssh": ((b"SSH-2.0-OpenSSH_9.6\r\n", "stall"), "UnexpectedGreeting", True),
    "imap": ((b"* OK IMAP4rev1\r\n", "stall"), "UnexpectedGreeting", True),
    "binary": ((b"\x00\xff\x15\x03\r\n", "stall"), "UnexpectedGreeting", True),
    "a number that is no reply": ((b"007 canary\r\n", "stall"), "UnexpectedGreeting", True),
    "a negative number": ((b"-42 canary\r\n", "stall"), "UnexpectedGreeting", True),
    "421": ((b"421 4.7.0 canary busy\r\n",), "ServiceUnavailable", False),
    "554": ((b"554 5.7.1 canary blocked\r\n",), "ServiceUnavailable", True),
    "endless line": (("endless",), "UnexpectedGreeting", True),
}


@pytest.mark.parametrize("name", GREETINGS)
async def test_greetings(name: str) -> None:
    steps, reason, conclusive = GREETINGS[name]
    async with Hostile(*steps) as server:
        report = await smtp(server, TLSMode.NONE)
    assert verdict(report) == ("Greeting", reason, conclusive)
    assert ECHO not in repr(report)


async def test_codes_of_a_greeting_are_facts() -> None:
    async with Hostile(b"554 5.7.1 go away\r\n") as server:
        report = await smtp(server, TLSMode.NONE)
    assert (report.code, report.enhanced_code) == (554, "5.7.1")


CAPABILITIES: dict[str, tuple[tuple[Step, ...], str, bool]] = {
    "refused": ((b"502 canary\r\n", "stall"), "CapabilityMissing", True),
    "421": ((b"421 canary\r\n", "stall"), "ServiceUnavailable", False),
    "silence": (("stall",), "ConnectionTimeout", False),
    "closed": (("close",), "ProbeInconclusive", False),
    "garbage": ((b"\xff\xfe canary\r\n", "stall"), "UnexpectedGreeting", True),
    "lines without end": ((b"250-X canary\r\n" * 9000, "stall"), "UnexpectedGreeting", True),
}


@pytest.mark.parametrize("name", CAPABILITIES)
async def test_answers_to_ehlo(name: str) -> None:
    after, reason, conclusive = CAPABILITIES[name]
    async with Hostile(b"220 x\r\n", "read", *after) as server:
        report = await smtp(server, TLSMode.NONE)
    assert verdict(report) == ("Capabilities", reason, conclusive)
    assert ECHO not in repr(report)


async def test_facts_of_a_server() -> None:
    offers = (b"SIZE 1000", b"AUTH PLAIN LOGIN", b"AUTH=LOGIN", b"8BITMIME", b"x\xff\xfe", b"<b>")
    steps = (b"220 mx ESMTP Postfix\r\n", *smtp_until_auth(*offers)[1:])
    async with Hostile(*steps) as server:
        report = await smtp(server, TLSMode.NONE)
    assert outcome(report) == ("Done", "ProbeSucceeded")
    assert report.server is not None
    assert report.server.implementation == "Postfix"
    assert report.server.capabilities == ["8BITMIME", "AUTH", "HELP", "SIZE"]
    assert report.server.auth_mechanisms == ["LOGIN", "PLAIN"]
    assert report.server.max_message_size == 1000


async def test_the_farewell_is_not_awaited() -> None:
    async with Hostile(*smtp_until_auth(b"SIZE 10", after=("read", "stall"))) as server:
        report = await smtp(server, TLSMode.NONE)
    assert outcome(report) == ("Done", "ProbeSucceeded")
    assert server.received[-1] == b"QUIT\r\n"


async def test_credentials_are_not_sent_in_the_clear() -> None:
    async with Hostile(*smtp_until_auth(b"AUTH PLAIN LOGIN", after=("read",))) as server:
        report = await smtp(server, TLSMode.NONE, LOGIN)
    assert outcome(report) == ("Auth", "EncryptionRequired")
    assert server.connections == 0


START_TLS: dict[str, tuple[tuple[Step, ...], str, bool]] = {
    "454": (("read", b"454 4.7.0 canary\r\n", "stall"), "HandshakeFailed", False),
    "502": (("read", b"502 5.5.1 canary\r\n", "stall"), "HandshakeFailed", True),
    "silence": (("read", "stall"), "HandshakeFailed", False),
    "silence after 220": (("read", b"220 go\r\n", "stall"), "HandshakeFailed", False),
    "closed": (("read", "close"), "HandshakeFailed", True),
    "closed after 220": (("read", b"220 go\r\n", "close"), "HandshakeFailed", True),
    "goes on in the clear": (
        ("read", b"220 go\r\n", "read", b"250 AUTH PLAIN\r\n", "stall"),
        "HandshakeFailed",
        True,
    ),
}


@pytest.mark.parametrize("name", START_TLS)
async def test_servers_that_fail_at_starttls(name: str) -> None:
    after, reason, conclusive = START_TLS[name]
    async with Hostile(*smtp_until_auth(b"STARTTLS", b"AUTH PLAIN", after=after)) as server:
        report = await smtp(server, TLSMode.START_TLS, LOGIN)
    assert verdict(report) == ("TLS", reason, conclusive)
    assert not any(b"AUTH" in one for one in server.received)
    assert ECHO not in report.message


async def test_a_stripped_starttls_ends_the_probe() -> None:
    async with Hostile(*smtp_until_auth(b"AUTH PLAIN", after=("read", "stall"))) as server:
        report = await smtp(server, TLSMode.START_TLS, LOGIN)
    assert outcome(report) == ("Capabilities", "StartTLSNotOffered")
    assert not any(b"AUTH" in one for one in server.received)


@pytest.mark.parametrize("more", [b"250-x\r\n250 AUTH PLAIN\r\n", b"2", b"\r\n"])
@pytest.mark.parametrize("reply", [b"220 go\r\n", b"220-go\r\n220 ahead\r\n", b"220\r\n"])
async def test_what_is_injected_before_tls_ends_the_probe(reply: bytes, more: bytes) -> None:
    """RFC 3207 section 4.2: only what comes through TLS counts, and nobody honest sends more."""
    secure = smtp_until_auth(b"AUTH PLAIN", after=("read",))[1:]
    steps = smtp_until_auth(b"STARTTLS", after=("read", reply + more, "tls", *secure))
    async with Hostile(*steps, context=context()) as server:
        report = await smtp(server, TLSMode.START_TLS, LOGIN)
    assert verdict(report) == ("TLS", "HandshakeFailed", True)
    assert "someone in between" in report.message
    assert "use the port for implicit TLS (465), or mend the server" in report.message
    assert not any(b"AUTH" in one for one in server.received)


async def test_plain_smtp_where_tls_is_expected() -> None:
    async with Hostile(b"220 x\r\n", "stall") as server:
        report = await smtp(server, TLSMode.IMPLICIT)
    assert outcome(report) == ("TLS", "HandshakeFailed")
    assert "set tls.mode to StartTLS" in report.message


async def test_no_tls_where_tls_is_expected() -> None:
    async with Hostile("stall") as server:
        report = await smtp(server, TLSMode.IMPLICIT)
    assert outcome(report) == ("TLS", "HandshakeFailed")
    assert "set tls.mode to StartTLS" in report.message


@pytest.mark.parametrize("mode", [TLSMode.START_TLS, TLSMode.NONE])
async def test_tls_where_plain_smtp_is_expected(mode: TLSMode) -> None:
    async with Hostile(b"220 x\r\n", "stall", context=context(), implicit=True) as server:
        report = await smtp(server, mode)
    assert verdict(report) == ("Greeting", "UnexpectedGreeting", True)
    assert "set tls.mode to Implicit" in report.message


async def test_tls_without_a_greeting() -> None:
    async with Hostile("stall", context=context(), implicit=True) as server:
        report = await smtp(server, TLSMode.IMPLICIT, LOGIN)
    assert outcome(report) == ("Greeting", "ConnectionTimeout")
    assert "StartTLS" not in report.message
    assert report.tls is not None
    assert report.tls.version is not None


REFUSALS: dict[str, tuple[bytes, tuple[Step, ...], str, bool, bool | None]] = {
    "535": (b"PLAIN", (b"535 5.7.8 canary\r\n",), "AuthenticationRejected", True, False),
    "535 to the name": (b"LOGIN", (b"535 canary\r\n",), "AuthenticationRejected", True, False),
    "454": (b"PLAIN", (b"454 4.7.0 canary\r\n",), "TemporaryFailure", False, None),
    "421": (b"PLAIN", (b"421 4.7.0 canary\r\n",), "ServiceUnavailable", False, None),
    "421 to the name": (b"LOGIN", (b"421 canary\r\n",), "ServiceUnavailable", False, None),
    "538": (b"PLAIN", (b"538 5.7.11 canary\r\n",), "EncryptionRequired", True, None),
    "504": (b"PLAIN", (b"504 5.5.4 canary\r\n",), "MechanismUnsupported", True, None),
    "503": (b"PLAIN", (b"503 5.5.1 canary\r\n",), "CapabilityMissing", True, None),
    "asks for more": (b"PLAIN", (b"334 canary\r\n",), "ProbeInconclusive", False, None),
    "250": (b"PLAIN", (b"250 canary\r\n",), "ProbeInconclusive", False, None),
    "garbage": (b"PLAIN", (b"canary\r\n", "stall"), "ProbeInconclusive", False, None),
    "bad challenge": (b"CRAM-MD5", (b"334 a\r\n", "stall"), "ProbeInconclusive", False, None),
    "silence": (b"PLAIN", ("stall",), "ConnectionTimeout", False, None),
    "closed": (b"PLAIN", ("close",), "ProbeInconclusive", False, None),
}


async def signing_in(*offers: bytes, after: tuple[Step, ...]) -> tuple[ProbeReport, list[bytes]]:
    steps = smtp_until_auth(*offers, after=after)
    async with Hostile(*steps, context=context(), implicit=True) as server:
        report = await smtp(server, TLSMode.IMPLICIT, LOGIN)
    return report, server.received


@pytest.mark.parametrize("name", REFUSALS)
async def test_logins_that_fail(name: str) -> None:
    mechanism, after, reason, conclusive, authenticated = REFUSALS[name]
    report, received = await signing_in(b"AUTH " + mechanism, after=("read", *after))
    assert verdict(report) == ("Auth", reason, conclusive)
    assert report.authenticated is authenticated
    assert sum(one.startswith(b"AUTH") for one in received) == 1
    assert ECHO not in repr(report)


async def test_a_refusal_names_its_cause_and_how_long_to_wait() -> None:
    busy, _ = await signing_in(b"AUTH PLAIN", after=("read", b"454 4.7.0 Too many logins\r\n"))
    assert (busy.cause, busy.retry_after) == ("TooManyLogins", timedelta(hours=1))
    wrong, _ = await signing_in(b"AUTH PLAIN", after=("read", b"535 5.7.8 no\r\n"))
    assert (wrong.cause, wrong.retry_after) == ("AuthenticationFailed", None)


async def test_a_greeting_that_refuses_names_its_cause() -> None:
    async with Hostile(b"421 4.7.0 busy\r\n") as server:
        report = await smtp(server, TLSMode.NONE)
    assert (report.cause, report.retry_after) == ("ServerBusy", None)


async def test_a_server_without_auth() -> None:
    report, received = await signing_in(b"SIZE 10", after=("stall",))
    assert verdict(report) == ("Auth", "CapabilityMissing", True)
    assert not any(one.startswith(b"AUTH") for one in received)


async def test_no_mechanism_in_common() -> None:
    report, received = await signing_in(b"AUTH XOAUTH2 <canary>", after=("stall",))
    assert verdict(report) == ("Auth", "MechanismUnsupported", True)
    assert "only XOAUTH2;" in report.message
    assert not any(one.startswith(b"AUTH") for one in received)


async def test_one_mechanism_is_chosen() -> None:
    offers = b"AUTH CRAM-MD5 LOGIN PLAIN XOAUTH2"
    report, received = await signing_in(offers, after=("read", b"235 2.7.0 ok\r\n"))
    assert report.authenticated is True
    assert [one.split()[1] for one in received if one.startswith(b"AUTH")] == [b"PLAIN"]


async def test_signing_in_with_login() -> None:
    steps = ("read", b"334 UGFzc3dvcmQ6\r\n", "read", b"235 ok\r\n")
    report, received = await signing_in(b"AUTH LOGIN CRAM-MD5", after=steps)
    assert report.authenticated is True
    assert base64.b64decode(received[2]) == PASSWORD.encode()


async def test_signing_in_with_cram_md5() -> None:
    """The example of RFC 2195 section 2."""
    challenge = b"334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\r\n"
    steps = smtp_until_auth(b"AUTH CRAM-MD5", after=("read", challenge, "read", b"235 ok\r\n"))
    async with Hostile(*steps, context=context(), implicit=True) as server:
        login = Login("tim", Masked("tanstaaftanstaaf"))
        report = await smtp(server, TLSMode.IMPLICIT, login)
    assert report.authenticated is True
    assert base64.b64decode(server.received[2]) == b"tim b913a602c7eda7a495b4e6e7334d3890"

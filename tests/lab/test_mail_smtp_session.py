# SPDX-License-Identifier: Apache-2.0
"""SMTP probes against servers that misbehave in every way.

Covers: greetings, EHLO and STARTTLS, each with the stage, the reason and whether it is a verdict;
servers that speak TLS where none is expected and the other way round; that nothing is sent in the
clear.
"""

from __future__ import annotations

import pytest

from lab.hostile import Hostile, Step, smtp_until_auth
from lab.mail_probing import (
    ECHO,
    LOGIN,
    context,
    nothing_leaks,  # noqa: F401 - a fixture
    outcome,
    smtp,
    verdict,
)
from postroom.api.mailserver import TLSMode

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
    # It has greeted: it is an SMTP server, whatever this is.
    "a yes to something else": (("read", b"250 canary\r\n", "stall"), "HandshakeFailed", True),
    "no reply": (("read", b"canary\r\n", "stall"), "HandshakeFailed", True),
    "silence": (("read", "stall"), "HandshakeFailed", False),
    "silence after 220": (("read", b"220 go\r\n", "stall"), "HandshakeFailed", False),
    # Nothing was said of TLS: as after any command, and as in IMAP.
    "closed": (("read", "close"), "ProbeInconclusive", False),
    "reset": (("read", "reset"), "ProbeInconclusive", False),
    "closed in the reply": (("read", b"220 g", "close"), "ProbeInconclusive", False),
    "closed after 220": (("read", b"220 go\r\n", "close"), "HandshakeFailed", True),
    "reset after 220": (("read", b"220 go\r\n", "reset"), "HandshakeFailed", True),
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
    # What is said to pass is waited for first.
    assert report.fix.startswith("Wait") is (name == "454")


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


async def test_silence_where_tls_is_expected_may_be_load() -> None:
    async with Hostile("stall") as server:
        report = await smtp(server, TLSMode.IMPLICIT)
    assert outcome(report) == ("TLS", "ConnectionTimeout")
    assert "look at its load; where it has none, set tls.mode to StartTLS" in report.message


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


async def test_a_greeting_that_refuses_names_its_cause() -> None:
    async with Hostile(b"421 4.7.0 busy\r\n") as server:
        report = await smtp(server, TLSMode.NONE)
    assert (report.cause, report.retry_after) == ("ServerBusy", None)


async def test_what_was_told_in_the_clear_is_not_told_after_it() -> None:
    """RFC 3207 section 4.2: not even where the server says nothing more."""
    after: tuple[Step, ...] = ("read", b"220 go on\r\n", "tls", "read", "close")
    steps = smtp_until_auth(b"STARTTLS", b"SIZE 9", after=after)
    async with Hostile(*steps, context=context()) as server:
        report = await smtp(server, TLSMode.START_TLS, LOGIN)
    assert report.tls is not None
    assert report.server is None

# SPDX-License-Identifier: Apache-2.0
"""Probes that sign in at a real Dovecot, over SMTP submission and IMAP.

Covers: each TLS mode and mechanism; wrong passwords and unknown users; ports that take no password
in the clear; missing mailboxes, and what others are like; OAuth tokens, good and bad in each way,
with XOAUTH2 and OAUTHBEARER; what Dovecot's log says of each; who may send; and that the lab's
round trip is complete.
With POSTROOM_REQUIRE_MAIL_SERVERS=1 the absence of Dovecot is a failure.
"""

from __future__ import annotations

import asyncio
import imaplib
import smtplib
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from lab.dovecot_server import Dovecot, dovecot, mail_program
from lab.dovecot_server_files import ALICE, BOB, PASSWORDS, QUOTA, token
from lab.mail_probing import (
    AUTHORITY,
    HOST,
    nothing_leaks,  # noqa: F401 - a fixture
    outcome,
    verdict,
)
from postroom.api.mailserver import TLSMode
from postroom.api.masked import Masked
from postroom.mail.operations import AskSenders
from postroom.mail.report import Login, ProbeReport, Quota

pytestmark = pytest.mark.real_mail_server

SMTP, IMAP = ("submission", "submissions"), ("imap", "imaps")
PROVING = ("CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")
WORKS = ("Done", "ProbeSucceeded")
REJECTED = ("Auth", "AuthenticationRejected", True)


@pytest.fixture
async def server() -> AsyncIterator[Dovecot]:
    async with dovecot() as running:
        yield running


def password(address: str, said: str | None = None) -> Login:
    return Login(address, Masked(PASSWORDS[address] if said is None else said))


async def signed_in(
    server: Dovecot, service: str, login: Login | None, mailbox: str = "INBOX"
) -> ProbeReport:
    """Probe one service, with a budget of refusals of its own."""
    probes, where = server.probes(), server.endpoint(service)
    if service in IMAP:
        return await probes.probe(where, login, mailbox)
    return await probes.probe(where, login)


@pytest.mark.parametrize("service", [*SMTP, *IMAP])
async def test_passwords(server: Dovecot, service: str) -> None:
    for address in PASSWORDS:
        report = await signed_in(server, service, password(address))
        assert (outcome(report), report.authenticated) == (WORKS, True)
        assert report.server is not None
        assert report.server.implementation == "Dovecot"
        assert report.tls is not None
        assert report.tls.version == "TLSv1.3"
    assert await server.logs(f"Login: user=<{BOB}>, method=PLAIN")


@pytest.mark.parametrize(
    ("service", "mechanism"),
    [
        *((one, name) for one in SMTP for name in ("PLAIN", "LOGIN", *PROVING)),
        *((one, name) for one in IMAP for name in ("PLAIN", *PROVING)),
    ],
)
async def test_the_only_mechanism_is_used(service: str, mechanism: str) -> None:
    async with dovecot(mechanisms=mechanism.lower()) as server:
        reports = [await signed_in(server, service, password(one)) for one in PASSWORDS]
        wrong = await signed_in(server, service, password(ALICE, "hunter2-wrong"))
        assert await server.logs(f"method={mechanism}")
    assert [outcome(report) for report in reports] == [WORKS, WORKS]
    assert verdict(wrong) == REJECTED
    assert server_mechanisms(reports[0]) == [mechanism]


def server_mechanisms(report: ProbeReport) -> list[str]:
    assert report.server is not None
    return report.server.auth_mechanisms


@pytest.mark.parametrize("service", IMAP)
async def test_imap_needs_a_mechanism_for_passwords(service: str) -> None:
    async with dovecot(mechanisms="xoauth2") as server:
        report = await signed_in(server, service, password(ALICE))
    assert (verdict(report), report.authenticated) == (("Auth", "MechanismUnsupported", True), None)
    assert server_mechanisms(report) == ["XOAUTH2"]


@pytest.mark.parametrize("service", [*SMTP, *IMAP])
@pytest.mark.parametrize("address", [ALICE, "nobody@example.com"])
async def test_wrong_passwords_and_unknown_users(
    server: Dovecot, service: str, address: str
) -> None:
    report = await signed_in(server, service, Login(address, Masked("hunter2-wrong")))
    assert (verdict(report), report.authenticated) == (REJECTED, False)
    assert (report.code, report.enhanced_code) == (
        (535, "5.7.8") if service in SMTP else (None, None)
    )
    said = "Password mismatch" if address == ALICE else "unknown user"
    assert await server.logs(said)
    assert server.log.count(said) == 1


async def test_no_password_in_the_clear(server: Dovecot) -> None:
    """The client is at another address than the server; from its own, Dovecot would take it."""
    where = replace(server.endpoint("imap"), tls=TLSMode.NONE)
    seen = await server.probes().probe(where, None, "INBOX")
    assert seen.server is not None
    assert {"LOGINDISABLED", "STARTTLS"} <= set(seen.server.capabilities)
    assert seen.server.auth_mechanisms == ["CRAM-MD5"]
    refused = await server.probes().probe(where, password(ALICE), "INBOX")
    assert verdict(refused) == ("Auth", "EncryptionRequired", True)
    # The floor: Dovecot does refuse it.
    said = await asyncio.to_thread(_login_in_the_clear, server)
    assert "PRIVACYREQUIRED" in said


def _login_in_the_clear(server: Dovecot) -> str:
    session = imaplib.IMAP4(server.address, server.ports["imap"], timeout=60)
    try:
        session.login(ALICE, PASSWORDS[ALICE])
    except imaplib.IMAP4.error as error:
        return str(error)
    finally:
        session.shutdown()
    return "signed in"


@pytest.mark.parametrize("mailbox", ["Archive", "Entwürfe", "a/b"])
async def test_missing_mailboxes(server: Dovecot, mailbox: str) -> None:
    report = await signed_in(server, "imaps", password(ALICE), mailbox)
    assert (verdict(report), report.authenticated) == (("Mailbox", "MailboxNotFound", True), True)


TOKENS: dict[str, tuple[Callable[[], str], str]] = {
    "expired": (lambda: token(ALICE, lifetime=-60), "Token has expired"),
    "of another": (lambda: token(BOB), "did not match"),
    "signed with another key": (lambda: token(ALICE, key=b"k" * 32), "Incorrect JWT signature"),
    "not yet good": (lambda: token(ALICE, nbf=2**31), "not valid yet"),
    "no JWT": (lambda: "hunter2-garbage", "Not a JWT"),
}


#: Dovecot's own words for all of these, which differ by the mechanism.
REFUSALS = {"XOAUTH2": "401", "OAUTHBEARER": "invalid_token"}


@pytest.mark.parametrize("mechanism", REFUSALS)
@pytest.mark.parametrize("service", ["submissions", "imaps"])
async def test_tokens(mechanism: str, service: str) -> None:
    async with dovecot(mechanisms=mechanism.lower()) as server:
        good = await signed_in(server, service, Login(ALICE, Masked(token(ALICE)), token=True))
        assert (outcome(good), good.authenticated) == (WORKS, True)
        assert await server.logs(f"method={mechanism}")
        for name, (make, cause) in TOKENS.items():
            login = Login(ALICE, Masked(make()), token=True)
            report = await signed_in(server, service, login)
            assert (verdict(report), report.authenticated) == (REJECTED, False), name
            assert f"({REFUSALS[mechanism]})" in report.message
            assert await server.logs(cause), name


@pytest.mark.parametrize("service", ["submissions", "imaps"])
async def test_servers_without_token_mechanisms(service: str) -> None:
    async with dovecot(mechanisms="plain") as server:
        report = await signed_in(server, service, Login(ALICE, Masked(token(ALICE)), token=True))
    assert verdict(report) == ("Auth", "MechanismUnsupported", True)


async def test_the_round_trip_is_complete(server: Dovecot) -> None:
    """What is submitted is in the mailbox, counted by our probe; junk goes where it belongs."""
    before = await signed_in(server, "imaps", password(BOB))
    await asyncio.to_thread(_send, server, "to INBOX")
    server.exchange.deliver_to = lambda address: address.replace("@", "+Junk@")
    await asyncio.to_thread(_send, server, "to Junk")
    inbox = await signed_in(server, "imaps", password(BOB))
    junk = await signed_in(server, "imaps", password(BOB), "Junk")
    counted = [one.mailbox.messages if one.mailbox else None for one in (before, inbox, junk)]
    assert counted == [0, 1, 1]
    assert [b"Subject: to INBOX" in one for one in server.exchange.taken] == [True, False]


def _send(server: Dovecot, subject: str) -> None:
    trusted = ssl.create_default_context(cadata=AUTHORITY.cert_pem.bytes().decode())
    trusted.check_hostname = False
    with smtplib.SMTP_SSL(
        server.address, server.ports["submissions"], HOST, timeout=60, context=trusted
    ) as session:
        session.login(ALICE, PASSWORDS[ALICE])
        session.sendmail(ALICE, [BOB], f"Subject: {subject}\r\n\r\nHello\r\n")


async def test_who_may_send(server: Dovecot) -> None:
    """Dovecot asks the server behind it, whose answer to RCPT it hands on."""
    server.exchange.refused[BOB] = "553 5.7.1 Sender address rejected: not owned by user"
    report = await server.probes().perform(
        server.endpoint("submissions"), password(ALICE), AskSenders([ALICE, BOB], ALICE)
    )
    assert outcome(report.session) == WORKS
    said = {one: (found.acceptance.value, found.code) for one, found in report.answers.items()}
    assert said == {ALICE: ("Accepted", 250), BOB: ("Refused", 553)}
    assert report.answers[BOB].reason.value == "SenderNotAuthorized"
    assert server.exchange.taken == []


async def test_what_a_mailbox_is_like(server: Dovecot) -> None:
    """Counts, quota and special mailboxes, of which Dovecot tells only once it knows the user."""
    begun = datetime.now(UTC).replace(microsecond=0)
    message = b"Subject: big\r\n\r\n" + b"x" * 5000 + b"\r\n"
    await asyncio.to_thread(server.deliver, ALICE, message)
    seen = (await signed_in(server, "imaps", password(ALICE))).mailbox
    assert seen is not None
    assert (seen.messages, seen.unseen, seen.uid_next) == (1, 1, 2)
    # The server counts its quota in KiB.
    assert seen.octets == Quota(used=6 * 1024, limit=QUOTA * 1024 * 1024)
    assert seen.special == {"Junk": "Junk", "Sent": "Sent", "Trash": "Trash"}
    assert (seen.prefix, seen.delimiter) == ("", "/")
    assert seen.size is not None
    assert 5000 < seen.size < 6 * 1024
    assert seen.newest_at is not None
    assert begun <= seen.newest_at <= datetime.now(UTC)
    # A look marks nothing as read.
    again = (await signed_in(server, "imaps", password(ALICE))).mailbox
    assert again == seen


def test_without_the_server_the_variable_makes_it_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("POSTROOM_REQUIRE_MAIL_SERVERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="Debian package dovecot-imapd"):
        mail_program("no-such-server", "dovecot-imapd")
    monkeypatch.setenv("POSTROOM_REQUIRE_MAIL_SERVERS", "1")
    with pytest.raises(pytest.fail.Exception, match="Debian package dovecot-imapd"):
        mail_program("no-such-server", "dovecot-imapd")

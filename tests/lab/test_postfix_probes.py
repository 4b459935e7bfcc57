# SPDX-License-Identifier: Apache-2.0
"""Probes and the envelope check at a real Postfix.

Covers: AUTH that is hidden until TLS, and what a client gets that tries it all the same; a port
without AUTH; its refusals of passwords and senders, in its own words, through our catalogue; and
mail that arrives. Needs root; with POSTROOM_REQUIRE_MAIL_SERVERS=1 its absence is a failure.
"""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from lab.dovecot_server import Dovecot, MailServerProcess, dovecot
from lab.dovecot_server_files import ALICE, BOB, PASSWORDS, token
from lab.mail_probing import (
    nothing_leaks,  # noqa: F401 - a fixture
    outcome,
    verdict,
)
from lab.postfix_server import ALIAS, NOBODYS, postfix
from postroom.api.mailserver import TLSMode
from postroom.api.masked import Masked
from postroom.mail.operations import AskSenders, OutgoingMessage, SendMessage
from postroom.mail.report import Login

pytestmark = pytest.mark.real_mail_server

GOOD = Login(ALICE, Masked(PASSWORDS[ALICE]))
WORKS = ("Done", "ProbeSucceeded")


@pytest.fixture
async def backend() -> AsyncIterator[Dovecot]:
    async with dovecot() as running:
        yield running


@pytest.fixture
async def server(backend: Dovecot) -> AsyncIterator[MailServerProcess]:
    async with postfix(backend) as running:
        yield running


@pytest.mark.parametrize("service", ["submission", "submissions"])
async def test_signing_in(server: MailServerProcess, service: str) -> None:
    where = server.endpoint(service)
    report = await server.probes().probe(where, GOOD)
    assert (outcome(report), report.authenticated) == (WORKS, True)
    assert report.server is not None
    assert report.server.implementation == "Postfix"
    with_token = Login(ALICE, Masked(token(ALICE)), token=True)
    assert outcome(await server.probes().probe(where, with_token)) == WORKS
    wrong = await server.probes().probe(where, Login(ALICE, Masked("hunter2-wrong")))
    assert verdict(wrong) == ("Auth", "AuthenticationRejected", True)
    assert (wrong.code, wrong.enhanced_code) == (535, "5.7.8")
    expired = Login(ALICE, Masked(token(ALICE, lifetime=-60)), token=True)
    refused = await server.probes().probe(where, expired)
    assert verdict(refused) == ("Auth", "AuthenticationRejected", True)


async def test_auth_is_hidden_before_tls(server: MailServerProcess) -> None:
    where = server.endpoint("submission")
    plain = await server.probes().probe(replace(where, tls=TLSMode.NONE), None)
    secured = await server.probes().probe(where, None)
    assert plain.server is not None
    assert secured.server is not None
    assert plain.server.auth_mechanisms == []
    assert "PLAIN" in secured.server.auth_mechanisms
    refused = await server.probes().probe(replace(where, tls=TLSMode.NONE), GOOD)
    assert verdict(refused) == ("Auth", "EncryptionRequired", True)
    # The floor: what a client gets that tries it all the same.
    code, text = await asyncio.to_thread(_auth_in_the_clear, server)
    assert (code, text) == (503, b"5.5.1 Error: authentication not enabled")


def _auth_in_the_clear(server: MailServerProcess) -> tuple[int, bytes]:
    place = server.address, server.ports["submission"]
    with smtplib.SMTP(*place, local_hostname="client.example.com", timeout=60) as session:
        session.ehlo()
        return session.docmd("AUTH PLAIN", "AGEAYg==")


async def test_a_port_without_auth(server: MailServerProcess) -> None:
    report = await server.probes().probe(server.endpoint("relay"), GOOD)
    assert verdict(report) == ("Auth", "CapabilityMissing", True)
    assert "use the submission port" in report.message


async def test_who_may_send(server: MailServerProcess) -> None:
    """Postfix says no at RCPT, in words that our catalogue knows."""
    senders = [ALICE, ALIAS, BOB, NOBODYS, "alice@elsewhere.example"]
    report = await server.probes().perform(
        server.endpoint("submissions"), GOOD, AskSenders(senders, ALICE)
    )
    assert outcome(report.session) == WORKS
    said = {
        one: (answer.acceptance.value, answer.reason.value, answer.code, answer.enhanced_code)
        for one, answer in report.answers.items()
    }
    yes = ("Accepted", "ProbeSucceeded", 250, "2.1.5")
    no = ("Refused", "SenderNotAuthorized", 553, "5.7.1")
    assert said == dict(zip(senders, [yes, yes, no, no, no], strict=True))
    assert await server.logs("553 5.7.1 <bob@example.com>: Sender address rejected")
    # Nothing was sent.
    assert "queue active" not in server.log


async def test_mail_arrives(server: MailServerProcess, backend: Dovecot) -> None:
    octets = f"From: {ALICE}\r\nTo: {BOB}\r\nSubject: real\r\n\r\nHello\r\n".encode()
    message = OutgoingMessage(ALICE, BOB, octets)
    report = await server.probes().perform(
        server.endpoint("submissions"), GOOD, SendMessage(message)
    )
    assert report.answer.acceptance.value == "Accepted"
    assert await server.logs("queue active")
    assert await server.logs("status=sent")
    assert await _messages(backend, BOB) == 1


async def _messages(backend: Dovecot, address: str) -> int:
    login = Login(address, Masked(PASSWORDS[address]))
    seen = await backend.probes().probe(backend.endpoint("imaps"), login, "INBOX")
    assert seen.mailbox is not None
    return seen.mailbox.messages


async def test_a_sender_that_is_not_ones_own(server: MailServerProcess) -> None:
    message = OutgoingMessage(BOB, ALICE, b"Subject: forged\r\n\r\nHello\r\n")
    report = await server.probes().perform(
        server.endpoint("submissions"), GOOD, SendMessage(message)
    )
    assert (report.answer.acceptance.value, report.answer.reason.value) == (
        "Refused",
        "SenderNotAuthorized",
    )
    assert "queue active" not in server.log

# SPDX-License-Identifier: Apache-2.0
"""The lab's submission server, as the client of the standard library finds it.

Covers: STARTTLS and implicit TLS; that nothing works without TLS and signing in; who may send as
what, told at the recipient like Postfix; whom it takes mail for; and its limit of size.
"""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from loopback import own_address
from postroom.lab.certificates import authority, server_context
from postroom.lab.mailboxes import Accounts
from postroom.lab.smtp import LabSmtp, Senders

ME, OTHER, PASSWORD = "me@example.com", "other@example.com", "right"
ADDRESS, PORT = own_address(62), 10587
MAIL = b"From: me@example.com\r\nSubject: hello\r\n\r\n.dots and bytes \xff\r\n"
Result = TypeVar("Result")


@asynccontextmanager
async def serving(
    directory: Path, *, implicit: bool = False, senders: Senders | None = None, limit: int = 4096
) -> AsyncIterator[tuple[Accounts, ssl.SSLContext]]:
    ca, accounts = authority(directory), Accounts({ME: PASSWORD, OTHER: PASSWORD})
    running = LabSmtp(
        accounts,
        server_context(ca),
        ADDRESS,
        PORT,
        implicit=implicit,
        senders=senders,
        size_limit=limit,
    )
    await running.start()
    trusting = ssl.create_default_context(cadata=ca.cert_pem.bytes().decode())
    trusting.check_hostname = False
    try:
        yield accounts, trusting
    finally:
        await running.stop()


async def told(
    talk: Callable[[smtplib.SMTP], Result], implicit: ssl.SSLContext | None = None
) -> Result:
    """What a conversation comes to, in a thread, as the library waits for each answer."""

    def converse() -> Result:
        if implicit is not None:
            with smtplib.SMTP_SSL(ADDRESS, PORT, context=implicit, timeout=60) as client:
                return talk(client)
        with smtplib.SMTP(ADDRESS, PORT, timeout=60) as client:
            return talk(client)

    return await asyncio.to_thread(converse)


def contents(accounts: Accounts, address: str) -> list[bytes]:
    account = accounts.authenticate(address, PASSWORD)
    assert account is not None
    return [message.content for message in account.mailboxes["INBOX"].messages]


@pytest.mark.parametrize("implicit", [False, True])
async def test_mail_arrives_octet_by_octet(implicit: bool, tmp_path: Path) -> None:
    async with serving(tmp_path, implicit=implicit) as (accounts, trusting):

        def talk(client: smtplib.SMTP) -> dict[str, tuple[int, bytes]]:
            if not implicit:
                client.starttls(context=trusting)
            client.login(ME, PASSWORD)
            return client.sendmail(ME, [OTHER], MAIL)

        assert await told(talk, trusting if implicit else None) == {}
        assert contents(accounts, OTHER)[-1] == MAIL
        assert MAIL not in contents(accounts, ME)


async def test_without_tls_no_login_is_offered_nor_taken(tmp_path: Path) -> None:
    async with serving(tmp_path):

        def talk(client: smtplib.SMTP) -> tuple[bool, int, int]:
            client.ehlo()
            plain = client.docmd("AUTH", "PLAIN AG1lAHJpZ2h0")[0]
            return client.has_extn("auth"), plain, client.docmd("MAIL", f"FROM:<{ME}>")[0]

        assert await told(talk) == (False, 538, 530)


async def test_a_wrong_password_is_refused_and_sends_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, trusting):

        def talk(client: smtplib.SMTP) -> tuple[int, int]:
            client.starttls(context=trusting)
            with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
                client.login(ME, "wrong")
            return refused.value.smtp_code, client.docmd("MAIL", f"FROM:<{ME}>")[0]

        assert await told(talk) == (535, 530)


@pytest.mark.parametrize(
    ("sender", "recipient", "answer"),
    [
        (ME, OTHER, "250 2.1.5"),
        ("ME@Example.com", OTHER, "250 2.1.5"),
        ("alias@example.com", OTHER, "250 2.1.5"),
        (OTHER, OTHER, "553 5.7.1"),
        ("", OTHER, "553 5.7.1"),
        (ME, "nobody@example.com", "550 5.1.1"),
    ],
)
async def test_the_recipient_shows_who_may_send_as_what(
    sender: str, recipient: str, answer: str, tmp_path: Path
) -> None:
    senders = {ME: [ME, "alias@example.com"]}
    async with serving(tmp_path, senders=senders) as (_, trusting):

        def talk(client: smtplib.SMTP) -> tuple[int, str]:
            client.starttls(context=trusting)
            client.login(ME, PASSWORD)
            accepted = client.docmd("MAIL", f"FROM:<{sender}>")[0]
            code, text = client.docmd("RCPT", f"TO:<{recipient}>")
            return accepted, f"{code} {text.decode()}"

        accepted, said = await told(talk)
    assert accepted == 250
    assert said.startswith(f"{answer} ")


async def test_more_than_it_announces_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path, limit=1000) as (accounts, trusting):

        def talk(client: smtplib.SMTP) -> tuple[str, int]:
            client.starttls(context=trusting)
            client.login(ME, PASSWORD)
            with pytest.raises(smtplib.SMTPException) as refused:
                client.sendmail(ME, [OTHER], MAIL + b"x" * 1000)
            code: int = getattr(refused.value, "smtp_code", 0)
            return client.esmtp_features["size"], code

        assert await told(talk) == ("1000", 552)
        assert len(contents(accounts, OTHER)) == 3

# SPDX-License-Identifier: Apache-2.0
"""Whole messages from a real Dovecot: as it stores them, as they come, with every flag as it was.

Covers: sizes around a piece and above; news by IDLE; expunging and moving by another client; a
mailbox that is made anew, renamed or deleted while it is read, and one whose name is not ASCII; a
token that has ended; who reads beside us.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import imaplib
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TypeVar

import pytest

from lab.dovecot_server import Dovecot, dovecot
from lab.dovecot_server_files import ALICE, PASSWORDS, token
from lab.mail_probing import (
    AUTHORITY,
    nothing_leaks,  # noqa: F401 - a fixture
)
from postroom.api.masked import Masked
from postroom.mail.connect.dial import Failure
from postroom.mail.imap.reading import PIECE, MailboxReader, MessageGone
from postroom.mail.report import Login

pytestmark = pytest.mark.real_mail_server

LOGIN = Login(ALICE, Masked(PASSWORDS[ALICE]))
#: A name as RFC 3501 section 5.1.3 writes it.
NAME, WRITTEN = "台北/Entwürfe & mehr", "&U,BTFw-/Entw&APw-rfe &- mehr"
Result = TypeVar("Result")


@pytest.fixture
async def server() -> AsyncIterator[Dovecot]:
    async with dovecot() as running:
        yield running


@contextlib.contextmanager
def client_of(server: Dovecot) -> Iterator[imaplib.IMAP4_SSL]:
    """Another client of the same account."""
    trusting = ssl.create_default_context(cadata=AUTHORITY.cert_pem.bytes().decode())
    trusting.check_hostname = False
    with imaplib.IMAP4_SSL(
        server.address, server.ports["imaps"], ssl_context=trusting, timeout=60
    ) as client:
        client.login(ALICE, PASSWORDS[ALICE])
        yield client


async def other(server: Dovecot, does: Callable[[imaplib.IMAP4_SSL], Result]) -> Result:
    """What another client does meanwhile."""

    def converse() -> Result:
        with client_of(server) as client:
            return does(client)

    return await asyncio.to_thread(converse)


def append(content: bytes, mailbox: str = "INBOX") -> Callable[[imaplib.IMAP4_SSL], object]:
    """Put a message there octet for octet: `append` of the library changes bare line feeds."""

    def does(client: imaplib.IMAP4_SSL) -> object:
        vars(client)["literal"] = content
        said = client._simple_command("APPEND", f'"{mailbox}"')
        assert said[0] == "OK"
        return said

    return does


def on(mailbox: str, *commands: tuple[str, ...]) -> Callable[[imaplib.IMAP4_SSL], None]:
    """Commands by UID in a mailbox, all of which must succeed."""

    def does(client: imaplib.IMAP4_SSL) -> None:
        assert client.select(f'"{mailbox}"')[0] == "OK"
        for name, *arguments in commands:
            assert client.uid(name, *arguments)[0] == "OK"

    return does


def flags(client: imaplib.IMAP4_SSL) -> list[bytes]:
    client.select("INBOX", readonly=True)
    return [line for line in client.fetch("1:*", "(UID FLAGS)")[1] if isinstance(line, bytes)]


async def whole(reader: MailboxReader, uid: int, size: int) -> bytes:
    return b"".join([piece async for piece in reader.pieces(uid, size)])


async def all_after(reader: MailboxReader, uid: int, mailbox: str = "INBOX") -> list[bytes]:
    """All messages after a UID, whole."""
    _, uid_next = await reader.open(mailbox)
    found = (await reader.following(uid, uid_next)).messages
    return [await whole(reader, message.uid, message.size) for message in found]


def message(size: int) -> bytes:
    """Lines of CRLF, which Dovecot keeps as they are, of every octet that mail may have."""
    body = hashlib.shake_128(b"postroom").hexdigest(size).encode().replace(b"a", b"\xe4")
    return b"Subject: a\r\n\r\n" + b"".join(
        body[at : at + 76] + b"\r\n" for at in range(0, size, 76)
    )


async def test_messages_come_byte_for_byte_and_no_flag_is_touched(server: Dovecot) -> None:
    sizes = (1, 255, PIECE - 1, PIECE, PIECE + 1, 1024 * 1024, 5 * 1024 * 1024)
    contents = [message(size)[:size] for size in sizes]
    for content in contents:
        await other(server, append(content))
    server.deliver(ALICE, b"Subject: new\r\n\r\n")
    await other(server, on("INBOX", ("STORE", "2", "+FLAGS", r"(\Flagged $Label)")))
    server.deliver(ALICE, b"Subject: new, and seen by nobody\r\n\r\n")
    async with server.probes().reading(server.endpoint("imaps"), LOGIN) as reader:
        got = await all_after(reader, 0)
        assert await reader.header(2) == b"Subject: a\r\n\r\n"
        await reader.news(0.1)
    assert [len(content) for content in got[:7]] == list(sizes)
    assert got[:7] == contents
    assert b"Subject: new\r\n" in got[7]
    now = await other(server, flags)
    assert b"\\Recent" in now[8]
    assert [b"\\Seen" in line for line in now] == [False] * 9
    assert [line for line in now if b"\\Flagged" in line and b"$Label" in line] == [now[1]]


async def test_news_comes_at_once_and_idle_is_begun_anew(server: Dovecot) -> None:
    async with server.probes().reading(server.endpoint("imaps"), LOGIN) as reader:
        assert reader.idles
        _, uid_next = await reader.open("INBOX")
        for number in range(3):
            await asyncio.wait_for(reader.news(0.05), 60)
            waiting = asyncio.create_task(reader.news(1740))
            await asyncio.sleep(0.05)
            await asyncio.to_thread(server.deliver, ALICE, b"Subject: new\r\n\r\n")
            await asyncio.wait_for(waiting, 60)
            assert (await reader.open("INBOX"))[1] == uid_next + number + 1
        assert reader.idles


async def test_what_another_client_removes_or_moves(server: Dovecot) -> None:
    content = message(2 * PIECE)
    for _ in range(4):
        await other(server, append(content))
    async with server.probes().reading(server.endpoint("imaps"), LOGIN) as reader:
        _, uid_next = await reader.open("INBOX")
        first, *_ = (await reader.following(0, uid_next)).messages
        pieces = reader.pieces(1, first.size)
        assert len(await anext(pieces)) == PIECE
        removed = ("STORE", "1:2", "+FLAGS", r"(\Deleted)"), ("EXPUNGE", "1:2")
        await other(server, on("INBOX", *removed, ("MOVE", "3", "Junk")))
        # Dovecot shows it once more, without octets.
        with pytest.raises(MessageGone):
            await anext(pieces)
        with pytest.raises(MessageGone):
            await whole(reader, 2, first.size)
        assert await all_after(reader, 0) == [content]
        assert await all_after(reader, 0, "Junk") == [content]


async def test_mailboxes_are_made_anew_renamed_and_deleted_under_us(server: Dovecot) -> None:
    content = message(100)
    await other(server, lambda client: client.create(f'"{WRITTEN}"'))
    await other(server, append(content, WRITTEN))
    probes, where = server.probes(), server.endpoint("imaps")
    async with probes.reading(where, LOGIN) as reader:
        validity, _ = await reader.open(NAME)
        assert await all_after(reader, 0, NAME) == [content]
        await other(server, lambda client: client.delete(f'"{WRITTEN}"'))
        with pytest.raises(Failure):
            await asyncio.wait_for(reader.news(30), 60)
            await reader.open(NAME)
    async with probes.reading(where, LOGIN) as reader:
        with pytest.raises(Failure) as failed:
            await reader.open(NAME)
        assert failed.value.reason.value == "MailboxNotFound"
    await other(server, lambda client: client.create(f'"{WRITTEN}"'))
    await other(server, append(content, WRITTEN))
    async with probes.reading(where, LOGIN) as reader:
        assert (await reader.open(NAME))[0] > validity
        assert await all_after(reader, 0, NAME) == [content]
        await other(server, lambda client: client.rename(f'"{WRITTEN}"', "Old"))
        with pytest.raises(Failure):
            await reader.open(NAME)
    async with probes.reading(where, LOGIN) as reader:
        assert await all_after(reader, 0, "Old") == [content]


async def test_duplicates_and_a_message_in_two_mailboxes(server: Dovecot) -> None:
    content = b"Message-ID: <a@example.com>\r\n\r\nsame\r\n"
    for mailbox in ("INBOX", "INBOX", "Junk"):
        await other(server, append(content, mailbox))
    async with server.probes().reading(server.endpoint("imaps"), LOGIN) as reader:
        assert await all_after(reader, 0) == [content] * 2
        assert await all_after(reader, 0, "Junk") == [content]


async def test_a_session_by_token_outlasts_it_and_a_new_one_needs_a_new_token(
    server: Dovecot,
) -> None:
    probes, where = server.probes(), server.endpoint("imaps")
    lasting = Login(ALICE, Masked(token(ALICE)), token=True)
    async with probes.reading(where, lasting) as reader:
        assert await reader.open("INBOX")
    ended = Login(ALICE, Masked(token(ALICE, lifetime=-3600)), token=True)
    with pytest.raises(Failure) as failed:
        async with probes.reading(where, ended):
            pass
    assert failed.value.reason.value == "AuthenticationRejected"
    # Neither at once nor soon.
    assert failed.value.retry_after is not None
    assert failed.value.retry_after.total_seconds() >= 900


async def test_a_server_that_ends_is_noticed_while_waiting() -> None:
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(dovecot())
        async with server.probes().reading(server.endpoint("imaps"), LOGIN) as reader:
            await reader.open("INBOX")
            waiting = asyncio.create_task(reader.news(1740))
            await asyncio.sleep(0.1)
            await stack.aclose()
            with pytest.raises(Failure) as failed:
                await asyncio.wait_for(waiting, 60)
    assert not failed.value.conclusive

# SPDX-License-Identifier: Apache-2.0
"""Whole messages from the lab's server: byte for byte, in pieces, and nothing changed by it.

Covers: sizes around a piece and far above it, with bounded memory; what follows a UID; news by IDLE
and without; what others do to the mailbox meanwhile.
"""

from __future__ import annotations

import asyncio
import hashlib
import tracemalloc
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from lab.imap_lab import Server, lab_server
from lab.mail_probing import nothing_leaks  # noqa: F401 - a fixture
from postroom.lab.mailboxes import Account, Mailbox
from postroom.mail.connect.dial import Failure
from postroom.mail.imap import reading
from postroom.mail.imap.protocol import CommandAnswer
from postroom.mail.imap.reading import PIECE, MailboxReader, MessageGone

Lab = tuple[MailboxReader, Account]
#: What servers, and clients that mean well, like to change.
RAW = b"Subject: a\r\n\r\nbare\nfeed, bare\rreturn, \x00, \xff\xfe, {3}\r\n* 1 EXISTS\r\n)\r\n.\r\n"


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, Account]]:
    async with lab_server() as (running, account):
        yield running, account


@pytest.fixture
async def lab(server: tuple[Server, Account]) -> AsyncIterator[Lab]:
    running, account = server
    async with running.reading() as reader:
        yield reader, account


def octets(count: int) -> bytes:
    """So many octets of every kind, the same each time."""
    return hashlib.shake_128(b"postroom").digest(count)


def inbox(account: Account) -> Mailbox:
    return account.mailboxes["INBOX"]


async def whole(reader: MailboxReader, uid: int, size: int) -> bytes:
    return b"".join([piece async for piece in reader.pieces(uid, size)])


async def uids_after(reader: MailboxReader, uid: int, uid_next: int) -> list[int]:
    """All UIDs, as a courier asks for them."""
    found: list[int] = []
    while uid + 1 < uid_next:
        following = await reader.following(uid, uid_next)
        assert following.looked_to > uid
        found += [message.uid for message in following.messages]
        uid = following.looked_to
    return found


@pytest.mark.parametrize(
    "size", [0, 1, 255, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 1024 * 1024, 1024 * 1024 + 7]
)
async def test_a_message_comes_byte_for_byte(lab: Lab, size: int) -> None:
    reader, account = lab
    content = (RAW + octets(size))[:size]
    uid = inbox(account).deliver(content).uid
    _, uid_next = await reader.open("INBOX")
    (message,) = (await reader.following(uid - 1, uid_next)).messages
    assert (message.uid, message.size) == (uid, size)
    assert await whole(reader, uid, message.size) == content


async def test_a_large_message_takes_little_memory(lab: Lab) -> None:
    reader, account = lab
    content = octets(25 * 1024 * 1024)
    uid = inbox(account).deliver(content).uid
    await reader.open("INBOX")
    offset, largest = 0, 0
    tracemalloc.start()
    async for piece in reader.pieces(uid, len(content)):
        assert content.startswith(piece, offset)
        offset += len(piece)
        largest = max(largest, len(piece))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (offset, largest) == (len(content), PIECE)
    # The server's part of it is in this process, too.
    assert peak < 16 * PIECE


async def test_a_size_that_is_wrong_cuts_nothing_off(lab: Lab) -> None:
    reader, account = lab
    content = octets(2 * PIECE + 5)
    uid = inbox(account).deliver(content).uid
    await reader.open("INBOX")
    for said in (0, 1, PIECE, PIECE + 3, 2 * PIECE, len(content), len(content) + 1, 2**31):
        assert await whole(reader, uid, said) == content


async def test_the_header(lab: Lab) -> None:
    reader, account = lab
    uid = inbox(account).deliver(RAW).uid
    await reader.open("INBOX")
    assert await reader.header(uid) == b"Subject: a\r\n\r\n"


async def test_nothing_is_changed(lab: Lab) -> None:
    reader, account = lab
    inbox(account).messages[1].flags |= {"\\Answered", "$Label"}
    before = [(message.uid, set(message.flags)) for message in inbox(account).messages]
    _, uid_next = await reader.open("INBOX")
    for uid in await uids_after(reader, 0, uid_next):
        await reader.header(uid)
        assert await whole(reader, uid, 1)
    await reader.news(0.05)
    assert [(message.uid, message.flags) for message in inbox(account).messages] == before


async def test_what_follows(lab: Lab) -> None:
    reader, account = lab
    moment = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
    for _ in range(450):
        inbox(account).deliver(b"x", moment)
    inbox(account).expunge(inbox(account).messages[100:300])
    there = [message.uid for message in inbox(account).messages]
    _, uid_next = await reader.open("INBOX")
    first = await reader.following(3, uid_next)
    assert (first.messages[0].uid, first.messages[0].arrived_at) == (4, moment)
    assert (len(first.messages), first.count) == (200, 250)
    assert await uids_after(reader, 0, uid_next) == there
    assert await uids_after(reader, there[-1], uid_next) == []


async def test_uids_far_apart_are_found_with_few_searches(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, account = lab
    monkeypatch.setattr(reading, "_FEW", 0)
    searches = []
    search = reader._search

    async def counted(first: int, last: int) -> list[int]:
        searches.append((first, last))
        return await search(first, last)

    monkeypatch.setattr(reader, "_search", counted)
    wanted = [1, 2, 3]
    for uid in (70_000, 2**31, 2**32 - 2):
        inbox(account).uid_next = uid
        wanted.append(inbox(account).deliver(b"x").uid)
    validity, uid_next = await reader.open("INBOX")
    assert (validity, uid_next) == (1, 2**32 - 1)
    assert await uids_after(reader, 0, uid_next) == wanted
    assert len(searches) < 60


async def test_a_hundred_thousand_messages(lab: Lab) -> None:
    reader, account = lab
    for _ in range(100_000):
        inbox(account).deliver(b"x")
    _, uid_next = await reader.open("INBOX")
    following = await reader.following(5, uid_next)
    assert [message.uid for message in following.messages] == list(range(6, 206))
    assert (following.looked_to, following.count) == (205, 20_000)
    last = await reader.following(uid_next - 3, uid_next)
    assert [message.uid for message in last.messages] == [uid_next - 2, uid_next - 1]


async def test_news_comes_with_a_message(lab: Lab) -> None:
    reader, account = lab
    assert reader.idles
    _, uid_next = await reader.open("INBOX")
    waiting = asyncio.create_task(reader.news(60))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    inbox(account).deliver(RAW)
    await asyncio.wait_for(waiting, 5)
    assert await reader.open("INBOX") == (1, uid_next + 1)
    # And ends by itself: IDLE is begun anew before servers end it.
    await asyncio.wait_for(reader.news(0.05), 5)
    assert reader.idles


async def test_what_came_before_idle_is_news(lab: Lab) -> None:
    """A server tells of it once, in an answer to another command."""
    reader, account = lab
    _, uid_next = await reader.open("INBOX")
    inbox(account).deliver(RAW)
    await reader.following(0, uid_next)
    await asyncio.wait_for(reader.news(60), 5)


async def test_small_messages_come_several_at_a_time_byte_for_byte(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, account = lab
    _, first = await reader.open("INBOX")
    sizes = [*range(300, 340), PIECE + 1, 0, 90_000, *[16_000] * 9, *[16 * 1024] * 3, 1]
    contents = [octets(size) for size in sizes]
    for content in contents:
        inbox(account).deliver(content)
    asked: list[str] = []
    ask = reader._session.ask

    async def counted(name: str, *arguments: str, **more: Any) -> CommandAnswer:
        asked.append(name)
        return await ask(name, *arguments, **more)

    _, uid_next = await reader.open("INBOX")
    messages = (await reader.following(first - 1, uid_next)).messages
    monkeypatch.setattr(reader._session, "ask", counted)
    monkeypatch.setattr(reading, "_FRESH", 60.0)
    found = []
    for message in messages:
        found.append(await whole(reader, message.uid, message.size))
        assert sum(map(len, reader._brought.values())) <= 64 * 1024
    assert found == contents
    assert len(asked) < 25, asked


async def test_what_came_a_while_ago_is_asked_for_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, account = lab
    _, first = await reader.open("INBOX")
    box = inbox(account)
    kept = [box.deliver(octets(100 + number)) for number in range(8)]
    monkeypatch.setattr(reading, "_FRESH", 60.0)
    _, uid_next = await reader.open("INBOX")
    messages = (await reader.following(first - 1, uid_next)).messages
    for message in messages[:5]:
        await whole(reader, message.uid, message.size)
    assert messages[5].uid in reader._brought
    box.expunge([kept[5]])
    monkeypatch.setattr(reading, "_FRESH", 0.0)
    with pytest.raises(MessageGone):
        await whole(reader, messages[5].uid, messages[5].size)
    monkeypatch.setattr(reading, "_FRESH", 60.0)
    assert len(await whole(reader, messages[6].uid, messages[6].size)) == messages[6].size
    assert reader._brought
    # And another mailbox has none of it.
    await reader.open("Junk")
    assert not reader._brought


async def test_a_message_that_goes_is_gone(lab: Lab) -> None:
    reader, account = lab
    content = b"x" * (2 * PIECE)
    deliver = inbox(account).deliver
    first, second, third = (deliver(content) for _ in range(3))
    _, uid_next = await reader.open("INBOX")
    pieces = reader.pieces(first.uid, len(content))
    assert len(await anext(pieces)) == PIECE
    inbox(account).expunge([first, second])
    with pytest.raises(MessageGone):
        await anext(pieces)
    with pytest.raises(MessageGone):
        await reader.header(second.uid)
    assert await uids_after(reader, 3, uid_next) == [third.uid]


async def test_what_goes_between_search_and_fetch_is_passed_over(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, account = lab
    search = reader._search

    async def then_expunged(first: int, last: int) -> list[int]:
        found = await search(first, last)
        inbox(account).expunge(inbox(account).messages[1:2])
        return found

    monkeypatch.setattr(reader, "_search", then_expunged)
    _, uid_next = await reader.open("INBOX")
    following = await reader.following(0, uid_next)
    assert [message.uid for message in following.messages] == [1, 3]
    assert following.looked_to == 3


async def test_a_mailbox_that_is_made_anew_ends_the_session(
    server: tuple[Server, Account],
) -> None:
    running, account = server
    async with running.reading() as reader:
        assert await reader.open("INBOX") == (1, 4)
        inbox(account).make_anew()
        with pytest.raises(Failure):
            await reader.following(0, 4)
    async with running.reading() as reader:
        assert await reader.open("INBOX") == (2, 4)


async def test_a_mailbox_that_goes_while_waited_for(server: tuple[Server, Account]) -> None:
    running, account = server
    account.create("Entw&APw-rfe").deliver(RAW)
    async with running.reading() as reader:
        validity, uid_next = await reader.open("Entwürfe")
        assert (validity, uid_next) == (1001, 2)
        waiting = asyncio.create_task(reader.news(60))
        await asyncio.sleep(0.05)
        account.delete("Entw&APw-rfe")
        with pytest.raises(Failure):
            await asyncio.wait_for(waiting, 5)
    async with running.reading() as reader:
        with pytest.raises(Failure) as failed:
            await reader.open("Entwürfe")
    assert failed.value.reason.value == "MailboxNotFound"


async def test_the_same_message_twice_is_two(lab: Lab) -> None:
    """Gmail shows a message in several mailboxes: it is one of each that is named."""
    reader, account = lab
    for mailbox in ("INBOX", "INBOX", "Junk"):
        account.mailboxes[mailbox].deliver(b"Message-ID: <a@example.com>\r\n\r\n")
    _, uid_next = await reader.open("INBOX")
    assert await uids_after(reader, 3, uid_next) == [4, 5]
    _, uid_next = await reader.open("Junk")
    assert await uids_after(reader, 0, uid_next) == [1]

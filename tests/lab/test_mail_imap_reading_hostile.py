# SPDX-License-Identifier: Apache-2.0
"""Reading from servers that lie, stall or break off: each ends as a failure that is no verdict, in
time, with no message in part, and with nothing of its content in any log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from lab.hostile import Step, answer
from lab.imap_lab import OK, Server, scripted
from lab.mail_probing import (
    ECHO,
    SOON,
    nothing_leaks,  # noqa: F401 - a fixture
)
from lab.test_mail_imap_cancelling import sockets_to
from postroom.mail.connect.dial import Failure
from postroom.mail.imap.reading import PIECE, MailboxReader, MessageGone

CANARY = f"Subject: {ECHO}\r\n\r\n".encode()
OPENED = answer(b"OK done", b"3 EXISTS", b"OK [UIDVALIDITY 5] x", b"OK [UIDNEXT 9] x")
FOUND = answer(b"OK done", b"SEARCH 8")


def fetched(told: bytes) -> Step:
    """The answer to FETCH, as it is between the number and the end of the line."""
    return answer(b"OK done", b"3 FETCH " + told)


def literal(octets: bytes, *, announced: int | None = None, origin: bytes = b"<0>") -> bytes:
    size = len(octets) if announced is None else announced
    return b"(UID 8 BODY[]%s {%d}\r\n" % (origin, size) + octets + b")"


async def whole(reader: MailboxReader, size: int = len(CANARY)) -> bytes:
    return b"".join([piece async for piece in reader.pieces(8, size)])


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        # A literal that is shorter than it is said to be takes the answer's end for its own.
        (fetched(literal(CANARY, announced=len(CANARY) + 40)), "ConnectionTimeout"),
        # One that is longer goes on as lines.
        (fetched(literal(CANARY * 9, announced=5)), "ProbeInconclusive"),
        # Parts of another place, or of all of it in a part's place.
        (fetched(literal(CANARY, origin=b"<7>")), "ProbeInconclusive"),
        (fetched(literal(b"x" * (PIECE + 1), origin=b"<1>")), "ProbeInconclusive"),
        # More than is ever asked for.
        (fetched(literal(b"x" * 1024 * 1024)), "ProbeInconclusive"),
        (fetched(b"(UID 8 BODY[]<0> {4294967296}"), "ProbeInconclusive"),
        # Nothing, though SEARCH lists it, and SIZE says that there is something.
        (OK, "ProbeInconclusive"),
        (fetched(b"(UID 8 BODY[]<0> NIL)"), "ProbeInconclusive"),
        (fetched(b"(UID 8 FLAGS ())"), "ProbeInconclusive"),
        (answer(b"NO cannot read it"), "ProbeInconclusive"),
        (answer(b"NO [SERVERBUG] cannot read it"), "TemporaryFailure"),
        (answer(b"NO [CORRUPTION] cannot read it"), "MailboxNotFound"),
        (answer(b"OK done", b"OK [UIDVALIDITY 6] made anew"), "ProbeInconclusive"),
        # The end in the middle.
        ([b"* 3 FETCH (UID 8 BODY[]<0> {400}\r\n" + CANARY, "reset"], "ProbeInconclusive"),
        ([b"* 3 FETCH (UID 8 BODY[]<0> {400}\r\n" + CANARY, "stall"], "ConnectionTimeout"),
        ([b"* BYE " + ECHO.encode() + b"\r\n", "close"], "ProbeInconclusive"),
        ([b"* 3 FETCH (UID 8 X ", "endless"], "ProbeInconclusive"),
    ],
)
async def test_a_message_is_whole_or_none(steps: Step | Sequence[Step], reason: str) -> None:
    answers = {b"EXAMINE": OPENED, b"FETCH": steps, b"SEARCH": FOUND}
    async with scripted(answers) as server, server.reading(SOON) as reader:
        assert await reader.open("INBOX") == (5, 9)
        with pytest.raises(Failure) as failed:
            await asyncio.wait_for(whole(reader), 5)
        assert not failed.value.conclusive
        assert ECHO not in failed.value.message
        assert failed.value.reason.value == reason


@pytest.mark.parametrize(
    ("idle", "done", "reason"),
    [
        # Never says that it idles, never answers DONE, in either case without end.
        ("stall", OK, "ConnectionTimeout"),
        (b"* OK wait\r\n", "stall", "ConnectionTimeout"),
        ([b"+ idling\r\n", b"* 4 EXISTS\r\n"], "stall", "ConnectionTimeout"),
        ([b"+ idling\r\n", "reset"], OK, "ProbeInconclusive"),
        ([b"+ idling\r\n", b"* BYE idle for too long\r\n", "close"], OK, None),
    ],
)
async def test_who_idles_badly_is_left(
    idle: Step | Sequence[Step], done: Step, reason: str | None
) -> None:
    answers = {b"EXAMINE": OPENED, b"IDLE": idle, b"DONE": done}
    async with scripted(answers, b"IDLE") as server, server.reading(SOON) as reader:
        await reader.open("INBOX")
        with pytest.raises(Failure) as failed:
            await asyncio.wait_for(reader.news(1740), 5)
        assert not failed.value.conclusive
        assert reason is None or failed.value.reason.value == reason


async def test_idle_that_ends_by_itself_at_once_is_not_begun_again() -> None:
    answers = {b"EXAMINE": OPENED, b"IDLE": [b"+ idling\r\n", OK], b"NOOP": OK}
    async with scripted(answers, b"IDLE") as server, server.reading(SOON) as reader:
        await reader.open("INBOX")
        await asyncio.wait_for(reader.news(1740), 5)
        assert not reader.idles


@pytest.mark.parametrize("uid_next", [b"", b"OK [UIDNEXT 3] back again"])
async def test_uidnext_that_is_missing_or_behind(uid_next: bytes) -> None:
    told = [b"1 EXISTS", b"OK [UIDVALIDITY 5] x", *([uid_next] if uid_next else [])]
    answers = {b"EXAMINE": answer(b"OK", *told), b"FETCH": fetched(b"(UID 8)"), b"SEARCH": FOUND}
    async with scripted(answers) as server, server.reading(SOON) as reader:
        _, following = await reader.open("INBOX")
        assert following == (3 if uid_next else 9)
        assert (await reader.following(8, following)).messages == ()


async def test_an_answer_without_the_number_of_messages_is_no_empty_mailbox() -> None:
    answers = {b"EXAMINE": answer(b"OK", b"OK [UIDVALIDITY 5] x", b"OK [UIDNEXT 9] x")}
    async with scripted(answers) as server, server.reading(SOON) as reader:
        with pytest.raises(Failure, match="how many messages it has") as failed:
            await reader.open("INBOX")
    assert not failed.value.conclusive


async def test_a_last_message_without_a_uid_is_no_empty_mailbox() -> None:
    answers = {b"EXAMINE": answer(b"OK", b"3 EXISTS", b"OK [UIDVALIDITY 5] x"), b"FETCH": OK}
    async with scripted(answers) as server, server.reading(SOON) as reader:
        with pytest.raises(Failure, match="which UID the last one has"):
            await reader.open("INBOX")


@pytest.mark.parametrize(
    ("found", "uids"),
    [
        (answer(b"OK done"), [8]),  # without the response that there must be
        (answer(b"OK done", b"SEARCH 6 8\0"), [6, 8]),
        (answer(b"OK done", b"SEARCH 6 \xff"), [6, 8]),
    ],
)
async def test_an_answer_in_part_passes_nothing_over(found: Step, uids: list[int]) -> None:
    def told(command: bytes) -> bytes:
        facts = b" RFC822.SIZE 9" if b"SIZE" in command else b""
        lines = [b"%d FETCH (UID %d%s)" % (uid - 5, uid, facts) for uid in uids]
        made = answer(b"OK done", *lines)
        assert callable(made)
        return made(command)

    answers = {b"EXAMINE": OPENED, b"SEARCH": found, b"FETCH": told}
    async with scripted(answers) as server, server.reading(SOON) as reader:
        _, uid_next = await reader.open("INBOX")
        following = await reader.following(0, uid_next)
    assert [message.uid for message in following.messages] == uids


async def test_who_says_nothing_where_nothing_is_found_is_asked_in_another_way() -> None:
    answers = {b"EXAMINE": OPENED, b"SEARCH": OK, b"FETCH": OK}
    async with scripted(answers) as server, server.reading(SOON) as reader:
        _, uid_next = await reader.open("INBOX")
        assert (await reader.following(0, uid_next)).messages == ()
        with pytest.raises(MessageGone):
            await whole(reader)
        assert b"UID FETCH 1:8 (UID)" in server.said


async def test_who_numbers_nothing_cannot_be_read() -> None:
    answers = {b"EXAMINE": answer(b"OK", b"1 EXISTS")}
    async with scripted(answers) as server, server.reading(SOON) as reader:
        with pytest.raises(Failure) as failed:
            await reader.open("INBOX")
    assert failed.value.reason.value == "CapabilityMissing"


async def test_facts_are_put_together_in_the_order_of_uids() -> None:
    told = (
        b'3 FETCH (UID 8 INTERNALDATE "01-May-2026 12:00:00 +0000")',
        b'1 FETCH (RFC822.SIZE 7 UID 6 INTERNALDATE " 1-May-2026 12:00:00 +0000")',
        b"3 FETCH (UID 8 RFC822.SIZE 9)",
        b"3 FETCH (UID 8 FLAGS (\\Seen))",
        b"9 FETCH (UID 99 RFC822.SIZE 1)",
    )
    answers = {
        b"EXAMINE": OPENED,
        b"SEARCH": answer(b"OK done", b"SEARCH 8 6 8 99", b"SEARCH 4294967296 0"),
        b"FETCH": answer(b"OK done", *told),
    }
    async with scripted(answers) as server, server.reading(SOON) as reader:
        _, uid_next = await reader.open("INBOX")
        following = await reader.following(0, uid_next)
    assert [(message.uid, message.size) for message in following.messages] == [(6, 7), (8, 9)]
    assert None not in [message.arrived_at for message in following.messages]


async def test_what_comes_before_a_message_that_is_hidden_is_read() -> None:
    answers = {
        b"EXAMINE": OPENED,
        b"SEARCH": answer(b"OK done", b"SEARCH 6 7 8"),
        b"FETCH": answer(b"OK done", b"1 FETCH (UID 6 RFC822.SIZE 1)", b"3 FETCH (UID 8)"),
    }
    async with scripted(answers) as server, server.reading(SOON) as reader:
        _, uid_next = await reader.open("INBOX")
        following = await reader.following(0, uid_next)
        assert [message.uid for message in following.messages] == [6]
        assert following.looked_to == 6
        with pytest.raises(Failure, match="UID 7"):
            await reader.following(6, uid_next)


async def test_who_knows_no_parts_gives_all_at_once() -> None:
    octets = b"x" * (PIECE + 1)
    told = fetched(literal(octets, origin=b""))
    answers = {b"EXAMINE": OPENED, b"FETCH": told, b"SEARCH": FOUND}
    async with scripted(answers) as server, server.reading(SOON) as reader:
        await reader.open("INBOX")
        assert await whole(reader, len(octets)) == octets
        assert await whole(reader, 7) == octets
    # What is as long as a part may be one.
    answers[b"FETCH"] = fetched(literal(b"x" * PIECE, origin=b""))
    async with scripted(answers) as server, server.reading(SOON) as reader:
        await reader.open("INBOX")
        with pytest.raises(Failure):
            await whole(reader, PIECE + 9)


async def test_cancelling_closes_at_once() -> None:
    idling = asyncio.Event()

    def begun(command: bytes) -> bytes:
        idling.set()
        return b"+ idling\r\n"

    async def idle(server: Server) -> None:
        async with server.reading(SOON) as reader:
            await reader.open("INBOX")
            await reader.news(1740)

    answers: dict[bytes, Step | Sequence[Step]] = {b"EXAMINE": OPENED, b"IDLE": begun}
    async with scripted(answers, b"IDLE") as server:
        task = asyncio.create_task(idle(server))
        await asyncio.wait_for(idling.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 0.5)
        await asyncio.sleep(0)
        assert sockets_to(server.where.port) == []


LIKE_THE_SERVER = (
    *(b"OK [UIDVALIDITY 6] x", b"ok [uidvalidity 4]", b"SEARCH 8 9", b"SEARCH 7 x", b"9 EXISTS"),
    *(b"* BYE", b"* OK [UIDVALIDITY 6] x\r\n", b"+ go\r\n", b"8 FETCH (UID 8 BODY[] NIL)"),
    *(b"CAPABILITY IMAP4rev1", b")", b" {5}", b"{5}\r\nabcde", b'"', b"(((((", b"NIL", b"A1 OK x"),
)


@pytest.mark.parametrize("like", LIKE_THE_SERVER)
async def test_no_message_speaks_for_its_server(like: bytes) -> None:
    """Whoever sends one could else keep all that come after it from being handed over."""
    octets = like + CANARY
    header = b"(UID 8 BODY[HEADER]<0> {%d}\r\n" % len(octets) + octets + b")"

    def shown(command: bytes) -> bytes:
        step = fetched(header if b"HEADER" in command else literal(octets))
        assert callable(step)
        return step(command)

    answers: dict[bytes, Step] = {b"EXAMINE": OPENED, b"FETCH": shown, b"SEARCH": FOUND}
    async with scripted(answers) as server, server.reading(SOON) as reader:
        await reader.open("INBOX")
        assert (await reader.header(8))[: len(octets)] == octets
        assert await whole(reader, len(octets)) == octets

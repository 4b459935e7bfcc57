# SPDX-License-Identifier: Apache-2.0
"""A reader and a mailbox that changes under it, behind a server of many bad habits: whatever comes,
no message that stays is skipped, none comes twice, and none comes in part or mixed with another."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from postroom.api.reasons import Reason
from postroom.mail.connect.dial import Failure
from postroom.mail.imap import reading
from postroom.mail.imap.reading import MailboxReader, MessageGone
from unit.mail.imap.wired_mailbox import ARRIVED_AT, Manners, WiredMailbox, reader_of

#: What servers do now and then; the last end the session.
TRICKS = (
    *("flags", "other", "twice", "odd", "backwards", "expunge", "ghost", "hide"),
    *("deliver", "refuse", "hang up", "goodbye", "half", "anew"),
)

manners = st.one_of(
    st.builds(Manners, st.booleans(), st.booleans(), st.just(None), st.integers(-40, 40)),
    st.builds(Manners, st.booleans(), st.just(True), st.integers(1, 16), st.just(0)),
)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pieces, spans and batches of which a few messages take several."""
    with monkeypatch.context() as patched:
        for name, value in {"PIECE": 16, "_SPAN": 3, "_FEW": 4, "_BATCH": 2}.items():
            patched.setattr(reading, name, value)
        patched.setattr(reading, "_LONGEST_CALM", 0.0)
        yield


class Carrier:
    """Reads as a courier does: `read` are what it got, by UIDVALIDITY and UID, in order."""

    def __init__(self, mailbox: WiredMailbox) -> None:
        self.mailbox = mailbox
        self.cursor = (0, 0)
        self.read: dict[tuple[int, int], bytes] = {}

    async def session(self, pieces: int) -> None:
        """All that there is, and what comes with the next news, as far as the server lets it."""
        with reader_of(self.mailbox, pieces) as reader:
            try:
                await self.drain(reader)
                await asyncio.wait_for(reader.news(0.001), 5)
                await self.drain(reader)
            except Failure:
                pass

    async def drain(self, reader: MailboxReader) -> None:
        validity, uid_next = await reader.open("INBOX")
        if validity != self.cursor[0]:
            self.cursor = (validity, 0)
        while self.cursor[1] + 1 < uid_next:
            following = await reader.following(self.cursor[1], uid_next)
            for message in following.messages:
                assert message.uid > self.cursor[1]
                assert message.arrived_at == ARRIVED_AT
                before = self.mailbox.messages.get(message.uid)
                try:
                    told = [piece async for piece in reader.pieces(message.uid, message.size)]
                except MessageGone:
                    assert message.uid not in self.mailbox.messages
                else:
                    assert b"".join(told) == before
                    assert (validity, message.uid) not in self.read
                    self.read[validity, message.uid] = before
                self.cursor = (validity, message.uid)
            assert following.looked_to >= self.cursor[1]
            assert following.looked_to < uid_next
            self.cursor = (validity, following.looked_to)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 60)), max_size=9),
    st.lists(
        st.tuples(manners, st.sets(st.sampled_from(TRICKS)), st.sampled_from([1, 7, 4096])),
        max_size=4,
    ),
    st.randoms(use_true_random=True),
)
def test_whatever_a_server_does(
    messages: list[tuple[int, int]],
    sessions: list[tuple[Manners, set[str], int]],
    random: Random,
) -> None:
    async def play() -> None:
        mailbox = WiredMailbox(random.choice)
        for gap, size in messages:
            mailbox.uid_next += gap
            mailbox.deliver(size)
        carrier = Carrier(mailbox)
        for kind, tricks, pieces in sessions:
            mailbox.manners, mailbox.tricks = kind, tuple(sorted(tricks))
            await carrier.session(pieces)
        # And then all is well.
        mailbox.manners, mailbox.tricks = Manners(), ()
        await carrier.session(4096)
        there = {(mailbox.uid_validity, uid): said for uid, said in mailbox.messages.items()}
        assert there.items() <= carrier.read.items()

    asyncio.run(play())


@example(size=0, error=1, gives=None)
@given(st.integers(0, 70), st.integers(-70, 70), st.sampled_from([None, 1, 5, 16]))
def test_sizes_and_pieces(size: int, error: int, gives: int | None) -> None:
    """A size that is wrong, or pieces that are short; both at once may look like an end."""

    async def play() -> None:
        mailbox = WiredMailbox(lambda options: options[0])
        mailbox.manners = Manners(gives=gives, size_error=error if gives is None else 0)
        mailbox.deliver(size)
        carrier = Carrier(mailbox)
        await carrier.session(4096)
        # What has octets by its size and shows none is not passed by as one without any.
        held = not size and mailbox.manners.size_error > 0
        assert carrier.read == ({} if held else {(1, 1): mailbox.messages[1]})

    asyncio.run(play())


@pytest.mark.parametrize("last", [1, 3])
async def test_a_uidnext_that_is_too_low_for_the_messages_hides_none(last: int) -> None:
    mailbox = WiredMailbox(lambda options: options[0])
    mailbox.manners = Manners(last_uid_next=last)
    carrier = Carrier(mailbox)
    for count in range(5):
        await carrier.session(4096)
        assert len(carrier.read) == count
        mailbox.deliver(20)


@pytest.mark.parametrize(
    ("bounds", "gives", "comes"),
    [
        ({"_ASKED": 10, "_LEAST": 5}, 1, False),
        ({"_ASKED": 10, "_LEAST": 4}, 4, True),
        ({"_IN_TIME": -1.0}, None, False),
        ({"_IN_TIME": 0.0, "_SLOWEST": 1e9}, 4, False),
        ({"_SLOWEST": 1e-3, "_ASKED": 0, "_LEAST": 1}, 1, True),
    ],
)
async def test_a_message_comes_in_time_or_its_mailbox_waits(
    bounds: dict[str, float], gives: int | None, comes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in bounds.items():
        monkeypatch.setattr(reading, name, value)
    mailbox = WiredMailbox(lambda options: options[0])
    mailbox.manners = Manners(gives=gives)
    mailbox.deliver(60)
    with reader_of(mailbox) as reader:
        await reader.open("INBOX")
        try:
            told = [piece async for piece in reader.pieces(1, 60)]
        except Failure as failure:
            assert (failure.reason, failure.conclusive) == (Reason.CONNECTION_TIMEOUT, False)
            assert "UID 1 too slowly" in failure.message
            assert not comes
        else:
            assert comes and b"".join(told) == mailbox.messages[1]


async def test_news_that_is_none_is_not_asked_for_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def slept(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    mailbox = WiredMailbox(lambda options: options[0])
    monkeypatch.setattr(reading, "_LONGEST_CALM", 60.0)
    with reader_of(mailbox) as reader:
        monkeypatch.setattr(reading.asyncio, "sleep", slept)
        for _ in range(9):
            await reader.open("INBOX")
            reader._protocol.data_received(b"* 0 EXISTS\r\n")
            await reader.news(1740)
        assert pauses == [2, 4, 8, 16, 32, 60, 60, 60]
        mailbox.deliver(20)
        await reader.open("INBOX")
        reader._protocol.data_received(b"* 1 EXISTS\r\n")
        await reader.news(1740)
    assert len(pauses) == 8


async def test_who_refuses_to_idle_is_polled() -> None:
    mailbox = WiredMailbox(lambda options: options[-1])
    with reader_of(mailbox) as reader:
        await reader.open("INBOX")
        mailbox.tricks = ("refuse",)
        assert reader.idles
        await asyncio.wait_for(reader.news(1740), 5)
        assert not reader.idles
        mailbox.tricks = ()
        await reader.news(0.001)
        await reader.open("INBOX")

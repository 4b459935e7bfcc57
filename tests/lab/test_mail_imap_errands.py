# SPDX-License-Identifier: Apache-2.0
"""Errands over IMAP at the lab's own server, and what a check finds out there.

Covers: positions, scanning past them, what a scan leaves untouched, history by day with its bound,
and the facts of a mailbox.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from lab.imap_lab import Server, lab_server, message
from lab.mail_probing import (
    nothing_leaks,  # noqa: F401 - a fixture
    outcome,
)
from postroom.mail.operations import Position
from postroom.mail.report import Quota

DONE = ("Done", "ProbeSucceeded")


async def noted(server: Server) -> tuple[Position, ...]:
    report = await server.scan()
    assert outcome(report.session) == DONE
    assert report.messages == ()
    return report.positions


async def test_positions_of_where_mail_arrives() -> None:
    async with lab_server() as (server, _):
        assert await noted(server) == (
            Position("INBOX", 1, 4),
            Position("Junk", 1, 1, "\\Junk"),
        )


async def test_a_scan_finds_what_came_since() -> None:
    async with lab_server() as (server, account):
        since = await noted(server)
        account.mailboxes["INBOX"].deliver(message(1))
        account.mailboxes["Junk"].deliver(message(2))
        report = await server.scan(*since)
    assert outcome(report.session) == DONE
    inbox, junk = report.messages
    assert (inbox.mailbox, inbox.uid, inbox.special_use) == ("INBOX", 4, None)
    assert (junk.mailbox, junk.uid, junk.special_use) == ("Junk", 1, "\\Junk")
    assert inbox.header == b"Subject: number 1\r\n\r\n"
    assert inbox.received_at is not None
    assert abs(datetime.now(UTC) - inbox.received_at) < timedelta(minutes=1)
    assert [position.uid_next for position in report.positions] == [5, 2]


async def test_nothing_new_is_nothing() -> None:
    async with lab_server() as (server, _):
        since = await noted(server)
        report = await server.scan(*since)
    assert (report.messages, report.positions) == ((), since)


async def test_a_scan_and_a_check_change_nothing() -> None:
    async with lab_server() as (server, account):
        await server.scan(Position("INBOX", 1, 1))
        await server.check()
        flags = [one.flags for one in account.mailboxes["INBOX"].messages]
    assert flags == [set(), set(), set()]


async def test_many_messages_are_read_in_parts() -> None:
    async with lab_server() as (server, account):
        for number in range(620):
            account.mailboxes["INBOX"].deliver(message(number))
        first = await server.scan(Position("INBOX", 1, 4))
        rest = await server.scan(*first.positions)
    assert [one.uid for one in first.messages] == list(range(4, 504))
    assert [one.uid for one in rest.messages] == list(range(504, 624))
    assert [position.uid_next for position in rest.positions] == [624]


async def test_large_headers_are_cut() -> None:
    async with lab_server() as (server, account):
        long = "To: " + ",\r\n ".join(["x" * 70] * 900)
        account.mailboxes["INBOX"].deliver(message(1, long))
        report = await server.scan(Position("INBOX", 1, 4))
    assert [len(one.header) for one in report.messages] == [16 * 1024]


async def test_messages_are_numbered_anew() -> None:
    async with lab_server() as (server, account):
        account.mailboxes["INBOX"].uid_validity = 9
        report = await server.scan(Position("INBOX", 1, 700, None))
    assert report.positions == (Position("INBOX", 9, 4),)
    assert [(one.uid_validity, one.uid) for one in report.messages] == [(9, 1), (9, 2), (9, 3)]


async def test_a_mailbox_that_is_gone_is_passed_over_unless_it_is_the_one() -> None:
    gone = Position("Bin", 1, 1, "\\Junk")
    async with lab_server() as (server, _):
        report = await server.scan(gone, Position("INBOX", 1, 3))
        lost = await server.scan(gone, mailbox="Bin")
    assert report.positions == (gone, Position("INBOX", 1, 4))
    assert len(report.messages) == 1
    assert outcome(lost.session) == ("Mailbox", "MailboxNotFound")
    assert (lost.positions, lost.messages) == ((), ())


async def test_history_by_day() -> None:
    async with lab_server() as (server, account):
        inbox, now = account.mailboxes["INBOX"], datetime(2026, 5, 9, 12, tzinfo=UTC)
        inbox.messages.clear()
        for days in (40, 3, 3, 1, 0):
            inbox.deliver(message(days)).received = now - timedelta(days=days)
        report = await server.history((now - timedelta(days=7)).date())
    assert (outcome(report.session), report.complete) == (DONE, True)
    assert {day.day: count for day, count in report.days.items()} == {6: 2, 8: 1, 9: 1}


async def test_history_is_bounded() -> None:
    async with lab_server() as (server, account):
        today = datetime.now(UTC).date()
        for number in range(1500):
            account.mailboxes["INBOX"].deliver(message(number))
        some = await server.history(today - timedelta(days=1), limit=1200)
        every = await server.history(today - timedelta(days=1))
    assert (sum(some.days.values()), some.complete) == (1200, False)
    assert (sum(every.days.values()), every.complete) == (1503, True)


async def test_the_history_of_an_empty_mailbox() -> None:
    async with lab_server() as (server, account):
        account.mailboxes["INBOX"].messages.clear()
        report = await server.history(datetime(2026, 5, 9, tzinfo=UTC).date())
    assert (outcome(report.session), report.days, report.complete) == (DONE, {}, True)


async def test_what_a_check_finds_out() -> None:
    async with lab_server() as (server, account):
        newest = datetime(2026, 5, 9, 12, tzinfo=UTC)
        account.mailboxes["INBOX"].deliver(b"x" * 4000).received = newest
        found = (await server.check()).mailbox
        size = account.mailboxes["INBOX"].size
    assert found is not None
    assert (found.messages, found.unseen, found.uid_next, found.uid_validity) == (4, 4, 5, 1)
    assert (found.newest_at, found.size) == (newest, size)
    assert found.octets == Quota(size // 1024 * 1024, 64 * 1024 * 1024)
    assert found.special == {"Junk": "Junk", "Sent": "Sent", "Trash": "Trash"}
    assert (found.prefix, found.delimiter) == ("", "/")

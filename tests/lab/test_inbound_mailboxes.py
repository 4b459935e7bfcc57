# SPDX-License-Identifier: Apache-2.0
"""From a real mailbox to an application: the courier over real sessions, and all that may become of
a mailbox and of a session meanwhile.

Covers: a server that hangs up, numbers a mailbox anew and is changed by others; mailboxes in turn;
Dovecot, with another client at work.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest

from lab.dovecot_server import dovecot
from lab.imap_lab import Server, lab_server
from lab.mail_probing import (
    LOGIN,
    nothing_leaks,  # noqa: F401 - a fixture
    probes,
)
from lab.test_mail_imap_reading_dovecot import LOGIN as DOVECOT_LOGIN
from lab.test_mail_imap_reading_dovecot import append, flags, on, other
from postroom.concurrency.backoff import Backoff
from postroom.delivery.answers import Answer
from postroom.delivery.contract import Plan, Progress, Route
from postroom.delivery.courier import Courier
from postroom.delivery.cursors import Start
from postroom.delivery.spool import Spool, SpooledMessage
from postroom.mail.connect.dial import Deadlines
from postroom.mail.probes import NetworkProbes
from postroom.mail.report import Endpoint, Login

HOURS = timedelta(hours=6)


class Application:
    """Takes all; `taken` are what it was told, and the message."""

    def __init__(self) -> None:
        self.taken: list[tuple[Mapping[str, str], bytes]] = []
        self.said: list[Progress] = []
        self.logins = 0

    async def send(self, told: Mapping[str, str], message: SpooledMessage | None) -> Answer:
        self.taken.append((told, b"".join(message.pieces()) if message else b""))
        return Answer(200)

    @property
    def messages(self) -> list[bytes]:
        return [content for _, content in self.taken]

    async def has(self, count: int) -> None:
        await until(lambda: len(self.taken) >= count)


async def until(there: Callable[[], bool]) -> None:
    for _ in range(2000):
        if there():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not come")


@asynccontextmanager
async def carried(
    made: NetworkProbes,
    where: Endpoint,
    login: Login,
    *mailboxes: str,
    start: Start = Start.NOW,
    interval: timedelta = HOURS,
) -> AsyncIterator[Application]:
    """An application to which a courier carries what comes."""
    application = Application()

    async def signing_in() -> Login:
        application.logins += 1
        return login

    plan = Plan(mailboxes, start, timedelta(days=7), 1024 * 1024, interval)
    route = Route("8e0c", "mail", "support", plan, where, signing_in, application)
    courier = Courier(
        route,
        made,
        Spool(8 * 1024 * 1024),
        lambda: datetime.now(UTC),
        application.said.append,
        backoff=Backoff(floor=0.01, base=0.01, cap=0.05),
    )
    task = asyncio.create_task(courier.run())
    try:
        await until(lambda: set(courier.progress.cursors) == set(mailboxes) or task.done())
        yield application
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def content(number: int, size: int = 40) -> bytes:
    """A message like no other; Dovecot keeps what has CRLF."""
    return b"Subject: number %d\r\n\r\n" % number + b"%d\r\n" % number * (size // 4)


def probes_for(server: Server) -> NetworkProbes:
    return probes(server.where.port, server.addresses, Deadlines())


async def test_sessions_end_and_mailboxes_are_made_anew_and_nothing_is_lost() -> None:
    async with lab_server() as (server, account):
        inbox = account.mailboxes["INBOX"]
        async with carried(probes_for(server), server.where, LOGIN, "INBOX") as application:
            # What it is told of by IDLE: otherwise it looks in six hours.
            inbox.deliver(content(1))
            await application.has(1)
            server.hang_up()
            inbox.deliver(content(2))
            await application.has(2)
            inbox.deliver(content(3, 600_000))
            inbox.deliver(content(4))
            await application.has(4)
            assert application.messages == [content(1), content(2), content(3, 600_000), content(4)]
            assert application.logins == 2
            inbox.expunge(inbox.messages[3:5])
            inbox.make_anew()
            await application.has(9)
            # Long after: what arrives while a mailbox is made anew may be a copy.
            inbox.deliver(content(5), datetime.now(UTC) + timedelta(minutes=1))
            await application.has(10)
        again = [told.get("mayberepeated") for told, _ in application.taken]
        assert again == [None] * 4 + ["true"] * 5 + [None]
        assert application.messages[4:9] == [message.content for message in inbox.messages[:5]]
        assert application.messages[9] == content(5)
        assert len({told["id"] for told, _ in application.taken}) == 10
        assert {progress.reason for progress in application.said} == {None}
        assert [message.flags for message in inbox.messages] == [set()] * 6


async def test_mailboxes_take_turns_and_a_moved_message_is_another_one() -> None:
    async with lab_server() as (server, account):
        inbox, junk = account.mailboxes["INBOX"], account.mailboxes["Junk"]
        interval = timedelta(seconds=0.1)
        async with carried(
            probes_for(server), server.where, LOGIN, "INBOX", "Junk", interval=interval
        ) as application:
            spam = junk.deliver(content(1))
            inbox.deliver(content(2))
            await application.has(2)
            # Somebody says that it is no spam.
            inbox.deliver(spam.content, spam.received)
            junk.expunge([spam])
            await application.has(3)
    found = [(told["mailbox"], message) for told, message in application.taken]
    assert sorted(found[:2]) == [("INBOX", content(2)), ("Junk", content(1))]
    assert found[2] == ("INBOX", content(1))


@pytest.mark.real_mail_server
async def test_dovecot_with_another_client_at_work() -> None:
    sizes: Sequence[int] = (0, 100, 300_000, 40, 500_000, 40, 40, 262_144, 40, 40)
    async with dovecot() as server:
        for number, size in enumerate(sizes):
            await other(server, append(content(number, size)))
        made, where = server.probes(), server.endpoint("imaps")
        async with carried(
            made, where, DOVECOT_LOGIN, "INBOX", "Junk", start=Start.BACKFILL,
            interval=timedelta(seconds=0.2),
        ) as application:  # fmt: skip
            await application.has(10)
            before = await other(server, flags)
            for number in range(10, 20):
                await other(server, append(content(number)))
            removed = ("STORE", "1:3", "+FLAGS", r"(\Deleted)"), ("EXPUNGE", "1:3")
            await other(server, on("INBOX", *removed, ("MOVE", "4", "Junk")))
            await application.has(21)
            await asyncio.to_thread(server.deliver, "alice@example.com", content(20))
            await application.has(22)
        after = await other(server, flags)
    inbox = [message for told, message in application.taken if told["mailbox"] == "INBOX"]
    assert inbox[:20] == [content(number, size) for number, size in enumerate((*sizes, *[40] * 10))]
    assert content(20).partition(b"\r\n")[0] in inbox[20]
    junk = [message for told, message in application.taken if told["mailbox"] == "Junk"]
    assert junk == [content(3)]
    assert len({told["id"] for told, _ in application.taken}) == 22
    assert {progress.reason for progress in application.said} == {None}
    # A number, a UID, and the flags.
    seen = [line.partition(b"FLAGS")[2] for line in (*before, *after)]
    assert not any(b"\\Seen" in line for line in seen)

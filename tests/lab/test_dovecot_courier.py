# SPDX-License-Identifier: Apache-2.0
"""The courier at a real Dovecot: lives that are ended anywhere, answers of every kind, a message
that is removed meanwhile, and a mailbox that is made anew; nothing is lost, no flag is changed."""

from __future__ import annotations

import asyncio
import imaplib
import random
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from lab.dovecot_server import Dovecot, dovecot
from lab.dovecot_server_files import ALICE, PASSWORDS
from lab.mail_probing import AUTHORITY
from postroom.api.masked import Masked
from postroom.concurrency.backoff import Backoff
from postroom.delivery import cursors
from postroom.delivery.answers import Answer, Meaning
from postroom.delivery.contract import Plan, Progress, Route
from postroom.delivery.courier import Courier
from postroom.delivery.spool import Spool, SpooledMessage
from postroom.mail.report import Login

pytestmark = pytest.mark.real_mail_server

MESSAGES = 60
MAILBOX, RECIPIENT = "Tickets", ALICE.replace("@", "+Tickets@")
PLAN = Plan((MAILBOX,), cursors.Start.BACKFILL, timedelta(days=7), 2**20, timedelta(minutes=5))


class Application:
    """Takes messages, and by its dice refuses, is silent, or says no after it has taken one."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self.kind = False
        self.taken: list[tuple[Mapping[str, str], bytes]] = []

    async def send(self, told: Mapping[str, str], message: SpooledMessage | None) -> Answer:
        assert message is not None
        body = b"".join(message.pieces())
        await asyncio.sleep(self._dice.choice([0.0, 0.01]))
        answer = Answer(self._dice.choice([200] * 8 + [500, 429, 400]))
        answer = Answer(200) if self.kind else answer
        if answer.meaning is Meaning.HANDED_OVER or self._dice.random() < 0.3:
            self.taken.append((told, body))
        return answer

    def numbers(self) -> list[int]:
        """Which messages were taken, each when it was first."""
        found = [int(body.partition(b"number ")[2].split()[0]) for _, body in self.taken]
        return list(dict.fromkeys(found))


@contextmanager
def another_client(server: Dovecot) -> Iterator[imaplib.IMAP4_SSL]:
    trusting = ssl.create_default_context(cadata=AUTHORITY.cert_pem.bytes().decode())
    trusting.check_hostname = False
    place = server.address, server.ports["imaps"]
    with imaplib.IMAP4_SSL(*place, ssl_context=trusting, timeout=60) as client:
        client.login(ALICE, PASSWORDS[ALICE])
        client.select(MAILBOX, readonly=True)
        yield client


def create(server: Dovecot) -> None:
    with another_client(server) as client:
        client.create(MAILBOX)


def flags_of(server: Dovecot) -> list[bytes]:
    with another_client(server) as client:
        return [bytes(line) for line in client.uid("FETCH", "1:*", "(FLAGS)")[1]]


def remove(server: Dovecot, uid: int) -> None:
    with another_client(server) as client:
        client.select(MAILBOX)
        client.uid("STORE", str(uid), "+FLAGS", "(\\Deleted)")
        client.expunge()


def make_anew(server: Dovecot) -> None:
    """The mailbox is made again under its name, and its messages are copied there."""
    with another_client(server) as client:
        client.create("before")
        client.uid("COPY", "1:*", "before")
        client.close()
        client.delete(MAILBOX)
        client.create(MAILBOX)
        client.select("before", readonly=True)
        assert client.uid("COPY", "1:*", MAILBOX)[0] == "OK"


async def test_nothing_is_lost_at_dovecot() -> None:
    dice = random.Random(7)  # noqa: S311 - no secrets
    application, spool, progress = Application(dice), Spool(2**22), Progress()

    async def login() -> Login:
        return Login(ALICE, Masked(PASSWORDS[ALICE]))

    async with dovecot() as server:
        endpoint, probes = server.endpoint("imaps"), server.probes()
        route = Route("uid", "mail", "support", PLAN, endpoint, login, application)
        told = [progress]

        async def live(seconds: float) -> None:
            """Work for a while; what is written by then is somewhat behind."""
            stored = told[-1 - min(len(told) - 1, dice.randrange(4))]
            told[:] = [stored]
            courier = Courier(
                route,
                probes,
                spool,
                lambda: datetime.now(UTC),
                told.append,
                stored,
                Backoff(floor=0.01, base=0.01, cap=0.05),
            )
            task = asyncio.create_task(courier.run())
            await asyncio.wait({task}, timeout=seconds)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        await asyncio.to_thread(create, server)
        for number in range(MESSAGES):
            text = f"Subject: number {number} \r\n\r\n{'x' * dice.randrange(9000)}\r\n"
            await asyncio.to_thread(server.deliver, RECIPIENT, text.encode())
        before = await asyncio.to_thread(flags_of, server)
        for _ in range(12):
            await live(dice.uniform(0.05, 0.3))
        last = await asyncio.to_thread(flags_of, server)
        assert last == before, "no flag is changed"
        await asyncio.to_thread(remove, server, MESSAGES - 3)
        application.kind = True
        # On a slow machine no life before may have been long enough to sign in.
        while (
            told[-1].waiting
            or (cursor := told[-1].cursors.get(MAILBOX)) is None
            or (cursor.uid < MESSAGES)
        ):
            await live(0.5)
        assert set(range(MESSAGES)) - set(application.numbers()) <= {MESSAGES - 4}
        assert application.numbers() == sorted(application.numbers()), "in order"
        ids = {body: told["id"] for told, body in application.taken}
        assert all(told["id"] == ids[body] for told, body in application.taken)
        await asyncio.to_thread(make_anew, server)
        late = b"Subject: number 1000 \r\n\r\nlate\r\n"
        await asyncio.to_thread(server.deliver, RECIPIENT, late)
        while application.numbers()[-1] != 1000:
            await live(2.0)  # two sessions have to find it
        again = [told for told, body in application.taken if told["id"] != ids.get(body)]
        assert len(again) >= MESSAGES
        unmarked = [told for told in again if "mayberepeated" not in told]
        assert len({told["id"] for told in unmarked}) <= 1, "the late one at most"
        assert spool.used == 0

# SPDX-License-Identifier: Apache-2.0
"""Nothing of a message, of its login and of its key shows in what handing it over tells.

Covers: IMAP servers that repeat the password at each stage of reading, and applications that repeat
body, signature and headers in every place of an answer, or answer what is no HTTP. Hidden are also
what an application says of its own, and the derived signatures. Searched: progress and what status
has of it, metrics, every log at DEBUG, with asyncio's debug mode, which prints what tasks yield.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import generate_latest

from lab.canary_secrets import Secrets, spellings, spelt
from lab.canary_servers import IMAP, IMAP_ERRANDS, Row
from lab.canary_watch import Watch, watching
from lab.hostile import Answers, Hostile, Step, answer, imap_until_login
from lab.mail_probing import context, endpoint, probes
from lab.sink_world import Script, read_request, scripted, sink
from postroom.api.mailserver import TLSMode
from postroom.api.masked import Masked
from postroom.api.names import Key, Kind
from postroom.concurrency.backoff import Backoff
from postroom.controller.audit import Audit
from postroom.controller.inbound.figures import Figures
from postroom.delivery import cursors, status
from postroom.delivery.contract import Plan, Progress, Route
from postroom.delivery.courier import Courier
from postroom.delivery.events import Format
from postroom.delivery.spool import Spool
from postroom.mail.report import Login

USER = "user@example.com"
KEY = Key(Kind.EMAIL_ACCOUNT, "mail", "it")
OK = b"HTTP/1.1 204 No Content\r\n\r\n"
#: Octets that fit into one line of a header.
_LINE = 6000


@dataclass
class Mail:
    """A message, and what in it must not show."""

    hidden: Mapping[str, str]
    octets: bytes

    @classmethod
    def of(cls, made: Secrets, number: int) -> Mail:
        """One whose every part is a secret."""
        names = ("subject", "sender", "recipient", "message id", "field", "body", "file name")
        hidden = {name: made.core(18) for name in names}
        hidden["text"] = text = made.password(number)
        lines = (
            f"From: {hidden['sender']} <{hidden['sender']}@example.net>",
            f"To: {hidden['recipient']}@example.com",
            f"Subject: {hidden['subject']} =?utf-8?b?{_in_base64(text)}?=",
            f"Message-ID: <{hidden['message id']}@example.net>",
            f"X-Other: {hidden['field']}",
            'Content-Type: multipart/mixed; boundary="b"',
            *("", "--b", "Content-Type: text/plain; charset=utf-8", ""),
            *(hidden["body"], text, "--b"),
            f'Content-Disposition: attachment; filename="{hidden["file name"]}"',
            *("Content-Transfer-Encoding: base64", "", _in_base64(hidden["body"]), "--b--", ""),
        )
        return cls(hidden, "\r\n".join(lines).encode())


def _in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def mailbox(
    secret: str, mail: Mail, arrived: str = "01-May-2026 12:00:00 +0000"
) -> tuple[Step, ...]:
    """A server with one message, which says the secret beside whatever it is asked."""
    text = spelt(secret)
    opened = (b"1 EXISTS", b"OK [UIDVALIDITY 5] " + text, b"OK [UIDNEXT 9] " + text)
    facts = b'1 FETCH (UID 8 INTERNALDATE "%b" RFC822.SIZE %%d)' % arrived.encode()

    def fetched(line: bytes) -> bytes:
        if b"BODY.PEEK" not in line:
            told = facts % len(mail.octets)
        else:
            header = mail.octets.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            name, octets = (b"HEADER", header) if b"HEADER" in line else (b"", mail.octets)
            told = b"1 FETCH (UID 8 BODY[%s]<0> {%d}\r\n" % (name, len(octets)) + octets + b")"
        made = answer(b"OK " + text, told, b"OK [ALERT] " + text)
        assert callable(made)
        return made(line)

    tags: list[bytes] = []

    def idling(line: bytes) -> bytes:
        tags.append(line.split()[0])
        return b"+ " + text + b"\r\n* OK " + text + b"\r\n"

    answers: dict[bytes, tuple[Step, ...]] = {
        b"EXAMINE": (answer(b"OK [READ-ONLY] " + text, *opened),),
        b"SEARCH": (answer(b"OK " + text, b"SEARCH 8"),),
        b"FETCH": (fetched,),
        b"IDLE": (idling,),
        b"DONE": (lambda _: tags[-1] + b" OK " + text + b"\r\n",),
        **{
            word: (answer(b"OK " + text),)
            for word in (b"LIST", b"STATUS", b"NOOP", b"CAPABILITY", b"LOGOUT")
        },
    }
    signed_in = answer(b"OK [CAPABILITY IMAP4rev1 IDLE] " + text)
    return imap_until_login(b"IDLE", after=("read", signed_in, Answers(answers, b"LOGOUT")))


@dataclass
class Echoing:
    """An application; `rows` make of a request and of a secret of its own what it says."""

    rows: list[Answering]
    secret: str
    posts: list[tuple[bytes, bytes]] = field(default_factory=list)
    all_said: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, body = await read_request(reader)
        self.posts.append((head, body))
        row = self.rows.pop(0) if self.rows else None
        writer.write(row(head, body, self.secret) if row is not None else OK)
        await writer.drain()
        if row is None:
            self.all_said.set()

    @property
    def script(self) -> Script:
        return self.serve


Answering = Callable[[bytes, bytes, str], bytes]


def _words(head: bytes, body: bytes, secret: str) -> bytes:
    """All that an application can repeat, in one line."""
    said = b" ".join([spelt(secret), *head.split(b"\r\n"), *body.split(b"\r\n")])
    return said.replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b"")[:_LINE]


def _says(status: bytes, *fields: bytes) -> Answering:
    """A whole answer that repeats all in its reason, in these fields and in its body."""

    def made(head: bytes, body: bytes, secret: str) -> bytes:
        words = _words(head, body, secret)
        lines = [b"HTTP/1.1 " + status + b" " + words]
        lines += [name + b": " + words for name in (*fields, b"X-Echo")]
        lines += [b"Content-Length: %d" % len(body + words), b"Connection: close", b"", b""]
        return b"\r\n".join(lines) + body + words

    return made


def _raw(*parts: bytes) -> Answering:
    """What is no answer, with all that can be repeated between the parts."""
    return lambda head, body, secret: _words(head, body, secret).join(parts)


ANSWERINGS: list[Answering] = [
    *(_says(status) for status in (b"400", b"401", b"408", b"422", b"500")),
    _says(b"302", b"Location"),
    _says(b"307", b"Location", b"Refresh"),
    _says(b"401", b"WWW-Authenticate", b"Set-Cookie"),
    _says(b"429", b"Retry-After"),
    _says(b"503", b"Retry-After", b"Content-Type", b"Content-Encoding"),
    *(_raw(b"", end) for end in (b"\r\n\r\n", b"")),
    _raw(b"HTTP/1.1 ", b" OK\r\n\r\n"),
    _raw(b"HTTP/9.", b" 200 OK\r\n\r\n"),
    _raw(b"HTTP/1.1 500 x\r\n", b"\r\n\r\n"),
    _raw(b"HTTP/1.1 500 x\r\nContent-Length: ", b"\r\n\r\n"),
    _raw(b"HTTP/1.1 500 x\r\nTransfer-Encoding: ", b"\r\n\r\n"),
    _raw(b"HTTP/1.1 500 x\r\nTransfer-Encoding: chunked\r\n\r\n", b"\r\n"),
    _raw(b"HTTP/1.1 500 x\r\nX-Long: ", b"", b"", b"\r\n\r\n"),
    _raw(b"HTTP/1.1 101 ", b"\r\nUpgrade: x\r\n\r\n"),
    _raw(b"HTTP/1.1 500 x\r\n\x00", b"\r\n\r\n"),
    _raw(b"HTTP/1.1 500 x\r\nContent-Encoding: gzip\r\nContent-Length: 9000\r\n\r\n", b""),
]


@asynccontextmanager
async def carrying(
    watch: Watch, made: Secrets, steps: tuple[Step, ...], password: str, to: int, form: Format
) -> AsyncIterator[tuple[Hostile, list[Progress]]]:
    """Carry from a server to the application at a port; what is told of it is watched."""
    figures, told = Figures(), [Progress()]
    key = base64.b64encode(made.core(32).encode()).decode()
    watch.hide("signing key", key)

    def hear(progress: Progress) -> None:
        told.append(progress)
        now = datetime.now(UTC)
        watch.see("progress", progress)
        watch.see("status", json.dumps(status.written(progress, "an application", 1, None, now)))

    async def login() -> Login:
        return Login(USER, Masked(password), secret="mailbox")

    async with (
        Hostile(*steps, context=context(), implicit=True) as server,
        sink(to, keys=(f"whsec_{key}",), written_as=form) as application,
    ):
        plan = Plan(
            ("INBOX",), cursors.Start.BACKFILL, timedelta(days=3650), 2**20, timedelta(seconds=0.2)
        )
        where = endpoint(server.port, TLSMode.IMPLICIT)
        mailboxes, audit = probes(server.port), Audit()
        mailboxes.signed_in = audit.signed_in
        route = Route("u1", KEY.namespace, KEY.name, plan, where, login, application)
        courier = Courier(
            route,
            mailboxes,
            Spool(2**22),
            lambda: datetime.now(UTC),
            hear,
            backoff=Backoff(floor=0.01, base=0.01, cap=0.05),
            observe=lambda result, octets: figures.offered(KEY.namespace, result, octets),
        )
        figures.begun(KEY.namespace)
        figures.observe_accounts(lambda: [(KEY, told[-1])], lambda: datetime.now(UTC))
        task = asyncio.create_task(courier.run())
        try:
            yield server, told
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        watch.see("courier", repr(vars(courier)), repr(task), repr(route))
        watch.see("metrics", generate_latest(figures.registry))


@pytest.mark.parametrize("form", Format)
async def test_applications_that_repeat(form: Format) -> None:
    number = list(Format).index(form)
    made = Secrets(800 + number)
    mail, password, own = Mail.of(made, number), made.password(number + 5), made.core(24)
    application = Echoing(list(ANSWERINGS), own)
    async with watching(debug=True) as watch:
        watch.hide("password", password)
        watch.hide("what the application says", own)
        for name, text in mail.hidden.items():
            watch.hide(f"{name} of the message", text)
        async with (
            scripted(application.script) as port,
            carrying(watch, made, mailbox(password, mail), password, port, form) as (server, _),
        ):
            await asyncio.wait_for(application.all_said.wait(), 30)
            await asyncio.sleep(0.2)  # that it was taken is told
        hide_signatures(watch, application)
        assert any(place == "log of asyncio" for place, _ in watch.shown)
        assert len(watch.shown) > 100, len(watch.shown)
    assert len(application.posts) == len(ANSWERINGS) + 1
    whole = mail.octets if form is Format.RAW else base64.b64encode(mail.octets)
    assert all(whole in body for _, body in application.posts)
    assert any(password.encode() in line for line in server.received) or server.connections


def hide_signatures(watch: Watch, application: Echoing) -> None:
    """Whoever has a signature can have the message taken once more."""
    for number, (head, _) in enumerate(application.posts):
        signed = next(line for line in head.split(b"\r\n") if b"webhook-signature" in line)
        watch.hide(f"signature {number}", signed.rpartition(b",")[2].decode())


async def read_from(name: str, row: Row, watch: Watch, made: Secrets, number: int) -> int:
    """Have a mailbox read at a server that repeats the password; how often it was connected to."""
    password = made.password(number)
    watch.hide(f"password of {name}", password)
    async with (
        scripted(Echoing([], "").serve) as port,
        carrying(watch, made, row(password), password, port, Format.RAW) as (run, told),
    ):
        for _ in range(500):
            if told[-1].reason is not None:
                break
            await asyncio.sleep(0.02)
    assert told[-1].reason is not None, name
    return run.connections


async def test_mailboxes_that_repeat() -> None:
    made = Secrets(820)
    rows: Mapping[str, Row] = {**IMAP, **IMAP_ERRANDS}
    async with watching() as watch, asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(read_from(name, row, watch, made, number))
            for number, (name, row) in enumerate(rows.items())
        ]
    assert all(task.result() for task in tasks)


def test_there_is_something_to_find() -> None:
    """The rows repeat: without masking each of them would be a leak."""
    made = Secrets(830)
    mail, own = Mail.of(made, 1), made.core(24)
    for row in ANSWERINGS:
        said = row(b"POST /mail HTTP/1.1\r\nwebhook-signature: v1,x", mail.octets, own)
        assert any(spelling in said for spelling in spellings(own))
        assert mail.hidden["subject"].encode() in said

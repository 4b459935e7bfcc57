# SPDX-License-Identifier: Apache-2.0
"""The receiver of examples/tickets, over HTTP, signed as postroom signs.

Covers: who may post, and what stale, replayed, cut off and oversized posts do; that a message is
kept once, under concurrency too, and answered only then; threads, within an account alone;
attachments byte for byte; messages that parsers fall over; that nothing a sender writes is markup.
"""

import base64
import http.client
import importlib.util
import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from email.policy import SMTP
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from postroom.api.masked import Masked
from postroom.delivery import events, signing
from unit.docs.reading import ROOT

KEY, EARLIER = (f"whsec_{base64.b64encode(bytes([each] * 32)).decode()}" for each in (1, 2))
ACCOUNT = "mail/support"


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


class Tickets:
    """The receiver at work, with a database and keys of its own."""

    def __init__(self, directory: Path) -> None:
        path = ROOT / "examples" / "tickets" / "tickets.py"
        spec = importlib.util.spec_from_file_location("tickets", path)
        assert spec is not None and spec.loader is not None
        self.module: ModuleType = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.module)
        self.keys = directory / "keys"
        self.keys.mkdir()
        (self.keys / "current").write_text(KEY)
        self.module.KEYS, self.module.DATA = self.keys, str(directory / "tickets.sqlite")  # type: ignore[attr-defined]
        handlers = (self.module.Hook, self.module.Page)
        self.servers = [ThreadingHTTPServer(("127.0.0.1", 0), each) for each in handlers]
        for server in self.servers:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def ask(
        self, number: int, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> Answer:
        port = self.servers[number].server_port
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def post(
        self,
        message: bytes | None,
        number: int = 1,
        *,
        key: str = KEY,
        stamp: int | None = None,
        structured: bool = False,
        path: str = "/mail",
        **told: str,
    ) -> Answer:
        """Post as postroom does; `told` are attributes, beside those that always are there."""
        kind = events.RECEIVED if message is not None else events.OVERSIZED
        attributes = {"specversion": "1.0", "id": f"event-{number}", "type": kind, "source": "/a"}
        attributes |= {"account": ACCOUNT, "time": "2026-11-29T12:00:00Z", "size": "7", **told}
        body, headers = message or b"", events.as_headers(attributes)
        if message is not None:
            headers["Content-Type"] = "message/rfc822"
        if structured:
            whole = {**attributes, "data_base64": base64.b64encode(body).decode()}
            body = json.dumps(whole).encode()
            headers = {"Content-Type": "application/cloudevents+json"}
        at = int(time.time()) if stamp is None else stamp
        signed = signing.signatures(
            [Masked(key.removeprefix("whsec_"))], attributes["id"], at, [body]
        )
        headers |= {"webhook-id": attributes["id"], "webhook-timestamp": str(at)}
        return self.ask(0, "POST", path, body, **headers, **{"webhook-signature": signed})

    def page(self, path: str = "/", host: str = "localhost:8081") -> Answer:
        return self.ask(1, "GET", path, Host=host)

    def rows(self, query: str) -> list[Any]:
        connection = sqlite3.connect(str(self.module.DATA))
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    @property
    def tickets_of_messages(self) -> list[int]:
        """The ticket of each message, in the order in which they came."""
        return [row[0] for row in self.rows("SELECT ticket FROM message ORDER BY id")]


@pytest.fixture
def tickets(tmp_path: Path) -> Iterator[Tickets]:
    running = Tickets(tmp_path)
    yield running
    running.stop()


def written(own: str, *answers: str, subject: str = "Printer", attached: bytes = b"") -> bytes:
    """A message as people send it."""
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"] = "Ann <ann@example.net>", "support@send.example.com"
    message["Subject"], message["Message-ID"] = subject, f"<{own}>"
    if answers:
        message["In-Reply-To"] = f"<{answers[-1]}>"
        message["References"] = " ".join(f"<{each}>" for each in answers)
    message.set_content("It is on fire.\n")
    if attached:
        message.add_attachment(attached, "image", "png", filename="a/b \u00fc.png")
    return message.as_bytes()


# --- Who may post


def test_what_is_signed_by_either_key_is_kept(tickets: Tickets) -> None:
    (tickets.keys / "previous").write_text(f"{EARLIER}\n")
    assert tickets.post(written("a@x"), 1).status == 204
    assert tickets.post(written("b@x"), 2, key=EARLIER).status == 204
    assert tickets.post(written("c@x"), 3, structured=True).status == 204
    (tickets.keys / "previous").unlink()  # the exchange is over, without a restart
    assert tickets.post(written("d@x"), 4, key=EARLIER).status == 401
    assert len(tickets.tickets_of_messages) == 3


# What lies ahead does so less by the time at which it is looked at.
@pytest.mark.parametrize("offset", [-301, 400])
def test_what_is_stale_or_of_the_future_is_refused(tickets: Tickets, offset: int) -> None:
    assert tickets.post(written("a@x"), stamp=int(time.time()) + offset).status == 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"webhook-id": "event-1", "webhook-timestamp": "x", "webhook-signature": "v1,"},
        {"webhook-id": "event-1", "webhook-timestamp": "\u0661", "webhook-signature": "v1,"},
        {"webhook-id": "e", "webhook-timestamp": "9" * 400, "webhook-signature": "v1,a"},
        {"webhook-id": "e", "webhook-signature": "v1,\u00fc v1 , v1a,AAAA v2,AAAA" * 100},
    ],
)
def test_what_is_not_signed_is_refused(tickets: Tickets, headers: dict[str, str]) -> None:
    given = {"webhook-timestamp": str(int(time.time())), **headers}
    sent = {name: value.encode("utf-8").decode("latin-1") for name, value in given.items()}
    assert tickets.ask(0, "POST", "/mail", b"x", **sent).status == 401


def test_a_body_or_an_id_that_was_changed_is_refused(tickets: Tickets) -> None:
    stamp = int(time.time())
    right = signing.signatures([Masked(KEY.removeprefix("whsec_"))], "event-1", stamp, [b"body"])
    given = {"webhook-id": "event-1", "webhook-timestamp": str(stamp), "webhook-signature": right}
    assert tickets.ask(0, "POST", "/mail", b"bodY", **given).status == 401
    assert tickets.ask(0, "POST", "/mail", b"body", **given, **{"ce-id": "event-2"}).status == 400
    given["webhook-id"] = "event-2"
    assert tickets.ask(0, "POST", "/mail", b"body", **given).status == 401


@pytest.mark.parametrize("key", ["", "whsec_", "not base64!", "whsec_AAAA", None])
def test_without_a_key_nothing_is_taken_and_nothing_is_lost(
    tickets: Tickets, key: str | None
) -> None:
    (tickets.keys / "current").unlink()
    (tickets.keys / "previous").write_text(KEY if key is None else "")
    if key is not None:
        (tickets.keys / "current").write_text(key)
    # An empty key must not make of anybody a signer.
    empty = "whsec_" if key is not None else EARLIER
    answer = tickets.post(written("a@x"), key=empty)
    assert (answer.status, answer.headers.get("Retry-After")) in [(503, "10"), (401, None)]
    assert tickets.rows("SELECT name FROM sqlite_master") == []


# --- What is a post


@pytest.mark.parametrize(
    ("told", "path", "status"),
    [
        ({"account": ""}, "/mail", 400),
        ({"type": "dev.postroom.mail.received.v2"}, "/mail", 400),
        ({}, "/", 404),
        ({}, "/mail?x", 404),
    ],
)
def test_what_is_not_known_is_refused_and_stays_in_the_mailbox(
    tickets: Tickets, told: dict[str, str], path: str, status: int
) -> None:
    assert tickets.post(written("a@x"), path=path, **told).status == status


def test_bodies_have_a_bound_and_a_length(
    tickets: Tickets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tickets.module, "MOST", 1000)
    assert tickets.post(written("a@x") + b"x" * 500_000).status == 413
    assert tickets.ask(0, "POST", "/mail", b"x", **{"Content-Length": "-1"}).status == 411
    cut = http.client.HTTPConnection("127.0.0.1", tickets.servers[0].server_port, timeout=20)
    cut.putrequest("POST", "/mail")
    cut.putheader("Content-Length", "100")
    cut.endheaders(b"only this")
    assert cut.sock is not None
    cut.sock.shutdown(1)
    assert cut.getresponse().status == 408
    cut.close()


def test_what_cannot_be_written_is_asked_for_again(
    tickets: Tickets, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tickets.module, "DATA", str(tmp_path))  # a directory
    answer = tickets.post(written("a@x"))
    assert (answer.status, answer.headers["Retry-After"]) == (503, "10")
    monkeypatch.undo()


def test_health(tickets: Tickets) -> None:
    assert tickets.ask(0, "GET", "/healthz").status == 200
    assert tickets.ask(0, "GET", "/").status == 404


# --- Once, and in its ticket


def test_a_message_is_kept_once_however_many_bring_it_at_once(tickets: Tickets) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: tickets.post(written("a@x")).status, range(16)))
    assert answers == [204] * 16
    assert tickets.tickets_of_messages == [1]
    assert tickets.rows("SELECT count(*) FROM ticket") == [(1,)]


def test_answers_land_in_their_ticket_in_any_order(tickets: Tickets) -> None:
    for number, message in enumerate(
        [
            written("a@x"),
            written("b@x", "a@x"),
            written("c@x", "a@x", "lost@x", "b@x", subject="Re: something else"),
            written("new@x"),
            written("late-answer@x", "late@x", subject="Re: Late"),
            written("late@x", subject="Late"),
        ]
    ):
        assert tickets.post(message, number).status == 204
    assert tickets.tickets_of_messages == [1, 1, 1, 2, 3, 3]


def test_threads_never_cross_accounts(tickets: Tickets) -> None:
    tickets.post(written("a@x"), 1)
    tickets.post(written("b@x", "a@x"), 2, account="other/support", threadhint="a@x")
    assert tickets.tickets_of_messages == [1, 2]


def test_what_comes_again_under_another_id_is_kept_once_and_only_then(tickets: Tickets) -> None:
    tickets.post(written("a@x"), 1)
    tickets.post(written("a@x"), 2, mayberepeated="true")
    assert tickets.tickets_of_messages == [1]
    tickets.post(written("a@x"), 3)  # the sender has sent it twice
    tickets.post(written("b@x"), 4, mayberepeated="true")
    tickets.post(written("a@x"), 5, mayberepeated="true", account="other/support")
    assert len(tickets.tickets_of_messages) == 4


def test_messages_that_came_without_their_bodies_are_no_repetition_of_each_other(
    tickets: Tickets,
) -> None:
    large = {"size": "99000000", "mayberepeated": "true"}
    tickets.post(b"", 1)
    tickets.post(None, 2, messageid="a@x", **large)
    tickets.post(None, 3, messageid="b@x", **large)
    tickets.post(None, 4, **large)
    tickets.post(None, 5, time="2026-11-29T12:00:01Z", **large)
    assert len(tickets.tickets_of_messages) == 5
    # What is told of it is all that tells one from another.
    tickets.post(None, 6, messageid="a@x", **large)
    assert len(tickets.tickets_of_messages) == 5


def test_an_oversized_message_is_a_line_of_its_ticket(tickets: Tickets) -> None:
    tickets.post(written("a@x"), 1)
    told = {"messageid": "big@x", "threadhint": "a@x", "size": "99000000"}
    assert tickets.post(None, 2, **told).status == 204
    assert tickets.post(written("b@x", "big@x"), 3).status == 204
    assert tickets.tickets_of_messages == [1, 1, 1]
    page = tickets.page().body
    assert b"oversized: 99000000 octets" in page and b"Too large" in page
    assert tickets.page("/source/2").status == 404


def test_automatic_mail_is_marked_and_what_the_receiver_says_is_shown(tickets: Tickets) -> None:
    tickets.post(written("a@x"), 1, autosubmitted="auto-replied", spf="pass", dmarc="fail")
    assert b"spf pass; dmarc fail; automatic: do not answer" in tickets.page().body


# --- What is in it


def test_an_attachment_is_kept_byte_for_byte_and_handed_out_as_a_file(tickets: Tickets) -> None:
    octets = bytes(range(256)) * 300
    message = written("a@x", attached=octets)
    tickets.post(message)
    assert tickets.rows("SELECT name, content FROM attachment") == [("a_b ü.png", octets)]
    assert tickets.rows("SELECT text FROM message") == [("It is on fire.\r\n",)]
    answer = tickets.page("/attachment/1")
    assert answer.body == octets
    expected = "attachment; filename*=UTF-8''a_b%20%C3%BC.png"
    assert answer.headers["Content-Disposition"] == expected
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert tickets.page("/source/1").body == message
    for path in ("/attachment/2", "/attachment/1/", "/attachment/1'", "/../tickets.sqlite"):
        assert tickets.page(path).status == 404


def test_a_message_within_a_message_is_one_attachment(tickets: Tickets) -> None:
    outer, inner = EmailMessage(), EmailMessage()
    inner["Subject"], outer["Subject"] = "inner", "outer"
    inner.set_content("in")
    outer.set_content("out")
    outer.add_attachment(inner)
    tickets.post(outer.as_bytes())
    ((name, content),) = tickets.rows("SELECT name, content FROM attachment")
    assert name == "message.rfc822" and b"Subject: inner" in content


def test_nothing_that_a_sender_writes_is_markup(tickets: Tickets) -> None:
    evil = "</pre><script>alert(1)</script>\"'&"
    message = EmailMessage()
    message["From"], message["Subject"] = f'"{evil[:20]}" <a@example.net>', evil
    message.set_content(evil)
    message.add_attachment(b"x", "a", "b", filename=evil)
    tickets.post(message.as_bytes(), account=f"{ACCOUNT}<em>", time="<i>", autosubmitted="<u>")
    tickets.post(None, 2, size="<s>", spf="<s>", messageid="<s>")
    answer = tickets.page()
    for tag in (b"<script", b"<em>", b"<i>", b"<u>", b"<s>"):
        assert tag not in answer.body
    assert b"&lt;script&gt;" in answer.body
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("host", ["evil.example:8081", "localhost.evil.example:8081", "", "x"])
def test_the_page_is_read_under_its_own_name_alone(tickets: Tickets, host: str) -> None:
    assert tickets.page(host=host).status == 403


HOSTILE = {
    "empty": b"",
    "no header": b"\r\n\r\nx",
    "binary": bytes(range(256)) * 40,
    "nul": b"Subject: a\0b\r\n\r\na\0b",
    "eight bits": "Subject: Grüße\r\n\r\nGrüße".encode("latin-1"),
    "unknown charset": b"Content-Type: text/plain; charset=x-klingon\r\n\r\n\xfc",
    "charset that is a codec": b"Content-Type: text/plain; charset=rot13\r\n\r\nabc",
    "broken encoded word": b"Subject: =?x-klingon?b?!!!?= =?utf-8?q?=FF?=\r\n\r\nx",
    "broken id": b"Message-ID: <>\r\nReferences: <a <b> <<c>>\r\nFrom: <\r\n\r\nx",
    "broken base64": b"Content-Transfer-Encoding: base64\r\n\r\n=====x",
    "multipart without boundary": b"Content-Type: multipart/mixed\r\n\r\n--x\r\n\r\nx",
    "boundary of nothing": b'Content-Type: multipart/mixed; boundary=""\r\n\r\n--\r\n\r\nx\r\n----',
    "broken disposition": b"Content-Disposition: attachment; filename*=x'y'%zz\r\n\r\nx",
    "rfc822 of nothing": b"Content-Type: message/rfc822\r\n\r\n",
    "report": b"Content-Type: message/delivery-status\r\n\r\nA: b\r\n\r\nC: d\r\n",
    "deep": b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n)
        for n in range(2000)
    ),
    "deep messages": b"Content-Type: message/rfc822\r\n\r\n" * 3000,
    "many parts": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 100_000,
    "long header": b"To: " + b"a@example.com, " * 200_000 + b"\r\n\r\nx",
    "long folded header": b"References:" + b"\r\n <x@y>" * 100_000 + b"\r\n\r\nx",
    "quotes": b'Content-Type: multipart/mixed; boundary="' + b'";' * 200_000 + b"\r\n\r\nx",
    "quotes in every part": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    + (b'--b\r\nContent-Type: multipart/x; y="' + b'";' * 2000 + b"\r\n\r\nx\r\n") * 100,
    "comments": b"From: " + b"(" * 100_000 + b"\r\nDate: " + b"(" * 9000 + b"\r\n\r\nx",
    "encoded words": b"Subject: " + b"=?utf-8?q?a?= " * 50_000 + b"\r\n\r\nx",
    "parameters": b"Content-Type: text/plain" + b"; a*%d*=b" * 20_000 + b"\r\n\r\nx",
    "lines": b"a: b\r\n" * 700_000,
    "lines that CR ends": b"a\r" * 2_000_000,
    "parts that CR ends": b"Content-Type: multipart/mixed; boundary=b\r\r" + b"--b\r\r\r" * 100_000,
    "blocks of a report": b"Content-Type: message/delivery-status\r\n\r\n" + b"\r" * 500_000,
    "a report in capitals": b"Content-Type: MESSAGE/Delivery-Status\r\n\r\n" + b"\n" * 500_000,
}
#: What would take time or memory beyond what the application has, and is not looked into.
NOT_LOOKED_INTO = ("lines", "many parts", *list(HOSTILE)[-4:])


@pytest.mark.parametrize(
    "charset", ["punycode", "PunyCode", "idna", "unicode_escape", "raw-unicode-escape", "undefined"]
)
def test_what_is_no_charset_of_mail_decodes_nothing(tickets: Tickets, charset: str) -> None:
    """Of 25 MB that would take hours, in which nothing else is taken."""
    message = f"Content-Type: text/plain; charset={charset}\r\n\r\nBcher-kva \\u0041"
    tickets.post(message.encode())
    assert tickets.rows("SELECT text FROM message") == [("Bcher-kva \\u0041",)]


@pytest.mark.parametrize("charset", ["utf-8", "x-klingon"])
def test_a_text_that_nobody_reads_to_its_end_is_in_the_source_alone(
    tickets: Tickets, charset: str
) -> None:
    """In memory it is there several times, beside those of others."""
    message = f"Content-Type: text/plain; charset={charset}\r\n\r\n".encode() + b"x" * 2**21
    tickets.post(message)
    asked = "SELECT length(text), length(source) FROM message"
    assert tickets.rows(asked) == [(2**20, len(message))]


@pytest.mark.parametrize("kind", HOSTILE)
def test_no_message_holds_the_mailbox(tickets: Tickets, kind: str) -> None:
    assert tickets.post(HOSTILE[kind], messageid="own@x").status == 204
    assert tickets.rows("SELECT source FROM message") == [(HOSTILE[kind],)]
    (text,) = tickets.rows("SELECT text FROM message")[0]
    if kind in NOT_LOOKED_INTO:
        assert text == "(It cannot be shown: ValueError. Its source is kept.)"
    assert tickets.page().status == 200
    assert tickets.post(written("b@x", "own@x"), 2).status == 204
    assert tickets.tickets_of_messages == [1, 1]

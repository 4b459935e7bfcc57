#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Incoming mail as tickets: a receiver for `spec.inbound.deliver`, to run and to copy from.

It takes messages at http://HOOK/mail, keeps them in SQLite, and shows them at http://PAGE/.
Python's standard library is all that it needs.
"""

import codecs
import hashlib
import hmac
import json
import os
import re
import signal
import sqlite3
import sys
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import closing
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import Message
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

KEYS = Path(os.environ.get("KEYS", "keys"))  # where the Secret is mounted: files current, previous
DATA = os.environ.get("DATA", "tickets.sqlite")
HOOK, PAGE = os.environ.get("HOOK", ":8080"), os.environ.get("PAGE", "localhost:8081")
MOST = 40 << 20  # octets of a body: 25Mi of mail, in base64
SHOWN = 1 << 20  # octets of a text; all of it is in the source
PLACES = threading.BoundedSemaphore(2)  # bodies in memory at once
READING = threading.Lock()  # and one of them parsed
SCHEMA = """PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS ticket (id INTEGER PRIMARY KEY, account, subject);
CREATE TABLE IF NOT EXISTS thread (account, messageid, ticket, PRIMARY KEY (account, messageid));
CREATE TABLE IF NOT EXISTS message (id INTEGER PRIMARY KEY, event UNIQUE, ticket, digest, time,
  sender, subject, text, notes, source);
CREATE TABLE IF NOT EXISTS attachment (id INTEGER PRIMARY KEY, message, name, content);
CREATE INDEX IF NOT EXISTS messages ON message (ticket);
CREATE INDEX IF NOT EXISTS attachments ON attachment (message);"""


class Refused(Exception):
    """What is not taken: the status of the answer, and a word for the log."""


def is_genuine(event: str, stamp: str, given: str, body: bytes) -> bool:
    """Whether it is signed by a key of ours (https://www.standardwebhooks.com), and lately."""
    if not re.fullmatch("[0-9]{1,12}", stamp) or abs(time.time() - int(stamp)) > 300:
        return False
    # Read each time, so that a key is exchanged without a restart.
    for key in filter(Path.exists, (KEYS / "current", KEYS / "previous")):
        octets = b64decode(key.read_text().strip().removeprefix("whsec_"), validate=True)
        if len(octets) < 24:
            raise OSError(f"{key.name} is no key")  # an empty one would be everybody's
        made = hmac.new(octets, f"{event}.{stamp}.".encode(), "sha256")
        made.update(body)
        right = b"v1," + b64encode(made.digest())
        if any(hmac.compare_digest(right, each.encode()) for each in given.split()[:8]):
            return True
    return False


class Bounded(policy.Compat32):
    """Reads no more of a header than people write: what parses some takes quadratic time."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse([line[:1000] for line in sourcelines[:50]])
        return name, value[:1000]


def read(source: bytes) -> dict[str, Any]:
    """What is in a message; one that cannot be read is a ticket, too, with its source."""
    try:
        with READING:
            return parsed(source)
    except Exception as error:  # whatever a parser raises that senders can reach
        return {"text": f"(It cannot be shown: {type(error).__name__}. Its source is kept.)"}


def parsed(source: bytes) -> dict[str, Any]:
    reports = re.search(rb"(?i)message/delivery-status", source)  # each of its blocks is a part
    if (
        has_more(600_000, rb"\r\n?|\n", source)
        or has_more(1_000, rb"[\r\n]--", source)
        or (reports and has_more(20_000, rb"(?:\r\n?|\n){2}", source))
    ):
        raise ValueError("made of too many parts")
    mail = message_from_bytes(source, policy=Bounded())
    text, shown, attachments = "(no text)", False, []
    for part in leaves(mail):
        kind, name = part.get_content_type(), decoded(part.get_filename() or "")
        if kind == "text/plain" and not name and not shown:
            text, shown = text_of(part), True
        else:
            attachments.append((name or kind.replace("/", "."), content_of(part)))
    # What it answers, newest first, and itself: an answer to it may have come before it.
    told = " ".join(str(mail.get(name, "")) for name in ("Message-ID", "References", "In-Reply-To"))
    return {
        "sender": decoded(mail.get("From", "")),
        "subject": decoded(mail.get("Subject", "")),
        "text": text,
        "ids": re.findall(r"<([^<>\s]+)>", told)[::-1],
        "attachments": attachments,
    }


def has_more(most: int, pattern: bytes, source: bytes) -> bool:
    return any(number >= most for number, _ in enumerate(re.finditer(pattern, source)))


def leaves(part: Any) -> Iterator[Message]:
    """The parts of a message; a message within it is one of them, as it is."""
    if part.get_content_maintype() != "multipart" or not part.is_multipart():
        yield part
        return
    for inner in part.get_payload():
        yield from leaves(inner)


def content_of(part: Any) -> bytes:
    if part.is_multipart():
        return b"\n".join(inner.as_bytes() for inner in part.get_payload())
    return part.get_payload(decode=True) or b""


def text_of(part: Message) -> str:
    try:
        name = codecs.lookup(part.get_content_charset("utf-8")).name.replace("-", "_")
        # Python has some for programs, too: one takes quadratic time, and none is of mail.
        if name not in ("punycode", "idna", "unicode_escape", "raw_unicode_escape", "undefined"):
            return content_of(part)[:SHOWN].decode(name, "replace")
    except LookupError:  # a character set that nobody knows
        pass
    return content_of(part)[:SHOWN].decode("latin-1")


def decoded(value: object) -> str:
    """A header as people read it (RFC 2047), or as it stands."""
    try:
        return str(make_header(decode_header(str(value))))
    except (ValueError, LookupError):
        return str(value)


def clean(text: object) -> str:
    return str(text).encode("utf-8", "replace").decode().replace("\0", "")


def database() -> Any:
    opened = sqlite3.connect(DATA, timeout=30, isolation_level=None)
    opened.executescript(SCHEMA)
    return closing(opened)


def keep(event: dict[str, str], source: bytes | None) -> None:
    """Keep a message, once, however often it comes; it is on the disk when this returns."""
    account = event["account"]
    large: dict[str, Any] = {"text": "(Too large: it is in the mailbox.)"}
    mail = read(source) if source is not None else large
    hints = (event.get("messageid"), event.get("threadhint"))  # all that there is of a large one
    ids = [clean(each) for each in (*mail.get("ids", ()), *hints) if each][:100]
    notes = [f"{name} {event[name]}" for name in ("spf", "dkim", "dmarc") if name in event]
    if "autosubmitted" in event:  # by a machine: who answers it may answer for ever
        notes.append("automatic: do not answer")
    if source is None:
        notes.append(f"oversized: {event.get('size')} octets")
    # Of one that came without its body, what is told of it tells it from others.
    facts = [event.get(name) for name in ("messageid", "size", "time")]
    told = source if source is not None else f"oversized {facts}".encode("utf-8", "replace")
    digest = hashlib.sha256(told).hexdigest()
    with database() as db, db:
        db.execute("BEGIN IMMEDIATE")
        if db.execute("SELECT 1 FROM message WHERE event = ?", [event["id"]]).fetchone():
            return
        # The mailbox was made anew, so that its messages come again under other ids.
        same = (
            "SELECT 1 FROM message JOIN ticket t ON t.id = ticket WHERE account = ? AND digest = ?"
        )
        if "mayberepeated" in event and db.execute(same, [account, digest]).fetchone():
            return
        # Of this account alone: whoever writes to two has two tickets.
        known = "SELECT ticket FROM thread WHERE account = ? AND messageid = ?"
        found = (db.execute(known, [account, each]).fetchone() for each in ids)
        ticket = next((row[0] for row in found if row), None)
        subject = clean(mail.get("subject") or "(no subject)")
        if ticket is None:
            new = db.execute("INSERT INTO ticket VALUES (NULL, ?, ?)", [account, subject])
            ticket = new.lastrowid
        for each in ids:
            db.execute("INSERT OR IGNORE INTO thread VALUES (?, ?, ?)", [account, each, ticket])
        row = [event["id"], ticket, digest, event.get("time"), clean(mail.get("sender", ""))]
        row += [subject, clean(mail["text"]), "; ".join(notes), source]
        insert = "INSERT INTO message VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        message = db.execute(insert, row).lastrowid
        for name, content in mail.get("attachments", ()):
            row = [message, re.sub(r"[/\\\x00-\x1f\x7f]", "_", clean(name))[-200:], content]
            db.execute("INSERT INTO attachment VALUES (NULL, ?, ?, ?)", row)


class Handler(BaseHTTPRequestHandler):
    timeout = 60

    def answer(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        safe = {"Content-Type": "application/octet-stream", "Content-Length": str(len(content))}
        safe |= {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
        safe |= {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox"}
        for name, value in (safe | {n.replace("_", "-"): v for n, v in headers.items()}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


class Hook(Handler):
    """What postroom calls: 2xx for what is kept, 4xx for what is wrong, 5xx for "later"."""

    def do_GET(self) -> None:
        self.answer(200 if self.path == "/healthz" else 404)

    def do_POST(self) -> None:
        try:
            with PLACES:
                self.take(self.body())
            self.answer(204)
        except Refused as refused:
            self.answer(refused.args[0], refused.args[1].encode())
        except (sqlite3.Error, OSError, ValueError) as error:  # a full disk, a key that is none
            self.log_error("not kept: %s", type(error).__name__)
            self.answer(503, b"not now", Retry_After="10")

    def body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch("[0-9]{1,9}", length):
            raise Refused(411, "without Content-Length")
        body = self.rfile.read(min(int(length), MOST))
        left = int(length) - len(body)
        while left and (piece := self.rfile.read(min(left, 65536))):
            left -= len(piece)  # who still sends hears no answer
        if left:
            raise Refused(408, "cut off")
        if int(length) > MOST:
            raise Refused(413, "too large")
        return body

    def take(self, body: bytes) -> None:
        if self.path != "/mail":
            raise Refused(404, "another path")
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        webhook, stamp, given = (self.headers.get(name, "") for name in names)
        if not is_genuine(webhook, stamp, given, body):
            raise Refused(401, "not signed, by another key, or stale")
        if self.headers.get_content_type() == "application/cloudevents+json":  # CloudEvent
            event = json.loads(body)
            source = b64decode(event.pop("data_base64", ""))
        else:  # Raw
            told = ((name.lower(), unquote(value)) for name, value in self.headers.items())
            event = {name[3:]: value for name, value in told if name.startswith("ce-")}
            source = body
        if event.get("id") != webhook or not event.get("account"):
            raise Refused(400, "no event")
        match event.get("type"):
            case "dev.postroom.mail.received.v1":
                keep(event, source)
            case "dev.postroom.mail.oversized.v1":
                keep(event, None)
            case _:
                raise Refused(400, "an event of a type that is not known here")


STYLE = """body { font: 15px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em }
section { border: 1px solid #bbb; border-radius: 6px; padding: 0 1em; margin: 1em 0 }
pre { white-space: pre-wrap; overflow-wrap: anywhere }"""
STYLE_HASH = b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()


class Page(Handler):
    """What people look at. There is no sign-in: it listens on loopback alone."""

    def do_GET(self) -> None:
        # Another name may be one that a website has led here, to read along.
        if self.headers.get("Host", "").rpartition(":")[0] not in ("localhost", "127.0.0.1"):
            return self.answer(403, b"open it by the name localhost")
        wanted = re.fullmatch("/(attachment|source)/([0-9]{1,9})", self.path)
        with database() as db:
            if self.path == "/":
                csp = f"default-src 'none'; frame-ancestors 'none'; style-src 'sha256-{STYLE_HASH}'"
                shown = {"Content_Type": "text/html; charset=utf-8", "Content_Security_Policy": csp}
                return self.answer(200, "".join(lines_of(db)).encode(), **shown)
            asked = "SELECT name, content FROM attachment WHERE id = ?"
            if wanted and wanted[1] == "source":
                asked = "SELECT 'message.eml', source FROM message WHERE id = ?"
            row = db.execute(asked, [wanted[2]]).fetchone() if wanted else None
        if row is None or row[1] is None:
            return self.answer(404)
        disposition = f"attachment; filename*=UTF-8''{quote(row[0], safe='')}"
        return self.answer(200, row[1], Content_Disposition=disposition)


def lines_of(db: sqlite3.Connection) -> Iterator[str]:
    """The newest tickets as HTML; all that a sender wrote is escaped."""
    yield "<!doctype html><html lang=en><meta charset=utf-8><title>Tickets</title>"
    yield f"<style>{STYLE}</style>"
    tickets = "SELECT id, account, subject FROM ticket ORDER BY id DESC LIMIT 50"
    messages = "SELECT * FROM message WHERE ticket = ? ORDER BY id LIMIT 100"
    files = "SELECT id, name, length(content) FROM attachment WHERE message = ? LIMIT 100"
    db.row_factory = sqlite3.Row
    for ticket in db.execute(tickets):
        title = f"#{ticket['id']} {escape(ticket['subject'][:300])}"
        yield f"<section><h2>{title}</h2><p>{escape(ticket['account'])}</p>"
        for message in db.execute(messages, [ticket["id"]]):
            told = (message["sender"][:300], message["time"] or "", message["notes"])
            yield f"<p><b>{escape(' · '.join(filter(None, told)))}</b></p>"
            yield f"<pre>{escape(message['text'][:4000])}</pre><p>"
            for number, name, size in db.execute(files, [message["id"]]):
                yield f'<a href="/attachment/{number}">{escape(name)}</a> ({size} octets) '
            if message["source"] is not None:
                yield f'<a href="/source/{message["id"]}">source</a>'
            yield "</p>"
        yield "</section>"


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with database():
        pass
    for place, handler in ((PAGE, Page), (HOOK, Hook)):
        host, _, port = place.rpartition(":")
        server = ThreadingHTTPServer((host, int(port)), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(f"{handler.__name__} at http://{host or '0.0.0.0'}:{server.server_port}/", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()

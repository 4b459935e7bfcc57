# SPDX-License-Identifier: Apache-2.0
"""Describes a message as a CloudEvent (CloudEvents 1.0.2, HTTP protocol binding, binary mode).

What is told of a message is taken from its own header and is as true as that: the application reads
the message itself, which comes byte for byte. The only judgement passed on is the receiving
server's own (RFC 8601), as `authentication.of_strangers` tells it from what senders wrote.
"""

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from urllib.parse import quote

from postroom.mail.round_trip.authentication import of_strangers
from postroom.mail.round_trip.compose import PROBE_FIELD
from postroom.mail.round_trip.header import Header, words
from postroom.mail.round_trip.recognise import is_marked_answer

RECEIVED = "dev.postroom.mail.received.v1"
#: A message that is larger than the application takes: the same event without the message.
OVERSIZED = "dev.postroom.mail.oversized.v1"

_SPEC_VERSION = "1.0"
#: Media types of a message as it is, and of an event as a document.
RAW, STRUCTURED = "message/rfc822", "application/cloudevents+json"

#: What an attribute may hold (CloudEvents 1.0.2 section 3.1, String): no control characters and no
#: noncharacters; nor what stands for octets that are no UTF-8, because many would look alike.
_MESSAGE_ID = re.compile(
    r"<([^<>\s\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffd-\uffff]{1,500})>"
)
#: Octets of a Message-ID as a header has it. Servers bound headers, and answer 431 beyond: whoever
#: sends mail shall not hold a mailbox up. What is longer is left out: a part of it is no key.
_ID_LIMIT = 1000
_KEYWORD = re.compile(r"[a-z][a-z0-9-]{0,31}")
#: What must be written as %XX in a header: all but printable ASCII, and space, quote and percent
#: (CloudEvents HTTP protocol binding 1.0.2 section 3.1.3.2).
_PLAIN = "".join(chr(octet) for octet in range(0x21, 0x7F) if octet not in b'"%')
_ALL_PLAIN = re.compile(f"[{re.escape(_PLAIN)}]*")
_INTEGERS, _BOOLEANS = frozenset({"size"}), frozenset({"mayberepeated", "claimstobeprobe"})


class Format(StrEnum):
    """How a message is written."""

    #: The message as it is, what is told of it in headers (binary mode).
    RAW = "Raw"
    #: One JSON document with the message in base64 (structured mode).
    CLOUD_EVENT = "CloudEvent"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message lies: the account, and the numbers that tell it for good.

    `owner` and `epoch` tell them from the same ones of another mailbox, or of the same before it
    was made anew: see `postroom.delivery.cursors.Cursor`. `mark` tells a message from another one
    that once had its numbers (`mark_of`): who restores a mailbox gives them out anew, and an epoch
    is known no more once its account was created again.

    `account_uid` is of the object where the owner was made of it; such places go by no mark.
    """

    namespace: str
    account: str
    mailbox: str
    uid_validity: int
    uid: int
    owner: str = ""
    epoch: int = 0
    mark: str = ""
    account_uid: str = ""

    @property
    def event_id(self) -> str:
        """The key of the message: the same whenever it is handed over again, also for an account
        that was deleted and created again."""
        numbers = self.mailbox, str(self.uid_validity), str(self.uid)
        era = f"{self.owner}.{self.epoch}"
        if self.account_uid:
            told = (self.account_uid, *numbers, *([era] if self.epoch else ()))
        else:
            told = (*numbers, *((self.owner, self.mark) if self.mark else (era,)))
        return hashlib.sha256("\n".join(told).encode()).hexdigest()[:32]

    @property
    def source(self) -> str:
        """The account as a URI reference."""
        return (
            f"/apis/postroom.dev/v1alpha1/namespaces/{self.namespace}/emailaccounts/{self.account}"
        )


def mark_of(header: Header) -> str:
    """What tells a message from others as long as it lies anywhere: what its sender called it, and
    when; empty where it says neither."""
    said = [header.first(name) for name in ("Message-ID", "Date")]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:16] if any(said) else ""


def attributes(
    place: Place,
    header: Header,
    arrived_at: datetime,
    size: int,
    *,
    receivers: Iterable[str] = (),
    may_repeat: bool = False,
    oversized: bool = False,
) -> Mapping[str, str]:
    """Return a message's attributes by their names; those that nothing is known of are left out.

    `receivers` are hosts whose results of authentication count, such as the IMAP server's.
    """
    own_id = _first_id(header.first("Message-ID"))
    judged = of_strangers(header, receivers)
    found = {
        "specversion": _SPEC_VERSION,
        "id": place.event_id,
        "type": OVERSIZED if oversized else RECEIVED,
        "source": place.source,
        "time": arrived_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "account": f"{place.namespace}/{place.account}",
        "mailbox": place.mailbox,
        "size": str(size),
        "messageid": own_id,
        "threadhint": thread_hint(header),
        "autosubmitted": auto_submitted(header),
        "mayberepeated": "true" if may_repeat else None,
        # Whoever hands messages over knows those that are ours; this one only says that it is.
        "claimstobeprobe": "true" if header.all(PROBE_FIELD) else None,
    }
    if judged is not None:
        found |= {
            name: outcome.value
            for name, outcome in (
                ("spf", judged.spf),
                ("dkim", judged.dkim),
                ("dmarc", judged.dmarc),
            )
            if outcome is not None
        }
    return {name: value for name, value in found.items() if value}


def thread_hint(header: Header) -> str | None:
    """The Message-ID that a conversation began with: the oldest of References (RFC 5322 section
    3.6.4), else what is answered, else the message's own."""
    for name in ("References", "In-Reply-To", "Message-ID"):
        if found := _first_id(header.first(name)):
            return found
    return None


def auto_submitted(header: Header) -> str | None:
    """The keyword of Auto-Submitted (RFC 3834 section 5), unless it says no.

    Comments may stand around it. Of several fields one that says more than no counts: whoever
    answers by a machine answers machines else. Vacation replies that only have the fields from
    before the RFC are auto-replied, too.
    """
    for body in header.all("Auto-Submitted"):
        keyword = " ".join(words(body, ";")[0]).lower()
        if keyword != "no" and _KEYWORD.fullmatch(keyword):
            return keyword
    return "auto-replied" if is_marked_answer(header) else None


def as_headers(found: Mapping[str, str]) -> dict[str, str]:
    """Write attributes as HTTP headers, percent-encoded where they must be."""
    return {f"ce-{name}": encoded(value) for name, value in found.items()}


def encoded(value: str) -> str:
    """Write one attribute's value for a header."""
    if _ALL_PLAIN.fullmatch(value):
        return value  # as most are
    return quote(value, _PLAIN, errors="replace")


def as_json(
    found: Mapping[str, str], pieces: Callable[[], Iterator[bytes]] | None
) -> Iterator[bytes]:
    """Write an event as a document (CloudEvents JSON format 1.0.2), its message in base64."""
    typed = {name: _typed(name, value) for name, value in found.items()}
    text = json.dumps(typed, ensure_ascii=True, separators=(",", ":"))
    if pieces is None:
        yield text.encode()
        return
    yield f'{text[:-1]},"datacontenttype":"{RAW}","data_base64":"'.encode()
    left = b""
    for piece in pieces():
        piece = left + piece
        whole = len(piece) - len(piece) % 3
        yield b64encode(piece[:whole])
        left = piece[whole:]
    yield b64encode(left) + b'"}'


def _typed(name: str, value: str) -> str | int | bool:
    if name in _INTEGERS:
        return int(value)
    return value == "true" if name in _BOOLEANS else value


def _first_id(body: str) -> str | None:
    for found in _MESSAGE_ID.finditer(body):
        text = found[1]
        whole = text.isascii() or all(ord(character) & 0xFFFE != 0xFFFE for character in text)
        if whole and len(encoded(text)) <= _ID_LIMIT:
            return text
    return None

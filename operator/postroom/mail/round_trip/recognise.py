# SPDX-License-Identifier: Apache-2.0
"""Finds our own message among those that arrived, and notices what answers it.

Found by its token in the field that we set, else in the Message-ID, else in the subject: servers
rewrite any of them. A field with a wrong proof makes a message a stranger's, whatever else it says,
unless the key did not last: then the token alone tells it, as it does where a server took the field
away, and nothing is removed by that.
"""

import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from postroom.mail.operations import Removal, ScannedMessage
from postroom.mail.round_trip.compose import PROBE_FIELD, SUBJECT, proof_of, short_form
from postroom.mail.round_trip.header import Header, read_header

#: Messages of one scan that are looked at.
_MESSAGES_LIMIT = 1000
_PROBE = re.compile(r"v1\s+([A-Za-z0-9-]{1,64})\s+([0-9a-f]{32})\s+([0-9a-f]{32})", re.ASCII)
#: What programs put before the subject of an answer in English, German, Dutch, Italian,
#: Scandinavian languages and Polish; no prefix that is a forward's elsewhere.
_ANSWER = re.compile(r"(re|aw|antw|antwort|rif|sv|odp)\s*(\[\d+\])?\s*:", re.IGNORECASE)
#: Reports on something else than delivery: that it was read, or is spam (RFC 8098, RFC 5965).
_NO_DELIVERY = re.compile(
    r"report-type\s*=\s*\"?(?:disposition-notification|feedback-report)", re.I
)
#: How Postfix, Exim, sendmail, Exchange and Gmail head the report that they still try, or that they
#: have handed it on (RFC 3464 section 2.3.3: delayed, relayed, delivered). Of the report itself,
#: which is in the body, nothing is read.
_NO_FAILURE = re.compile(
    r"\bdelay|still being retried|could not send message for past|\brelay(?:ed)?\b|success", re.I
)
_FAILURE = re.compile(r"fail|undeliver|return(?:ed|ing)", re.I)


class Sign(StrEnum):
    """What a message was recognised by."""

    PROBE_FIELD = "ProbeField"
    MESSAGE_ID = "MessageID"
    SUBJECT = "Subject"


@dataclass(frozen=True, slots=True)
class Expected:
    """The message that is looked for."""

    account_uid: str
    token: str


@dataclass(frozen=True, slots=True)
class Found:
    """A copy of the message; `proof` is None where only text that others can write tells it."""

    message: ScannedMessage
    header: Header
    sign: Sign
    proof: str | None

    @property
    def removal(self) -> Removal | None:
        """How to remove it; None where nothing proves that it is ours."""
        return _removal(self.message, self.proof)


@dataclass(frozen=True, slots=True)
class Stray:
    """A message of ours that this run did not send: left over, or somebody else's."""

    message: ScannedMessage
    account_uid: str
    token: str
    proof: str

    @property
    def removal(self) -> Removal | None:
        """How to remove it."""
        return _removal(self.message, self.proof)


@dataclass(frozen=True, slots=True)
class Sighting:
    """What was found among the messages of a scan, in their order."""

    found: tuple[Found, ...] = ()
    strays: tuple[Stray, ...] = ()
    #: Automatic or other answers to the message.
    replies: tuple[ScannedMessage, ...] = ()
    #: Reports that it could not be delivered (RFC 3464).
    bounces: tuple[ScannedMessage, ...] = ()

    @property
    def loops(self) -> bool:
        """Whether to stop sending until someone has looked: more messages would be answered, too.

        Strays do not count: other accounts, and other tests of this one, are looked for at the
        same time and may share a mailbox.
        """
        copies = [copy.message.mailbox for copy in self.found if copy.proof]
        return bool(self.replies) or len(copies) > len(set(copies))


def recognise(
    messages: Iterable[ScannedMessage],
    expected: Expected,
    keys: bytes | Sequence[bytes],
    *,
    lasting: bool = True,
) -> Sighting:
    """Sort out which of the messages are ours, and which answer ours.

    Any of `keys` may have made a proof. `lasting` tells that they were the same in the process that
    sent the message: where they were not, its proof cannot be told from a forged one.
    """
    known = (keys,) if isinstance(keys, bytes) else tuple(keys)
    found: list[Found] = []
    strays: list[Stray] = []
    replies: list[ScannedMessage] = []
    bounces: list[ScannedMessage] = []
    for message, _ in zip(messages, range(_MESSAGES_LIMIT), strict=False):
        header = read_header(message.header)
        if header.all(PROBE_FIELD):
            field = _field(header)
            if field is None:
                continue
            uid, token, proof = field
            meant = (uid, token) == (expected.account_uid, expected.token)
            proofs = [proof_of(key, uid, token) for key in known]
            proven = any(hmac.compare_digest(proof, ours) for ours in proofs)
            if meant and (proven or not lasting):
                found.append(Found(message, header, Sign.PROBE_FIELD, proof if proven else None))
            elif proven:
                strays.append(Stray(message, uid, token, proof))
        elif _says_undelivered(header) and _mentions(header, expected.token):
            bounces.append(message)
        elif is_answer(header) and _mentions(header, expected.token):
            replies.append(message)
        elif sign := _sign(header, expected.token):
            found.append(Found(message, header, sign, None))
    return Sighting(tuple(found), tuple(strays), tuple(replies), tuple(bounces))


def _says_undelivered(header: Header) -> bool:
    """Whether a message is a report that another was not delivered, and will not be."""
    kind, subject = header.first("Content-Type"), header.first("Subject")
    if not kind.lower().startswith("multipart/report") or _NO_DELIVERY.search(kind):
        return False
    return _NO_FAILURE.search(subject) is None or _FAILURE.search(subject) is not None


def claimed(header: Header) -> tuple[str, str] | None:
    """The UID of the account and the token of a message that says that it is ours, without proof;
    None where it does not, or not as we write it."""
    field = _field(header)
    return field[:2] if field is not None else None


def _field(header: Header) -> tuple[str, str, str] | None:
    """UID, token and proof; None for what is doubled or misshapen: not as we write it."""
    values = header.all(PROBE_FIELD)
    found = _PROBE.fullmatch(values[0]) if len(values) == 1 else None
    return (found[1], found[2], found[3]) if found is not None else None


def _removal(message: ScannedMessage, proof: str | None) -> Removal | None:
    if proof is None:
        return None
    return Removal(message.mailbox, message.uid_validity, message.uid, proof)


def _sign(header: Header, token: str) -> Sign | None:
    if f"postroom.{token}@" in header.first("Message-ID"):
        return Sign.MESSAGE_ID
    if f"{SUBJECT} {short_form(token)}" in " ".join(header.first("Subject").split()):
        return Sign.SUBJECT
    return None


def _mentions(header: Header, token: str) -> bool:
    told = (header.first(name) for name in ("In-Reply-To", "References"))
    return any(token in body for body in told) or _sign(header, token) is not None


def is_marked_answer(header: Header) -> bool:
    """Whether a message says so by fields that are older than RFC 3834."""
    return bool(
        header.all("X-Autoreply")
        or header.all("X-Autorespond")
        or header.first("Precedence").lower() == "auto_reply"
    )


def is_answer(header: Header) -> bool:
    """Whether a message answers another by itself (RFC 3834 section 5, and what stands for it)."""
    # Parameters may follow the keyword.
    submitted = header.first("Auto-Submitted").lower().partition(";")[0].partition("(")[0].strip()
    return (
        submitted in ("auto-replied", "auto-notified")
        or is_marked_answer(header)
        or _ANSWER.match(header.first("Subject")) is not None
    )

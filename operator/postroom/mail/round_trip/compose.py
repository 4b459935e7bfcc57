# SPDX-License-Identifier: Apache-2.0
"""Writes the test message: what it says of itself, and the proof that it is ours."""

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from enum import StrEnum

from postroom.mail.round_trip.display_names import folded, phrase, readable
from postroom.mail.round_trip.exactness import require_exact, require_mailbox

#: Most octets of a test message.
MESSAGE_LIMIT = 2304
#: The field that tells a test message and proves it.
PROBE_FIELD = "X-Postroom-Probe"
#: What every subject of a test message begins with.
SUBJECT = "[postroom] connectivity test"

_VERSION = "v1"
#: Hexadecimal digits: 128 bits each.
_TOKEN_LENGTH = 32
_PROOF_LENGTH = 32
_SHORT_LENGTH = 12
_UID = re.compile(r"[A-Za-z0-9-]{1,64}")
_TOKEN = re.compile(rf"[0-9a-f]{{{_TOKEN_LENGTH}}}")
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ADDRESS = re.compile(rf"{_ATOM}(\.{_ATOM})*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")


class Purpose(StrEnum):
    """What a test message is sent for."""

    SEND_TEST = "SendTest"
    ROUND_TRIP = "RoundTrip"
    FORWARDING = "Forwarding"


_SENTENCES = {
    Purpose.SEND_TEST: "It shows that this account can send.",
    Purpose.ROUND_TRIP: "It shows that mail is sent and arrives, and is removed on arrival.",
    Purpose.FORWARDING: "It shows that mail to this address is passed on to the right mailbox.",
}


@dataclass(frozen=True, slots=True)
class Draft:
    """What a test message is made from.

    `account_uid` is the UID of the EmailAccount. `token` is 32 hexadecimal digits that nobody can
    guess, since a message may be told by it alone. `moment` is aware. `reply_to` is where answers
    are to go; empty: nothing is said of it.
    """

    account_uid: str
    token: str
    purpose: Purpose
    sender: str
    display_name: str
    recipient: str
    moment: datetime
    reply_to: str = ""


def probe_key(ownership_key: bytes) -> bytes:
    """Derive the key of test messages, which proves nothing else, from the operator's key.

    Raises `ValueError` for an empty one: anyone could prove anything by it.
    """
    if not ownership_key:
        raise ValueError("test messages need a key that nobody knows")
    return hmac.new(ownership_key, b"postroom test message v1", hashlib.sha256).digest()


def proof_of(key: bytes, account_uid: str, token: str) -> str:
    """Return the proof that a message with this token is ours."""
    data = "\0".join((_VERSION, account_uid, token)).encode()
    return hmac.new(key, data, hashlib.sha256).hexdigest()[:_PROOF_LENGTH]


def probe_value(key: bytes, account_uid: str, token: str) -> str:
    """Return the body of the field `PROBE_FIELD`."""
    return f"{_VERSION} {account_uid} {token} {proof_of(key, account_uid, token)}"


def message_id(sender: str, token: str) -> str:
    """Return the Message-ID (RFC 5322 section 3.6.4), in the domain of the sender."""
    return f"<postroom.{token}@{sender.rpartition('@')[2]}>"


def short_form(token: str) -> str:
    """Return the part of a token that the subject holds."""
    return token[:_SHORT_LENGTH]


def compose(draft: Draft, key: bytes) -> bytes:
    """Write the message: at most `MESSAGE_LIMIT` octets of ASCII, with CRLF line ends.

    Raises `ValueError` for addresses that are not dot-atom ASCII of at most 254 characters, a UID
    or token that is none, and a naive moment. No display name is refused: what cannot stand in a
    header is left out, and the rest is written as the text that it is. The octets are read again
    before anyone gets them: raises `InexactMessage`, a `ValueError`, unless they hold these
    fields, this body and nothing else.
    """
    answers = (draft.reply_to,) if draft.reply_to else ()
    for address in (draft.sender, draft.recipient, *answers):
        if len(address) > 254 or not _ADDRESS.fullmatch(address):
            raise ValueError("an address of a test message is dot-atom ASCII")
    if not (_UID.fullmatch(draft.account_uid) and _TOKEN.fullmatch(draft.token)):
        raise ValueError("a test message needs the UID of its account and a token")
    if draft.moment.tzinfo is None:
        raise ValueError("the moment of a test message is aware")
    name = readable(draft.display_name)
    words = phrase(name)
    sender = (*words, f"<{draft.sender}>") if words else (draft.sender,)
    fields = {
        "From": sender,
        "To": (draft.recipient,),
        **({"Reply-To": answers} if answers else {}),
        "Date": (format_datetime(draft.moment.astimezone(UTC)),),
        "Message-ID": (message_id(draft.sender, draft.token),),
        "Subject": (f"{SUBJECT} {short_form(draft.token)}",),
        "Auto-Submitted": ("auto-generated",),  # RFC 3834 section 5
        "X-Auto-Response-Suppress": ("All",),  # asks Exchange for no out-of-office reply
        PROBE_FIELD: (probe_value(key, draft.account_uid, draft.token),),
        "MIME-Version": ("1.0",),
        "Content-Type": ('text/plain; charset="us-ascii"',),
        "Content-Transfer-Encoding": ("7bit",),
    }
    lines = (
        "This is an automatic test of a mail account by postroom.",
        _SENTENCES[draft.purpose],
        "Nobody wrote it; please do not answer.",
    )
    body = "".join(f"{line}\r\n" for line in lines).encode("ascii")
    octets = b"".join(folded(field, parts) for field, parts in fields.items()) + b"\r\n" + body
    require_exact(octets, [(field, " ".join(parts)) for field, parts in fields.items()], body)
    require_mailbox(" ".join(sender), name, draft.sender)
    return octets

# SPDX-License-Identifier: Apache-2.0
"""What replies within a mail transaction mean for a sender or a message, and how content is sent.

Pure: no connection is needed here.
"""

import re

from postroom.api.reasons import Reason
from postroom.mail.operations import Acceptance, Answer
from postroom.mail.replies import Cause, Meaning, enhanced_code

#: What a 5xx must mean before it is held against a sender; the last: of MAIL, nothing nearer.
_ABOUT_THE_SENDER = frozenset(
    {Cause.SENDER_NOT_PERMITTED, Cause.SENDER_NOT_VERIFIED, Cause.SEND_REFUSED}
)
#: What says nothing of a sender, even when it passes.
_ABOUT_THE_RECIPIENT = frozenset({Cause.RECIPIENT_REJECTED, Cause.RECIPIENT_MAILBOX_FULL})
#: Why another message may be taken.
_PASSING = frozenset({Reason.TEMPORARY_FAILURE, Reason.SERVICE_UNAVAILABLE})
#: An address that can stand in an envelope without quoting and without SMTPUTF8: printable, and
#: neither a space nor an angle bracket, so that nothing can follow it.
_MAILBOX = re.compile(r"[!-;=?-~]{1,64}@[!-;=?-~]{1,255}")
#: Codes that answer other commands (RFC 5321 section 4.2.3, RFC 4954 section 6): HELP, the
#: greeting or STARTTLS, QUIT, AUTH. With a transaction they have nothing to do.
_OF_OTHERS = frozenset({211, 214, 220, 221, 235})
_LINE_END = re.compile(rb"\r\n|\r|\n")
_LEADING_DOT = re.compile(rb"(?m)^\.")


def accepts(code: int, text: str) -> bool:
    """Whether a reply within a transaction is positive (RFC 5321 section 4.2.1), and its enhanced
    code, which must be of the same class (RFC 2034 section 4), does not deny that."""
    positive = 200 <= code <= 299 and code not in _OF_OTHERS
    return positive and (enhanced_code(text) or "2").startswith("2")


def answer_to_sender(code: int, text: str, meaning: Meaning, message: str) -> Answer:
    """Judge an error reply to MAIL, or to RCPT with a recipient that is beyond doubt.

    What a server says of the recipient, the account or itself is never held against the sender,
    nor what passes by its own words.
    """
    if 400 <= code <= 499 and meaning.cause not in _ABOUT_THE_RECIPIENT:
        acceptance = Acceptance.DEFERRED
    elif (
        500 <= code <= 599
        and meaning.conclusive
        and meaning.cause in _ABOUT_THE_SENDER
        # A bare refusal of RCPT may mean the recipient.
        and meaning.reason is Reason.SENDER_NOT_AUTHORIZED
    ):
        acceptance = Acceptance.REFUSED
    else:
        acceptance = Acceptance.UNKNOWN
    return Answer(acceptance, meaning.reason, message, code, enhanced_code(text))


def answer_to_message(code: int, text: str, meaning: Meaning, message: str) -> Answer:
    """Judge an error reply to a message or to its envelope.

    What a server says to pass, with a code that says that it stays, passes; a limit that is
    reached is told as that, with either.
    """
    passing = 400 <= code <= 499 or (not meaning.conclusive and meaning.reason in _PASSING)
    acceptance = Acceptance.DEFERRED if passing else Acceptance.REFUSED
    return Answer(acceptance, meaning.reason, message, code, enhanced_code(text))


def accepted(place: str, what: str, code: int, text: str) -> Answer:
    """A yes."""
    message = f"{place} accepts {what}."
    return Answer(Acceptance.ACCEPTED, Reason.PROBE_SUCCEEDED, message, code, enhanced_code(text))


def fits_an_envelope(address: str) -> bool:
    """Whether an address can be sent as it is."""
    return _MAILBOX.fullmatch(address) is not None


def unusable(role: str) -> Answer:
    """What is said of an address that does not fit; `role` is whose it is."""
    message = (
        f"The address of the {role} has characters that no envelope can carry: write it as "
        "local-part@domain in ASCII."
    )
    return Answer(Acceptance.UNKNOWN, Reason.INVALID_SPEC, message)


def with_line_ends(octets: bytes) -> bytes:
    """Return a message whose lines end with CR LF, the last one too (RFC 5321 section 2.3.8).

    A CR or LF of its own becomes a line end: sent as it is, servers would disagree over where the
    message ends.
    """
    lines = _LINE_END.sub(b"\r\n", octets)
    return lines if not lines or lines.endswith(b"\r\n") else lines + b"\r\n"


def transparent(lines: bytes) -> bytes:
    """Return what goes on the wire after 354, the final dot included (RFC 5321 section 4.5.2).

    `lines` is what `with_line_ends` returns.
    """
    return _LEADING_DOT.sub(b"..", lines) + b".\r\n"

# SPDX-License-Identifier: Apache-2.0
"""Whether mail to the public address reaches the technical mailbox, and as it was sent.

A redirect hands the message on as it is (RFC 5321 section 3.9.1), so that replies go to whoever
wrote it. A forward writes a new one, from whoever forwards. Fields of RFC 5322 section 3.6.6
(Resent-) do not make the difference: a redirect may add them, and leaves the others alone.
"""

import re
from dataclasses import dataclass
from datetime import datetime

from postroom.api.account_messages import ForwardingVerdict
from postroom.mail.round_trip.compose import SUBJECT, message_id, short_form
from postroom.mail.round_trip.header import Header, addresses
from postroom.mail.round_trip.recognise import Found, Sighting
from postroom.mail.round_trip.verdict import Sent, best_copy, judge, same_address

#: A forward's subject begins with one of these: English, German, Dutch and Scandinavian, French,
#: Spanish, Italian, Polish.
_FORWARD = re.compile(r"(fwd?|wg|doorst|vs|vb|tr|rv|i|pd)\s*:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ForwardingReport:
    """How mail comes to the technical mailbox, and the fields that did not arrive as sent."""

    verdict: ForwardingVerdict
    changed: tuple[str, ...] = ()


def judge_forwarding(sent: Sent, sighting: Sighting, now: datetime) -> ForwardingReport:
    """Conclude from what was seen in the technical mailbox until now.

    `sent.recipient` is the public address. `sent.sender` must be a sender that the account's own
    server does not replace, which a round trip shows: what it replaces looks forwarded.
    """
    copy = best_copy(sent, sighting.found)
    if copy is None:
        waiting = judge(sent, sighting, now).outcome is None
        return ForwardingReport(
            ForwardingVerdict.PENDING if waiting else ForwardingVerdict.NOT_ARRIVING
        )
    changed = changed_fields(sent, copy)
    # A Message-ID alone tells no forward: some servers replace it on sending (Amazon SES). Neither
    # does a mark such as [External] in the subject.
    prefixed = _FORWARD.match(copy.header.first("Subject")) is not None
    rewritten = prefixed or bool({"From", "To", "X-Postroom-Probe"} & set(changed))
    verdict = ForwardingVerdict.REWRITTEN if rewritten else ForwardingVerdict.REDIRECTED
    return ForwardingReport(verdict, changed)


def changed_fields(sent: Sent, copy: Found) -> tuple[str, ...]:
    """Name the fields that did not arrive as they were sent, in the order of a header."""
    header, token = copy.header, sent.expected.token
    changed = {
        "From": not _holds(header, "From", sent.sender, alone=True),
        "To": not _holds(header, "To", sent.recipient, alone=False),
        "Message-ID": message_id(sent.sender, token) not in header.first("Message-ID"),
        "Subject": " ".join(header.first("Subject").split()) != f"{SUBJECT} {short_form(token)}",
        "X-Postroom-Probe": copy.proof is None,
    }
    return tuple(name for name, differs in changed.items() if differs)


#: Fields that a server of the recipient's adds with the address that a message was for.
_RECIPIENT_FIELDS = ("Delivered-To", "X-Delivered-To", "X-Original-To", "Envelope-To", "To")


def names_recipient(header: Header, address: str) -> bool:
    """Whether a header tells that the message came for an address.

    By what servers of the recipient's add, or the clause "for" of a Received (RFC 5321 section
    4.4).
    """
    told = [
        listed
        for name in _RECIPIENT_FIELDS
        for body in header.all(name)
        for listed in addresses(body)
    ]
    clauses = (" ".join(body.lower().split()) for body in header.all("Received"))
    wanted = address.lower()
    return any(same_address(listed, address) for listed in told) or any(
        f" for {wanted}" in clause or f" for <{wanted}>" in clause for clause in clauses
    )


def _holds(header: Header, name: str, address: str, *, alone: bool) -> bool:
    found = [listed for body in header.all(name) for listed in addresses(body)]
    return any(same_address(listed, address) for listed in found) and not (alone and len(found) > 1)

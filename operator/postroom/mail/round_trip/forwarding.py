# SPDX-License-Identifier: Apache-2.0
"""Whether mail to the public address reaches the technical mailbox, and as it was sent.

A redirect hands the message on as it is (RFC 5321 section 3.9.1), so that replies go to whoever
wrote it. A forward writes a new one, from whoever forwards. Fields of RFC 5322 section 3.6.6
(Resent-) do not make the difference: a redirect may add them, and leaves the others alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from postroom.api.account_messages import ForwardingSource, ForwardingVerdict
from postroom.api.conditions import shorten
from postroom.api.reasons import Reason
from postroom.mail.round_trip.compose import SUBJECT, message_id, short_form
from postroom.mail.round_trip.forwarding_steps import steps_for
from postroom.mail.round_trip.header import Header, addresses
from postroom.mail.round_trip.recognise import Found, Sighting
from postroom.mail.round_trip.verdict import Arrival, Sent, best_copy, judge, same_address

#: A forward's subject begins with one of these: English, German, Dutch and Scandinavian, French,
#: Spanish, Italian, Polish.
_FORWARD = re.compile(r"(fwd?|wg|doorst|vs|vb|tr|rv|i|pd)\s*:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ForwardingReport:
    """How mail comes to the technical mailbox.

    `changed` names the fields that did not arrive as they were sent. `arrival` is the message's
    own verdict, in which a sender that the forward replaced is no finding. `steps` are what to set
    up, empty where nothing is to be.
    """

    verdict: ForwardingVerdict
    reason: Reason
    message: str
    arrival: Arrival
    changed: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()


def judge_forwarding(
    sent: Sent,
    sighting: Sighting,
    now: datetime,
    source: ForwardingSource,
    technical_address: str,
) -> ForwardingReport:
    """Conclude from what was seen in the technical mailbox until now.

    `sent.recipient` is the public address. `sent.sender` must be a sender that the account's own
    server does not replace, which a round trip shows: what it replaces looks forwarded.
    """
    arrival = judge(sent, sighting, now)
    copy = best_copy(sent, sighting.found)
    public = sent.recipient
    if copy is None and arrival.outcome is None:
        message = f"A test message to {public} is on its way to {technical_address}."
        return ForwardingReport(
            ForwardingVerdict.PENDING, Reason.AWAITING_MESSAGE, shorten(message), arrival
        )
    steps = steps_for(source, public, technical_address)
    if copy is None:
        message = (
            f"A test message to {public} did not arrive at {technical_address} within 10 minutes: "
            "set the redirect up by the steps in status.forwarding.steps."
        )
        return ForwardingReport(
            ForwardingVerdict.NOT_ARRIVING,
            Reason.NOT_FORWARDED,
            shorten(message),
            arrival,
            steps=steps,
        )
    changed = changed_fields(sent, copy)
    if _is_forward(copy, changed):
        message = (
            f"Mail to {public} reaches {technical_address} as a new message of whoever forwards it "
            f"({', '.join(changed)} changed): redirect it instead, by the steps in "
            "status.forwarding.steps."
        )
        return ForwardingReport(
            ForwardingVerdict.REWRITTEN,
            Reason.HEADERS_REWRITTEN,
            shorten(message),
            arrival,
            changed,
            steps,
        )
    message = f"Mail to {public} reaches {technical_address} as it was sent."
    return ForwardingReport(
        ForwardingVerdict.REDIRECTED, Reason.REDIRECTED, shorten(message), arrival, changed
    )


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


def _is_forward(copy: Found, changed: tuple[str, ...]) -> bool:
    """Tell a rewritten message.

    A Message-ID alone tells nothing: some servers replace it on sending (Amazon SES), and neither
    does a mark such as [External] in the subject.
    """
    prefixed = _FORWARD.match(copy.header.first("Subject")) is not None
    return prefixed or bool({"From", "To", "X-Postroom-Probe"} & set(changed))


def _holds(header: Header, name: str, address: str, *, alone: bool) -> bool:
    found = [one for body in header.all(name) for one in addresses(body)]
    return any(same_address(one, address) for one in found) and not (alone and len(found) > 1)

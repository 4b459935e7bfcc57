# SPDX-License-Identifier: Apache-2.0
"""Between what status keeps of a message of ours and what `postroom.mail.round_trip` knows."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass

from postroom.api import account_messages
from postroom.api.conditions import shorten
from postroom.api.mailserver import TEXT_LIMIT
from postroom.api.times import parse_timestamp
from postroom.mail.operations import OutgoingMessage, Position, Removal, ScanReport
from postroom.mail.round_trip.compose import Draft, Purpose, compose, probe_key
from postroom.mail.round_trip.conclusions import looping
from postroom.mail.round_trip.recognise import Expected, Sighting, recognise
from postroom.mail.round_trip.verdict import Arrival, Sent, judge
from postroom.reconcile.account.messages.correspondents import Receiver
from postroom.reconcile.account.steps import AccountView

_HOPS_LIMIT, WARNINGS_LIMIT = 16, 8
_WORD_LIMIT = 64


@dataclass(frozen=True, slots=True)
class Search:
    """What one look into a mailbox showed of a message."""

    sent: Sent
    sighting: Sighting
    arrival: Arrival

    def removals(self, under_way: Collection[str]) -> tuple[Removal, ...]:
        """What to remove now that it is over: every copy that is proven ours.

        Those of earlier messages go, too, which came when nobody looked for them any more;
        `under_way` are the tokens that are still looked for.
        """
        copies = [sighted.removal for sighted in self.sighting.found]
        own = self.sent.expected.account_uid
        strays = [
            stray.removal
            for stray in self.sighting.strays
            if stray.account_uid == own and stray.token not in under_way
        ]
        return tuple(copy for copy in (*copies, *strays) if copy is not None)


def new_token() -> str:
    """Return a token for a message, that no other process would choose."""
    return secrets.token_hex(16)


def written(
    flight: account_messages.MessageInFlight, purpose: Purpose, view: AccountView
) -> OutgoingMessage:
    """Write a message that is announced."""
    spec, metadata = view.resource.spec, view.resource.metadata
    draft = Draft(
        account_uid=metadata.uid,
        token=flight.token,
        purpose=purpose,
        sender=flight.sender,
        display_name=spec.display_name or "",
        recipient=flight.recipient,
        moment=view.world.now(),
        reply_to=flight.reply_to or "",
    )
    octets = compose(draft, probe_key(view.world.ownership.message_keys[0]))
    policy = view.world.outbound.messages
    may_send = policy.may_send if policy is not None else lambda: False
    return OutgoingMessage(flight.sender, flight.recipient, octets, may_send)


def look_for(
    flight: account_messages.MessageInFlight,
    report: ScanReport,
    receiver: Receiver,
    view: AccountView,
) -> Search:
    """Judge what a scan found."""
    expected = Expected(view.resource.metadata.uid, flight.token)
    sent = Sent(
        expected,
        flight.sender,
        flight.recipient,
        accepted_at=parse_timestamp(flight.time),
        mailbox=receiver.attempt.mailbox,
        receivers=(receiver.address.rpartition("@")[2], receiver.attempt.endpoint.host),
        reply_to=flight.reply_to or "",
    )
    rules = view.world.ownership
    keys = tuple(map(probe_key, rules.message_keys))
    sighting = recognise(report.messages, expected, keys, lasting=bool(rules.keys))
    return Search(sent, sighting, judge(sent, sighting, view.world.now()))


def result_of(
    flight: account_messages.MessageInFlight,
    arrival: Arrival,
    outcome: account_messages.MessageOutcome,
) -> account_messages.MessageResult:
    """Put what became of a message into status."""
    found, told = arrival.authentication, list(arrival.findings)
    if flight.answered:
        # Of all that there is to tell, this decides whether more is sent.
        loop = looping(flight.recipient)
        others = [each for each in told if each.code != loop.code]
        told = [*others[: WARNINGS_LIMIT - 1], loop]
    authentication: account_messages.ReceivedAuthentication | None = None
    if found is not None:
        authentication = account_messages.ReceivedAuthentication(
            spf=found.spf,
            dkim=found.dkim,
            dkim_domain=found.dkim_domain,
            dmarc=found.dmarc,
            arc=found.arc,
        )
    return account_messages.MessageResult(
        outcome=outcome,
        time=flight.time,
        recipient=flight.recipient,
        reason=arrival.reason.value,
        message=shorten(arrival.message),
        mailbox=arrival.mailbox,
        latency_seconds=arrival.latency,
        received_from=arrival.received_from or None,
        reply_to=flight.reply_to,
        authentication=authentication,
        warnings=[
            account_messages.MessageWarning(
                code=finding.code, severity=finding.severity, message=shorten(finding.message)
            )
            for finding in told[:WARNINGS_LIMIT]
        ],
        hops=[
            account_messages.Hop(
                by=(hop.server or "unknown")[:TEXT_LIMIT],
                protocol=(hop.protocol or "")[:_WORD_LIMIT] or None,
                delay_seconds=hop.delay,
            )
            for hop in arrival.hops[:_HOPS_LIMIT]
        ],
        basis=flight.basis,
    )


def stored(position: Position) -> account_messages.MailboxPosition:
    """Put a position into status."""
    return account_messages.MailboxPosition(
        mailbox=position.mailbox,
        uid_validity=position.uid_validity,
        uid_next=position.uid_next,
        special_use=position.special_use,
    )


def position_of(kept: account_messages.MailboxPosition) -> Position:
    """Read a position from status."""
    return Position(kept.mailbox, kept.uid_validity, kept.uid_next, kept.special_use)

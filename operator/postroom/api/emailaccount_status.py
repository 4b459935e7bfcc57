# SPDX-License-Identifier: Apache-2.0
"""What status says of an email account."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from postroom.api import account_messages
from postroom.api.binding import BindingStatus
from postroom.api.conditions import MESSAGE_LIMIT, Timestamp
from postroom.api.fields import EmailAddress, Model, no_entries
from postroom.api.identities import IDENTITIES_LIMIT, IdentityStatuses
from postroom.api.launch import Launch
from postroom.api.mailserver import ProbeFacts, ServerFacts, TLSFacts
from postroom.api.profile import InboundStatus
from postroom.api.send_limits import SendPlan
from postroom.api.status import MarkedStatus, ResolvedReference, Use

#: Most users of a disconnected account that its status lists.
RELIANCES_LIMIT = 32
#: Most accounts whose mail reaches a mailbox that its status lists.
FORWARDED_LIMIT = 64


class EffectiveSender(Model):
    """The sender that applications should use now, and why; nobody where there is no address."""

    address: EmailAddress | None = Field(
        default=None,
        description="The address to send from; absent while the account may not send.",
    )
    reason: Annotated[str, StringConstraints(max_length=64)] = Field(
        description="DomainVerified, DomainDegraded, FallbackUsed or NoDomain; without an address "
        "DomainNotVerified, DomainUnknown, Suspended, Disconnected, or the reason of the condition "
        "that fails."
    )


class RelianceOn(Model):
    """Somebody who relied on an account that is disconnected."""

    kind: Annotated[str, StringConstraints(max_length=63)] = Field(
        description="Its kind, EmailAccount."
    )
    name: Annotated[str, StringConstraints(max_length=253)] = Field(description="Its name.")
    use: Use = Field(
        description="What it used the account for: Receiver, Forwarding or FallbackSender."
    )


class Disconnection(Model):
    """What a disconnected account has stopped for others."""

    relied_on_by: Annotated[list[RelianceOn], Field(max_length=RELIANCES_LIMIT)] = Field(
        default_factory=no_entries, description="Who relied on the account, sorted by name."
    )
    stopped_identities: Annotated[
        list[Annotated[str, StringConstraints(max_length=254)]], Field(max_length=IDENTITIES_LIMIT)
    ] = Field(
        default_factory=no_entries, description="The addresses that nobody is to send as meanwhile."
    )


class SpecialMailbox(Model):
    """A mailbox of a special use."""

    use: Annotated[str, StringConstraints(max_length=32)] = Field(
        description="The use, such as Junk or Sent."
    )
    name: Annotated[str, StringConstraints(max_length=255)] = Field(description="The mailbox.")


class QuotaUsage(Model):
    """How full a mailbox is (RFC 9208)."""

    used: Annotated[int, Field(ge=0)] = Field(description="What is used.")
    limit: Annotated[int, Field(ge=0)] = Field(description="What there is.")


class MailboxFacts(Model):
    """Counts of the mailbox at the last check."""

    name: Annotated[str, StringConstraints(max_length=255)] = Field(description="The mailbox.")
    messages: Annotated[int, Field(ge=0)] = Field(description="Messages in it.")
    unseen: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Messages not seen."
    )
    uid_next: Annotated[int, Field(ge=0)] | None = Field(default=None, description="Next UID.")
    uid_validity: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="UIDVALIDITY."
    )
    newest_time: Timestamp | None = Field(
        default=None, description="When the newest message arrived."
    )
    new_messages: Annotated[int, Field(ge=0)] | None = Field(
        default=None,
        description="UIDs assigned since the sync before: an upper bound of what arrived.",
    )
    octets: QuotaUsage | None = Field(
        default=None, description="Quota in octets (RFC 9208 STORAGE)."
    )
    message_quota: QuotaUsage | None = Field(
        default=None, description="Quota in messages (RFC 9208 MESSAGE)."
    )
    append_limit: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Largest message that it takes, in octets (RFC 7889)."
    )
    special: Annotated[list[SpecialMailbox], Field(max_length=8)] = Field(
        default_factory=no_entries,
        description="Mailboxes of a special use (RFC 6154), sorted by use.",
    )


class SyncPhase(StrEnum):
    """What is being done at the mailbox."""

    IDLE = "Idle"
    SYNCING = "Syncing"
    BACKFILLING = "Backfilling"


class SyncState(Model):
    """What is being done at the mailbox, as far as it takes more than a moment."""

    phase: SyncPhase = Field(
        default=SyncPhase.IDLE,
        description="Syncing while the mailbox is looked at, Backfilling while it is looked back "
        "in, either only once it takes more than a few seconds; else Idle.",
    )


class DayCount(Model):
    """How many messages arrived on a day."""

    date: Annotated[
        str, StringConstraints(max_length=10, pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")
    ] = Field(description="The day, in UTC.")
    messages: Annotated[int, Field(ge=0)] = Field(description="How many.")


class BackfillPhase(StrEnum):
    """What became of a backfill."""

    DONE = "Done"
    REFUSED = "Refused"


class LastBackfill(Model):
    """The last look back that was asked for: what arrived on each day."""

    nonce: Annotated[str, StringConstraints(max_length=128)] = Field(
        description="The value of the annotation postroom.dev/backfill; of one of more than "
        "128 characters the beginning, with a hash."
    )
    phase: BackfillPhase = Field(description="Done or Refused.")
    time: Timestamp = Field(description="When it was done or refused.")
    reason: Annotated[str, StringConstraints(max_length=64)] = Field(
        description="Why it was refused, or Succeeded."
    )
    message: Annotated[str, StringConstraints(max_length=MESSAGE_LIMIT)] = Field(
        description="What it means, and what to do."
    )
    messages: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Messages in all."
    )
    duplicates: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="How many of them are there again under the same Message-ID."
    )
    complete: bool | None = Field(
        default=None, description="False: there are more messages than postroom counts."
    )
    days: Annotated[list[DayCount], Field(max_length=61)] = Field(
        default_factory=no_entries, description="Days with messages, oldest first."
    )


class ProtocolProbes(Model):
    """How far the last probe of each protocol came."""

    smtp: ProbeFacts | None = Field(default=None, description="SMTP.")
    imap: ProbeFacts | None = Field(default=None, description="IMAP.")


class EmailAccountStatus(MarkedStatus):
    """What postroom found out about an email account."""

    address: EmailAddress | None = Field(
        default=None, description="spec.address with its domain as DNS has it, in A-labels."
    )
    effective_sender: EffectiveSender | None = Field(
        default=None, description="The sender that applications should use now."
    )
    disconnection: Disconnection | None = Field(
        default=None, description="What has stopped for others; present while disconnected."
    )
    consumer: Annotated[str, StringConstraints(max_length=253)] | None = Field(
        default=None,
        description="The application that alone uses the address; absent while the account is "
        "refused it or is disconnected.",
    )
    inbound: InboundStatus | None = Field(
        default=None,
        description="What the application that reads the mailbox is to go by; present where "
        "spec.inbound is.",
    )
    connected_at: Timestamp | None = Field(
        default=None,
        description="When the account was first able to send; a ramp-up counts from that day.",
    )
    binding: BindingStatus | None = Field(
        default=None, description="Where an application finds what it needs to send."
    )
    send_plan: SendPlan | None = Field(
        default=None,
        description="How much may be sent and when; absent where nothing limits it, or the "
        "MailServer is missing, whose limits nobody knows then.",
    )
    server_name: Annotated[str, StringConstraints(max_length=253)] | None = Field(
        default=None, description="The MailServer in use."
    )
    server_namespace: Annotated[str, StringConstraints(max_length=63)] | None = Field(
        default=None, description="Namespace of the MailServer in use, where it is another one."
    )
    resolved_refs: Annotated[list[ResolvedReference], Field(max_length=16)] = Field(
        default_factory=no_entries, description="What the references led to."
    )
    mailbox: MailboxFacts | None = Field(default=None, description="Counts of the mailbox.")
    imap_server: ServerFacts | None = Field(
        default=None, description="What the IMAP server said of itself."
    )
    imap_tls: TLSFacts | None = Field(default=None, description="TLS of the IMAP connection.")
    last_probe: ProtocolProbes | None = Field(
        default=None, description="How far the last probes came."
    )
    sync: SyncState | None = Field(
        default=None,
        description="What is being done at the mailbox; absent where the account reads none.",
    )
    last_sync: Timestamp | None = Field(
        default=None,
        description="A recent look at the mailbox; refreshed with other changes.",
    )
    identities: IdentityStatuses = Field(
        default_factory=no_entries,
        description="The addresses that the account may send as, and how that is known.",
    )
    launch: Launch | None = Field(
        default=None,
        description="What is to be done before applications use the account; it does not gate "
        "Ready.",
    )
    last_backfill: LastBackfill | None = Field(
        default=None, description="The last look back that was asked for."
    )
    last_message_time: Timestamp | None = Field(
        default=None, description="When postroom last sent a message of its own as this account."
    )
    recent_messages: Annotated[
        list[account_messages.SentMessage], Field(max_length=account_messages.RECENT_MESSAGES)
    ] = Field(
        default_factory=no_entries,
        description="The last messages of postroom's own that went out, newest first: what is sent "
        "after a restart counts on from them.",
    )
    last_test: account_messages.LastTest | None = Field(
        default=None, description="The test message that was asked for last."
    )
    round_trip: account_messages.RoundTripState | None = Field(
        default=None, description="The messages of the round trip."
    )
    forwarding: account_messages.ForwardingState | None = Field(
        default=None, description="Whether mail to the address reaches the technical address."
    )
    forwarded_from: Annotated[
        list[account_messages.ForwardedFrom], Field(max_length=FORWARDED_LIMIT)
    ] = Field(
        default_factory=no_entries,
        description="The accounts of this namespace whose mail is sent on to this mailbox by "
        "spec.forwarding.receiverRef, sorted by name.",
    )

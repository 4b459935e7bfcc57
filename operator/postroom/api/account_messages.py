# SPDX-License-Identifier: Apache-2.0
"""Messages that postroom itself sends through an account: what asks for them, and what came of
each of them."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from postroom.api.conditions import MESSAGE_LIMIT, Timestamp
from postroom.api.fields import (
    InternationalAddress,
    MessageInterval,
    Model,
    ObjectReference,
    Switch,
    no_entries,
    rule,
    rules,
)
from postroom.api.findings import Severity

_Word = Annotated[str, StringConstraints(max_length=64)]
_Sentence = Annotated[str, StringConstraints(max_length=MESSAGE_LIMIT)]
_Address = Annotated[str, StringConstraints(max_length=320)]
_MailboxName = Annotated[str, StringConstraints(max_length=255)]
_Count = Annotated[int, Field(ge=0)]

#: One in five minutes, and after ten none counts any more: so many can matter at a time.
RECENT_MESSAGES = 3


class RoundTrip(Model):
    """A message that is sent and looked for, again and again; off unless enabled.

    The account sends as itself and as each of its identities in turn.
    """

    enabled: Switch = Field(
        default=False, description="Whether test messages are sent on a schedule."
    )
    interval: MessageInterval = Field(
        default=timedelta(hours=6), description="How often: 6h to 168h."
    )
    receiver_ref: ObjectReference | None = Field(
        default=None,
        description="EmailAccount of this namespace that receives the message and whose imap is "
        "read; omitted: the account itself.",
    )


class ForwardingSource(StrEnum):
    """Where mail to the public address arrives and is sent on; the steps differ."""

    MICROSOFT365 = "Microsoft365"
    GOOGLE_WORKSPACE = "GoogleWorkspace"
    OTHER = "Other"


class Forwarding(Model):
    """Mail to the address arrives elsewhere and is sent on to a mailbox that applications read.

    A test message to the address shows whether it is, and whether its header stays as it was.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.technicalAddress) || has(self.receiverRef)",
                "must be set, unless receiverRef is, of which it is derived",
                field_path=".technicalAddress",
            ),
            rule(
                "!(has(self.technicalAddress) && has(self.receiverRef))",
                "may not be set beside technicalAddress: one of them says where mail is sent on to",
                field_path=".receiverRef",
                forbidden=True,
            ),
        )
    )

    technical_address: InternationalAddress | None = Field(
        default=None,
        description="Where mail to the address is sent on to. What reads it is the EmailAccount of "
        "this namespace with that address, or else this account's imap.",
    )
    receiver_ref: ObjectReference | None = Field(
        default=None,
        description="EmailAccount of this namespace whose mailbox the mail is sent on to, under a "
        "sub-address of its own that status.forwarding.technicalAddress tells; instead of "
        "technicalAddress.",
    )
    source: ForwardingSource = Field(
        default=ForwardingSource.OTHER, description="Microsoft365, GoogleWorkspace or Other."
    )

    @model_validator(mode="after")
    def _one_goal(self) -> Self:
        if self.technical_address is None and self.receiver_ref is None:
            raise ValueError(
                "forwarding.technicalAddress must be set, unless receiverRef is, of which it is "
                "derived"
            )
        if self.technical_address is not None and self.receiver_ref is not None:
            raise ValueError(
                "forwarding.receiverRef may not be set beside technicalAddress: one of them says "
                "where mail is sent on to"
            )
        return self


class MessageStep(StrEnum):
    """How far a message of ours is."""

    #: Written before anything is sent, so that a crash never sends a message twice.
    SENDING = "Sending"
    #: The server took it over; it is looked for.
    SENT = "Sent"


class MailboxPosition(Model):
    """What is in a mailbox from this UID on came after the message was sent."""

    mailbox: _MailboxName = Field(description="The mailbox.")
    uid_validity: _Count = Field(description="UIDVALIDITY.")
    uid_next: _Count = Field(description="The UID that the next message would get.")
    special_use: _Word | None = Field(default=None, description="Special use (RFC 6154).")


class SeenVersion(Model):
    """A version of an object that a message was sent with."""

    kind: _Word = Field(description="Its kind.")
    name: Annotated[str, StringConstraints(max_length=253)] = Field(description="Its name.")
    version: _Word = Field(
        description="The resourceVersion of a Secret or ConfigMap, the generation of a MailServer."
    )


class MessageBasis(Model):
    """What a message was sent with: another one shows nothing of what changed since."""

    generation: _Count = Field(description="The generation of the account.")
    versions: Annotated[list[SeenVersion], Field(max_length=24)] = Field(
        default_factory=no_entries,
        description="The server and the credentials, sorted by kind and name.",
    )


class MessageInFlight(Model):
    """A message of ours that is being sent or looked for."""

    step: MessageStep = Field(description="Sending or Sent.")
    token: _Word = Field(description="What the message is recognised by.")
    time: Timestamp = Field(description="When it was sent, or was decided to be sent.")
    sender: _Address = Field(description="Whom it is sent from.")
    recipient: _Address = Field(description="Whom it is sent to.")
    reply_to: _Address | None = Field(
        default=None, description="Where answers to it are to go, if it says so."
    )
    certain: bool = Field(
        default=True, description="False: the server's answer was lost, it may not have been sent."
    )
    positions: Annotated[list[MailboxPosition], Field(max_length=4)] = Field(
        default_factory=no_entries, description="Where it is looked for."
    )
    answered: bool = Field(
        default=False, description="Whether something answered it, or sent it on again."
    )
    basis: MessageBasis | None = Field(default=None, description="What it is sent with.")


class MessageOutcome(StrEnum):
    """What became of a message of ours."""

    #: The server took it over, and there is no mailbox to look for it in.
    ACCEPTED = "Accepted"
    DELIVERED = "Delivered"
    DELIVERED_TO_SPAM = "DeliveredToSpam"
    #: It was taken over, but did not arrive within ten minutes.
    NOT_DELIVERED = "NotDelivered"
    #: The server refused it, or it could not be sent.
    FAILED = "Failed"
    #: It could not be taken over or looked for now; another one may be.
    DEFERRED = "Deferred"
    #: It may have been sent; it is never sent again.
    UNKNOWN = "Unknown"


class ReceivedAuthentication(Model):
    """How the receiver judged the message (RFC 8601), as its own header says."""

    spf: _Word | None = Field(default=None, description="Result of SPF.")
    dkim: _Word | None = Field(default=None, description="Result of DKIM.")
    dkim_domain: Annotated[str, StringConstraints(max_length=253)] | None = Field(
        default=None, description="The domain whose signature was judged."
    )
    dmarc: _Word | None = Field(default=None, description="Result of DMARC.")
    arc: _Word | None = Field(default=None, description="Result of ARC.")


class Hop(Model):
    """A server that the message passed (RFC 5321 section 4.4)."""

    by: Annotated[str, StringConstraints(max_length=253)] = Field(description="The server.")
    protocol: _Word | None = Field(default=None, description="How it got it, such as ESMTPS.")
    delay_seconds: _Count | None = Field(default=None, description="Time since the hop before.")


class MessageWarning(Model):
    """Something that the message showed besides its outcome."""

    code: _Word = Field(description="What it is, as in findings.")
    severity: Severity = Field(description="Error, Warning or Info.")
    message: _Sentence = Field(description="What it means, and what to do.")


class MessageResult(Model):
    """What became of a message of ours."""

    outcome: MessageOutcome = Field(
        description="Accepted, Delivered, DeliveredToSpam, NotDelivered, Failed, Deferred or "
        "Unknown."
    )
    time: Timestamp = Field(description="When it was sent.")
    recipient: _Address = Field(description="Whom it was sent to.")
    reason: _Word = Field(description="Reason of the outcome, see the reason catalogue.")
    message: _Sentence = Field(description="What it means, and what to do.")
    mailbox: _MailboxName | None = Field(default=None, description="Where it arrived.")
    latency_seconds: _Count | None = Field(
        default=None, description="From the server's yes to its arrival."
    )
    received_from: _Address | None = Field(
        default=None, description="The sender that the receiver shows, where it is another one."
    )
    reply_to: _Address | None = Field(
        default=None, description="Where answers to it were to go, if it said so."
    )
    authentication: ReceivedAuthentication | None = Field(
        default=None, description="How the receiver judged it."
    )
    warnings: Annotated[list[MessageWarning], Field(max_length=8)] = Field(
        default_factory=no_entries, description="What else it showed, worst first."
    )
    hops: Annotated[list[Hop], Field(max_length=16)] = Field(
        default_factory=no_entries, description="The servers that it passed, first to last."
    )
    basis: MessageBasis | None = Field(default=None, description="What it was sent with.")


class SentMessage(Model):
    """A message of ours that went out, or may have."""

    time: Timestamp = Field(description="When it was sent.")
    recipient: _Address = Field(description="Whom it was sent to.")


class LastTest(Model):
    """The test message that was asked for last."""

    nonce: Annotated[str, StringConstraints(max_length=128)] = Field(
        description="The value of the annotation postroom.dev/send-test; of one of more than "
        "128 characters the beginning, with a hash."
    )
    in_flight: MessageInFlight | None = Field(
        default=None, description="The message while it is sent or looked for."
    )
    result: MessageResult | None = Field(default=None, description="What became of it.")
    overdue: MessageInFlight | None = Field(
        default=None,
        description="The message that had not arrived when the result was told: for a day it is "
        "looked for once an hour, and the result corrected.",
    )


class SenderTrip(Model):
    """What became of the last message that was sent as one of the identities."""

    address: _Address = Field(description="The identity.")
    outcome: MessageOutcome = Field(
        description="Delivered, DeliveredToSpam, NotDelivered, Failed, Deferred or Unknown."
    )
    time: Timestamp = Field(description="When it was sent.")
    reason: _Word = Field(description="Reason of the outcome, see the reason catalogue.")
    answered: bool = Field(
        default=False,
        description="Whether something answered it, or sent it on again: then nothing is sent "
        "until somebody asks for a check.",
    )


class RoundTripState(Model):
    """The message that is under way, and what became of the last one."""

    in_flight: MessageInFlight | None = Field(
        default=None, description="The message while it is sent or looked for."
    )
    result: MessageResult | None = Field(
        default=None, description="The last that the account sent as itself."
    )
    senders: Annotated[list[SenderTrip], Field(max_length=32)] = Field(
        default_factory=no_entries, description="The last that it sent as each of its identities."
    )


class ForwardedFrom(Model):
    """An account whose mail reaches a mailbox under a sub-address."""

    name: Annotated[str, StringConstraints(max_length=253)] = Field(
        description="The EmailAccount whose mail is sent on."
    )
    address: _Address = Field(description="Its address, to which people write.")
    technical_address: _Address = Field(
        description="The sub-address under which its mail arrives here."
    )


class ForwardingVerdict(StrEnum):
    """How mail to the public address comes to the technical one."""

    #: As it was sent.
    REDIRECTED = "Redirected"
    #: As a message of whoever forwards it: replies would go to the wrong one.
    REWRITTEN = "Rewritten"
    NOT_ARRIVING = "NotArriving"
    PENDING = "Pending"


class ForwardingState(Model):
    """Whether forwarding works, and the steps that set it up while it does not."""

    verdict: ForwardingVerdict = Field(
        description="Redirected, Rewritten, NotArriving or Pending (not known yet)."
    )
    technical_address: _Address | None = Field(
        default=None,
        description="The technical address that this is about; absent while there is none.",
    )
    in_flight: MessageInFlight | None = Field(
        default=None, description="The message while it is sent or looked for."
    )
    result: MessageResult | None = Field(default=None, description="The last that came to an end.")
    failures: _Count = Field(
        default=0, description="Messages in a row that did not arrive as they were sent."
    )
    steps: Annotated[list[_Sentence], Field(max_length=16)] = Field(
        default_factory=no_entries,
        description="What to set up at the source, in this order; empty once it works.",
    )

# SPDX-License-Identifier: Apache-2.0
"""Incoming mail handed to an application: ``spec.inbound.deliver``, and how far it is."""

import re
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator

from postroom.api import fields
from postroom.api.ca_bundle import CABundleReference
from postroom.api.conditions import Timestamp

MAILBOXES_LIMIT = 8
#: Those that status keeps a cursor of: the spec's, and some that it named before.
CURSORS_LIMIT = 2 * MAILBOXES_LIMIT
#: The fields of ``status.inbound`` that `postroom deliver` writes.
PROGRESS_FIELDS = ("cursors", "waiting", "deliveredAt", "rejected", "lastRejected", "worker")
#: Octets of the largest message that may be asked for: 100Mi.
LARGEST = 100 * 1024 * 1024
_UNITS = {"": 1, "k": 10**3, "Ki": 2**10, "M": 10**6, "Mi": 2**20}
_SIZE = re.compile(r"([1-9][0-9]{0,8})(k|Ki|M|Mi)?")


def octets(text: str) -> int:
    """Read a size as Kubernetes writes quantities (25Mi, 500k), in octets."""
    found = _SIZE.fullmatch(text)
    return int(found[1]) * _UNITS[found[2] or ""] if found else 0


Size = Annotated[
    str,
    fields.Text(
        r"^[1-9][0-9]{0,8}(k|Ki|M|Mi)?$",
        "must be a size from 1Ki to 100Mi, such as 25Mi or 500k",
        longest=12,
        also=lambda text: 1024 <= octets(text) <= LARGEST,
        also_rule="quantity(self).compareTo(quantity('1Ki')) >= 0 && "
        "quantity(self).compareTo(quantity('100Mi')) <= 0",
    ),
]
ServicePath = Annotated[
    str,
    fields.Text(
        r"^/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*$",
        "must be a path such as /mail, without query and fragment",
        longest=512,
    ),
]
MailboxName = Annotated[
    str,
    fields.Text(
        rf"^[^{fields.UNPRINTED}]+$",
        "must be the name of a mailbox, without control characters",
        longest=255,
    ),
]


_ONCE = "must have each mailbox once; INBOX is the same in capitals and without (RFC 9051)"
_ONE_OUTLET = "must be set, or jetStream: one of them, and not both"
_SIGNED = "must be set where service is, and only there: what goes into a stream is not signed"
_ONLY_HTTPS = "must come with scheme HTTPS: over HTTP no certificate is shown"


def canonical(mailbox: str) -> str:
    """The one name of a mailbox: INBOX is written in any case (RFC 9051 section 5.1)."""
    return "INBOX" if mailbox.upper() == "INBOX" else mailbox


def _each_once(mailboxes: list[str]) -> list[str]:
    if len(set(map(canonical, mailboxes))) < len(mailboxes):
        raise ValueError(_ONCE)
    return mailboxes


class Scheme(StrEnum):
    """How the Service is spoken to."""

    HTTP = "HTTP"
    HTTPS = "HTTPS"


class ConsumerService(fields.Model):
    """A Service of the namespace, by its own address: nothing else can be named."""

    model_config = ConfigDict(
        json_schema_extra=fields.rules(
            fields.rule(
                "!has(self.caBundleRef) || self.scheme == 'HTTPS'",
                _ONLY_HTTPS,
                field_path=".caBundleRef",
            )
        )
    )

    name: fields.ObjectName = Field(description="Name of a Service of this namespace.")
    port: fields.Port = Field(description="Port of the Service.")
    path: ServicePath = Field(default="/", description="Path that messages are posted to.")
    scheme: Scheme = Field(
        default=Scheme.HTTP,
        description="HTTP, which stays within the cluster, or HTTPS with a certificate for "
        "<name>.<namespace>.svc.",
    )
    ca_bundle_ref: CABundleReference | None = Field(
        default=None,
        description="Authorities of that certificate instead of the public ones; with HTTPS.",
    )

    @model_validator(mode="after")
    def _trusts_what_is_shown(self) -> Self:
        if self.ca_bundle_ref is not None and self.scheme is not Scheme.HTTPS:
            raise ValueError(f"caBundleRef {_ONLY_HTTPS}")
        return self


class DeliveryStart(StrEnum):
    """Where a mailbox begins that nothing was handed over from yet."""

    #: With the next message that arrives.
    NOW = "Now"
    #: With those of the last sync.backfillDays days, once.
    BACKFILL = "Backfill"


class DeliveryFormat(StrEnum):
    """How a message is written."""

    #: The message byte for byte, what is told of it in headers (CloudEvents binary mode).
    RAW = "Raw"
    #: One JSON document with the message in base64 (CloudEvents structured mode).
    CLOUD_EVENT = "CloudEvent"


class JetStream(fields.Model):
    """The stream of the administrator's; the subject follows from namespace and name."""

    # Nothing yet; whatever is there is bounded.
    model_config = ConfigDict(json_schema_extra={"maxProperties": 1})


class Deliver(fields.Model):
    """Which application gets incoming mail, and which of it."""

    model_config = ConfigDict(
        json_schema_extra=fields.rules(
            fields.rule(
                "has(self.service) != has(self.jetStream)", _ONE_OUTLET, field_path=".service"
            ),
            fields.rule(
                "has(self.service) == has(self.signingKeyRef)",
                _SIGNED,
                field_path=".signingKeyRef",
            ),
        )
    )

    service: ConsumerService | None = Field(
        default=None, description="The application. Either this or jetStream."
    )
    jet_stream: JetStream | None = Field(
        default=None,
        description="The stream of NATS JetStream that `postroom deliver` was given: {}.",
    )
    signing_key_ref: fields.ObjectReference | None = Field(
        default=None,
        description="Secret whose key current signs what is handed to the service (Standard "
        "Webhooks); previous signs, too, while a key is exchanged. Must be set where service is.",
    )
    mailboxes: Annotated[
        list[MailboxName],
        Field(min_length=1, max_length=MAILBOXES_LIMIT),
        AfterValidator(_each_once),
    ] = Field(
        default=["INBOX"],
        description="Mailboxes to read; junk only where it is named.",
        json_schema_extra=fields.rules(
            fields.rule(
                "self.all(name, self.exists_one(other, other == name)) && "
                "self.filter(name, name.lowerAscii() == 'inbox').size() <= 1",
                _ONCE,
            )
        ),
    )
    start: DeliveryStart = Field(
        default=DeliveryStart.NOW,
        description="Now, or Backfill: with the messages of the last sync.backfillDays days.",
    )
    max_size: Size = Field(
        default="25Mi",
        description="The largest message that is handed over; of a larger one the application is "
        "told without it.",
    )
    format: DeliveryFormat = Field(default=DeliveryFormat.RAW, description="Raw or CloudEvent.")

    @model_validator(mode="after")
    def _has_one_outlet(self) -> Self:
        if (self.service is None) == (self.jet_stream is None):
            raise ValueError(f"service {_ONE_OUTLET}")
        if (self.service is None) != (self.signing_key_ref is None):
            raise ValueError(f"signingKeyRef {_SIGNED}")
        return self


class RefusedMessage(fields.Model):
    """A message that the application refuses."""

    uid: Annotated[int, Field(ge=1)] = Field(description="Its UID.")
    since: Timestamp = Field(description="When it was refused first.")
    attempts: Annotated[int, Field(ge=1)] = Field(description="How often it was refused.")
    code: Annotated[int, Field(ge=0, le=599)] = Field(description="The HTTP status.")
    by: Annotated[str, StringConstraints(max_length=64)] | None = Field(
        default=None,
        description="A hash of service, jetStream and format of the spec: where they are others, "
        "the 48 hours begin anew.",
    )


class DeliveryCursor(fields.Model):
    """How far a mailbox was handed over: every message up to uid."""

    mailbox: Annotated[str, StringConstraints(max_length=255)] = Field(description="The mailbox.")
    uid_validity: Annotated[int, Field(ge=0)] = Field(
        description="Its UIDVALIDITY: with another one its UIDs are others."
    )
    uid: Annotated[int, Field(ge=0)] = Field(description="UID of the last message that is done.")
    arrived_at: Timestamp = Field(description="When the last message arrived that is done.")
    known_below: Annotated[int, Field(ge=0)] | None = Field(
        default=None,
        description="Messages below this UID were there when the mailbox was first opened, or made "
        "anew; of them only those since the time below are handed over.",
    )
    since: Timestamp | None = Field(default=None, description="See knownBelow.")
    may_repeat: bool | None = Field(
        default=None,
        description="Whether messages below knownBelow may have been handed over before.",
    )
    refused: RefusedMessage | None = Field(
        default=None, description="The message that is next, where the application refuses it."
    )
    owner: Annotated[str, StringConstraints(max_length=64)] | None = Field(
        default=None,
        description="A hash of namespace, name, server and user: with another one the mailbox "
        "is another.",
    )
    epoch: Annotated[int, Field(ge=0)] | None = Field(
        default=None,
        description="Grows whenever the mailbox was made anew; ids of messages without Message-ID "
        "and Date are made of it, too.",
    )
    anew_at: Timestamp | None = Field(
        default=None,
        description="When the mailbox was last found to be made anew: what arrived before may have "
        "been handed over before.",
    )


class RejectedMessage(fields.Model):
    """A message that was passed by: the application has refused it for 48 hours."""

    mailbox: Annotated[str, StringConstraints(max_length=255)] = Field(description="Its mailbox.")
    uid: Annotated[int, Field(ge=0)] = Field(description="Its UID.")
    code: Annotated[int, Field(ge=0, le=599)] = Field(description="The HTTP status.")

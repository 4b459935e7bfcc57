# SPDX-License-Identifier: Apache-2.0
"""The status of a SendingDomain: every record that must be there, what is, and the verdict."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from postroom.api.conditions import Timestamp
from postroom.api.fields import Model, no_entries
from postroom.api.findings import FINDINGS_LIMIT, Finding
from postroom.api.sendingdomain_publish import Publication
from postroom.api.sendingdomain_records import Purpose
from postroom.api.status import CommonStatus

_Name = Annotated[str, StringConstraints(max_length=253)]


_Fingerprint = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$", max_length=64)]
#: Most compromised keys that a status holds.
COMPROMISED_LIMIT = 64


class Verification(StrEnum):
    """The verdict on a domain in one word.

    Degraded was verified and fails now, within the grace period; Unknown could not be looked at.
    """

    PENDING = "Pending"
    VERIFIED = "Verified"
    DEGRADED = "Degraded"
    FAILED = "Failed"
    UNKNOWN = "Unknown"


class RecordState(StrEnum):
    """What is there of a required record."""

    VALID = "Valid"
    MISSING = "Missing"
    WRONG = "Wrong"
    CONFLICTING = "Conflicting"
    PROPAGATING = "Propagating"
    UNKNOWN = "Unknown"


class RecordStatus(Model):
    """One record that the user must publish, and what is there."""

    id: Annotated[str, StringConstraints(max_length=100)] = Field(description="Stable id.")
    purpose: Purpose = Field(description="What the record is for.")
    name: _Name = Field(description="Fully qualified name.")
    host_label: _Name = Field(
        description="What to type as name at the DNS host: relative to its zone, @ for the zone."
    )
    type: Annotated[str, StringConstraints(max_length=10)] = Field(description="Record type.")
    value: Annotated[str, StringConstraints(max_length=4096)] = Field(
        description="The value to publish."
    )
    required: bool = Field(description="Whether the record gates Ready.")
    state: RecordState = Field(
        description="Valid, Missing, Wrong, Conflicting, Propagating or Unknown."
    )
    observed: Annotated[
        list[Annotated[str, StringConstraints(max_length=300)]], Field(max_length=10)
    ] = Field(default_factory=no_entries, description="What the zone's name servers answer now.")
    retired_at: Timestamp | None = Field(
        default=None, description="Since when the spec calls this selector Retired."
    )


class SendingDomainStatus(CommonStatus):
    """What postroom found out about a sending domain."""

    verification: Verification | None = Field(
        default=None, description="Pending, Verified, Degraded, Failed or Unknown."
    )
    verified_at: Timestamp | None = Field(
        default=None, description="When the domain became verified."
    )
    degraded_at: Timestamp | None = Field(
        default=None, description="When the verified domain began to fail."
    )
    zone: _Name | None = Field(default=None, description="The DNS zone that holds the domain.")
    nameservers: Annotated[list[_Name], Field(max_length=16)] = Field(
        default_factory=no_entries, description="The zone's authoritative name servers."
    )
    dns_host: Annotated[str, StringConstraints(max_length=64)] | None = Field(
        default=None, description="Who hosts the zone, as far as its name servers tell."
    )
    compromised_keys: Annotated[list[_Fingerprint], Field(max_length=COMPROMISED_LIMIT)] = Field(
        default_factory=no_entries,
        description="SHA-256 of the DKIM public keys (SPKI DER, in hexadecimal digits) whose "
        "private half was seen in DNS: they are never valid again.",
    )
    records: Annotated[list[RecordStatus], Field(max_length=64)] = Field(
        default_factory=no_entries,
        description="Everything that must be published, and what is there.",
    )
    publication: Publication | None = Field(
        default=None, description="What was handed to external-dns; absent: nothing."
    )
    findings: Annotated[list[Finding], Field(max_length=FINDINGS_LIMIT)] = Field(
        default_factory=no_entries,
        description="Root causes, worst first, each with one fix.",
    )

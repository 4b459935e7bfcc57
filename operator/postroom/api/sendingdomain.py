# SPDX-License-Identifier: Apache-2.0
"""SendingDomain: a domain that mail is sent from, and the DNS records that authorise it."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from postroom.api.conditions import Timestamp
from postroom.api.fields import (
    Deadline,
    DomainName,
    Interval,
    Model,
    RecordName,
    SecretKeyReference,
    Switch,
    Text,
    rule,
    rules,
)
from postroom.api.findings import FINDINGS_LIMIT, Finding
from postroom.api.status import CommonStatus


class Purpose(StrEnum):
    """What a DNS record is for; also the names that ``spec.require`` takes."""

    OWNERSHIP = "Ownership"
    DKIM = "DKIM"
    SPF = "SPF"
    DMARC = "DMARC"
    MX = "MX"


class SPFAll(StrEnum):
    """The qualifier of the final ``all`` in a new SPF record."""

    FAIL = "Fail"
    SOFT_FAIL = "SoftFail"
    NEUTRAL = "Neutral"


class DMARCPolicy(StrEnum):
    """A DMARC policy, weakest first."""

    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"


def _is_network(text: str) -> bool:
    """Tell what the API server tells by isIP and isCIDR; the pattern has settled the family."""
    try:
        address = ipaddress.ip_interface(text).ip
    except ValueError:
        return False
    return isinstance(address, ipaddress.IPv4Address) or address.ipv4_mapped is None


_IS_NETWORK = "isIP(self) || isCIDR(self)"
_IPv4Network = Annotated[
    str,
    Text(
        r"^[0-9.]+(/(0|[1-9][0-9]?))?$",
        "must be an IPv4 address or network such as 192.0.2.0/24",
        longest=18,
        also=_is_network,
        also_rule=_IS_NETWORK,
    ),
]
_IPv6Network = Annotated[
    str,
    Text(
        r"^[0-9a-fA-F]*:[0-9a-fA-F:.]*(/(0|[1-9][0-9]{0,2}))?$",
        "must be an IPv6 address or network such as 2001:db8::/32",
        longest=49,
        also=_is_network,
        also_rule=_IS_NETWORK,
    ),
]
#: What would end the URI or the tag, or is not ASCII, must be percent-encoded (RFC 9989).
_ReportAddress = Annotated[
    str,
    Text(
        r"^mailto:[#-+.-:<-?A-~-]+@[0-9A-Za-z.-]+$",
        "must be a mailto: address such as mailto:dmarc@example.com",
        longest=300,
    ),
]


class Ownership(Model):
    """A TXT record that proves control of the domain."""

    name: RecordName | None = Field(
        default=None,
        description="Fully qualified name of the TXT record; "
        "default: the domain itself when value is given, else _postroom-challenge.<domain>.",
    )
    value: (
        Annotated[str, Text(r"^[ -~]+$", "must be printable ASCII, not empty", longest=255)] | None
    ) = Field(
        default=None,
        description="The value that a provider handed out. Omitted: a token derived from the "
        "namespace and the domain, so that a re-created object keeps its published record.",
    )


class SPF(Model):
    """What the SPF record of the domain (RFC 7208) must authorise."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "(has(self.includes) && size(self.includes) > 0) || "
                "(has(self.ip4) && size(self.ip4) > 0) || (has(self.ip6) && size(self.ip6) > 0)",
                "must name at least one of includes, ip4 or ip6",
            )
        )
    )

    includes: Annotated[list[RecordName], Field(max_length=10)] = Field(
        default=[], description="Domains whose SPF records must be included, such as mailgun.org."
    )
    ip4: Annotated[list[_IPv4Network], Field(max_length=32)] = Field(
        default=[], description="IPv4 addresses or networks that must be authorised."
    )
    ip6: Annotated[list[_IPv6Network], Field(max_length=32)] = Field(
        default=[], description="IPv6 addresses or networks that must be authorised."
    )
    all: SPFAll = Field(
        default=SPFAll.SOFT_FAIL,
        description="Qualifier of all in a new record; that of an existing record is kept.",
    )

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not (self.includes or self.ip4 or self.ip6):
            raise ValueError("must name at least one of includes, ip4 or ip6")
        return self


class DKIMKey(Model):
    """One DKIM selector (RFC 6376): a CNAME to the provider, or the public key itself."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "(has(self.cname) ? 1 : 0) + (has(self.publicKey) ? 1 : 0) + "
                "(has(self.publicKeyRef) ? 1 : 0) == 1",
                "must have exactly one of cname, publicKey and publicKeyRef",
            )
        )
    )

    selector: Annotated[
        str,
        Text(
            r"^[a-z0-9]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9_-]*[a-z0-9])?)*$",
            "must be a DKIM selector such as s1: lowercase letters, digits, '-', '_' and '.', "
            "without the part from ._domainkey on",
            longest=63,
        ),
    ] = Field(description="The selector: the record stands at <selector>._domainkey.<domain>.")
    cname: RecordName | None = Field(
        default=None, description="Target of the CNAME that the provider asks for."
    )
    public_key: (
        Annotated[
            str,
            Text(
                r"^[A-Za-z0-9+/= \t\r\n]+$",
                "must be the key alone in base64, without tags such as p= and without PEM lines",
                longest=2048,
                shortest=40,
            ),
        ]
        | None
    ) = Field(
        default=None,
        description="Public key in base64: DER of an RSA key, or the 32 bytes of an Ed25519 key.",
    )
    public_key_ref: SecretKeyReference | None = Field(
        default=None, description="Secret key that holds the public key, as base64 or PEM."
    )

    @model_validator(mode="after")
    def _exactly_one_source(self) -> Self:
        given = [
            one for one in (self.cname, self.public_key, self.public_key_ref) if one is not None
        ]
        if len(given) != 1:
            raise ValueError("must have exactly one of cname, publicKey and publicKeyRef")
        return self


class DMARC(Model):
    """What the DMARC record of the domain (RFC 9989) must say."""

    policy: DMARCPolicy = Field(
        default=DMARCPolicy.NONE, description="The weakest acceptable policy."
    )
    rua: Annotated[list[_ReportAddress], Field(max_length=5)] = Field(
        default=[], description="mailto: addresses that must receive aggregate reports."
    )


class MX(Model):
    """One mail exchange that must receive the domain's mail."""

    host: DomainName = Field(description="Name of the mail exchange.")
    preference: Annotated[int, Field(strict=True, ge=0, le=65535)] = Field(
        default=10, description="Preference; lower is tried first."
    )


class SendingDomainSpec(Model):
    """The domain, and the DNS records that must authorise it; only domain is required."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.require) || self.require.all(p, p == 'Ownership' || "
                "(p == 'SPF' && has(self.spf)) || (p == 'DMARC' && has(self.dmarc)) || "
                "(p == 'DKIM' && has(self.dkim) && size(self.dkim) > 0) || "
                "(p == 'MX' && has(self.mx) && size(self.mx) > 0))",
                "must name only what the spec declares: add the field (dkim, spf, dmarc, mx) or "
                "drop the name",
                field_path=".require",
            )
        )
    )

    domain: DomainName = Field(
        description="The domain in A-label form, lowercase, without trailing dot. Immutable.",
        json_schema_extra=rules(
            rule("self == oldSelf", "may not be changed: create a new SendingDomain")
        ),
    )
    ownership: Ownership = Field(
        default=Ownership(), description="How control of the domain is proven."
    )
    spf: SPF | None = Field(default=None, description="What the SPF record must authorise.")
    dkim: Annotated[list[DKIMKey], Field(max_length=10)] = Field(
        default=[],
        description="DKIM selectors that must be published.",
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["selector"],
        },
    )
    dmarc: DMARC | None = Field(default=None, description="What the DMARC record must say.")
    mx: Annotated[list[MX], Field(max_length=10)] = Field(
        default=[],
        description="Mail exchanges that must receive the domain's mail.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["host"]},
    )
    require: Annotated[list[Purpose], Field(max_length=5, min_length=1)] | None = Field(
        default=None,
        description="What gates Ready; default: everything that is declared.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    interval: Interval = Field(
        default=timedelta(hours=1),
        description="How often a verified domain is checked again: 1m to 24h.",
    )
    propagation_deadline: Deadline = Field(
        default=timedelta(hours=72),
        description="How long the first verification may take before the domain counts as "
        "stalled: 1m to 720h; 0s: for ever.",
    )
    suspend: Switch = Field(default=False, description="Stop checking while true.")

    @property
    def declared(self) -> tuple[Purpose, ...]:
        """The purposes that this spec asks to check, in the order that decides Ready."""
        present = {
            Purpose.OWNERSHIP: True,
            Purpose.DKIM: bool(self.dkim),
            Purpose.SPF: self.spf is not None,
            Purpose.DMARC: self.dmarc is not None,
            Purpose.MX: bool(self.mx),
        }
        return tuple(purpose for purpose in Purpose if present[purpose])

    @property
    def required(self) -> tuple[Purpose, ...]:
        """The purposes that gate Ready."""
        wanted = self.declared if self.require is None else self.require
        return tuple(purpose for purpose in self.declared if purpose in wanted)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for purpose in self.require or ():
            if purpose not in self.declared:
                raise ValueError(
                    f"require names {purpose.value}, which the spec does not declare: add "
                    f"{purpose.value.lower()} or drop the name"
                )
        for what, keys in (
            ("dkim selector", [one.selector for one in self.dkim]),
            ("mx host", [one.host for one in self.mx]),
            ("require entry", [one.value for one in self.require or ()]),
        ):
            twice = {key for key in keys if keys.count(key) > 1}
            if twice:
                raise ValueError(f"{what} {min(twice)} is listed twice")
        return self


class Verification(StrEnum):
    """The verdict on a domain in one word."""

    PENDING = "Pending"
    VERIFIED = "Verified"
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
    name: Annotated[str, StringConstraints(max_length=253)] = Field(
        description="Fully qualified name."
    )
    host_label: Annotated[str, StringConstraints(max_length=253)] = Field(
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
    ] = Field(default=[], description="What the zone's name servers answer now.")


class SendingDomainStatus(CommonStatus):
    """What postroom found out about a sending domain."""

    verification: Verification | None = Field(
        default=None, description="Pending, Verified, Failed or Unknown."
    )
    verified_at: Timestamp | None = Field(
        default=None, description="When the domain became verified."
    )
    zone: Annotated[str, StringConstraints(max_length=253)] | None = Field(
        default=None, description="The DNS zone that holds the domain."
    )
    nameservers: Annotated[
        list[Annotated[str, StringConstraints(max_length=253)]], Field(max_length=16)
    ] = Field(default=[], description="The zone's authoritative name servers.")
    records: Annotated[list[RecordStatus], Field(max_length=64)] = Field(
        default=[],
        description="Everything that must be published, and what is there.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"]},
    )
    findings: Annotated[list[Finding], Field(max_length=FINDINGS_LIMIT)] = Field(
        default=[],
        description="Root causes, worst first, each with one fix.",
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["code", "subject"],
        },
    )

# SPDX-License-Identifier: Apache-2.0
"""What the spec of a SendingDomain declares: one model per group of DNS records."""

import ipaddress
import re
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from postroom.api import fields


class Purpose(StrEnum):
    """What a DNS record is for; also the names that ``spec.require`` takes."""

    OWNERSHIP = "Ownership"
    DKIM = "DKIM"
    SPF = "SPF"
    DMARC = "DMARC"
    MX = "MX"
    RETURN_PATH = "ReturnPath"
    TRACKING = "Tracking"
    MTA_STS = "MTASTS"
    TLS_RPT = "TLSRPT"
    BIMI = "BIMI"
    DANE = "DANE"
    REVERSE_DNS = "ReverseDNS"


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
    """What the API server decides by isIP and isCIDR; the pattern has settled the family."""
    try:
        address = ipaddress.ip_interface(text).ip
    except ValueError:
        return False
    return isinstance(address, ipaddress.IPv4Address) or address.ipv4_mapped is None


_IS_NETWORK = "isIP(self) || isCIDR(self)"
_IPv4Network = Annotated[
    str,
    fields.Text(
        r"^[0-9.]+(/(0|[1-9][0-9]?))?$",
        "must be an IPv4 address or network such as 192.0.2.0/24",
        longest=18,
        also=_is_network,
        also_rule=_IS_NETWORK,
    ),
]
_IPv6Network = Annotated[
    str,
    fields.Text(
        r"^[0-9a-fA-F]*:[0-9a-fA-F:.]*(/(0|[1-9][0-9]{0,2}))?$",
        "must be an IPv6 address or network such as 2001:db8::/32",
        longest=49,
        also=_is_network,
        also_rule=_IS_NETWORK,
    ),
]
#: What would end the URI or the tag, or is not ASCII, must be percent-encoded (RFC 9989). A
#: slash in front is a web habit, and a dot at the end is no part of a mail domain (RFC 5321): no
#: report arrives there.
_MAILTO = r"mailto:[#-+.0-:<-?A-~-][#-+.-:<-?A-~-]*@[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*"
_ReportAddress = Annotated[
    str,
    fields.Text(
        rf"^{_MAILTO}$",
        "must be a mailto: address such as mailto:dmarc@example.com",
        longest=300,
    ),
]


#: What stands in DNS anyway (RFC 7208, 6376, 9989, 8461, 8460, 5617, 6541 and BIMI), so that it
#: shows nothing about who wrote it into a spec.
_STANDARD = (
    r"^[\x22' ]*(v *= *(spf1|dkim1|dmarc1|stsv1|tlsrptv1|bimi1|atps1)([^0-9a-z].*)?|spf2[.]0/.*|"
    r"dkim *= *(all|discardable|unknown)([^0-9a-z].*)?|([khstng] *= *[^;]*; *)+p *=.*|"
    r"p *= *[0-9a-z+/]{40}.*)$"
)
_standard = re.compile(_STANDARD)


def _is_handed_out(value: str) -> bool:
    return _standard.fullmatch(value.lower()) is None


class Ownership(fields.Model):
    """A TXT record that proves control of the domain."""

    name: fields.RecordName | None = Field(
        default=None,
        description="Fully qualified name of the TXT record, at or below the domain; "
        "default: the domain itself when value is given, else _postroom-challenge.<domain>.",
    )
    value: (
        Annotated[
            str,
            fields.Text(
                r"^[ -~]+$",
                "must be the value that a provider handed out: printable ASCII, and no record that "
                "stands in DNS for all to read (SPF, DKIM, DMARC and the like)",
                longest=255,
                also=_is_handed_out,
                also_rule=f'!self.lowerAscii().matches(r"{_STANDARD}")',
            ),
        ]
        | None
    ) = Field(
        default=None,
        description="The value that a provider handed out. Omitted: a token derived from the "
        "namespace and the domain, so that a re-created object keeps its published record.",
    )


class SPF(fields.Model):
    """What the SPF record of the domain (RFC 7208) must authorise."""

    model_config = ConfigDict(
        json_schema_extra=fields.rules(
            fields.rule(
                "(has(self.includes) && size(self.includes) > 0) || "
                "(has(self.ip4) && size(self.ip4) > 0) || (has(self.ip6) && size(self.ip6) > 0)",
                "must name at least one of includes, ip4 or ip6",
            )
        )
    )

    includes: Annotated[list[fields.RecordName], Field(max_length=10)] = Field(
        default_factory=fields.no_entries,
        description="Domains whose SPF records must be included, such as mailgun.org.",
    )
    ip4: Annotated[list[_IPv4Network], Field(max_length=32)] = Field(
        default_factory=fields.no_entries,
        description="IPv4 addresses or networks that must be authorised.",
    )
    ip6: Annotated[list[_IPv6Network], Field(max_length=32)] = Field(
        default_factory=fields.no_entries,
        description="IPv6 addresses or networks that must be authorised.",
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


class DKIMRole(StrEnum):
    """Where a selector stands in the rotation of keys."""

    ACTIVE = "Active"
    NEXT = "Next"
    RETIRED = "Retired"


class PublicKeyReference(fields.Model):
    """Names a public key, which status shows to everyone."""

    kind: Literal["ConfigMap", "Secret"] = Field(
        default="Secret",
        description="ConfigMap, or a Secret whose owner declares the key public by the annotation "
        "postroom.dev/allow: dkim-public-key.",
    )
    name: fields.ObjectName = Field(description="Name of the object in this namespace.")
    key: fields.DataKey = Field(description="Key in its data.")


class DKIMKey(fields.Model):
    """One DKIM selector (RFC 6376): a CNAME to the provider, or the public key itself."""

    model_config = ConfigDict(
        json_schema_extra=fields.rules(
            fields.rule(
                "(has(self.cname) ? 1 : 0) + (has(self.publicKey) ? 1 : 0) + "
                "(has(self.publicKeyRef) ? 1 : 0) == 1",
                "must have exactly one of cname, publicKey and publicKeyRef",
            )
        )
    )

    selector: Annotated[
        str,
        fields.Text(
            r"^[a-z0-9]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9_-]*[a-z0-9])?)*$",
            "must be a DKIM selector such as s1: lowercase letters, digits, '-', '_' and '.', "
            "without the part from ._domainkey on",
            longest=63,
        ),
    ] = Field(description="The selector: the record stands at <selector>._domainkey.<domain>.")
    cname: fields.RecordName | None = Field(
        default=None, description="Target of the CNAME that the provider asks for."
    )
    public_key: (
        Annotated[
            str,
            fields.Text(
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
    public_key_ref: PublicKeyReference | None = Field(
        default=None, description="Where the public key stands, as base64 or PEM."
    )
    role: DKIMRole = Field(
        default=DKIMRole.ACTIVE,
        description="Active signs now; Next is published ahead of a rotation and gates nothing; "
        "Retired signed before and may go when status says so.",
    )

    @model_validator(mode="after")
    def _exactly_one_source(self) -> Self:
        given = [
            source
            for source in (self.cname, self.public_key, self.public_key_ref)
            if source is not None
        ]
        if len(given) != 1:
            raise ValueError("must have exactly one of cname, publicKey and publicKeyRef")
        return self


class DMARC(fields.Model):
    """What the DMARC record of the domain (RFC 9989) must say."""

    policy: DMARCPolicy = Field(
        default=DMARCPolicy.NONE, description="The weakest acceptable policy."
    )
    rua: Annotated[list[_ReportAddress], Field(max_length=5)] = Field(
        default_factory=fields.no_entries,
        description="mailto: addresses that must receive aggregate reports.",
    )


class MX(fields.Model):
    """One mail exchange that must receive the domain's mail."""

    host: fields.DomainName = Field(description="Name of the mail exchange.")
    preference: Annotated[int, Field(strict=True, ge=0, le=65535)] = Field(
        default=10, description="Preference; lower is tried first."
    )


class ReturnPath(fields.Model):
    """The domain of the envelope sender (MAIL FROM), where bounces go and SPF is checked."""

    model_config = ConfigDict(
        json_schema_extra=fields.rules(
            fields.rule(
                "has(self.cname) != ((has(self.mx) && size(self.mx) > 0) || has(self.spf))",
                "must have cname alone, or mx, spf or both of them without cname",
            )
        )
    )

    name: fields.RecordLabel = Field(description="Label below the domain, such as bounce.")
    cname: fields.RecordName | None = Field(
        default=None, description="Target of the CNAME that the provider asks for."
    )
    mx: Annotated[list[MX], Field(max_length=5)] = Field(
        default_factory=fields.no_entries,
        description="Mail exchanges that take the bounces.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["host"]},
    )
    spf: SPF | None = Field(
        default=None, description="What the SPF record of the return path must authorise."
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.cname is not None) == bool(self.mx or self.spf):
            raise ValueError("must have cname alone, or mx, spf or both of them without cname")
        return self


class Tracking(fields.Model):
    """A host name for links and open pixels, pointed to the provider."""

    name: fields.RecordLabel = Field(description="Label below the domain, such as click.")
    cname: fields.RecordName = Field(description="Target of the CNAME that the provider asks for.")


class MTASTSMode(StrEnum):
    """How strictly senders must treat the policy (RFC 8461 section 5), weakest first."""

    NONE = "None"
    TESTING = "Testing"
    ENFORCE = "Enforce"


class MTASTS(fields.Model):
    """MTA-STS (RFC 8461): the TXT record, and the policy that is fetched over HTTPS."""

    mode: MTASTSMode = Field(
        default=MTASTSMode.TESTING, description="The weakest acceptable mode of the policy."
    )
    cname: fields.RecordName | None = Field(
        default=None, description="Target of mta-sts.<domain>, where a provider hosts the policy."
    )


_ReportTarget = Annotated[
    str,
    fields.Text(
        rf"^({_MAILTO}|https://[#-+.-:<-~-]+)$",
        "must be a mailto: or https: address such as mailto:tls@example.com",
        longest=300,
    ),
]
_SecureURL = Annotated[
    str,
    fields.Text(
        r"^https://[0-9a-z.-]+(:[0-9]{1,5})?/[!-:<-~]*$",
        "must be an https: address such as https://example.com/logo.svg",
        longest=300,
    ),
]


class TLSRPT(fields.Model):
    """SMTP TLS reporting (RFC 8460)."""

    rua: Annotated[list[_ReportTarget], Field(min_length=1, max_length=5)] = Field(
        description="mailto: or https: addresses that must receive the reports."
    )


class BIMI(fields.Model):
    """Brand Indicators for Message Identification (draft): a logo beside the message."""

    selector: fields.RecordLabel = Field(default="default", description="Selector of the record.")
    logo: _SecureURL = Field(description="Address of the SVG logo.")
    certificate: _SecureURL | None = Field(
        default=None, description="Address of the mark certificate (PEM)."
    )


class DANE(fields.Model):
    """DANE for SMTP (RFC 7672): TLSA records at the mail exchanges, protected by DNSSEC."""

    port: Annotated[int, Field(strict=True, ge=1, le=65535)] = Field(
        default=25, description="Port of the TLSA records' names."
    )


class BulkSenderProfile(StrEnum):
    """Receivers that publish requirements for who sends many messages."""

    GMAIL = "Gmail"
    YAHOO = "Yahoo"
    MICROSOFT = "Microsoft"


_SendingIP = Annotated[
    str,
    fields.Text(
        r"^[0-9a-fA-F:.]+$",
        "must be an IP address such as 192.0.2.25 or 2001:db8::25",
        longest=45,
        also=_is_network,
        also_rule="isIP(self)",
    ),
]
SendingIPs = Annotated[list[_SendingIP], Field(max_length=32)]

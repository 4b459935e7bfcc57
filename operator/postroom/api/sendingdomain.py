# SPDX-License-Identifier: Apache-2.0
"""SendingDomain: a domain that mail is sent from, and the DNS records that authorise it."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from postroom.api import fields
from postroom.api.sendingdomain_publish import Publish
from postroom.api.sendingdomain_records import (
    BIMI,
    DANE,
    DMARC,
    MTASTS,
    MX,
    SPF,
    TLSRPT,
    BulkSenderProfile,
    DKIMKey,
    DKIMRole,
    DMARCPolicy,
    MTASTSMode,
    Ownership,
    Purpose,
    ReturnPath,
    SendingIPs,
    SPFAll,
    Tracking,
)
from postroom.api.sendingdomain_status import (
    COMPROMISED_LIMIT,
    RecordState,
    RecordStatus,
    SendingDomainStatus,
    Verification,
)

__all__ = [
    "BIMI",
    "COMPROMISED_LIMIT",
    "DANE",
    "DMARC",
    "MTASTS",
    "MX",
    "SPF",
    "TLSRPT",
    "BulkSenderProfile",
    "DKIMKey",
    "DKIMRole",
    "DMARCPolicy",
    "MTASTSMode",
    "Ownership",
    "Provider",
    "Purpose",
    "RecordState",
    "RecordStatus",
    "ReturnPath",
    "SPFAll",
    "SendingDomainSpec",
    "SendingDomainStatus",
    "Tracking",
    "Verification",
]


class Provider(StrEnum):
    """Email providers whose records postroom knows; a test holds them against the presets."""

    AMAZON_SES = "AmazonSES"
    BREVO = "Brevo"
    FASTMAIL = "Fastmail"
    FORWARD_EMAIL = "ForwardEmail"
    GOOGLE_WORKSPACE = "GoogleWorkspace"
    ICLOUD = "ICloud"
    IMPROV_MX = "ImprovMX"
    MAILCHIMP = "Mailchimp"
    MAILCHIMP_TRANSACTIONAL = "MailchimpTransactional"
    MAILBOX_ORG = "MailboxOrg"
    MAILER_SEND = "MailerSend"
    MAILGUN = "Mailgun"
    MAILJET = "Mailjet"
    MICROSOFT_365 = "Microsoft365"
    MIGADU = "Migadu"
    POSTAL = "Postal"
    POSTMARK = "Postmark"
    PROTON = "Proton"
    RESEND = "Resend"
    SEND_GRID = "SendGrid"
    SMTP2GO = "SMTP2GO"
    SPARK_POST = "SparkPost"
    ZOHO = "Zoho"


_PARAMETER_NAME = r"^[a-z][A-Za-z0-9]{0,31}$"
_PARAMETER_SENTENCE = "must have names such as region: letters and digits, the first one lowercase"
_ParameterName = Annotated[str, fields.Text(_PARAMETER_NAME, _PARAMETER_SENTENCE, longest=32)]
_Parameter = Annotated[
    str,
    fields.Text(
        r"^[!-~]([ -~]*[!-~])?$", "must be printable ASCII without spaces around it", longest=2048
    ),
]

#: The field of the spec that declares each purpose; Ownership is always declared.
_FIELDS: dict[Purpose, str] = {
    Purpose.DKIM: "dkim",
    Purpose.SPF: "spf",
    Purpose.DMARC: "dmarc",
    Purpose.MX: "mx",
    Purpose.RETURN_PATH: "returnPath",
    Purpose.TRACKING: "tracking",
    Purpose.MTA_STS: "mtaSTS",
    Purpose.TLS_RPT: "tlsRPT",
    Purpose.BIMI: "bimi",
    Purpose.DANE: "dane",
    Purpose.REVERSE_DNS: "sendingIPs",
}
_LISTS = frozenset({"dkim", "mx", "sendingIPs"})
#: What a provider's preset may declare in place of the spec, so that CEL cannot tell.
_OF_PRESETS = frozenset({"dkim", "spf", "dmarc", "mx", "returnPath", "tracking"})


def _declares(field: str) -> str:
    """Write in CEL that the spec declares a field."""
    given = f"has(self.{field})"
    if field in _LISTS:
        given = f"({given} && size(self.{field}) > 0)"
    return f"({given} || has(self.provider))" if field in _OF_PRESETS else given


_REQUIRE_RULE = "!has(self.require) || self.require.all(p, p == 'Ownership' || " + " || ".join(
    f"(p == '{purpose.value}' && {_declares(field)})" for purpose, field in _FIELDS.items()
)


_OWNERSHIP_SENTENCE = "must be the domain itself or a name below it: no other proves control of it"


class SendingDomainSpec(fields.Model):
    """The domain, and the DNS records that must authorise it; only domain is required."""

    model_config = ConfigDict(
        json_schema_extra=fields.rules(
            fields.rule(
                f"{_REQUIRE_RULE})",
                "must name only what the spec declares: add the field (dkim, spf, dmarc, mx, "
                "returnPath ...) or drop the name",
                field_path=".require",
            ),
            fields.rule(
                "!has(self.ownership) || !has(self.ownership.name) || "
                "self.ownership.name == self.domain || "
                "self.ownership.name.endsWith('.' + self.domain)",
                _OWNERSHIP_SENTENCE,
                field_path=".ownership.name",
            ),
            fields.rule(
                "!has(self.parameters) || has(self.provider)",
                "must come with provider, whose values they are",
                field_path=".parameters",
            ),
        )
    )

    domain: fields.DomainName = Field(
        description="The domain in A-label form, lowercase, without trailing dot. Immutable.",
        json_schema_extra=fields.rules(
            fields.rule("self == oldSelf", "may not be changed: create a new SendingDomain")
        ),
    )
    provider: Provider | None = Field(
        default=None,
        description="Email provider whose records are required; the fields below add to them or "
        "replace them.",
    )
    parameters: Annotated[dict[_ParameterName, _Parameter], Field(max_length=16)] = Field(
        default_factory=dict,
        description="Values that the provider issued for this account, by the names that "
        "docs/providers.md lists.",
        json_schema_extra=fields.rules(
            fields.rule(f'self.all(name, name.matches(r"{_PARAMETER_NAME}"))', _PARAMETER_SENTENCE)
        ),
    )
    ownership: Ownership = Field(
        default=Ownership(), description="How control of the domain is proven."
    )
    spf: SPF | None = Field(default=None, description="What the SPF record must authorise.")
    dkim: Annotated[list[DKIMKey], Field(max_length=10)] = Field(
        default_factory=fields.no_entries,
        description="DKIM selectors that must be published.",
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["selector"],
        },
    )
    dkim_delegation: Annotated[list[fields.RecordName], Field(max_length=8)] = Field(
        default_factory=fields.no_entries,
        description="Name servers to which _domainkey.<domain> must be delegated, where the "
        "provider serves all selectors itself.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    dmarc: DMARC | None = Field(default=None, description="What the DMARC record must say.")
    mx: Annotated[list[MX], Field(max_length=10)] = Field(
        default_factory=fields.no_entries,
        description="Mail exchanges that must receive the domain's mail.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["host"]},
    )
    return_path: ReturnPath | None = Field(
        default=None, description="The domain of the envelope sender."
    )
    tracking: Tracking | None = Field(default=None, description="The host name of tracked links.")
    mta_sts: MTASTS | None = Field(
        default=None, alias="mtaSTS", description="MTA-STS for incoming mail."
    )
    tls_rpt: TLSRPT | None = Field(
        default=None, alias="tlsRPT", description="Reports on TLS of incoming mail."
    )
    bimi: BIMI | None = Field(default=None, description="The logo beside messages.")
    dane: DANE | None = Field(default=None, description="DANE for incoming mail.")
    sending_ips: SendingIPs = Field(
        default_factory=fields.no_entries,
        alias="sendingIPs",
        description="Addresses that send: each must have forward-confirmed reverse DNS.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    bulk_sender_profiles: Annotated[list[BulkSenderProfile], Field(max_length=3)] = Field(
        default_factory=fields.no_entries,
        description="Receivers whose requirements for bulk senders are checked as findings.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    require: Annotated[list[Purpose], Field(max_length=12, min_length=1)] | None = Field(
        default=None,
        description="What gates Ready; default: everything that is declared.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    publish: Publish | None = Field(
        default=None,
        description="Which records postroom hands to external-dns. Needs an operator that may "
        "(--publish-dns-endpoints), and a namespace that may publish in the zone. What stands in "
        "DNS decides, not what was handed over.",
    )
    interval: fields.Interval = Field(
        default=timedelta(hours=1),
        description="How often a verified domain is checked again: 1m to 24h.",
    )
    propagation_deadline: fields.Deadline = Field(
        default=timedelta(hours=72),
        description="How long the first verification may take before the domain counts as "
        "stalled: 1m to 720h; 0s: for ever.",
    )
    grace_period: fields.Deadline = Field(
        default=timedelta(hours=72),
        description="How long a domain that was verified stays Degraded before it is Failed: 1m "
        "to 720h; 0s: for ever.",
    )
    suspend: fields.Switch = Field(default=False, description="Stop checking while true.")

    @property
    def declared(self) -> tuple[Purpose, ...]:
        """The purposes that this spec asks to check, in the order that decides Ready.

        Those of a provider are declared by the spec that `postroom.dns.planning.complete` makes.
        """
        present: Mapping[Purpose, object] = {
            Purpose.OWNERSHIP: True,
            Purpose.DKIM: self.dkim or self.dkim_delegation,
            Purpose.SPF: self.spf,
            Purpose.DMARC: self.dmarc,
            Purpose.MX: self.mx,
            Purpose.RETURN_PATH: self.return_path,
            Purpose.TRACKING: self.tracking,
            Purpose.MTA_STS: self.mta_sts,
            Purpose.TLS_RPT: self.tls_rpt,
            Purpose.BIMI: self.bimi,
            Purpose.DANE: self.dane,
            Purpose.REVERSE_DNS: self.sending_ips,
        }
        return tuple(purpose for purpose, there in present.items() if there)

    @property
    def required(self) -> tuple[Purpose, ...]:
        """The purposes that gate Ready."""
        wanted = self.declared if self.require is None else self.require
        return tuple(purpose for purpose in self.declared if purpose in wanted)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for purpose in self.require or ():
            field = _FIELDS.get(purpose, "")
            of_preset = self.provider is not None and field in _OF_PRESETS
            if purpose not in self.declared and not of_preset:
                raise ValueError(
                    f"require names {purpose.value}, which the spec does not declare: add "
                    f"{field} or drop the name"
                )
        place = self.ownership.name
        if place is not None and not f".{place}".endswith(f".{self.domain}"):
            raise ValueError(f"ownership.name {_OWNERSHIP_SENTENCE}")
        if self.parameters and self.provider is None:
            raise ValueError("parameters must come with provider, whose values they are")
        published = self.publish.records if self.publish is not None else []
        for what, keys in (
            ("dkim selector", [dkim_key.selector for dkim_key in self.dkim]),
            ("mx host", [exchange.host for exchange in self.mx]),
            ("require entry", [requirement.value for requirement in self.require or ()]),
            (
                "publish.records entry",
                [purpose.value for purpose in published],
            ),
            ("sendingIPs entry", list(self.sending_ips)),
        ):
            twice = {key for key in keys if keys.count(key) > 1}
            if twice:
                raise ValueError(f"{what} {min(twice)} is listed twice")
        return self

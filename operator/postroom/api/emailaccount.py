# SPDX-License-Identifier: Apache-2.0
"""EmailAccount: an address that sends through a server and, if asked, reads a mailbox."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from postroom.api import fields, profile
from postroom.api.account_messages import Forwarding, RoundTrip
from postroom.api.binding import Binding
from postroom.api.ca_bundle import Trust
from postroom.api.credentials_reference import CredentialsReference
from postroom.api.identities import OWN_RULES, Identities, Identity, IdentityVerification, own_fault
from postroom.api.mail_provider import MailParameters, MailProvider
from postroom.api.oauth import OAuth
from postroom.api.send_limits import SendLimits
from postroom.api.server_reference import ServerReference


class IMAPTLSMode(StrEnum):
    """How an IMAP connection is secured; it always is."""

    START_TLS = "StartTLS"
    IMPLICIT = "Implicit"


class IMAPTLS(Trust):
    """How the IMAP connection is secured and verified."""

    mode: IMAPTLSMode | None = Field(
        default=None,
        description="Implicit (TLS from the first byte) or StartTLS; default: the provider's, else "
        "StartTLS on port 143 and Implicit on any other.",
    )


class IMAP(fields.Model):
    """The mailbox of the account (RFC 9051, RFC 3501), opened read-only."""

    host: fields.HostName | None = Field(
        default=None, description="DNS name of the IMAP server; default: the provider's."
    )
    port: fields.Port | None = Field(
        default=None,
        description="TCP port; default: the provider's, else 993. The operator allows only ports "
        "of mail.",
    )
    tls: IMAPTLS = Field(default=IMAPTLS(), description="How the connection is verified.")
    credentials_ref: CredentialsReference | None = Field(
        default=None,
        description="Secret with a username and a password; default: spec.credentialsRef or "
        "spec.oauth.",
    )
    mailbox: Annotated[
        str,
        fields.Text(
            rf"^[^{fields.UNPRINTED}]+$",
            "must be the name of a mailbox, without control characters",
            longest=255,
        ),
    ] = Field(default="INBOX", description="Mailbox to open.")
    allow_select: fields.Switch = Field(
        default=False,
        description="Open it with SELECT where the server knows no EXAMINE: that may take the mark "
        "\\Recent from new messages.",
    )


class Connection(StrEnum):
    """Whether an account is to be used at all."""

    CONNECTED = "Connected"
    DISCONNECTED = "Disconnected"


class DomainPolicy(StrEnum):
    """Whether a SendingDomain must cover the address of an account."""

    #: One that is declared must be verified; none is fine.
    IF_DECLARED = "IfDeclared"
    #: There must be one, and it must be verified.
    REQUIRED = "Required"


class Consumer(fields.Model):
    """The application that an account is for."""

    name: fields.ObjectName = Field(description="Name of the application.")


class Sync(fields.Model):
    """How often the account is looked at."""

    interval: fields.Interval = Field(
        default=timedelta(minutes=5), description="How often it is checked: 1m to 24h."
    )
    backfill_days: Annotated[int, Field(strict=True, ge=1, le=60)] = Field(
        default=7,
        description="How many days the annotation postroom.dev/backfill looks back: 1 to 60.",
    )


class EmailAccountSpec(fields.Model):
    """The address, what it sends through and the mailbox it reads; only address is required."""

    model_config = ConfigDict(
        json_schema_extra=fields.rules(
            fields.rule(
                "!has(self.imap) || has(self.imap.credentialsRef) || has(self.credentialsRef) "
                "|| has(self.oauth) || has(self.serverRef)",
                "must be set where imap is, unless imap.credentialsRef, oauth or serverRef is: "
                "IMAP needs credentials",
                field_path=".credentialsRef",
            ),
            fields.rule(
                "!has(self.imap) || has(self.imap.host) || has(self.provider)",
                "must be set where imap is, unless provider is, whose host is known",
                field_path=".imap.host",
            ),
            fields.rule(
                "!has(self.parameters) || has(self.provider)",
                "must come with provider, whose values they are",
                field_path=".parameters",
            ),
            fields.rule(
                "!has(self.provider) || has(self.serverRef) || has(self.credentialsRef) "
                "|| has(self.oauth)",
                "must be set where provider is and neither serverRef nor oauth: the account signs "
                "in at the provider's own server",
                field_path=".credentialsRef",
            ),
            fields.rule(
                "!(has(self.oauth) && has(self.credentialsRef))",
                "may not be set beside credentialsRef: one of them signs in",
                field_path=".oauth",
                forbidden=True,
            ),
            fields.rule(
                "!has(self.inbound) || !has(self.inbound.deliver) || has(self.imap)",
                "must be set where inbound.deliver is: it names the mailbox that mail comes from",
                field_path=".imap",
            ),
            *OWN_RULES,
        )
    )

    address: fields.InternationalAddress = Field(
        description="The address, dot-atom form; its domain in A-labels (xn--...) or U-labels. "
        "Immutable.",
        json_schema_extra=fields.rules(
            fields.rule("self == oldSelf", "may not be changed: create a new EmailAccount")
        ),
    )
    display_name: fields.DisplayName | None = Field(
        default=None, description="Name that goes with the address in messages of postroom."
    )
    reply_to: fields.InternationalAddress | None = Field(
        default=None,
        description="Where answers are to go; omitted: to the address itself. Test messages carry "
        "it, and show whether it arrives as it was sent.",
    )
    purpose: profile.Purpose | None = Field(
        default=None, description="NewBusiness, Support, General, Billing or Personal."
    )
    owner: profile.Owner | None = Field(default=None, description="Who answers for the account.")
    recovery_contact: profile.Contact | None = Field(
        default=None,
        description="Whom to turn to when nobody gets into the mailbox any more: an address "
        "elsewhere, a URL or a number.",
    )
    inbound: profile.Inbound | None = Field(
        default=None, description="What becomes of incoming mail."
    )
    provider: MailProvider | None = Field(
        default=None,
        description="Mail provider of the address: its IMAP server is read, and without serverRef "
        "its own SMTP server is sent through.",
    )
    parameters: MailParameters = Field(
        default_factory=dict,
        description="What the provider offers as a choice, such as a region, by the names that "
        "docs/mail-providers.md lists.",
    )
    server_ref: ServerReference | None = Field(
        default=None,
        description="MailServer to send through, of another namespace where it lets this one; "
        "omitted: the provider's own, or the namespace's default MailServer where provider is "
        "omitted, too.",
    )
    credentials_ref: CredentialsReference | None = Field(
        default=None,
        description="Secret with a username and a password to sign in as this account; "
        "omitted: those of the MailServer, if that is of this namespace.",
    )
    oauth: OAuth | None = Field(
        default=None,
        description="How to get a token to sign in as this account with, over SMTP and IMAP, "
        "instead of a password.",
    )
    imap: IMAP | None = Field(default=None, description="The mailbox; omitted: send only.")
    identities: Identities = Field(
        default_factory=fields.no_entries,
        description="Other addresses that the account is to send as.",
    )
    identity_verification: IdentityVerification = Field(
        default=IdentityVerification(),
        description="How it is found out whether the account may send as its identities.",
    )
    sender_profiles: profile.SenderProfiles = Field(
        default_factory=fields.no_entries,
        description="Sender profiles by address, for identities that name none themselves, those "
        "discovered included; the first that fits counts.",
    )
    fallback_sender: fields.InternationalAddress | None = Field(
        default=None, description="Sender to use while the address's domain is not verified."
    )
    domain_policy: DomainPolicy = Field(
        default=DomainPolicy.IF_DECLARED,
        description="Required: a SendingDomain of the namespace must be for the address's very "
        "domain, and be verified. IfDeclared: where there is one, it must be verified.",
    )
    default: fields.Switch = Field(
        default=False, description="Whether this is the default account of its namespace."
    )
    send_limits: SendLimits | None = Field(
        default=None,
        description="How much the account may send and when; omitted: as much as its server or "
        "provider lets it.",
    )
    sync: Sync = Field(default=Sync(), description="How often the account is looked at.")
    round_trip: RoundTrip = Field(
        default=RoundTrip(), description="Test messages that are sent and looked for on a schedule."
    )
    forwarding: Forwarding | None = Field(
        default=None,
        description="Where mail to the address is sent on to; test messages show whether it is.",
    )
    consumer: Consumer | None = Field(
        default=None,
        description="The one application that uses the address and the account's identities; "
        "others of the namespace are refused what is its.",
    )
    binding: Binding | None = Field(
        default=None,
        description="What applications are given to send with: a Secret for them to mount, while "
        "the account may send. Needs an operator that may write Secrets (--allow-bindings).",
    )
    connection: Connection = Field(
        default=Connection.CONNECTED,
        description="Disconnected stops sending as this account and reading its mailbox, until it "
        "is Connected again; status.disconnection lists who relied on it.",
    )
    progress_deadline: fields.Deadline = Field(
        default=timedelta(minutes=15),
        description="How long the first success may take before the account counts as stalled: "
        "1m to 720h; 0s: for ever.",
    )
    suspend: fields.Switch = Field(default=False, description="Stop checking while true.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.imap and not (self.imap.host or self.provider):
            raise ValueError(
                "imap.host must be set where imap is, unless provider is, whose host is known"
            )
        if self.parameters and self.provider is None:
            raise ValueError("parameters must come with provider, whose values they are")
        if self.at_provider and not self.signs_in:
            raise ValueError(
                "credentialsRef must be set where provider is and neither serverRef nor oauth: "
                "the account signs in at the provider's own server"
            )
        if self.inbound is not None and self.inbound.deliver is not None and self.imap is None:
            raise ValueError(
                "imap must be set where inbound.deliver is: it names the mailbox that mail comes "
                "from"
            )
        if (fault := own_fault(self.identities, self.address)) is not None:
            raise ValueError(f"identities {fault}")
        if self.oauth and self.credentials_ref:
            raise ValueError("oauth may not be set beside credentialsRef: one of them signs in")
        if self.imap and not (self.imap.credentials_ref or self.signs_in or self.server_ref):
            raise ValueError(
                "credentialsRef must be set where imap is, unless imap.credentialsRef, oauth or "
                "serverRef is: IMAP needs credentials"
            )
        return self

    @property
    def disconnected(self) -> bool:
        """Whether nothing is to be sent as this account, and nothing read."""
        return self.connection is Connection.DISCONNECTED

    @property
    def at_rest(self) -> bool:
        """Whether nothing is done with the account, nor looked at."""
        return self.suspend or self.disconnected

    @property
    def signs_in(self) -> bool:
        """Whether the account has credentials of its own, a password or a token."""
        return self.credentials_ref is not None or self.oauth is not None

    @property
    def enabled_identities(self) -> list[Identity]:
        """What the spec names and does not turn off."""
        return [identity for identity in self.identities if identity.enabled]

    @property
    def has_profile(self) -> bool:
        """Whether anything is said of what the account is for, and who answers for it."""
        told = (self.purpose, self.owner, self.recovery_contact, self.inbound)
        return any(each is not None for each in told)

    @property
    def inbound_settings(self) -> profile.InboundStatus | None:
        """What status repeats of spec.inbound."""
        ai = self.inbound.ai if self.inbound is not None else None
        return profile.InboundStatus(ai=ai.settings) if ai is not None else None

    @property
    def sends_messages(self) -> bool:
        """Whether messages of postroom's own go out on a schedule."""
        return self.round_trip.enabled or self.forwarding is not None

    @property
    def at_provider(self) -> bool:
        """Whether mail is sent through the provider's own server, not through a MailServer."""
        return self.provider is not None and self.server_ref is None

    @property
    def needs_domain(self) -> bool:
        """Whether the account is not to send without a SendingDomain for its address.

        What a fallback sender stands in for must be known.
        """
        return self.requires_domains or self.fallback_sender is not None

    @property
    def requires_domains(self) -> bool:
        """Whether nobody is to send as an address, of identities too, without a SendingDomain."""
        return self.domain_policy is DomainPolicy.REQUIRED

    @property
    def domain(self) -> str:
        """The domain of the address, lowercase."""
        return self.address.rpartition("@")[2].lower()

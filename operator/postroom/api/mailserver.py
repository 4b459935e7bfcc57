# SPDX-License-Identifier: Apache-2.0
"""MailServer: an SMTP server that mail is sent through, and whether it takes our credentials."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from postroom.api.ca_bundle import Trust
from postroom.api.conditions import Timestamp
from postroom.api.credentials_reference import CredentialsReference
from postroom.api.fields import (
    Deadline,
    HostName,
    Interval,
    Model,
    Port,
    Switch,
    no_entries,
    rule,
    rules,
)
from postroom.api.mail_provider import MailParameters, MailProvider
from postroom.api.oauth import OAuth, OAuthFlow
from postroom.api.send_limits import ServerLimits
from postroom.api.server_reference import AllowedNamespaces, ServedMailboxes
from postroom.api.status import MarkedStatus, ResolvedReference

#: Bounded texts that come from servers are cut to this length.
TEXT_LIMIT = 256
Text = Annotated[str, StringConstraints(max_length=TEXT_LIMIT)]
#: Of a server's own words this much is shown.
SERVER_TEXT_LIMIT = 200


class TLSMode(StrEnum):
    """How a connection is secured."""

    START_TLS = "StartTLS"
    IMPLICIT = "Implicit"
    NONE = "None"


class TLS(Trust):
    """How the connection is secured and what is trusted. Verification cannot be switched off."""

    mode: TLSMode | None = Field(
        default=None,
        description="StartTLS (mandatory upgrade), Implicit (TLS from the first byte) or None; "
        "default: the provider's, else StartTLS.",
    )


_MAILBOXES_SENTENCE = (
    "must come with oauth of an application itself, flow ClientCredentials or ServiceAccount: a "
    "user's consent opens that user's mailbox alone"
)


class MailServerSpec(Model):
    """Where the SMTP server is and how to sign in; only host or provider is required."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.host) || has(self.provider)",
                "must be set, unless provider is, whose host is known",
                field_path=".host",
            ),
            rule(
                "!has(self.parameters) || has(self.provider)",
                "must come with provider, whose values they are",
                field_path=".parameters",
            ),
            rule(
                "!(has(self.credentialsRef) && has(self.tls.mode) && self.tls.mode == 'None')",
                "may not be set when tls.mode is None: credentials are only sent over TLS",
                field_path=".credentialsRef",
                forbidden=True,
            ),
            rule(
                "!(has(self.oauth) && has(self.tls.mode) && self.tls.mode == 'None')",
                "may not be set when tls.mode is None: tokens are only sent over TLS",
                field_path=".oauth",
                forbidden=True,
            ),
            rule(
                "!(has(self.oauth) && has(self.credentialsRef))",
                "may not be set beside credentialsRef: one of them signs in",
                field_path=".oauth",
                forbidden=True,
            ),
            rule(
                "!has(self.oauth) || has(self.oauth.subject)",
                "must be set: a MailServer has no address of its own",
                field_path=".oauth.subject",
            ),
            rule(
                "!has(self.mailboxes) || size(self.mailboxes) == 0 || "
                "(has(self.oauth) && self.oauth.flow != 'RefreshToken')",
                _MAILBOXES_SENTENCE,
                field_path=".mailboxes",
            ),
        )
    )

    provider: MailProvider | None = Field(
        default=None,
        description="Mail provider whose server this is; the fields below win over what is known "
        "of it.",
    )
    parameters: MailParameters = Field(
        default_factory=dict,
        description="What the provider offers as a choice, such as a region, by the names that "
        "docs/mail-providers.md lists.",
    )
    host: HostName | None = Field(
        default=None, description="DNS name of the server; default: the provider's."
    )
    port: Port | None = Field(
        default=None,
        description="TCP port; default: the provider's, else 587. The operator allows only ports "
        "of mail.",
    )
    tls: TLS = Field(default=TLS(), description="How the connection is secured.")
    credentials_ref: CredentialsReference | None = Field(
        default=None,
        description="Secret with a username and a password; omitted: no AUTH. The username "
        "may be left out where the provider fixes it.",
    )
    oauth: OAuth | None = Field(
        default=None, description="How to get a token to sign in with instead of a password."
    )
    default: Switch = Field(
        default=False,
        description="Whether accounts of this namespace without serverRef use this server.",
    )
    limits: ServerLimits | None = Field(
        default=None,
        description="How much all accounts behind the server may send together; omitted: what is "
        "documented of its provider.",
    )
    allowed_namespaces: AllowedNamespaces = Field(
        default=AllowedNamespaces(),
        description="Whose accounts may name this server, besides those of its own namespace.",
    )
    mailboxes: Annotated[list[ServedMailboxes], Field(max_length=16)] = Field(
        default_factory=no_entries,
        description="Whose mailboxes the application's grant of oauth opens: accounts of these "
        "addresses need no credentials of their own and sign in as themselves, over SMTP and IMAP. "
        "Omitted: nobody's.",
    )
    interval: Interval = Field(
        default=timedelta(minutes=5), description="How often it is checked: 1m to 24h."
    )
    progress_deadline: Deadline = Field(
        default=timedelta(minutes=15),
        description="How long the first success may take before the server counts as stalled: "
        "1m to 720h; 0s: for ever.",
    )
    suspend: Switch = Field(default=False, description="Stop checking while true.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.host is None and self.provider is None:
            raise ValueError("host must be set, unless provider is, whose host is known")
        if self.parameters and self.provider is None:
            raise ValueError("parameters must come with provider, whose values they are")
        if self.credentials_ref is not None and self.tls.mode is TLSMode.NONE:
            raise ValueError(
                "credentialsRef may not be set when tls.mode is None: credentials are only sent "
                "over TLS"
            )
        if self.mailboxes and (self.oauth is None or self.oauth.flow is OAuthFlow.REFRESH_TOKEN):
            raise ValueError(f"mailboxes {_MAILBOXES_SENTENCE}")
        if self.oauth is None:
            return self
        if self.tls.mode is TLSMode.NONE:
            raise ValueError(
                "oauth may not be set when tls.mode is None: tokens are only sent over TLS"
            )
        if self.credentials_ref is not None:
            raise ValueError("oauth may not be set beside credentialsRef: one of them signs in")
        if self.oauth.subject is None:
            raise ValueError("oauth.subject must be set: a MailServer has no address of its own")
        return self

    @property
    def signs_in(self) -> bool:
        """Whether a check signs in, by password or token."""
        return self.credentials_ref is not None or self.oauth is not None

    def grant_for(self, address: str, namespace: str, home: str) -> OAuth | None:
        """The grant by which an account signs in as itself; None: there is none for it.

        `namespace` is the account's, `home` the server's own, which an entry without any means.
        """
        for mailboxes in self.mailboxes:
            meant = namespace in (mailboxes.namespaces or [home])
            if meant and mailboxes.cover(address) and self.oauth is not None:
                return self.oauth.model_copy(update={"subject": None})
        return None


class ServerFacts(Model):
    """What the server said of itself."""

    implementation: Text | None = Field(default=None, description="Recognised implementation.")
    capabilities: Annotated[list[Text], Field(max_length=64)] = Field(
        default_factory=no_entries, description="Capabilities after TLS, sorted."
    )
    auth_mechanisms: Annotated[list[Text], Field(max_length=32)] = Field(
        default_factory=no_entries, description="SASL mechanisms offered, sorted."
    )
    max_message_size: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="SIZE limit in bytes."
    )


class TLSFacts(Model):
    """The connection's TLS and the certificate that the server showed."""

    version: Text | None = Field(default=None, description="Protocol version.")
    cipher: Text | None = Field(default=None, description="Cipher suite.")
    subject: Text | None = Field(default=None, description="Subject of the certificate.")
    issuer: Text | None = Field(default=None, description="Issuer of the certificate.")
    dns_names: Annotated[list[Text], Field(max_length=32)] = Field(
        default_factory=no_entries, description="DNS names in the certificate, sorted."
    )
    not_after: Timestamp | None = Field(default=None, description="Expiry of the certificate.")
    chain_not_after: Timestamp | None = Field(
        default=None, description="Earliest expiry in the chain that the server sent."
    )


class ProbeStage(StrEnum):
    """The stages of a probe, in their order."""

    RESOLVE = "Resolve"
    GUARD = "Guard"
    CONNECT = "Connect"
    TLS = "TLS"
    GREETING = "Greeting"
    CAPABILITIES = "Capabilities"
    AUTH = "Auth"
    MAILBOX = "Mailbox"
    DONE = "Done"


class ProbeFacts(Model):
    """How far the last probe came."""

    stage: ProbeStage = Field(description="The stage that failed, or Done.")
    reason: Annotated[str, StringConstraints(max_length=64)] = Field(
        description="Reason of the outcome, see the reason catalogue."
    )
    code: Annotated[int, Field(ge=0, le=999)] | None = Field(
        default=None, description="Reply code of the server, if it gave one."
    )
    enhanced_code: Annotated[str, StringConstraints(max_length=16)] | None = Field(
        default=None, description="Enhanced status code (RFC 3463), if it gave one."
    )
    server_text: Annotated[str, StringConstraints(max_length=SERVER_TEXT_LIMIT)] | None = Field(
        default=None,
        description="What the server said when it refused, or what an IMAP server wants every user "
        "to see (an alert), in its own words, which are not postroom's: … stands for what is "
        "secret, foreign or different each time.",
    )
    refusals: Annotated[int, Field(ge=1, le=2)] | None = Field(
        default=None,
        description="How often these credentials were refused when postroom sent them by itself; "
        "after 2 they are not sent again until they change or somebody asks for a check.",
    )
    unclear: bool | None = Field(
        default=None,
        description="True where the server refused the sign-in by its code alone, beside words "
        "that postroom does not know: they may say that it passes, so that the credentials are "
        "sent again once a day.",
    )
    refused: Annotated[str, StringConstraints(max_length=32, pattern="^[0-9a-f]{32}$")] | None = (
        Field(
            default=None,
            description="Where a grant of another namespace was refused: a mark by which postroom "
            "knows it again after a restart, and which tells nobody anything of it.",
        )
    )


class MailServerStatus(MarkedStatus):
    """What postroom found out about an SMTP server."""

    endpoint: Annotated[str, StringConstraints(max_length=260)] | None = Field(
        default=None, description="Host and port in use, the provider's where the spec has none."
    )
    server: ServerFacts | None = Field(default=None, description="What the server said of itself.")
    tls: TLSFacts | None = Field(default=None, description="TLS and certificate.")
    last_probe: ProbeFacts | None = Field(default=None, description="How far the last probe came.")
    accounts: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="How many EmailAccounts use this server."
    )
    resolved_refs: Annotated[list[ResolvedReference], Field(max_length=8)] = Field(
        default_factory=no_entries, description="What the references led to."
    )

# SPDX-License-Identifier: Apache-2.0
"""``spec.oauth``: how to get the token that a mailbox is signed in with (RFC 6749)."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, NamedTuple, Self

from pydantic import ConfigDict, Field, model_validator

from postroom.api import fields
from postroom.api.ca_bundle import CABundleReference


class OAuthProvider(StrEnum):
    """Who hands out the tokens."""

    GOOGLE = "Google"
    MICROSOFT = "Microsoft"
    GENERIC = "Generic"


class OAuthFlow(StrEnum):
    """What the operator shows to get a token."""

    REFRESH_TOKEN = "RefreshToken"  # noqa: S105 - the name of a flow, not a secret
    SERVICE_ACCOUNT = "ServiceAccount"
    CLIENT_CREDENTIALS = "ClientCredentials"


class MicrosoftCloud(StrEnum):
    """The instance of Microsoft's cloud that the organisation lives in."""

    PUBLIC = "Public"
    US_GOVERNMENT = "USGovernment"
    CHINA = "China"


class Rotation(StrEnum):
    """What becomes of the new refresh token that a provider hands out with an access token."""

    #: Kept in memory, and lost with it.
    NONE = "None"
    #: Written into a Secret that the operator owns.
    WRITE_BACK = "WriteBack"


#: The tenants that stand for many; an application cannot sign in as itself there.
SHARED_TENANTS = ("common", "organizations", "consumers")
_FLOWS = {
    OAuthProvider.GOOGLE: (OAuthFlow.REFRESH_TOKEN, OAuthFlow.SERVICE_ACCOUNT),
    OAuthProvider.MICROSOFT: (OAuthFlow.REFRESH_TOKEN, OAuthFlow.CLIENT_CREDENTIALS),
    OAuthProvider.GENERIC: (OAuthFlow.REFRESH_TOKEN, OAuthFlow.CLIENT_CREDENTIALS),
}

#: No user name, query or fragment: RFC 6749 section 3.2 forbids the last, nobody needs the others.
TokenURL = Annotated[
    str,
    fields.Text(
        rf"^https://({fields.HOST_LABEL}\.)*{fields.TOP_LABEL}(:[1-9][0-9]{{0,4}})?"
        r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*$",
        "must be a URL such as https://login.example.com/oauth2/token: https, a lowercase DNS "
        "name, a path, and neither query nor fragment",
        longest=512,
    ),
]
#: RFC 6749 appendix A.1: VSCHAR; none has a space, and a quote would break the rule of the CRD.
ClientID = Annotated[
    str,
    fields.Text(
        r"^[!#-~]+$",
        "must be the client's ID as the provider shows it: printable ASCII without spaces and "
        "quotes",
        longest=256,
    ),
]
#: RFC 6749 section 3.3.
Scope = Annotated[
    str,
    fields.Text(
        r"^[!#-\[\]-~]+$",
        "must be one scope such as https://mail.google.com/: printable ASCII without spaces, "
        "quotes and backslashes",
        longest=256,
    ),
]
Tenant = Annotated[
    str,
    fields.Text(
        r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$",
        "must be a tenant's ID, its domain such as contoso.onmicrosoft.com, or one of common, "
        "organizations and consumers",
        longest=253,
    ),
]


class _Rule(NamedTuple):
    """One rule in both languages; the sentence begins with the field that it is about."""

    expression: str
    holds: Callable[[OAuth], bool]
    field: str
    sentence: str
    forbidden: bool = False


_RULES = (
    _Rule(
        "self.flow == 'RefreshToken' || "
        "(self.provider == 'Google' ? self.flow == 'ServiceAccount' "
        ": self.flow == 'ClientCredentials')",
        lambda oauth: oauth.flow in _FLOWS[oauth.provider],
        "flow",
        "must be RefreshToken, or ServiceAccount with provider Google, or ClientCredentials with "
        "provider Microsoft or Generic",
    ),
    _Rule(
        "self.flow == 'ServiceAccount' || has(self.clientID)",
        lambda oauth: oauth.flow is OAuthFlow.SERVICE_ACCOUNT or oauth.client_id is not None,
        "clientID",
        "must be set, unless flow is ServiceAccount, whose key names the client",
    ),
    _Rule(
        "(self.flow == 'RefreshToken') == has(self.refreshTokenRef)",
        lambda oauth: (
            (oauth.flow is OAuthFlow.REFRESH_TOKEN) == (oauth.refresh_token_ref is not None)
        ),
        "refreshTokenRef",
        "must be set where flow is RefreshToken, and only there",
    ),
    _Rule(
        "(self.flow == 'ServiceAccount') == has(self.serviceAccountKeyRef)",
        lambda oauth: (
            (oauth.flow is OAuthFlow.SERVICE_ACCOUNT) == (oauth.service_account_key_ref is not None)
        ),
        "serviceAccountKeyRef",
        "must be set where flow is ServiceAccount, and only there",
    ),
    _Rule(
        "!(has(self.clientSecretRef) && has(self.certificateRef))",
        lambda oauth: oauth.client_secret_ref is None or oauth.certificate_ref is None,
        "certificateRef",
        "may not be set beside clientSecretRef: the client shows one of them",
        forbidden=True,
    ),
    _Rule(
        "self.flow != 'ClientCredentials' || has(self.clientSecretRef) || has(self.certificateRef)",
        lambda oauth: (
            oauth.flow is not OAuthFlow.CLIENT_CREDENTIALS
            or oauth.client_secret_ref is not None
            or oauth.certificate_ref is not None
        ),
        "clientSecretRef",
        "must be set where flow is ClientCredentials, unless certificateRef is",
    ),
    _Rule(
        "self.flow != 'ServiceAccount' || !has(self.clientSecretRef)",
        lambda oauth: (
            oauth.flow is not OAuthFlow.SERVICE_ACCOUNT or oauth.client_secret_ref is None
        ),
        "clientSecretRef",
        "may not be set where flow is ServiceAccount, which signs with its key",
        forbidden=True,
    ),
    _Rule(
        "self.provider == 'Microsoft' || "
        "!(has(self.tenant) || has(self.cloud) || has(self.certificateRef))",
        lambda oauth: (
            oauth.provider is OAuthProvider.MICROSOFT
            or (oauth.tenant, oauth.cloud, oauth.certificate_ref) == (None, None, None)
        ),
        "provider",
        "must be Microsoft where tenant, cloud or certificateRef is set",
    ),
    _Rule(
        "!(self.provider == 'Microsoft' && self.flow == 'ClientCredentials') || "
        "(has(self.tenant) && !(self.tenant in ['common', 'organizations', 'consumers']))",
        lambda oauth: (
            oauth.provider is not OAuthProvider.MICROSOFT
            or oauth.flow is not OAuthFlow.CLIENT_CREDENTIALS
            or (oauth.tenant is not None and oauth.tenant not in SHARED_TENANTS)
        ),
        "tenant",
        "must be the ID or domain of the organisation where an application signs in as itself",
    ),
    _Rule(
        "(self.provider == 'Generic') == has(self.tokenURL)",
        lambda oauth: (oauth.provider is OAuthProvider.GENERIC) == (oauth.token_url is not None),
        "tokenURL",
        "must be set where provider is Generic, and only there: the others' is known",
    ),
    _Rule(
        "self.flow == 'RefreshToken' || !has(self.rotation)",
        lambda oauth: oauth.flow is OAuthFlow.REFRESH_TOKEN or oauth.rotation is None,
        "rotation",
        "may not be set unless flow is RefreshToken: nothing else rotates",
        forbidden=True,
    ),
    _Rule(
        "self.provider == 'Generic' || !has(self.caBundleRef)",
        lambda oauth: oauth.provider is OAuthProvider.GENERIC or oauth.ca_bundle_ref is None,
        "caBundleRef",
        "may not be set unless provider is Generic: the others have public certificates",
        forbidden=True,
    ),
)


class OAuth(fields.Model):
    """How to get the token that the mailbox is signed in with, instead of a password."""

    model_config = ConfigDict(
        json_schema_extra=fields.rules(
            *(
                fields.rule(
                    constraint.expression,
                    constraint.sentence,
                    field_path=f".{constraint.field}",
                    forbidden=constraint.forbidden,
                )
                for constraint in _RULES
            )
        )
    )

    provider: OAuthProvider = Field(
        description="Google, Microsoft, or Generic for any other server that speaks OAuth 2.0."
    )
    flow: OAuthFlow = Field(
        default=OAuthFlow.REFRESH_TOKEN,
        description="RefreshToken (a user consented), ServiceAccount (Google, with domain-wide "
        "delegation) or ClientCredentials (the application itself, Microsoft 365 or generic).",
    )
    client_id: ClientID | None = Field(
        default=None, alias="clientID", description="ID of the OAuth client."
    )
    client_secret_ref: fields.SecretKeyReference | None = Field(
        default=None, description="The client's secret; omitted: a public client."
    )
    certificate_ref: fields.ObjectReference | None = Field(
        default=None,
        description="Secret with tls.crt and tls.key (RSA), registered with the Microsoft "
        "application; used instead of a secret.",
    )
    refresh_token_ref: fields.SecretKeyReference | None = Field(
        default=None, description="The refresh token; postroom auth login makes one."
    )
    service_account_key_ref: fields.SecretKeyReference | None = Field(
        default=None, description="The JSON key of a Google service account."
    )
    tenant: Tenant | None = Field(
        default=None,
        description="Microsoft tenant: its ID, its domain, or common (default), organizations or "
        "consumers.",
    )
    cloud: MicrosoftCloud | None = Field(
        default=None,
        description="Microsoft's cloud: Public (default), USGovernment or China.",
    )
    subject: fields.InternationalAddress | None = Field(
        default=None,
        description="Mailbox to sign in to; default: the address of the account or sender.",
    )
    scopes: Annotated[list[Scope], Field(max_length=16)] = Field(
        default_factory=fields.no_entries,
        description="Scopes to ask for; default: those that mail needs.",
    )
    token_url: TokenURL | None = Field(
        default=None,
        alias="tokenURL",
        description="Token endpoint of a generic provider; the operator must allow its host.",
    )
    rotation: Rotation | None = Field(
        default=None,
        description="WriteBack: new refresh tokens are kept in a Secret that the operator owns, "
        "if it may; None (default): in memory only.",
    )
    ca_bundle_ref: CABundleReference | None = Field(
        default=None,
        description="Authorities to trust at a generic provider's token endpoint instead of the "
        "public ones.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for constraint in _RULES:
            if not constraint.holds(self):
                raise ValueError(f"{constraint.field} {constraint.sentence}")
        return self

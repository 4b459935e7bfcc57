# SPDX-License-Identifier: Apache-2.0
"""Where each provider's tokens come from, what to ask for, and who may be shown them."""

from datetime import date
from functools import cache
from typing import Annotated

from pydantic import Field, StringConstraints

from postroom.api.data_files import Row, read
from postroom.api.oauth import MicrosoftCloud, OAuth, OAuthFlow, OAuthProvider
from postroom.mail.replies.model import Protocol

#: Where the tenant is not given: work, school and personal accounts.
DEFAULT_TENANT = "common"

_URL = Annotated[
    str, StringConstraints(pattern=r"^https://[a-z0-9.-]+(:[0-9]+)?/[A-Za-z0-9./{}]*$")
]


class Endpoints(Row):
    """One provider. URLs may hold ``{tenant}``; `device_url` is empty where there is none.

    `audiences` are those of tokens for mail, `graph_audiences` those that are often confused with
    them; both are empty where tokens tell nothing (RFC 9068 does not bind anyone).
    """

    token_url: _URL
    authorize_url: _URL
    device_url: _URL | Annotated[str, StringConstraints(max_length=0)]
    delegated_scopes: dict[Protocol, Annotated[tuple[str, ...], Field(min_length=1)]]
    application_scopes: Annotated[tuple[str, ...], Field(min_length=1)]
    sign_in_scopes: tuple[str, ...]
    audiences: tuple[str, ...]
    graph_audiences: tuple[str, ...]
    mail_hosts: Annotated[tuple[str, ...], Field(min_length=1)]
    source: Annotated[str, StringConstraints(min_length=1)]
    checked: date

    def scopes_of_user(self) -> tuple[str, ...]:
        """Return what a user must consent to for both protocols."""
        protocols = Protocol.IMAP, Protocol.SMTP
        every = [scope for protocol in protocols for scope in self.delegated_scopes[protocol]]
        return tuple(dict.fromkeys(every))


class Permission(Row):
    """What a Microsoft token carries for one protocol."""

    scope: str
    role: str


class Directory(Row):
    """The whole file."""

    google: Endpoints
    microsoft: dict[MicrosoftCloud, Endpoints]
    microsoft_permissions: dict[Protocol, Permission]


@cache
def directory() -> Directory:
    """Load and validate the file, once."""
    return read("postroom.mail.oauth", "endpoints.yaml", Directory)


def endpoints_of(provider: OAuthProvider, cloud: MicrosoftCloud | None = None) -> Endpoints | None:
    """Return what is known of a provider; None for a generic one."""
    match provider:
        case OAuthProvider.GOOGLE:
            return directory().google
        case OAuthProvider.MICROSOFT:
            return directory().microsoft[cloud or MicrosoftCloud.PUBLIC]
        case OAuthProvider.GENERIC:
            return None


def url_of(template: str, tenant: str | None) -> str:
    """Fill in the tenant."""
    return template.replace("{tenant}", tenant or DEFAULT_TENANT)


def token_url_of(oauth: OAuth) -> str:
    """Return the URL that a spec's tokens come from."""
    known = endpoints_of(oauth.provider, oauth.cloud)
    if known is None:
        # The model asks for it where the provider is generic.
        return oauth.token_url or ""
    return url_of(known.token_url, oauth.tenant)


def scopes_of(oauth: OAuth) -> tuple[str, ...]:
    """Return the scopes to ask for: those of the spec, else those that mail needs.

    A refresh token carries what was consented to: Google needs no scope with it, while Microsoft
    must be told which service the token is for.
    """
    if oauth.scopes:
        return tuple(oauth.scopes)
    known = endpoints_of(oauth.provider, oauth.cloud)
    if known is None:
        return ()
    if oauth.flow is not OAuthFlow.REFRESH_TOKEN:
        return known.application_scopes
    if oauth.provider is OAuthProvider.GOOGLE:
        return ()
    return (*known.scopes_of_user(), "offline_access")


def mail_hosts_of(oauth: OAuth) -> tuple[str, ...] | None:
    """Return the only mail servers that a token may be shown to; None: any, as for passwords."""
    known = endpoints_of(oauth.provider, oauth.cloud)
    return None if known is None else known.mail_hosts

# SPDX-License-Identifier: Apache-2.0
"""Where providers list identities, and whose SMTP servers do not tell: the data file."""

from datetime import date
from functools import cache
from typing import Annotated
from urllib.parse import quote, urlsplit

from pydantic import Field, StringConstraints

from postroom.api import data_files
from postroom.api.mail_provider import MailProvider
from postroom.api.oauth import MicrosoftCloud, OAuthFlow, OAuthProvider

_URL = Annotated[
    str, StringConstraints(pattern=r"^https://[a-z0-9.-]+(:[0-9]+)?/[A-Za-z0-9./{}?$=,]*$")
]
_Source = Annotated[str, StringConstraints(min_length=1)]


class Place(data_files.Row):
    """A URL, which may hold ``{mailbox}``, and the scopes to ask a token for.

    Without scopes the token for mail serves.
    """

    url: _URL
    scopes: tuple[str, ...]

    @property
    def host(self) -> str:
        """The host that a token is sent to."""
        return urlsplit(self.url).hostname or ""

    def url_for(self, mailbox: str) -> str:
        """Fill in the mailbox."""
        return self.url.replace("{mailbox}", quote(mailbox, safe=""))


class Api(data_files.Row):
    """One provider: where a person's token is shown, and where that of an application is."""

    delegated: Place
    application: Place
    source: _Source
    checked: date


class Apis(data_files.Row):
    """All providers that can be asked."""

    google: Api
    microsoft: dict[MicrosoftCloud, Api]

    def place(
        self, provider: OAuthProvider, flow: OAuthFlow, cloud: MicrosoftCloud | None
    ) -> Place | None:
        """Return where to ask for the list of a grant's mailbox; None: nowhere."""
        match provider:
            case OAuthProvider.GOOGLE:
                api = self.google
            case OAuthProvider.MICROSOFT:
                api = self.microsoft[cloud or MicrosoftCloud.PUBLIC]
            case OAuthProvider.GENERIC:
                return None
        return api.delegated if flow is OAuthFlow.REFRESH_TOKEN else api.application


class LateJudge(data_files.Row):
    """A provider that judges the sender after DATA."""

    provider: MailProvider
    source: _Source
    checked: date


class ProviderDirectory(data_files.Row):
    """The whole file."""

    apis: Apis
    late_judges: Annotated[tuple[LateJudge, ...], Field(min_length=1)]


@cache
def directory() -> ProviderDirectory:
    """Load and validate the file, once."""
    return data_files.read("postroom.mail.identities", "providers.yaml", ProviderDirectory)


def judges_late(provider: str | None) -> bool:
    """Whether a provider's answers to MAIL and RCPT say nothing about the sender."""
    return any(judge.provider.value == provider for judge in directory().late_judges)

# SPDX-License-Identifier: Apache-2.0
"""The shape of a mail provider's preset: endpoints, usernames, ways to sign in, limits.

A preset is data (``providers/*.yaml``). Host names may hold ``{parameter}``.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from postroom.api import presets
from postroom.api.data_files import Row
from postroom.api.mailserver import TLSMode

#: A host name, in lowercase, without a trailing dot.
HostTemplate = Annotated[str, StringConstraints(pattern=r"^[a-z0-9{][A-Za-z0-9.{}-]*$")]


class SignInWay(StrEnum):
    """How one can sign in."""

    #: The password of the account, or one made for mail programs.
    PASSWORD = "Password"  # noqa: S105 - the name of a way, not a secret
    #: A password that the provider makes for one program.
    APP_PASSWORD = "AppPassword"  # noqa: S105
    #: A key or token of an account that only sends.
    KEY = "Key"
    OAUTH = "OAuth"


class OAuthProvider(StrEnum):
    """Who issues the tokens, as in spec.oauth.provider."""

    GOOGLE = "Google"
    MICROSOFT = "Microsoft"
    GENERIC = "Generic"


class UsernameForm(StrEnum):
    """What the username is."""

    #: The whole address.
    ADDRESS = "Address"
    #: The part before the @.
    LOCAL_PART = "LocalPart"
    #: Always the same.
    FIXED = "Fixed"
    #: Whatever the provider has issued.
    ISSUED = "Issued"


class Confirmed(StrEnum):
    """Where a fact was read on the day that it was checked."""

    #: In the source itself, or in a copy of it.
    DOCUMENT = "Document"
    #: In several guides or programs; the source is where the provider describes it.
    REPORTED = "Reported"


class LimitName(StrEnum):
    """What is limited. Sizes are in bytes, rates in messages or recipients."""

    MESSAGES_PER_SECOND = "MessagesPerSecond"
    MESSAGES_PER_MINUTE = "MessagesPerMinute"
    MESSAGES_PER_HOUR = "MessagesPerHour"
    MESSAGES_PER_DAY = "MessagesPerDay"
    MESSAGES_PER_CONNECTION = "MessagesPerConnection"
    RECIPIENTS_PER_DAY = "RecipientsPerDay"
    RECIPIENTS_PER_MESSAGE = "RecipientsPerMessage"
    MESSAGE_BYTES = "MessageBytes"
    SMTP_CONNECTIONS = "SMTPConnections"
    IMAP_CONNECTIONS = "IMAPConnections"


class EndpointRow(Row):
    """Where to connect. With `when` only where the parameters have these values."""

    host: HostTemplate
    port: Annotated[int, Field(ge=1, le=65535)]
    tls: TLSMode
    when: Mapping[presets.ParameterName, str] = {}

    @model_validator(mode="after")
    def _secured(self) -> Self:
        if self.tls is TLSMode.NONE:
            raise ValueError("a preset always uses TLS")
        return self


class Username(Row):
    """What the username must be; `pattern` is what it must look like, None: anything.

    `sentence` says it to the user, as the end of "must ...". The local part is the username for
    addresses of these `domains` only; what it is for others, nobody but the user knows.
    """

    form: UsernameForm
    value: str | None = None
    domains: tuple[HostTemplate, ...] = ()
    pattern: presets.Expression | None = None
    sentence: Annotated[str, StringConstraints(pattern=r"^be .*[^.]$", max_length=200)]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.form is UsernameForm.FIXED) != (self.value is not None):
            raise ValueError("value is of the form Fixed, and of no other")
        if (self.form is UsernameForm.LOCAL_PART) != bool(self.domains):
            raise ValueError("domains are of the form LocalPart, and of no other")
        if self.pattern is not None:
            pattern = presets.compiled(self.pattern)
            if self.value is not None and not pattern.fullmatch(self.value):
                raise ValueError("the pattern does not accept the value")
        return self


class WrongKey(Row):
    """A key that users confuse with the right one, known by how it begins."""

    prefix: Annotated[str, Field(min_length=3, max_length=20)]
    sentence: presets.Sentence


class Password(Row):
    """What passwords look like.

    `shape` is the whole of an app password or key without its spaces, None where nothing is known;
    where it is `required`, no other password works. `prefix` begins the provider's keys and no
    other's.
    """

    shape: presets.Expression | None = None
    description: presets.Sentence | None = None
    required: bool = False
    prefix: Annotated[str, Field(min_length=3, max_length=20)] | None = None
    wrong_keys: tuple[WrongKey, ...] = ()
    source: presets.Source
    checked: date

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.shape is not None:
            presets.compiled(self.shape)
        if (self.shape is None) != (self.description is None):
            raise ValueError("shape and description belong together")
        if self.required and self.shape is None:
            raise ValueError("what is required must have a shape")
        return self


class Mistaken(Row):
    """A host of the provider that is taken for the one to use; `sentence` says what it is."""

    host: HostTemplate
    sentence: presets.Sentence
    source: presets.Source
    checked: date


class SubAddresses(Row):
    """Whether mail to a sub-address (RFC 5233) reaches the mailbox without anything set up.

    `separator` stands between the local part and the rest; None: none reaches it. `sentence` is
    what else decides.
    """

    separator: Annotated[str, StringConstraints(pattern=r"^[+=_.-]$")] | None = None
    sentence: presets.Sentence | None = None
    source: presets.Source
    checked: date
    confirmed: Confirmed = Confirmed.DOCUMENT


class Limit(Row):
    """A limit that the provider documents; `scope` says for whom it holds: "a paid account".

    A `raisable` one holds until a plan is bought or the provider is asked, of which nobody but the
    user knows.
    """

    name: LimitName
    value: Annotated[int, Field(ge=1)]
    scope: Annotated[str, StringConstraints(pattern=r"^[a-z].*[^.]$", max_length=120)]
    raisable: bool = False
    source: presets.Source
    checked: date
    confirmed: Confirmed = Confirmed.DOCUMENT


class Preset(presets.BasePreset):
    """A provider. The first endpoint of each protocol is the one to use.

    `family` is the provider whose servers answer, and by which replies are understood; None: its
    own. `hosts` are the names by which the provider is known, None: those of its endpoints.
    `imap_ways` are the ways over IMAP, None: the same. With `all_ports` no other port is served.
    """

    aliases: tuple[presets.ProviderName, ...] = ()
    source: presets.Source
    checked: date
    confirmed: Confirmed = Confirmed.DOCUMENT
    family: presets.ProviderName | None = None
    hosts: tuple[HostTemplate, ...] | None = None
    smtp: Annotated[tuple[EndpointRow, ...], Field(min_length=1)]
    imap: tuple[EndpointRow, ...] = ()
    smtp_username: Username
    imap_username: Username | None = None
    all_ports: bool = False
    ways: Annotated[tuple[SignInWay, ...], Field(min_length=1)]
    imap_ways: Annotated[tuple[SignInWay, ...], Field(min_length=1)] | None = None
    oauth: OAuthProvider | None = None
    password: Password | None = None
    limits: tuple[Limit, ...] = ()
    mistaken: tuple[Mistaken, ...] = ()
    sub_addresses: SubAddresses | None = None
    notes: tuple[presets.Sentence, ...] = ()

    @property
    def replies_as(self) -> str:
        """The provider by whose name the catalogue of replies knows these servers."""
        return self.family or self.name

    def known_hosts(self) -> tuple[str, ...]:
        """Return the templates of the host names by which the provider is known."""
        hosts = self.hosts
        if hosts is None:
            hosts = tuple(dict.fromkeys(endpoint.host for endpoint in (*self.smtp, *self.imap)))
        return (*hosts, *(mistake.host for mistake in self.mistaken))

    def problems(self) -> Iterator[str]:
        """See `BasePreset`."""
        by_name = {parameter.name: parameter for parameter in self.parameters}
        rows = (*self.smtp, *self.imap)
        templates = [endpoint.host for endpoint in rows] + list(self.hosts or ())
        used = {name for template in templates for name in presets.placeholders(template)}
        for row in rows:
            used |= set(row.when)
            for name, value in row.when.items():
                if name not in by_name or value not in by_name[name].enum:
                    yield f"when.{name} is not in the enum of the parameter"
        if unknown := sorted(used - set(by_name)):
            yield f"there is no parameter {', '.join(unknown)}"
        if idle := sorted(set(by_name) - used):
            yield f"nothing uses the parameter {', '.join(idle)}"
        if (self.oauth is None) == (SignInWay.OAUTH in self.ways):
            yield "oauth names who issues the tokens where OAuth is a way, and only there"
        if bool(self.imap) != (self.imap_username is not None):
            yield "imapUsername must be given where imap is, and only there"
        if self.imap_ways is not None and not set(self.imap_ways) <= set(self.ways):
            yield "imapWays names a way that ways does not"
        if len({limit.name for limit in self.limits}) < len(self.limits):
            yield "a limit is listed twice"


def expression(template: str, parameters: tuple[presets.BaseParameter, ...]) -> re.Pattern[str]:
    """Make a pattern of a template that fits it with any values of the parameters."""
    patterns = {parameter.name: parameter.pattern for parameter in parameters}
    parts = presets.PLACEHOLDER.split(template)
    # Every second part is the name of a placeholder.
    return re.compile(
        "".join(
            f"(?:{patterns[part]})" if index % 2 else re.escape(part)
            for index, part in enumerate(parts)
        )
    )

# SPDX-License-Identifier: Apache-2.0
"""The shape of a provider's preset: its parameters, and the records that they fill in.

A preset is data (``providers/*.yaml``). Templates hold ``{parameter}``, and two names derived from
the sending domain: ``{domain}`` and ``{domainDashes}`` (its dots written as dashes).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from postroom.api.data_files import Row
from postroom.api.presets import (
    PLACEHOLDER,
    BaseParameter,
    BasePreset,
    ParameterName,
    ProviderName,
    Source,
    fill,
    placeholders,
)
from postroom.dns.names import APEX, canonical

DOMAIN = "domain"
DOMAIN_DASHES = "domainDashes"
DERIVED = frozenset({DOMAIN, DOMAIN_DASHES})
_DKIM_END = "._domainkey"

Suffix = Annotated[str, StringConstraints(pattern=r"^([a-z0-9_-]+\.)+[a-z][a-z0-9-]*$")]


class Role(StrEnum):
    """What a record is for."""

    OWNERSHIP = "Ownership"
    DKIM = "DKIM"
    SPF = "SPF"
    RETURN_PATH = "ReturnPath"
    MX = "MX"
    TRACKING = "Tracking"
    DMARC = "DMARC"


class Type(StrEnum):
    """The types of record that presets ask for."""

    CNAME = "CNAME"
    MX = "MX"
    TXT = "TXT"


class Match(StrEnum):
    """How what is published is compared with what is asked for."""

    #: The decoded key is equal.
    KEY = "Key"
    #: The CNAME leads to the target.
    TARGET = "Target"
    #: The text is equal.
    EXACT = "Exact"
    #: The SPF record authorises what the include stands for, in whatever way.
    SPF_AUTHORISES = "SPFAuthorises"
    #: The mail exchange is listed.
    EXCHANGE = "Exchange"
    #: There is a DMARC record with at least this policy.
    POLICY = "Policy"


class Confirmed(StrEnum):
    """Where the value of a row was read on the day that it was checked."""

    #: In the source itself, or in a copy of it.
    DOCUMENT = "Document"
    #: In several published zones, configurations or guides; the source is where to look it up.
    ZONES = "Zones"


#: What a record of a role may be, and how it is compared.
MATCHES: Mapping[tuple[Role, Type], Match] = {
    (Role.OWNERSHIP, Type.TXT): Match.EXACT,
    (Role.DKIM, Type.CNAME): Match.TARGET,
    (Role.DKIM, Type.TXT): Match.KEY,
    (Role.SPF, Type.TXT): Match.SPF_AUTHORISES,
    (Role.RETURN_PATH, Type.CNAME): Match.TARGET,
    (Role.RETURN_PATH, Type.MX): Match.EXCHANGE,
    (Role.RETURN_PATH, Type.TXT): Match.SPF_AUTHORISES,
    (Role.MX, Type.MX): Match.EXCHANGE,
    (Role.TRACKING, Type.CNAME): Match.TARGET,
    (Role.DMARC, Type.TXT): Match.POLICY,
}

#: What each match can read in a value template.
_VALUES: Mapping[Match, re.Pattern[str]] = {
    Match.KEY: re.compile(r"(.*;\s*)?p=\{[A-Za-z0-9]+\};?"),
    Match.TARGET: re.compile(r"[a-z0-9_.{}A-Z-]+"),
    Match.EXACT: re.compile(r"[ -~]+"),
    Match.SPF_AUTHORISES: re.compile(r"include:[a-z0-9_.{}A-Z-]+"),
    Match.EXCHANGE: re.compile(r"[0-9]{1,5} [a-z0-9.{}A-Z-]+"),
    Match.POLICY: re.compile(r"v=DMARC1; p=(none|quarantine|reject)"),
}


class DefaultBy(Row):
    """Defaults that depend on another parameter: a region, a cloud, a data centre.

    `values` holds them by its value; None: there is none, so that the parameter must be given. For
    values that are not listed the parameter's own default holds.
    """

    parameter: ParameterName
    values: Annotated[Mapping[str, str | None], Field(min_length=1)]
    source: Source
    checked: date
    confirmed: Confirmed = Confirmed.DOCUMENT


class NoDefaultFor(Row):
    """The sending domains for which a default is not what the provider makes of them.

    `words` say which these are, as the end of a sentence: "the domain has a hyphen".
    """

    pattern: Annotated[str, Field(min_length=1, max_length=200)]
    words: Annotated[str, StringConstraints(pattern=r"^the domain .*[^.]$")]
    source: Source
    checked: date
    confirmed: Confirmed = Confirmed.DOCUMENT

    def holds(self, domain: str) -> bool:
        """Whether a domain is one of them."""
        return re.fullmatch(self.pattern, domain) is not None


class Parameter(BaseParameter):
    """A value that the provider issues, or a choice that it offers.

    It must be given unless it has a `default` or is `optional`. The pattern holds for the whole
    value, and `form` says it in words: "be the key in base64". A default may hold the derived
    placeholders, and `default_by` may have another one; for the domains of `no_default_for` there
    is none. A `host` is the name of one: capitals and a dot at its end make no difference.
    """

    form: Annotated[str, StringConstraints(pattern=r"^(be|look like) .*[^.]$")] | None = None
    default_by: DefaultBy | None = None
    no_default_for: NoDefaultFor | None = None
    optional: bool = False
    host: bool = False

    @property
    def wanted(self) -> str:
        """What a value must be, as the end of "must ..."."""
        return self.form if self.form is not None and not self.enum else super().wanted

    @property
    def required(self) -> bool:
        """Whether there is no preset without it."""
        return self.default is None and not self.optional

    def default_for(self, chosen: Mapping[str, str], domain: str) -> str | None:
        """Return the template of the default where the other parameters have these values."""
        if self.no_default_for is not None and self.no_default_for.holds(domain):
            return None
        if self.default_by is None:
            return self.default
        return self.default_by.values.get(chosen.get(self.default_by.parameter, ""), self.default)

    def tidied(self, value: str) -> str:
        """Write a value the way it is compared and published."""
        return canonical(value) if self.host else value

    def defaults(self) -> Sequence[str]:
        """Every default, with an example of a sending domain filled in."""
        by = self.default_by.values.values() if self.default_by is not None else ()
        templates = [template for template in (self.default, *by) if template is not None]
        return [fill(template, derived("example.com")) for template in templates]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.name in DERIVED:
            raise ValueError(f"{self.name} is a derived name")
        if self.default is not None and self.optional:
            raise ValueError("optional says nothing where there is a default")
        if self.default_by is not None and self.default is None:
            raise ValueError("defaultBy needs a default for the values that it does not list")
        if self.no_default_for is not None and self.default is None:
            raise ValueError("noDefaultFor needs a default for all other domains")
        return self


class RecordRow(Row):
    """One record that the provider asks for.

    `host` is relative to the sending domain, ``@`` for the domain itself. With `depends_on`, the
    record is asked for only where all these parameters have a value; with `when` only where
    these have the given values; with `unless` only where this parameter has none. Not `required`:
    the provider works without it. An exchange that must be `alone` is refused beside another one.
    """

    role: Role
    host: Annotated[str, Field(min_length=1)]
    type: Type
    value: Annotated[str, Field(min_length=1)]
    required: bool
    alone: bool = False
    #: Other exchanges that the provider hands out for the same domain: ``{label}`` is the first
    #: label of the value's host, ``*`` any one label.
    forms: tuple[str, ...] = ()
    match: Match
    depends_on: tuple[ParameterName, ...] = ()
    when: Mapping[ParameterName, str] = {}
    unless: ParameterName | None = None
    source: Source
    checked: date
    confirmed: Confirmed = Confirmed.DOCUMENT
    note: str = ""

    @property
    def placeholders(self) -> frozenset[str]:
        """The names in its templates."""
        return placeholders(self.host) | placeholders(self.value)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if MATCHES.get((self.role, self.type)) is not self.match:
            raise ValueError(f"{self.role} as {self.type} cannot be compared by {self.match}")
        if not _VALUES[self.match].fullmatch(self.value):
            raise ValueError(f"value is not what {self.match} can compare")
        if self.alone and self.match is not Match.EXCHANGE:
            raise ValueError("alone is said of exchanges")
        if self.forms and self.match is not Match.EXCHANGE:
            raise ValueError("forms are those of exchanges")
        if re.search(r"[{}]", PLACEHOLDER.sub("", self.host + self.value)):
            raise ValueError("a brace stands outside of a placeholder")
        if (self.role is Role.DKIM) != self.host.endswith(_DKIM_END):
            raise ValueError(f"host of DKIM, and only of it, ends in {_DKIM_END}")
        if self.role in (Role.SPF, Role.MX) and self.host != APEX:
            raise ValueError(f"{self.role} stands at the sending domain itself: {APEX}")
        if (self.role is Role.DMARC) != (self.host == "_dmarc"):
            raise ValueError("host of DMARC, and only of it, is _dmarc")
        return self


class Preset(BasePreset):
    """A provider: what it needs to be told, and the records that it then asks for.

    Of each group in `one_of` exactly one parameter must be given. `people` tells that it hosts
    mailboxes of people, rather than sending for programs.
    """

    people: bool = False
    parameters: tuple[Parameter, ...] = ()
    one_of: tuple[tuple[ParameterName, ...], ...] = ()
    records: Annotated[tuple[RecordRow, ...], Field(min_length=1)]

    def parameter(self, name: str) -> Parameter | None:
        """Find a parameter by its name."""
        return next((parameter for parameter in self.parameters if parameter.name == name), None)

    def problems(self) -> Iterator[str]:
        """See `BasePreset`."""
        names = {entry.name for entry in self.parameters}
        certain = {entry.name for entry in self.parameters if not entry.optional} | DERIVED
        used = {name for group in self.one_of for name in group}
        for parameter in self.parameters:
            name, by = parameter.name, parameter.default_by
            if by is None:
                continue
            used.add(by.parameter)
            other = self.parameter(by.parameter)
            if other is None or other.optional or other.default_by or by.parameter == name:
                yield f"the default of {name} depends on what need not be known"
            elif any(not other.accepts(value) for value in by.values):
                yield f"the default of {name} lists a value that {by.parameter} cannot have"
        for group in self.one_of:
            if any(
                (member := self.parameter(name)) is None or not member.optional for name in group
            ):
                yield "oneOf names parameters that are optional"
        for index, record in enumerate(self.records):
            used |= record.placeholders | set(record.depends_on) | set(record.when)
            if record.unless is not None:
                used.add(record.unless)
            if unsure := record.placeholders - certain - set(record.depends_on):
                yield f"records.{index} must depend on {', '.join(sorted(unsure))}"
            for name, value in record.when.items():
                chosen = self.parameter(name)
                if chosen is None or value not in chosen.enum:
                    yield f"records.{index}.when.{name} is not in the enum of the parameter"
        if unknown := used - names - DERIVED:
            yield f"there is no parameter {', '.join(sorted(unknown))}"
        if idle := names - used:
            yield f"no record uses the parameter {', '.join(sorted(idle))}"


class Target(Row):
    """A name below which a provider's CNAME targets, mail exchanges or SPF records stand.

    `provider` is the name of a preset, or any other name where there is none. `title` is how
    people write it.
    """

    provider: ProviderName
    title: Annotated[str, Field(min_length=1, max_length=60)]
    suffix: Suffix
    source: Source
    checked: date
    confirmed: Confirmed = Confirmed.DOCUMENT
    note: str = ""


class Targets(Row):
    """The whole of ``targets.yaml``."""

    targets: Annotated[tuple[Target, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        titles: dict[str, str] = {}
        suffixes: set[str] = set()
        for row in self.targets:
            if row.suffix in suffixes:
                raise ValueError(f"{row.suffix} is listed twice")
            if titles.setdefault(row.provider, row.title) != row.title:
                raise ValueError(f"{row.provider} has two titles")
            suffixes.add(row.suffix)
        return self


def fits(template: str, text: str) -> bool:
    """Whether a text can be what a template comes to, whatever the values."""
    parts = PLACEHOLDER.split(template)[::2]
    return re.fullmatch("[^ ]+".join(map(re.escape, parts)), text) is not None


def derived(domain: str) -> dict[str, str]:
    """Return the placeholders that follow from the sending domain."""
    return {DOMAIN: domain, DOMAIN_DASHES: domain.replace(".", "-")}

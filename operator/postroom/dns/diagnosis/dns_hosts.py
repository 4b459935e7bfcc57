# SPDX-License-Identifier: Apache-2.0
"""Who hosts a zone, by its name servers, and what users type there: see ``dns_hosts.yaml``."""

import re
from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from functools import cache
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from postroom.api.data_files import Row, read
from postroom.api.presets import Source
from postroom.dns.names import NAME_LIMIT, and_ancestors, canonical, host_label, is_within
from postroom.dns.presets.model import Confirmed, Suffix


class NameForm(StrEnum):
    """What a DNS host takes as the name of a record."""

    #: Without the zone, which the host adds.
    RELATIVE = "Relative"
    #: In full.
    ABSOLUTE = "Absolute"


class DNSHost(Row):
    """A DNS host and its form for records. None stands for what no source settles.

    `apex` is what to type for the zone itself: ``@``, nothing, or ``{zone}``. `splits_text`: a
    long TXT value is split into strings of 255 bytes without the user's doing. `quotes`: the user
    types the quotes around a TXT value. `proxy`: a record can be answered with the host's own
    addresses. `target_dot`: without a trailing dot, a target is taken for relative or refused.
    `flattens_apex`: a CNAME at the zone itself is answered with the addresses behind it.
    """

    name: Annotated[str, Field(min_length=1, max_length=60)]
    suffixes: tuple[Suffix, ...] = ()
    pattern: str | None = None
    names: NameForm | None = None
    apex: Annotated[str, StringConstraints(pattern=r"^(@|\{zone\})?$")] | None = None
    splits_text: bool | None = None
    quotes: bool | None = None
    proxy: bool | None = None
    target_dot: bool | None = None
    flattens_apex: bool | None = None
    source: Source
    checked: date
    confirmed: Confirmed = Confirmed.DOCUMENT
    note: str = ""

    @model_validator(mode="after")
    def _recognisable(self) -> Self:
        if not self.suffixes and self.pattern is None:
            raise ValueError("give suffixes or a pattern: no name server would be its own")
        try:
            re.compile(self.pattern or "")
        except re.error as problem:
            raise ValueError(f"pattern is no regular expression: {problem}") from None
        return self


class DNSHosts(Row):
    """The whole file."""

    hosts: Annotated[tuple[DNSHost, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for what, all_of in (
            ("name", [host.name for host in self.hosts]),
            ("suffix", [suffix for host in self.hosts for suffix in host.suffixes]),
        ):
            if twice := {entry for entry in all_of if all_of.count(entry) > 1}:
                raise ValueError(f"the {what} {min(twice)} is listed twice")
        return self


@cache
def dns_hosts() -> tuple[DNSHost, ...]:
    """Load the table, once; raises `InvalidData`."""
    return read("postroom.dns.diagnosis", "dns_hosts.yaml", DNSHosts).hosts


def hosts_of(nameservers: Sequence[str]) -> tuple[DNSHost, ...]:
    """Name the known DNS hosts behind name servers, each once, sorted by name."""
    found = {
        host.name: host for nameserver in nameservers if (host := _host_of(nameserver)) is not None
    }
    return tuple(found[name] for name in sorted(found))


def host_of(nameservers: Sequence[str]) -> DNSHost | None:
    """Name the DNS host that has all these name servers; None where one is unknown or another's.

    With two DNS hosts, no advice on what to type would hold for both.
    """
    each = [_host_of(nameserver) for nameserver in nameservers]
    first = each[0] if each else None
    return first if all(host is first for host in each) else None


def label_for(name: str, zone: str | None, host: DNSHost | None) -> str:
    """Return what to type as the name of a record at this DNS host; may be empty, for the zone.

    `name` is complete, without trailing dot. What is not known falls to the usual: relative to
    the zone, ``@`` for the zone itself.
    """
    if host is None or zone is None or not is_within(name, zone):
        return host_label(name, zone)
    if name == zone and host.apex is not None:
        return host.apex.replace("{zone}", zone)
    return name if host.names is NameForm.ABSOLUTE else host_label(name, zone)


def _host_of(nameserver: str) -> DNSHost | None:
    name = canonical(nameserver[: NAME_LIMIT + 1])
    by_suffix = _by_suffix()
    for ancestor in and_ancestors(name):
        if ancestor in by_suffix:
            return by_suffix[ancestor]
    matching = (host for host in dns_hosts() if host.pattern and re.fullmatch(host.pattern, name))
    return next(matching, None)


@cache
def _by_suffix() -> dict[str, DNSHost]:
    return {suffix: host for host in dns_hosts() for suffix in host.suffixes}

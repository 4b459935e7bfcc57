# SPDX-License-Identifier: Apache-2.0
"""Which servers are of one side: of one domain, or of one provider (``receiving_sides.yaml``)."""

from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Annotated

from pydantic import Field, StringConstraints

from postroom.api.data_files import Row, read

_Domain = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")]


class _Provider(Row):
    name: Annotated[str, StringConstraints(min_length=1, max_length=80)]
    domains: Annotated[tuple[_Domain, ...], Field(min_length=2)]
    source: Annotated[str, StringConstraints(pattern=r"^https://[^ ]+$")]
    checked: date
    #: Its servers write Authentication-Results without their name.
    unnamed: bool = False
    #: They write one for each method, each under a name of its own.
    apart: bool = False
    #: They write one with all that they found, and no other.
    single: bool = False


class _File(Row):
    providers: tuple[_Provider, ...]


@cache
def _providers() -> tuple[_Provider, ...]:
    return read("postroom.mail.round_trip", "receiving_sides.yaml", _File).providers


@cache
def _sides() -> Mapping[str, str]:
    """The provider of each domain that one has several of."""
    return {domain: provider.name for provider in _providers() for domain in provider.domains}


def same_side(one: str, other: str) -> bool:
    """Whether two servers, by their names in lowercase, are of one side."""
    return _under(one, other) or _under(other, one) or of_one_owner(one, other)


def of_one_owner(one: str, other: str) -> bool:
    """The same where strangers may have chosen a name: a top-level domain is nobody's."""
    return _side(one) == _side(other)


def leaves_name_out(host: str) -> bool:
    """Whether a host is of a provider that writes Authentication-Results without a name."""
    return any(provider.unnamed for provider in _of(host))


def judges_apart(host: str) -> bool:
    """Whether a host is of a provider whose servers each write their own part of a judgement."""
    return any(provider.apart for provider in _of(host))


def judges_once(host: str) -> bool:
    """Whether a host is of a provider that writes one field with all that it found."""
    return any(provider.single for provider in _of(host))


def _of(host: str) -> list[_Provider]:
    return [provider for provider in _providers() if provider.name == _side(host)]


def _side(name: str) -> str:
    """The provider that a server is of, else its domain.

    The registered domain is guessed: two labels, or three where names end as in co.uk.
    """
    labels = name.split(".")
    short = len(labels) > 1 and len(labels[-1]) == 2 and len(labels[-2]) <= 3
    domain = ".".join(labels[-3:] if short else labels[-2:])
    return _sides().get(domain, domain)


def _under(name: str, domain: str) -> bool:
    return name == domain or name.endswith(f".{domain}")

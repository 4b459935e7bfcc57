# SPDX-License-Identifier: Apache-2.0
"""Which servers are of one side: of one domain, or of one provider (``receiving_sides.yaml``)."""

from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from postroom.api.data_files import read

_Domain = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")]


class _Provider(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Annotated[str, StringConstraints(min_length=1, max_length=80)]
    domains: Annotated[tuple[_Domain, ...], Field(min_length=2)]
    source: Annotated[str, StringConstraints(pattern=r"^https://[^ ]+$")]
    checked: date


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    providers: tuple[_Provider, ...]


@cache
def _sides() -> Mapping[str, str]:
    """The provider of each domain that one has several of."""
    found = read("postroom.mail.round_trip", "receiving_sides.yaml", _File)
    return {domain: provider.name for provider in found.providers for domain in provider.domains}


def same_side(one: str, other: str) -> bool:
    """Whether two servers, by their names in lowercase, are of one side."""
    return _under(one, other) or _under(other, one) or _side(one) == _side(other)


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

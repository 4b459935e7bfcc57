# SPDX-License-Identifier: Apache-2.0
"""Questions and answers as values: what was asked, and what came back or why nothing did."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class RecordType(StrEnum):
    """The record types that postroom asks for."""

    A = "A"
    AAAA = "AAAA"
    CNAME = "CNAME"
    MX = "MX"
    NS = "NS"
    SOA = "SOA"
    TXT = "TXT"


class Outcome(StrEnum):
    """What a look at DNS yielded.

    The first three are conclusive; the rest mean "could not look" and never count against a record.
    """

    FOUND = "Found"
    NO_DATA = "NoData"  # the name exists, but has no record of this type
    NX_DOMAIN = "NXDomain"  # nothing exists at or below the name (RFC 8020)
    SERVER_FAILURE = "ServerFailure"
    REFUSED = "Refused"
    TIMEOUT = "Timeout"
    MALFORMED = "Malformed"  # an answer that breaks the protocol, or our bounds


CONCLUSIVE = frozenset({Outcome.FOUND, Outcome.NO_DATA, Outcome.NX_DOMAIN})


@dataclass(frozen=True, slots=True)
class Question:
    """A name (A-label form, lowercase, absolute, no trailing dot) and a type."""

    name: str
    type: RecordType


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one question from one point of view.

    `values` holds one text per record of the asked type, in the order of the answer, which is
    arbitrary: TXT as its strings joined without separator (RFC 7208 section 3.3), bytes above
    0x7f as latin-1 characters; MX as ``"10 mx.example.com"``; names lowercase without trailing
    dot. `aliases` is the chain of CNAME targets that was followed, nearest first.
    `authoritative` tells whether a server of the zone answered with AA.
    """

    question: Question
    outcome: Outcome
    values: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    ttl: int | None = None
    authoritative: bool = False
    server: str | None = None

    @property
    def conclusive(self) -> bool:
        """Whether this says something about the record, rather than about the way to it."""
        return self.outcome in CONCLUSIVE


@dataclass(frozen=True, slots=True)
class Zone:
    """The zone that holds a name: its apex and the names of its authoritative servers, sorted."""

    apex: str
    nameservers: tuple[str, ...]


class Asker(Protocol):
    """Asks DNS from two points of view. Implementations never raise for what DNS answers."""

    async def zone_of(self, name: str) -> Zone | Answer:
        """Return the zone that holds `name`, or the answer that kept us from finding it."""
        ...

    async def authoritative(self, question: Question) -> Answer:
        """Ask the servers of the zone that holds the name: the truth now.

        CNAMEs are followed into other zones at their authoritative servers. Where the way to
        those servers is blocked, the answer is that of the resolver, with `authoritative` False.
        """
        ...

    async def recursive(self, question: Question) -> Answer:
        """Ask the resolver: what others see, through caches."""
        ...

# SPDX-License-Identifier: Apache-2.0
"""Questions and answers as values: what was asked, and what came back or why nothing did."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class RecordType(StrEnum):
    """The record types that postroom asks for."""

    A = "A"
    AAAA = "AAAA"
    CAA = "CAA"  # asked for, as HTTPS is, because no CNAME can stand beside it
    CNAME = "CNAME"
    DNAME = "DNAME"  # asked for to explain why a name is answered as another (RFC 6672)
    DS = "DS"
    HTTPS = "HTTPS"
    MX = "MX"
    NS = "NS"
    PTR = "PTR"
    SOA = "SOA"
    SPF = "SPF"  # type 99, which RFC 7208 section 3.1 abolished: asked for to explain a mistake
    TLSA = "TLSA"
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
    MALFORMED = "Malformed"  # an answer that breaks the protocol
    TOO_LARGE = "TooLarge"  # an answer with more records, or longer ones, than are read
    DENIED = "Denied"  # not asked: whoever could answer has addresses that may not be dialled


CONCLUSIVE = frozenset({Outcome.FOUND, Outcome.NO_DATA, Outcome.NX_DOMAIN})
#: What servers say that is no answer, in the order in which it is told where they differ.
FAILED = (Outcome.TOO_LARGE, Outcome.SERVER_FAILURE, Outcome.REFUSED, Outcome.MALFORMED)

#: How much is read of one name and type, so that a hostile server cannot make us keep more:
#: records, and characters of their values.
RECORDS_LIMIT, TXT_LIMIT = 100, 16 * 1024

#: What we note ourselves among the errors of an answer, beyond the 16 bits of those in messages:
#: the answer does not fit into a datagram and TCP does not work; the server understands no EDNS.
TCP_FAILED, EDNS_NOT_UNDERSTOOD = 0x10001, 0x10002


@dataclass(frozen=True, slots=True, order=True)
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
    dot; the rest in presentation form. `strings` are the single strings of each TXT record, in
    the order of `values`. `aliases` is the chain of CNAME targets that was followed, nearest
    first. `ttl` is in seconds: how long the answer, or the denial (RFC 2308), may be kept.
    `authoritative` tells whether a server of the zone answered with AA, `authenticated` whether a
    validating resolver set AD. `errors` are extended error codes (RFC 8914), and ours.
    """

    question: Question
    outcome: Outcome
    values: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    ttl: int | None = None
    authoritative: bool = False
    server: str | None = None
    strings: tuple[tuple[str, ...], ...] = ()
    authenticated: bool = False
    errors: tuple[int, ...] = ()

    @property
    def conclusive(self) -> bool:
        """Whether this says something about the record, rather than about the way to it."""
        return self.outcome in CONCLUSIVE


#: Where name servers listen, unless somebody says otherwise.
PORT = 53


@dataclass(frozen=True, slots=True)
class Zone:
    """The zone that holds a name: its apex and the names of its authoritative servers, sorted.

    `port` is where these were asked, which tells no zone from another, and nor do `addresses`: of
    servers at another port than that of DNS, which nobody else may know by their names.
    """

    apex: str
    nameservers: tuple[str, ...]
    port: int = field(default=PORT, compare=False)
    addresses: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """What one name server of the zone answered; `nameserver` is its name."""

    nameserver: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class Delegation:
    """What the parent says of a zone: its name servers there (sorted), and whether there is a DS.

    `signed` is None where that could not be seen. `servers` is what those name servers, sorted,
    answer for the SOA of the zone, which needs not be known at all of them.
    """

    parent: str
    nameservers: tuple[str, ...]
    signed: bool | None
    servers: tuple[ServerAnswer, ...] = field(default=(), compare=False)


class Asker(Protocol):
    """Asks DNS from two points of view. Implementations never raise for what DNS answers."""

    async def zone_of(self, name: str) -> Zone | Answer:
        """Return the zone that holds `name`, or the answer that kept us from finding it."""
        ...

    async def authoritative(self, question: Question) -> Answer:
        """The truth now: the answer of one server of the zone that holds the name.

        CNAMEs are followed into other zones at their authoritative servers. Where the way to
        those servers is blocked, the answer is that of the resolver, with `authoritative` False.
        """
        ...

    async def recursive(self, question: Question) -> Answer:
        """What others see: the answer of the resolver at this moment, through its caches."""
        ...

    async def shared(self, question: Question) -> Answer:
        """The answer of the resolver, kept as long as its TTL allows.

        For names that many domains share (includes of SPF records, targets at providers), never
        for a record under test: "check now" must not be answered from memory.
        """
        ...

    async def every_server(self, question: Question) -> tuple[ServerAnswer, ...]:
        """The answer of every server of the zone that holds the name; aliases end with the zone.

        Sorted by name server. A server without address has the answer SERVER_FAILURE; one that
        answers without AA, or refers upwards, REFUSED (it is lame); one of which no address may be
        dialled DENIED, whatever is there. Empty where the zone is not found.
        """
        ...

    async def serials(self, name: str) -> tuple[ServerAnswer, ...]:
        """The SOA at every server of the zone that holds the name, as `every_server` has it.

        The answer's one value is the serial alone, in decimal.
        """
        ...

    async def unvalidated(self, question: Question) -> Answer:
        """What the resolver has before DNSSEC: with checking disabled (CD=1, RFC 4035)."""
        ...

    async def delegation(self, apex: str) -> Delegation | Answer:
        """What the servers of the parent zone say of a zone, or what kept us from it."""
        ...

# SPDX-License-Identifier: Apache-2.0
"""One exchange with one server: dnspython's codec and clients, and what their failures mean."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple
from weakref import WeakValueDictionary

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.MX
import dns.rdtypes.ANY.TXT
import dns.rrset

from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.names import canonical

#: What fits through the internet without fragmentation (DNS flag day 2020).
EDNS_PAYLOAD = 1232
#: Bounds on what a hostile server may make us keep.
RECORDS_LIMIT = 100
TXT_LIMIT = 16 * 1024
ALIAS_LIMIT = 8
#: Queries in flight to one server address.
IN_FLIGHT_LIMIT = 16

Reply = dns.message.Message | Outcome

_OUTCOMES = {dns.rcode.SERVFAIL: Outcome.SERVER_FAILURE, dns.rcode.REFUSED: Outcome.REFUSED}
_EDNS_NOT_UNDERSTOOD = (dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS)


class ServerAddress(NamedTuple):
    """Where a DNS server listens."""

    address: str
    port: int = 53

    def __str__(self) -> str:
        return f"{self.address}:{self.port}" if self.port != 53 else self.address


class Wire:
    """Sends queries, at most `IN_FLIGHT_LIMIT` at a time to one server.

    `timeout` is in seconds, for each of UDP and TCP.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        # Weak: a gate lives as long as someone stands at it, so that they do not pile up.
        self._gates: WeakValueDictionary[ServerAddress, asyncio.Semaphore] = WeakValueDictionary()

    async def exchange(self, server: ServerAddress, question: Question, *, recurse: bool) -> Reply:
        """Ask one server: over UDP, over TCP where the answer was truncated, and once more without
        EDNS where the server does not understand it (RFC 6891 section 6.2.2)."""
        gate = self._gates.setdefault(server, asyncio.Semaphore(IN_FLIGHT_LIMIT))
        async with gate:
            reply = await self._send(server, question, recurse=recurse, edns=True)
            if isinstance(reply, dns.message.Message) and reply.rcode() in _EDNS_NOT_UNDERSTOOD:
                reply = await self._send(server, question, recurse=recurse, edns=False)
        return reply

    async def _send(
        self, server: ServerAddress, question: Question, *, recurse: bool, edns: bool
    ) -> Reply:
        query = dns.message.make_query(
            dns.name.from_text(question.name),
            question.type.value,
            use_edns=0 if edns else None,
            payload=EDNS_PAYLOAD if edns else None,
            flags=dns.flags.RD if recurse else 0,
        )
        try:
            reply, _ = await dns.asyncquery.udp_with_fallback(
                query,
                server.address,
                timeout=self._timeout,
                port=server.port,
                # Datagrams of others, or garbage, must not end the wait for the real answer.
                ignore_unexpected=True,
                ignore_errors=True,
            )
        except (dns.exception.Timeout, EOFError, OSError):
            return Outcome.TIMEOUT
        except dns.exception.DNSException:
            return Outcome.MALFORMED
        return reply


def answer_of(reply: Reply, question: Question, server: ServerAddress) -> Answer:
    """Turn a reply, or its failure, into an answer."""
    if isinstance(reply, Outcome):
        return Answer(question, reply, server=str(server))
    code = reply.rcode()
    if code not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        outcome = _OUTCOMES.get(code, Outcome.SERVER_FAILURE)
        return Answer(question, outcome, server=str(server))
    section = read_answer(reply, question)
    if not isinstance(section, Section):
        return Answer(question, section, server=str(server))
    if section.values:
        outcome = Outcome.FOUND
    else:
        outcome = Outcome.NX_DOMAIN if code == dns.rcode.NXDOMAIN else Outcome.NO_DATA
    return Answer(
        question,
        outcome,
        section.values,
        section.aliases,
        section.ttl if section.values else _negative_ttl(reply),
        authoritative=is_authoritative(reply),
        server=str(server),
    )


@dataclass(frozen=True, slots=True)
class Section:
    """What the answer section says on a question: the alias chain, and the values at its end."""

    aliases: tuple[str, ...]
    values: tuple[str, ...]
    ttl: int | None


def read_answer(reply: dns.message.Message, question: Question) -> Section | Outcome:
    """Read the records that answer the question, following CNAMEs inside the message.

    Records of other owners are ignored. MALFORMED for loops and for more than our bounds.
    """
    owner, chain, ttls = dns.name.from_text(question.name), list[dns.name.Name](), list[int]()
    while True:
        rrset = _rrset(reply, owner, question.type)
        if rrset is not None:
            if len(rrset) > RECORDS_LIMIT:
                return Outcome.MALFORMED
            values = tuple(_text(rdata) for rdata in rrset)
            if sum(map(len, values)) > TXT_LIMIT:
                return Outcome.MALFORMED
            return Section(_texts(chain), values, min([*ttls, rrset.ttl]))
        cname = _rrset(reply, owner, RecordType.CNAME)
        if cname is None:
            return Section(_texts(chain), (), min(ttls, default=None))
        target = cname[0].target
        if target in chain or target == dns.name.from_text(question.name):
            return Outcome.MALFORMED
        if len(chain) >= ALIAS_LIMIT:
            return Outcome.MALFORMED
        owner = target
        chain.append(target)
        ttls.append(cname.ttl)


def _rrset(
    reply: dns.message.Message, owner: dns.name.Name, kind: RecordType
) -> dns.rrset.RRset | None:
    wanted = dns.rdatatype.from_text(kind.value)
    return reply.get_rrset(dns.message.ANSWER, owner, dns.rdataclass.IN, wanted)


def _texts(names: list[dns.name.Name]) -> tuple[str, ...]:
    return tuple(canonical(one.to_text()) for one in names)


def _text(rdata: object) -> str:
    """Write a record the way `Answer.values` promises."""
    match rdata:
        case dns.rdtypes.ANY.TXT.TXT():
            return b"".join(rdata.strings).decode("latin-1")
        case dns.rdtypes.ANY.MX.MX():
            return f"{rdata.preference} {canonical(rdata.exchange.to_text()) or '.'}"
        case _:
            return canonical(str(rdata))


def authority(
    reply: dns.message.Message, kind: RecordType
) -> Iterator[tuple[str, dns.rrset.RRset]]:
    """Yield (owner, records) of a type in the authority section."""
    wanted = dns.rdatatype.from_text(kind.value)
    for rrset in reply.authority:
        if rrset.rdtype == wanted:
            yield canonical(rrset.name.to_text()), rrset


def _negative_ttl(reply: dns.message.Message) -> int | None:
    """How long a denial may be kept (RFC 2308 section 5); None: not at all."""
    for _, rrset in authority(reply, RecordType.SOA):
        return min(rrset.ttl, int(rrset[0].minimum))
    return None


def glue(reply: dns.message.Message, host: str) -> tuple[str, ...]:
    """Return the addresses of a host that the additional section holds."""
    wanted = (dns.rdatatype.A, dns.rdatatype.AAAA)
    return tuple(
        str(rdata)
        for rrset in reply.additional
        if rrset.rdtype in wanted and canonical(rrset.name.to_text()) == host
        for rdata in rrset
    )


def is_authoritative(reply: dns.message.Message) -> bool:
    """Tell whether the AA flag is set."""
    return bool(reply.flags & dns.flags.AA)

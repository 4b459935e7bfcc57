# SPDX-License-Identifier: Apache-2.0
"""One exchange with one server: dnspython's codec and clients, and what their failures mean."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

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

from postroom.dns.answers import Outcome, Question, RecordType
from postroom.dns.names import canonical

#: What fits through the internet without fragmentation (DNS flag day 2020).
EDNS_PAYLOAD = 1232
#: Bounds on what a hostile server may make us keep.
RECORDS_LIMIT = 100
TXT_LIMIT = 16 * 1024
#: Queries in flight to one server address.
IN_FLIGHT_LIMIT = 16


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a DNS server listens."""

    address: str
    port: int = 53

    def __str__(self) -> str:
        return f"{self.address}:{self.port}" if self.port != 53 else self.address


class Wire:
    """Sends queries, at most `IN_FLIGHT_LIMIT` at a time to one server."""

    def __init__(self, timeout: float = 2.0) -> None:
        self._timeout = timeout
        self._gates: dict[ServerAddress, asyncio.Semaphore] = {}

    async def exchange(
        self, server: ServerAddress, question: Question, *, recurse: bool
    ) -> dns.message.Message | Outcome:
        """Ask one server: over UDP, over TCP where the answer was truncated, and once more without
        EDNS where the server does not understand it (RFC 6891 section 6.2.2)."""
        gate = self._gates.setdefault(server, asyncio.Semaphore(IN_FLIGHT_LIMIT))
        async with gate:
            reply = await self._send(server, question, recurse=recurse, edns=True)
            if isinstance(reply, dns.message.Message) and reply.rcode() in (
                dns.rcode.FORMERR,
                dns.rcode.NOTIMP,
                dns.rcode.BADVERS,
            ):
                reply = await self._send(server, question, recurse=recurse, edns=False)
        return reply

    async def _send(
        self, server: ServerAddress, question: Question, *, recurse: bool, edns: bool
    ) -> dns.message.Message | Outcome:
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
    owner, aliases, ttls = question.name, list[str](), list[int]()
    while True:
        rrset = _rrset(reply, owner, question.type)
        if rrset is not None:
            if len(rrset) > RECORDS_LIMIT:
                return Outcome.MALFORMED
            values = tuple(_text(rdata) for rdata in rrset)
            if sum(map(len, values)) > TXT_LIMIT:
                return Outcome.MALFORMED
            return Section(tuple(aliases), values, min([*ttls, rrset.ttl]))
        cname = _rrset(reply, owner, RecordType.CNAME)
        if cname is None:
            return Section(tuple(aliases), (), min(ttls, default=None))
        owner = canonical(cname[0].target.to_text())
        if owner in aliases or owner == question.name or len(aliases) >= 8:
            return Outcome.MALFORMED
        aliases.append(owner)
        ttls.append(cname.ttl)


def _rrset(reply: dns.message.Message, owner: str, kind: RecordType) -> dns.rrset.RRset | None:
    wanted = dns.rdatatype.from_text(kind.value)
    return reply.get_rrset(dns.message.ANSWER, dns.name.from_text(owner), dns.rdataclass.IN, wanted)


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


def is_authoritative(reply: dns.message.Message) -> bool:
    """Tell whether the AA flag is set."""
    return bool(reply.flags & dns.flags.AA)

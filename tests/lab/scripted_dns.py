# SPDX-License-Identifier: Apache-2.0
"""Small real DNS servers on loopback addresses, one script each; for tests of the resolver.

Not the lab's own server: this one can misbehave, and knows nothing of postroom.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.zone

Message = dns.message.Message
#: What a server says to a query; None: nothing.
Script = Callable[[Message], Message | None]
#: What a server sends to a datagram: the query as it came, and the reply that it should be.
Datagrams = Callable[[bytes, bytes], Sequence[bytes]]
#: What a server sends over TCP for a reply, piece by piece.
Stream = Callable[[bytes], Sequence[bytes]]


def framed(wire: bytes) -> Sequence[bytes]:
    """A reply behind its length (RFC 1035 section 4.2.2)."""
    return [struct.pack("!H", len(wire)) + wire]


@dataclass
class ScriptedServer:
    """Answers over UDP and TCP at one address.

    `asked` are (name, type, transport) in order, `times` when. `datagrams` may send anything in
    place of the UDP reply, `stream` of that over TCP; `loses` tells of each datagram whether it is
    lost.
    """

    address: str
    script: Script
    delay: float = 0.0
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    lose: int = 0  # datagrams to lose before answering
    loses: Callable[[], bool] = lambda: False
    datagrams: Datagrams | None = None
    stream: Stream = framed
    answers_tcp: bool = True
    times: list[float] = field(default_factory=list)
    peers: list[tuple[str, int]] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)
    most_at_once: int = 0
    _at_once: int = 0
    _closers: list[Callable[[], None]] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self, port: int) -> int:
        """Listen; port 0 chooses one. Returns the port."""
        loop = asyncio.get_running_loop()
        udp, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self), local_addr=(self.address, port)
        )
        port = udp.get_extra_info("sockname")[1]
        tcp = await asyncio.start_server(self._serve_stream, self.address, port)
        self._closers += [udp.close, tcp.close]
        return port

    def stop(self) -> None:
        for close in self._closers:
            close()
        for task in self._tasks:
            task.cancel()

    def count(self, kind: str) -> int:
        """How often a type was asked for."""
        return sum(asked == kind for _, asked, _ in self.asked)

    def spawn(self, wire: bytes, send: Callable[[bytes], None]) -> None:
        """Answer a datagram without holding up the next one."""
        task = asyncio.ensure_future(self._datagram(wire, send))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _datagram(self, wire: bytes, send: Callable[[bytes], None]) -> None:
        query = dns.message.from_wire(wire)
        reply = await self._reply(query, "UDP")
        if reply is None:
            return
        if self.lose or self.loses():
            self.lose = max(0, self.lose - 1)
            return
        send(b"not DNS at all")
        limit = query.payload if query.edns >= 0 else 512
        message = reply.to_wire(max_size=limit, prefer_truncation=True)
        for one in self.datagrams(wire, message) if self.datagrams else [message]:
            send(one)

    async def _serve_stream(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            query = dns.message.from_wire(await reader.readexactly(length))
            reply = await self._reply(query, "TCP")
            if reply is not None and self.answers_tcp:
                for piece in self.stream(reply.to_wire(max_size=65535)):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _reply(self, query: Message, transport: str) -> Message | None:
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        self.asked.append((name, dns.rdatatype.to_text(question.rdtype), transport))
        self.times.append(asyncio.get_running_loop().time())
        self.flags.append(query.flags)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        await asyncio.sleep(self.delay)
        self._at_once -= 1
        return self.script(query)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: ScriptedServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._server.peers.append(addr)
        self._server.spawn(data, lambda wire: self._transport.sendto(wire, addr))


def zone(apex: str, text: str) -> dns.zone.Zone:
    """Read a zone file; SOA (negative TTL 60) is added."""
    soa = f"@ 300 IN SOA ns1.{apex}. host.{apex}. 1 3600 600 86400 60\n"
    return dns.zone.from_text(f"$TTL 300\n{soa}{text}", origin=f"{apex}.", relativize=False)


def serves(*zones: dns.zone.Zone) -> Script:
    """Answer as an authoritative server of these zones does, with referrals; REFUSED for others."""

    def script(query: Message) -> Message:
        reply = dns.message.make_response(query)
        held = _holding(zones, query.question[0].name)
        if held is None:
            reply.set_rcode(dns.rcode.REFUSED)
            return reply
        cut = _cut(held, query.question[0].name)
        # A DS stands with the parent (RFC 4035 section 3.1.4.1).
        at_parent = query.question[0].rdtype == dns.rdatatype.DS
        if cut is not None and not (at_parent and cut.name == query.question[0].name):
            reply.authority.append(cut)
            for rdata in cut:
                for kind in ("A", "AAAA"):
                    _append(reply.additional, held.get_rrset(rdata.target, kind))
            return reply
        reply.flags |= dns.flags.AA
        _resolve(reply, [held], query)
        return reply

    return script


def resolves(*zones: dns.zone.Zone) -> Script:
    """Answer as a resolver does whose world are these zones."""

    def script(query: Message) -> Message:
        reply = dns.message.make_response(query, recursion_available=True)
        _resolve(reply, zones, query)
        return reply

    return script


def says(rcode: dns.rcode.Rcode) -> Script:
    """Answer everything with this rcode."""

    def script(query: Message) -> Message:
        reply = dns.message.make_response(query)
        reply.set_rcode(rcode)
        return reply

    return script


def silent(query: Message) -> None:
    """Never answer."""


def refers_upwards(query: Message) -> Message:
    """Answer as a server does that does not know the zone: with the root's servers."""
    reply = dns.message.make_response(query)
    reply.authority.append(dns.rrset.from_text(".", 300, "IN", "NS", "a.root-servers.net."))
    return reply


def without_edns(script: Script) -> Script:
    """Answer FORMERR to every query with OPT (RFC 6891 section 7)."""

    def wrapped(query: Message) -> Message | None:
        if query.edns < 0:
            return script(query)
        reply = dns.message.make_response(query)
        reply.use_edns(False)
        reply.set_rcode(dns.rcode.FORMERR)
        return reply

    return wrapped


def silent_to_edns(script: Script) -> Script:
    """Drop every query with OPT, as some firewalls do."""

    def wrapped(query: Message) -> Message | None:
        return script(query) if query.edns < 0 else None

    return wrapped


def bogus(script: Script, apex: str, *errors: int) -> Script:
    """Answer SERVFAIL for names of a zone unless checking is disabled, as a validator does."""
    held = dns.name.from_text(apex)

    def wrapped(query: Message) -> Message | None:
        if query.flags & dns.flags.CD or not query.question[0].name.is_subdomain(held):
            return script(query)
        reply = dns.message.make_response(query, recursion_available=True)
        reply.set_rcode(dns.rcode.SERVFAIL)
        codes: list[dns.edns.Option] = [
            dns.edns.EDEOption(dns.edns.EDECode.make(error)) for error in errors
        ]
        reply.use_edns(0, options=codes)
        return reply

    return wrapped


def adds(script: Script, *foreign: dns.rrset.RRset) -> Script:
    """Add records to the answer section that nobody asked for."""

    def wrapped(query: Message) -> Message | None:
        reply = script(query)
        if reply is not None:
            reply.answer.extend(foreign)
        return reply

    return wrapped


def _resolve(reply: Message, zones: Sequence[dns.zone.Zone], query: Message) -> None:
    """Fill in what the zones know, following CNAMEs among them."""
    name, kind = query.question[0].name, query.question[0].rdtype
    for _ in range(20):
        held = _holding(zones, name)
        if held is None:
            return
        found = held.get_rrset(name, kind)
        if found is not None:
            reply.answer.append(found)
            return
        alias = held.get_rrset(name, dns.rdatatype.CNAME)
        if alias is None:
            _append(reply.authority, held.get_rrset(held.origin or name, dns.rdatatype.SOA))
            if not any(known.is_subdomain(name) for known in held):
                reply.set_rcode(dns.rcode.NXDOMAIN)
            return
        if alias in reply.answer:
            return
        reply.answer.append(alias)
        name = alias[0].target


def _holding(zones: Sequence[dns.zone.Zone], name: dns.name.Name) -> dns.zone.Zone | None:
    """The deepest of the zones that holds a name."""
    fitting = [one for one in zones if one.origin is not None and name.is_subdomain(one.origin)]
    return max(fitting, key=lambda one: len(one.origin or ()), default=None)


def _cut(held: dns.zone.Zone, name: dns.name.Name) -> dns.rrset.RRset | None:
    """The NS records of a delegation at or above a name, below the apex."""
    return next(
        (
            found
            for ancestor in _ancestors(name)
            if ancestor != held.origin
            and ancestor.is_subdomain(held.origin or dns.name.root)
            and (found := held.get_rrset(ancestor, dns.rdatatype.NS)) is not None
        ),
        None,
    )


def _ancestors(name: dns.name.Name) -> Iterator[dns.name.Name]:
    while name != dns.name.root:
        yield name
        name = name.parent()


def _append(section: list[dns.rrset.RRset], rrset: dns.rrset.RRset | None) -> None:
    if rrset is not None:
        section.append(rrset)

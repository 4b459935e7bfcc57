# SPDX-License-Identifier: Apache-2.0
"""An authoritative DNS server for the lab's zones, over UDP and TCP, editable while it runs.

It also plays the resolver: it answers recursive questions about its own zones in the same way, so
that both points of view of the engine are served. Edits come from code, or over the network as
DNS UPDATE (RFC 2136), which ``postroom lab set`` and nsupdate speak; only loopback can reach it.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator, Sequence
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.update

from postroom.dns.names import and_ancestors, canonical

#: Low, so that an edit is seen at once.
TTL = 1
_ALIAS_LIMIT = 8
_UDP_PLAIN = 512
_TCP_LIMIT = 65535

Key = tuple[str, str]


class ZoneData:
    """The records of all zones: (name, type) to values in presentation form.

    TXT values are the whole text; they are split into strings on the wire.
    """

    def __init__(self, apexes: Sequence[str], nameserver: str, address: str) -> None:
        self.apexes = tuple(apexes)
        self._nameserver = nameserver
        self._records: dict[Key, list[str]] = {(nameserver, "A"): [address]}
        self._serials = dict.fromkeys(apexes, 1)
        for apex in apexes:
            self._records[apex, "NS"] = [nameserver]

    def zone_of(self, name: str) -> str | None:
        """Return the apex of the zone that holds a name, None if it is not served here."""
        return next(
            (ancestor for ancestor in and_ancestors(name) if ancestor in self._serials), None
        )

    def get(self, name: str, kind: str) -> list[str]:
        """Return the values at a name, SOA included."""
        if kind == "SOA" and name in self._serials:
            serial = self._serials[name]
            return [f"{self._nameserver}. hostmaster.{name}. {serial} 60 60 3600 {TTL}"]
        return self._records.get((name, kind), [])

    def exists(self, name: str) -> bool:
        """Tell whether anything stands at a name or below it (RFC 8020)."""
        return any(known == name or known.endswith(f".{name}") for known, _ in self._records)

    def add(self, name: str, kind: str, value: str) -> None:
        """Add a record, unless it is there."""
        name = canonical(name)
        values = self._records.setdefault((name, kind), [])
        if value not in values:
            values.append(value)
            self._bump(name)

    def replace(self, name: str, kind: str, values: Sequence[str]) -> None:
        """Put these records in the place of all of the name and type."""
        self.remove(name, kind)
        for value in values:
            self.add(name, kind, value)

    def remove(self, name: str, kind: str, value: str | None = None) -> None:
        """Remove one record, or all of the name and type."""
        name = canonical(name)
        left = [one for one in self.get(name, kind) if value is not None and one != value]
        if left:
            self._records[name, kind] = left
        else:
            self._records.pop((name, kind), None)
        self._bump(name)

    def records(self) -> Iterator[tuple[str, str, str]]:
        """Yield every record but SOA."""
        for (name, kind), values in sorted(self._records.items()):
            for value in values:
                yield name, kind, value

    def _bump(self, name: str) -> None:
        apex = self.zone_of(name)
        if apex is not None:
            self._serials[apex] += 1


class LabDns:
    """The server. `start` raises `OSError` where the port is taken."""

    def __init__(self, zones: ZoneData, address: str, port: int) -> None:
        self.zones = zones
        self._address, self._port = address, port
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen on UDP and TCP."""
        loop = asyncio.get_running_loop()
        self._udp, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self), local_addr=(self._address, self._port)
        )
        try:
            self._tcp = await asyncio.start_server(self._converse, self._address, self._port)
        except OSError:
            self._udp.close()
            raise

    async def stop(self) -> None:
        """Stop listening."""
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
            await self._tcp.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                reply = self.respond(await reader.readexactly(length), limit=_TCP_LIMIT)
                if reply is not None:
                    writer.write(struct.pack("!H", len(reply)) + reply)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def respond(self, wire: bytes, *, limit: int | None) -> bytes | None:
        """Answer one message; `limit` is its largest size, None: what its EDNS says."""
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return None
        if isinstance(query, dns.update.UpdateMessage):
            reply = self._update(query)
        else:
            reply = self._answer(query)
        size = limit or max(query.payload if query.edns >= 0 else _UDP_PLAIN, _UDP_PLAIN)
        try:
            return reply.to_wire(max_size=size)
        except dns.exception.TooBig:
            short = dns.message.make_response(query)
            short.flags |= dns.flags.TC | dns.flags.AA
            return short.to_wire()

    def _answer(self, query: dns.message.Message) -> dns.message.Message:
        reply = dns.message.make_response(query, recursion_available=True)
        if len(query.question) != 1:
            reply.set_rcode(dns.rcode.FORMERR)
            return reply
        question = query.question[0]
        name, kind = canonical(question.name.to_text()), dns.rdatatype.to_text(question.rdtype)
        if self.zones.zone_of(name) is None:
            recursive = bool(query.flags & dns.flags.RD)
            reply.set_rcode(dns.rcode.NXDOMAIN if recursive else dns.rcode.REFUSED)
            return reply
        reply.flags |= dns.flags.AA
        end = self._put_answers(reply, name, kind)
        if not reply.answer or reply.answer[-1].name != dns.name.from_text(end):
            self._put_denial(reply, end)
        return reply

    def _put_answers(self, reply: dns.message.Message, name: str, kind: str) -> str:
        """Add the records, following CNAMEs inside our zones; return the last name."""
        for _ in range(_ALIAS_LIMIT):
            values = self.zones.get(name, kind)
            if values:
                reply.answer.append(_rrset(name, kind, values))
                return name
            target = self.zones.get(name, "CNAME")
            if not target or kind == "CNAME":
                return name
            reply.answer.append(_rrset(name, "CNAME", target))
            name = canonical(target[0])
            if self.zones.zone_of(name) is None:
                return name
        return name

    def _put_denial(self, reply: dns.message.Message, name: str) -> None:
        """Say no: NXDOMAIN or an empty answer, with the SOA for the caches (RFC 2308)."""
        apex = self.zones.zone_of(name)
        if apex is None:
            return
        if not self.zones.exists(name):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        reply.authority.append(_rrset(apex, "SOA", self.zones.get(apex, "SOA")))

    def _update(self, update: dns.update.UpdateMessage) -> dns.message.Message:
        """Carry out a DNS UPDATE; prerequisites are not supported."""
        reply = dns.message.make_response(update)
        if update.prerequisite:
            reply.set_rcode(dns.rcode.NOTIMP)
            return reply
        for rrset in update.update:
            name = canonical(rrset.name.to_text())
            kind = dns.rdatatype.to_text(rrset.rdtype)
            if self.zones.zone_of(name) is None:
                reply.set_rcode(dns.rcode.NOTZONE)
                return reply
            values = [_value(rdata) for rdata in rrset]
            if rrset.deleting == dns.rdataclass.ANY:
                self.zones.remove(name, kind)
            for value in values:
                if rrset.deleting == dns.rdataclass.NONE:
                    self.zones.remove(name, kind, value)
                else:
                    self.zones.add(name, kind, value)
        return reply


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: LabDns) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not isinstance: the selector loop's own class is no subclass before Python 3.12.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = self._server.respond(data, limit=None)
        if reply is not None and self._transport is not None:
            self._transport.sendto(reply, addr)


def _rrset(name: str, kind: str, values: Sequence[str]) -> dns.rrset.RRset:
    rdatas = [to_rdata(kind, value) for value in values]
    return dns.rrset.from_rdata_list(dns.name.from_text(name), TTL, rdatas)


def to_rdata(kind: str, value: str) -> dns.rdata.Rdata:
    """Make a record from a value; TXT is split into strings of at most 255 bytes."""
    if kind == "TXT":
        raw = value.encode("latin-1", "replace")
        pieces = [raw[start : start + 255] for start in range(0, len(raw), 255)] or [b""]
        value = " ".join('"' + _escaped(piece) + '"' for piece in pieces)
    elif kind in ("CNAME", "NS", "MX") and not value.endswith("."):
        value = f"{value}."
    return dns.rdata.from_text(dns.rdataclass.IN, kind, value)


def _escaped(raw: bytes) -> str:
    return "".join(
        f"\\{one:03d}" if one < 32 or one > 126 or one in (34, 92) else chr(one) for one in raw
    )


def _value(rdata: dns.rdata.Rdata) -> str:
    """The inverse of `to_rdata`."""
    strings = getattr(rdata, "strings", None)
    if strings is not None:
        return b"".join(strings).decode("latin-1")
    text = rdata.to_text()
    return text if text.endswith(" .") else text.rstrip(".")

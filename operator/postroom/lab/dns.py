# SPDX-License-Identifier: Apache-2.0
"""An authoritative DNS server for the lab's zones, over UDP and TCP, editable while it runs.

It also plays the resolver: it answers recursive questions about its own zones in the same way, so
that both points of view of the engine are served. Edits come from code, or over the network as
DNS UPDATE (RFC 2136), and whole zones are given away (AXFR, RFC 5936): external-dns, nsupdate and
their like work with it. Only loopback can reach it. Messages may be signed with the lab's key
(TSIG, RFC 8945); what is signed otherwise is refused.
"""

import asyncio
import base64
import struct
import time
from collections.abc import Iterator
from typing import cast

import dns.exception
import dns.message
import dns.name
import dns.update
from dns import flags, opcode, rcode, rdatatype, tsig

from postroom.dns.names import canonical
from postroom.lab import dns_update
from postroom.lab.zone_data import ZoneData, rrset

_ALIAS_LIMIT = 8
_UDP_PLAIN = 512
_TCP_LIMIT = 65535
#: Records of a transfer are at most so long together, so that each message holds some.
_TRANSFER_LIMIT, _NAME_AND_HEADER = 16384, 265
_TRANSFERS = (rdatatype.AXFR, rdatatype.IXFR)
#: The lab's own key, the same in every lab; no secret.
KEY_NAME, KEY_SECRET = "postroom-lab", "cG9zdHJvb20gbGFiOiB0aGlzIGlzIG5vIHNlY3JldCE="
#: For whatever algorithm a message is signed with.
_KEYS = {dns.name.from_text(KEY_NAME): base64.b64decode(KEY_SECRET)}


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
                for reply in self.converse(await reader.readexactly(length)):
                    writer.write(struct.pack("!H", len(reply)) + reply)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def converse(self, wire: bytes) -> Iterator[bytes]:
        """Answer one message over TCP, a transfer by as many messages as it takes."""
        query = _parse(wire)
        if isinstance(query, bytes):
            yield query
        elif query is not None:
            asked = query.question
            if len(asked) == 1 and asked[0].rdtype in _TRANSFERS:
                yield from self._transfer(query)
            else:
                yield self._respond(query, _TCP_LIMIT)

    def respond(self, wire: bytes) -> bytes | None:
        """Answer one message over UDP, in as many bytes as its EDNS says; None: not at all."""
        query = _parse(wire)
        if query is None or isinstance(query, bytes):
            return query
        return self._respond(query, max(query.payload if query.edns >= 0 else 0, _UDP_PLAIN))

    def _respond(self, query: dns.message.Message, size: int) -> bytes:
        if isinstance(query, dns.update.UpdateMessage):
            reply = dns.message.make_response(query)
            reply.set_rcode(dns_update.apply(query, self.zones))
        else:
            reply = self._answer(query)
        try:
            return reply.to_wire(max_size=size)
        except dns.exception.TooBig:
            short = dns.message.make_response(query)
            short.flags |= flags.TC | flags.AA
            return short.to_wire()

    def _transfer(self, query: dns.message.Message) -> Iterator[bytes]:
        """Give away a zone (RFC 5936); whoever asks for its changes gets all of it (RFC 1995)."""
        apex = canonical(query.question[0].name.to_text())
        reply = dns.message.make_response(query)
        if apex not in self.zones.apexes:
            reply.set_rcode(rcode.NOTAUTH)
            yield reply.to_wire()
            return
        # What EDNS says of a message's size is about UDP (RFC 6891 section 6.2.3).
        size, context = 0, None
        for records in self.zones.transfer(apex):
            length = sum(len(rdata.to_wire() or b"") + _NAME_AND_HEADER for rdata in records)
            if reply.answer and size + length > _TRANSFER_LIMIT:
                yield reply.to_wire(max_size=_TCP_LIMIT, multi=True, tsig_ctx=context)
                context, size = reply.tsig_ctx, 0
                reply = dns.message.make_response(query)
                reply.question = []
            reply.flags |= flags.AA
            reply.answer.append(records)
            size += length
        yield reply.to_wire(max_size=_TCP_LIMIT, multi=True, tsig_ctx=context)

    def _answer(self, query: dns.message.Message) -> dns.message.Message:
        reply = dns.message.make_response(query, recursion_available=True)
        if len(query.question) != 1:
            reply.set_rcode(rcode.FORMERR)
            return reply
        question = query.question[0]
        if question.rdtype in _TRANSFERS:
            # Only over TCP (RFC 5936 section 4.2).
            reply.set_rcode(rcode.NOTIMP)
            return reply
        name, kind = canonical(question.name.to_text()), rdatatype.to_text(question.rdtype)
        if self.zones.zone_of(name) is None:
            recursive = bool(query.flags & flags.RD)
            reply.set_rcode(rcode.NXDOMAIN if recursive else rcode.REFUSED)
            return reply
        reply.flags |= flags.AA
        end = self._put_answers(reply, name, kind)
        if not reply.answer or reply.answer[-1].name != dns.name.from_text(end):
            # NXDOMAIN or an empty answer, with the SOA for the caches (RFC 2308).
            apex = self.zones.zone_of(end)
            if apex is not None:
                exists = self.zones.exists(end)
                reply.set_rcode(rcode.NOERROR if exists else rcode.NXDOMAIN)
                reply.authority.append(rrset(apex, "SOA", self.zones.get(apex, "SOA")))
        return reply

    def _put_answers(self, reply: dns.message.Message, name: str, kind: str) -> str:
        """Add the records, following CNAMEs inside our zones; return the last name."""
        for _ in range(_ALIAS_LIMIT):
            values = self.zones.get(name, kind)
            if values:
                reply.answer.append(rrset(name, kind, values))
                return name
            target = self.zones.get(name, "CNAME")
            if not target or kind == "CNAME":
                return name
            reply.answer.append(rrset(name, "CNAME", target))
            name = canonical(target[0])
            if self.zones.zone_of(name) is None:
                return name
        return name


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: LabDns) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not isinstance: the selector loop's own class is no subclass before Python 3.12.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = self._server.respond(data)
        if reply is not None and self._transport is not None:
            self._transport.sendto(reply, addr)


def _parse(wire: bytes) -> dns.message.Message | bytes | None:
    """Read a message; bytes are the refusal of its signature (RFC 8945 section 5.2)."""
    try:
        return dns.message.from_wire(wire, keyring=_KEYS)
    except (
        dns.message.UnknownTSIGKey,
        tsig.BadKey,
        tsig.BadAlgorithm,
        NotImplementedError,
    ):
        error = rcode.BADKEY
    except tsig.BadSignature:
        error = rcode.BADSIG
    except tsig.BadTime:
        error = rcode.BADTIME
    except dns.exception.DNSException:
        return None
    # What is wrong is said in a record that signs nothing.
    query = dns.message.from_wire(wire, keyring=False)
    reply = dns.message.Message(query.id)
    reply.flags = flags.QR | opcode.to_flags(query.opcode())
    reply.question = list(query.question)
    reply.set_rcode(rcode.NOTAUTH)
    asked = query.tsig
    if asked is not None:
        now = int(time.time()).to_bytes(6, "big") if error == rcode.BADTIME else b""
        refused = asked[0].replace(mac=b"", error=error, other=now)
        reply.additional.append(dns.rrset.from_rdata(asked.name, 0, refused))
    return reply.to_wire()

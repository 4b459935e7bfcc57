# SPDX-License-Identifier: Apache-2.0
"""A plain client of a world: one query, one reply, dnspython's codec; for looking at the world."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.rdatatype

from dnsworld.world import World
from postroom.dns.asking.transport import ServerAddress

_TIMEOUT = 2.0


async def ask(
    world: World,
    name: str,
    kind: str,
    *,
    server: str | None = None,
    flags: int = 0,
    edns: bool = True,
    tcp: bool = False,
) -> dns.message.Message:
    """Ask the resolver, or the server at an address, without recursion there.

    `flags` are further header flags. Raises what the transport raises.
    """
    flags |= dns.flags.RD if server is None else 0
    query = dns.message.make_query(
        name, kind, use_edns=0 if edns else None, payload=1232 if edns else None, flags=flags
    )
    address = world.resolver_address if server is None else ServerAddress(server)
    send = world.transport.tcp if tcp else world.transport.udp
    wire = await send(address, query.to_wire(), _TIMEOUT)
    reply = dns.message.from_wire(wire)
    if not query.is_response(reply):
        raise ValueError("The reply is to another query.")
    return reply


def answers(reply: dns.message.Message, kind: str) -> list[str]:
    """The records of a type in the answer section, as a zone file writes them, sorted."""
    wanted = dns.rdatatype.from_text(kind)
    return sorted(
        data.to_text() for rrset in reply.answer if rrset.rdtype == wanted for data in rrset
    )


def errors(reply: dns.message.Message) -> list[int]:
    """The extended error codes of a reply (RFC 8914), sorted."""
    return sorted(int(error.code) for error in reply.extended_errors())

# SPDX-License-Identifier: Apache-2.0
"""Hostile and broken servers against the asker, on loopback: each costs one bounded, classed look.

Covers: datagrams with another id, another question, from another address, garbage, queries sent
back; replies that are cut off, too large, full of pointers or of records; truncation without TCP;
NUL and control bytes; loops; closed ports; addresses without a route.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Sequence

import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.rrset
import pytest

from lab.asking_lab import (
    DEAD,
    DEEP,
    EXAMPLE,
    NS1,
    PROVIDER,
    RESOLVER,
    TIMING,
    Lab,
    dns_lab,
    question,
)
from lab.scripted_dns import Datagrams, Message, adds, resolves, serves, zone
from postroom.dns.answers import Answer, Outcome
from postroom.dns.asking.resolver import DnsAsker

ASKED = question("txt.example.test")
TRUTH = "v=spf1 include:provider.test -all"
FORGED = dns.rrset.from_text("txt.example.test.", 300, "IN", "TXT", "forged")


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with dns_lab() as running:
        await running.asker.zone_of("example.test")
        yield running


def forged(query: bytes, **changes: object) -> bytes:
    """A reply with another TXT, and whatever else is changed."""
    reply = dns.message.make_response(dns.message.from_wire(query))
    reply.flags |= dns.flags.AA
    reply.answer.append(FORGED)
    for name, value in changes.items():
        setattr(reply, name, value)
    return reply.to_wire()


def other_id(query: bytes, reply: bytes) -> Sequence[bytes]:
    wrong = dns.message.from_wire(query).id ^ 1
    return [forged(query, id=wrong), reply]


def other_question(query: bytes, reply: bytes) -> Sequence[bytes]:
    elsewhere = dns.rrset.from_text("xxx.example.test.", 0, "IN", "TXT")
    return [forged(query, question=[elsewhere]), reply]


def no_question(query: bytes, reply: bytes) -> Sequence[bytes]:
    return [forged(query, question=[]), reply]


def garbage(query: bytes, reply: bytes) -> Sequence[bytes]:
    return [b"", b"\x00", query[:2], query[:2] + b"\xff" * 600, b"\x00" * 5000, reply]


def echoed(query: bytes, reply: bytes) -> Sequence[bytes]:
    return [query, reply]


def repeated(query: bytes, reply: bytes) -> Sequence[bytes]:
    return [reply] * 200


@pytest.mark.parametrize(
    "datagrams", [other_id, other_question, no_question, garbage, echoed, repeated]
)
async def test_what_does_not_belong_is_passed_over(lab: Lab, datagrams: Datagrams) -> None:
    lab.ns1.datagrams = lab.ns2.datagrams = datagrams
    answer = await lab.asker.authoritative(ASKED)
    assert (answer.outcome, answer.values) == (Outcome.FOUND, (TRUTH,))


async def test_an_answer_from_another_address_is_not_believed(lab: Lab) -> None:
    spoofer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    spoofer.bind((DEAD, lab.port))
    seen = list[tuple[str, int]]()

    def spoof(query: bytes, reply: bytes) -> Sequence[bytes]:
        for peer in seen:
            spoofer.sendto(forged(query), peer)
        return [reply]

    for server in (lab.ns1, lab.ns2):
        server.datagrams, server.peers = spoof, seen
    try:
        answer = await lab.asker.authoritative(ASKED)
    finally:
        spoofer.close()
    assert seen
    assert answer.values == (TRUTH,)


def cut_off(query: bytes, reply: bytes) -> Sequence[bytes]:
    return [reply[:-3]]


def enormous(query: bytes, reply: bytes) -> Sequence[bytes]:
    message = dns.message.make_response(dns.message.from_wire(query))
    strings = " ".join(["x" * 255] * 30)
    message.answer.append(dns.rrset.from_text("txt.example.test.", 300, "IN", "TXT", strings))
    return [message.to_wire(max_size=65535)]


def pointers_in_a_circle(query: bytes, reply: bytes) -> Sequence[bytes]:
    head = reply[:2] + b"\x84\x00" + struct.pack("!HHHH", 1, 1, 0, 0)
    asked = query[12 : query.index(b"\x00", 12) + 5]
    here = len(head) + len(asked)
    circle = struct.pack("!H", 0xC000 | here)
    return [head + asked + circle + struct.pack("!HHIH", 16, 1, 60, 0)]


def counts_that_lie(query: bytes, reply: bytes) -> Sequence[bytes]:
    return [reply[:6] + b"\xff\xff\xff\xff\xff\xff" + reply[12:]]


@pytest.mark.parametrize("datagrams", [cut_off, enormous, pointers_in_a_circle, counts_that_lie])
async def test_what_cannot_be_read_is_malformed(lab: Lab, datagrams: Datagrams) -> None:
    lab.ns1.datagrams = lab.ns2.datagrams = datagrams
    answer = await lab.asker.authoritative(ASKED)
    assert (answer.outcome, answer.values) == (Outcome.MALFORMED, ())


async def test_one_server_that_cannot_be_read_costs_nothing(lab: Lab) -> None:
    lab.ns1.datagrams = cut_off
    answer = await lab.asker.authoritative(ASKED)
    assert (answer.outcome, answer.values) == (Outcome.FOUND, (TRUTH,))


def pointer_bomb(query: bytes, reply: bytes) -> Sequence[bytes]:
    """Two hundred records, each two pointers to the longest name: seconds for a careless parser."""
    longest = b"\x01x" * 126 + b"\x00"
    head = reply[:2] + b"\x84\x00" + struct.pack("!HHHH", 1, 200, 0, 0)
    asked = query[12 : query.index(b"\x00", 12) + 5]
    pointer = struct.pack("!H", 0xC000 | len(head + asked) + 12)
    first = b"\xc0\x0c" + struct.pack("!HHIH", 2, 1, 60, len(longest)) + longest
    another = pointer + struct.pack("!HHIH", 2, 1, 60, 2) + pointer
    return [head + asked + first + another * 199]


async def test_a_compression_bomb_takes_no_time(lab: Lab) -> None:
    lab.ns1.datagrams = lab.ns2.datagrams = pointer_bomb
    started = asyncio.get_running_loop().time()
    answer = await lab.asker.authoritative(ASKED)
    assert asyncio.get_running_loop().time() - started < 0.5
    assert answer.outcome is Outcome.MALFORMED


async def test_truncation_without_tcp_is_no_verdict(lab: Lab) -> None:
    lab.ns1.answers_tcp = lab.ns2.answers_tcp = False
    lab.resolver.answers_tcp = False
    answer = await lab.asker.authoritative(question("big.example.test"))
    assert (answer.outcome, answer.values) == (Outcome.TIMEOUT, ())


async def test_truncation_with_tcp_at_one_server_only_is_enough(lab: Lab) -> None:
    lab.ns1.answers_tcp = False
    for _ in range(2):
        answer = await lab.asker.authoritative(question("big.example.test"))
        assert answer.outcome is Outcome.FOUND


async def test_odd_bytes_are_values(lab: Lab) -> None:
    odd = zone(
        "example.test", '@ NS ns1\nnul TXT "a\\000b\\007\\255"\nn\\000l CNAME x\\000.test.\n'
    )
    lab.both(serves(odd))
    answer = await lab.asker.authoritative(question("nul.example.test"))
    assert answer.values == ("a\x00b\x07\xff",)


async def test_names_with_odd_bytes_are_read(lab: Lab) -> None:
    odd = zone("example.test", "@ NS ns1\nto CNAME x\\000\\.y.example.test.\n")
    lab.both(serves(odd))
    answer = await lab.asker.authoritative(question("to.example.test", "CNAME"))
    assert answer.values == ("x\\000\\.y.example.test",)
    followed = await lab.asker.authoritative(question("to.example.test"))
    assert (followed.outcome, followed.values) == (Outcome.NX_DOMAIN, ())


async def test_a_loop_of_referrals_ends(lab: Lab) -> None:
    def deeper(query: Message) -> Message:
        """Refer to a zone one label below the last, always to the same server."""
        reply = dns.message.make_response(query)
        name = query.question[0].name
        for cut in range(len(name) - 1):
            owner = dns.name.Name(name.labels[cut:])
            reply.authority.append(dns.rrset.from_text(owner, 60, "IN", "NS", "ns1.example.test."))
        return reply

    lab.both(deeper)
    answer = await lab.asker.authoritative(question("a.b.c.d.e.f.example.test"))
    assert not answer.conclusive


async def test_a_mass_of_name_servers_is_not_asked(lab: Lab) -> None:
    mass = "".join(f"@ NS n{one}\nn{one} A {NS1}\n" for one in range(60))
    lab.resolver.script = resolves(zone("mass.test", mass))
    assert len(await lab.asker.every_server(question("mass.test", "MX"))) == 8


async def test_a_closed_port_is_noticed_at_once(lab: Lab) -> None:
    asker = DnsAsker([(DEAD, lab.port)], timing=TIMING)
    started = asyncio.get_running_loop().time()
    assert (await asker.recursive(ASKED)).outcome is Outcome.TIMEOUT
    assert asyncio.get_running_loop().time() - started < TIMING.resolver


async def test_an_address_without_route_is_passed_over(lab: Lab) -> None:
    known = zone("example.test", f"@ NS ns1\nns1 AAAA 2001:db8:dead::1\nns1 A {NS1}\n")
    lab.resolver.script = resolves(known)
    asker = lab.fresh_asker()
    for _ in range(3):
        assert (await asker.authoritative(ASKED)).values == (TRUTH,)


async def test_foreign_glue_is_not_believed(lab: Lab) -> None:
    lie = dns.rrset.from_text("ns1.example.test.", 300, "IN", "A", DEAD)
    lab.resolver.script = adds(resolves(EXAMPLE), lie)
    asker = lab.fresh_asker()
    assert (await asker.authoritative(ASKED)).values == (TRUTH,)


async def test_of_hosts_of_others_a_referral_says_nothing(lab: Lab) -> None:
    """The server is named truly, and said to listen where somebody else has a false zone."""
    apex = "lent.example.test"
    parent = zone("example.test", f"@ NS ns1\nns1 A {NS1}\nlent NS host.provider.test.\n")
    lie = dns.rrset.from_text("host.provider.test.", 300, "IN", "A", PROVIDER)

    def refers(query: Message) -> Message | None:
        reply = serves(parent)(query)
        if reply is not None:
            reply.additional.append(lie)
        return reply

    lab.both(refers)
    real = zone(apex, "@ NS host.provider.test.\n@ TXT truth\n")
    false = zone(apex, "@ NS host.provider.test.\n@ TXT forged\n")
    lab.deep.script, lab.provider.script = serves(real), serves(false)
    host = zone("provider.test", f"@ NS ns\nns A {PROVIDER}\nhost A {DEEP}\n")
    lab.resolver.script = resolves(host, EXAMPLE)
    answer = await lab.asker.authoritative(question(apex))
    assert (answer.values, answer.authoritative) == (("truth",), True)
    assert not lab.provider.asked


async def test_a_resolver_that_lies_about_the_zone_is_no_verdict(lab: Lab) -> None:
    def liar(query: Message) -> Message:
        reply = dns.message.make_response(query, recursion_available=True)
        soa = "ns. host. 1 1 1 1 1"
        reply.authority.append(dns.rrset.from_text("elsewhere.", 1, "IN", "SOA", soa))
        return reply

    lab.resolver.script = liar
    asker = DnsAsker([(RESOLVER, lab.port)], authoritative_port=lab.port, timing=TIMING)
    assert isinstance(await asker.zone_of("example.test"), Answer)
    assert not (await asker.authoritative(ASKED)).authoritative

# SPDX-License-Identifier: Apache-2.0
"""Servers that refer to others: with AA, upwards, some of a zone only, and in place of resolving.

And replies over TCP that come in pieces, or not whole.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Sequence

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from lab.asking_lab import (
    DEEP,
    EXAMPLE,
    NS1,
    NS2,
    TOP,
    Lab,
    dns_lab,
    question,
)
from lab.scripted_dns import Message, Script, Stream, framed, refers_upwards, serves, zone
from postroom.dns.answers import TCP_FAILED, Answer, Delegation, Outcome

DEEPER, BIG = question("sub.example.test"), question("big.example.test")
ASKED = question("txt.example.test")
TRUTH = "v=spf1 include:provider.test -all"
#: A version of the zone in which a name is handed to another server.
HANDED_AWAY = zone(
    "example.test",
    f"@ NS ns1\n@ NS ns2\nns1 A {NS1}\nns2 A {NS2}\ntxt NS ns.sub\nns.sub A {DEEP}\n",
)


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with dns_lab() as running:
        await running.asker.zone_of("example.test")
        yield running


def with_aa(script: Script) -> Script:
    """Set AA in all that is said, as some load balancers do."""

    def wrapped(query: Message) -> Message | None:
        reply = script(query)
        if reply is not None:
            reply.flags |= dns.flags.AA
        return reply

    return wrapped


def denies_as_the_root(query: Message) -> Message:
    """Answer as a server does that has made up a root of its own."""
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.AA
    reply.set_rcode(dns.rcode.NXDOMAIN)
    reply.authority.append(dns.rrset.from_text(".", 300, "IN", "SOA", "ns. host. 1 2 3 4 5"))
    return reply


async def test_a_referral_is_followed_whatever_aa_says(lab: Lab) -> None:
    """RFC 2308 section 2.2: what it lacks is a SOA; resolvers follow it."""
    lab.both(with_aa(serves(EXAMPLE)))
    answer = await lab.asker.authoritative(DEEPER)
    assert (answer.outcome, answer.values) == (Outcome.FOUND, ("deeper",))
    looks = await lab.asker.every_server(DEEPER)
    assert [look.answer.values for look in looks] == [("deeper",)]


async def test_a_delegation_is_one_whatever_aa_says(lab: Lab) -> None:
    lab.parent.script = with_aa(serves(TOP))
    found = await lab.asker.delegation("example.test")
    assert isinstance(found, Delegation)
    assert found.nameservers == ("ns1.example.test", "ns2.example.test")


@pytest.mark.parametrize("script", [with_aa(refers_upwards), denies_as_the_root])
async def test_a_parent_that_does_not_serve_its_zone_denies_nothing(
    lab: Lab, script: Script
) -> None:
    lab.parent.script = script
    found = await lab.asker.delegation("example.test")
    assert isinstance(found, Answer)
    assert (found.outcome, found.authoritative) == (Outcome.REFUSED, False)


async def test_a_referral_upwards_denies_nothing_whatever_aa_says(lab: Lab) -> None:
    lab.both(with_aa(refers_upwards))
    looks = await lab.asker.every_server(ASKED)
    assert {look.answer.outcome for look in looks} == {Outcome.REFUSED}


async def test_a_server_that_does_not_resolve_denies_nothing(lab: Lab) -> None:
    lab.resolver.script = refers_upwards
    answer = await lab.asker.shared(question("target.provider.test"))
    assert answer.outcome is Outcome.REFUSED


@pytest.mark.parametrize("away", [DEEPER.name, ASKED.name])
async def test_one_server_with_another_version_has_one_vote(lab: Lab, away: str) -> None:
    """Of two servers one hands the name away, to where nobody knows it, or it stands otherwise."""
    lab.ns2.script = serves(HANDED_AWAY)
    lab.deep.script = serves(zone(away, f"@ NS ns\nns A {DEEP}\n@ TXT other\n"))
    looks = await lab.asker.every_server(ASKED)
    found = {look.nameserver: look.answer.values for look in looks}
    there = ("other",) if away == ASKED.name else ()
    assert found == {"ns1.example.test": (TRUTH,), "ns2.example.test": there}
    # Nor does what one of them says move the zone for looks to come.
    for _ in range(2):
        assert (await lab.asker.authoritative(ASKED)).values == (TRUTH,)


def in_pieces(wire: bytes) -> Sequence[bytes]:
    (whole,) = framed(wire)
    return [whole[at : at + 7] for at in range(0, len(whole), 7)]


def beside_empty_frames(wire: bytes) -> Sequence[bytes]:
    return [b"\0\0" * 40, *framed(wire)]


def closed_in_the_middle(wire: bytes) -> Sequence[bytes]:
    return [struct.pack("!H", len(wire)) + wire[: len(wire) // 2]]


def prefix_too_long(wire: bytes) -> Sequence[bytes]:
    return [struct.pack("!H", len(wire) + 9) + wire]


def prefix_too_short(wire: bytes) -> Sequence[bytes]:
    return [struct.pack("!H", len(wire) - 9) + wire]


def truncated_again(wire: bytes) -> Sequence[bytes]:
    reply = dns.message.from_wire(wire)
    reply.flags |= dns.flags.TC
    return framed(reply.to_wire(max_size=65535))


@pytest.mark.parametrize(
    ("sent", "outcome", "errors"),
    [
        (in_pieces, Outcome.FOUND, ()),
        (beside_empty_frames, Outcome.FOUND, ()),
        (closed_in_the_middle, Outcome.TIMEOUT, (TCP_FAILED,)),
        (prefix_too_long, Outcome.TIMEOUT, (TCP_FAILED,)),
        (prefix_too_short, Outcome.MALFORMED, ()),
        (truncated_again, Outcome.MALFORMED, ()),
    ],
)
async def test_over_tcp_all_of_it_counts_or_nothing(
    lab: Lab, sent: Stream, outcome: Outcome, errors: tuple[int, ...]
) -> None:
    for server in (lab.ns1, lab.ns2, lab.resolver):
        server.stream = sent
    answer = await lab.asker.authoritative(BIG)
    assert (answer.outcome, bool(answer.values)) == (outcome, outcome is Outcome.FOUND)
    assert answer.errors == errors

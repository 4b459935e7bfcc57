# SPDX-License-Identifier: Apache-2.0
"""One query and its reply: without EDNS where a server knows none, over TCP where it was cut."""

from __future__ import annotations

import asyncio

import dns.flags
import dns.message
import dns.rcode
import pytest

from postroom.dns.answers import Outcome, Question, RecordType
from postroom.dns.asking.exchange import Exchange, Server
from postroom.dns.asking.health import Health
from postroom.dns.asking.https import HttpsClient, HttpsServer
from postroom.dns.asking.transport import ServerAddress
from postroom.dns.asking.wire import Reply, View

SERVER = ServerAddress("192.0.2.1")
ASKED = Question("x.example", RecordType.TXT)


class Scripted:
    """A server whose replies are bent in one way; `log` has every query, and what is in flight."""

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.log: list[str] = []
        self.exchange: Exchange | None = None

    async def udp(self, server: ServerAddress, query: bytes, timeout: float) -> bytes:  # noqa: ASYNC109
        parsed = dns.message.from_wire(query)
        self.log.append("udp edns" if parsed.edns >= 0 else "udp plain")
        if self.fault == "silent":
            raise TimeoutError
        reply = dns.message.make_response(parsed)
        if self.fault == "always formerr" or (self.fault == "formerr" and parsed.edns >= 0):
            reply = dns.message.make_response(parsed, our_payload=0)
            reply.use_edns(False)
            reply.set_rcode(dns.rcode.FORMERR)
        if self.fault.startswith("truncated"):
            reply.flags |= dns.flags.TC
        if self.fault == "stranger":
            reply.id ^= 1
        return reply.to_wire()

    async def tcp(self, server: ServerAddress, query: bytes, timeout: float) -> bytes:  # noqa: ASYNC109
        assert self.exchange is not None
        self.log.append(f"tcp {timeout:g} {(SERVER, ASKED) in self.exchange.over_tcp}")
        if self.fault == "truncated, refused":
            raise ConnectionRefusedError
        reply = dns.message.make_response(dns.message.from_wire(query))
        reply.flags |= dns.flags.AA
        if self.fault == "truncated, stranger":
            reply.id ^= 1
        if self.fault == "truncated, twice":
            reply.flags |= dns.flags.TC
        return reply.to_wire()


async def ask(fault: str = "", *, edns: bool = True) -> tuple[Reply, list[str], bool]:
    """The reply, the queries, and whether the server may be asked with EDNS from then on."""
    transport, health = Scripted(fault), Health[Server](0.1, 0.2)
    exchange = transport.exchange = Exchange(transport, HttpsClient(), health)
    reply = await exchange.ask(SERVER, ASKED, View.NAMESERVER, edns=edns, limit=4.0)
    assert exchange.over_tcp == set()
    assert health.heard_since(SERVER, asyncio.get_running_loop().time() - 60)
    return reply, transport.log, health.knows_edns(SERVER)


@pytest.mark.parametrize(("edns", "sent"), [(True, "udp edns"), (False, "udp plain")])
async def test_one_query_is_enough(edns: bool, sent: str) -> None:
    reply, log, known = await ask(edns=edns)
    assert isinstance(reply, dns.message.Message)
    assert (log, known) == ([sent], True)


async def test_who_does_not_understand_edns_is_asked_without_and_that_is_learnt() -> None:
    reply, log, known = await ask("formerr")
    assert isinstance(reply, dns.message.Message)
    assert reply.rcode() == dns.rcode.NOERROR
    assert (log, known) == (["udp edns", "udp plain"], False)


async def test_who_fails_without_edns_too_is_not_held_to_know_none() -> None:
    reply, log, known = await ask("always formerr")
    assert isinstance(reply, dns.message.Message)
    assert reply.rcode() == dns.rcode.FORMERR
    assert (log, known) == (["udp edns", "udp plain"], True)


async def test_what_did_not_fit_is_asked_for_over_tcp_in_half_the_time() -> None:
    reply, log, _ = await ask("truncated")
    assert isinstance(reply, dns.message.Message)
    assert reply.flags & dns.flags.AA
    assert log == ["udp edns", "tcp 2 True"]


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("truncated, refused", Outcome.TIMEOUT),
        ("truncated, stranger", Outcome.MALFORMED),
        ("stranger", Outcome.MALFORMED),
    ],
)
async def test_what_is_no_reply(fault: str, outcome: Outcome) -> None:
    reply, _, _ = await ask(fault)
    assert reply is outcome


async def test_silence_is_raised() -> None:
    with pytest.raises(TimeoutError):
        await ask("silent")


class Https(HttpsClient):
    async def ask(self, server: HttpsServer, query: bytes, limit: float) -> bytes:
        reply = dns.message.make_response(dns.message.from_wire(query))
        reply.flags |= dns.flags.TC
        return reply.to_wire()


async def test_over_https_and_tcp_everything_fits() -> None:
    """Part of an answer is none: what is missing there may be what was asked for."""
    transport = Scripted()
    exchange = Exchange(transport, Https(), Health[Server](0.1, 0.2))
    server = HttpsServer("https://resolver.example/dns-query")
    reply = await exchange.ask(server, ASKED, View.RESOLVER, edns=True, limit=4.0)
    assert reply is Outcome.MALFORMED
    assert transport.log == []
    assert (await ask("truncated, twice"))[0] is Outcome.MALFORMED

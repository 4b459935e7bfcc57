# SPDX-License-Identifier: Apache-2.0
"""A small DNS world on loopback for the tests of the asker: zones, their servers, a resolver."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from lab.scripted_dns import Script, ScriptedServer, resolves, serves, zone
from loopback import own_address
from postroom.dns.answers import Question, RecordType
from postroom.dns.asking.limiter import QueryLimiters
from postroom.dns.asking.resolver import DnsAsker
from postroom.dns.asking.retrying import Timing
from postroom.lab.operator_process import OwnPort

RESOLVER, NS1, NS2, PROVIDER, DEEP, DEAD, PARENT = map(own_address, range(51, 58))
TIMING = Timing(least=0.05, resolver=0.08, unknown=0.08, question=1.5, look=3.0)
LONG = "x" * 250

EXAMPLE = zone(
    "example.test",
    f"""
@ NS ns1
@ NS ns2
ns1 A {NS1}
ns2 A {NS2}
@ MX 10 MX.Provider.test.
txt TXT "v=spf1 include:" "provider.test -all"
big TXT {" ".join([LONG] * 12)}
alias CNAME target.provider.test.
inner CNAME alias
dangling CNAME gone.provider.test.
loop CNAME loop.provider.test.
odd CNAME a\\.b.provider.test.
a.b.c TXT "deep"
sub NS ns.sub
ns.sub A {DEEP}
""",
)
PROVIDED = zone(
    "provider.test",
    f"""
@ NS ns
ns A {PROVIDER}
mx A 192.0.2.1
mx AAAA 2001:db8::1
mail CNAME mx
target TXT "p=key"
loop CNAME loop.example.test.
""",
)
SUB = zone("sub.example.test", f"@ NS ns\nns A {DEEP}\n@ TXT deeper\n")
TOP = zone(
    "test",
    f"""
@ NS ns
ns A {PARENT}
example NS ns1.example
example NS ns2.example
example DS 1 8 2 {"ab" * 32}
ns1.example A {NS1}
ns2.example A {NS2}
provider NS ns.provider
ns.provider A {PROVIDER}
""",
)


@dataclass
class Lab:
    """The servers, and an asker that knows only the resolver."""

    resolver: ScriptedServer
    ns1: ScriptedServer
    ns2: ScriptedServer
    provider: ScriptedServer
    deep: ScriptedServer
    parent: ScriptedServer
    port: int
    asker: DnsAsker

    def both(self, script: Script) -> None:
        """Script the servers of example.test alike."""
        self.ns1.script = self.ns2.script = script

    def fresh_asker(
        self, *, timing: Timing = TIMING, limiters: QueryLimiters | None = None
    ) -> DnsAsker:
        """Another asker, which has learnt nothing yet."""
        return DnsAsker(
            [(RESOLVER, self.port)], authoritative_port=self.port, timing=timing, limiters=limiters
        )


@asynccontextmanager
async def running(servers: Sequence[ScriptedServer]) -> AsyncIterator[int]:
    """Run servers at one port, which is yielded."""
    # None of those that whoever asks, at all addresses, is given for a moment.
    held = OwnPort()
    try:
        for server in servers:
            await server.start(held.number)
        yield held.number
    finally:
        for server in servers:
            server.stop()


@asynccontextmanager
async def dns_lab() -> AsyncIterator[Lab]:
    """Run the world."""
    servers = [
        ScriptedServer(RESOLVER, resolves(EXAMPLE, PROVIDED, TOP)),
        ScriptedServer(NS1, serves(EXAMPLE)),
        ScriptedServer(NS2, serves(EXAMPLE)),
        ScriptedServer(PROVIDER, serves(PROVIDED)),
        ScriptedServer(DEEP, serves(SUB)),
        ScriptedServer(PARENT, serves(TOP)),
    ]
    async with running(servers) as port:
        resolver, ns1, ns2, provider, deep, parent = servers
        asker = DnsAsker([(RESOLVER, port)], authoritative_port=port, timing=TIMING)
        yield Lab(resolver, ns1, ns2, provider, deep, parent, port, asker)


def question(name: str, kind: str = "TXT") -> Question:
    """A question of a test."""
    return Question(name, RecordType(kind))

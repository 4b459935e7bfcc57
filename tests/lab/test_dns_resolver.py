# SPDX-License-Identifier: Apache-2.0
"""The asker against real DNS servers on loopback, over UDP and TCP.

Covers: zone cuts; both views; NXDOMAIN and NODATA; truncation; servers that are lame, failing,
silent or without EDNS; blocked authoritative servers; aliases across zones, loops, referrals;
bounds on absurd answers; lost datagrams, resolvers in turn; shared and limited questions.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import dns.message
import dns.rcode
import dns.rrset
import pytest

from lab.asking_lab import (
    DEAD,
    EXAMPLE,
    LONG,
    PROVIDER,
    RESOLVER,
    TIMING,
    Lab,
    dns_lab,
    question,
)
from lab.scripted_dns import (
    Script,
    adds,
    refers_upwards,
    resolves,
    says,
    serves,
    silent,
    without_edns,
    zone,
)
from postroom.api.hosts import AliasedAddresses
from postroom.dns.answers import Answer, Outcome, Zone
from postroom.dns.asking.limiter import NAMESERVER_LIMITS
from postroom.dns.asking.resolver import DnsAsker

MANY = zone(
    "example.test",
    "@ NS ns1\n"
    + "".join(f"many TXT {n}\n" for n in range(101))
    + "long TXT "
    + " ".join([LONG] * 66),
)


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with dns_lab() as running:
        yield running


async def test_the_zone_of_a_name_is_found_from_below(lab: Lab) -> None:
    expected = Zone("example.test", ("ns1.example.test", "ns2.example.test"))
    for name in ("example.test", "nothing.there.example.test", "alias.example.test"):
        assert await lab.asker.zone_of(name) == expected


@pytest.mark.parametrize(
    ("name", "kind", "outcome", "values"),
    [
        ("txt.example.test", "TXT", "Found", ("v=spf1 include:provider.test -all",)),
        ("example.test", "MX", "Found", ("10 mx.provider.test",)),
        ("alias.example.test", "CNAME", "Found", ("target.provider.test",)),
        ("txt.example.test", "A", "NoData", ()),
        ("c.example.test", "TXT", "NoData", ()),
        ("no.example.test", "TXT", "NXDomain", ()),
    ],
)
async def test_what_the_zone_says(
    lab: Lab, name: str, kind: str, outcome: str, values: tuple[str, ...]
) -> None:
    answer = await lab.asker.authoritative(question(name, kind))
    assert (answer.outcome, answer.values, answer.authoritative) == (outcome, values, True)
    cached = await lab.asker.recursive(question(name, kind))
    assert (cached.outcome, cached.values, cached.authoritative) == (outcome, values, False)


async def test_the_zone_is_believed_over_the_resolver(lab: Lab) -> None:
    fresh = zone("example.test", "@ NS ns1\ntxt TXT new\n")
    lab.both(serves(fresh))
    assert (await lab.asker.authoritative(question("txt.example.test"))).values == ("new",)
    assert (await lab.asker.recursive(question("txt.example.test"))).values != ("new",)


async def test_a_truncated_answer_is_asked_for_over_tcp(lab: Lab) -> None:
    answer = await lab.asker.authoritative(question("big.example.test"))
    assert answer.values == (LONG * 12,)
    assert ("big.example.test", "TXT", "TCP") in lab.ns1.asked


LAME: list[Script] = [
    says(dns.rcode.REFUSED),
    says(dns.rcode.SERVFAIL),
    refers_upwards,
    resolves(EXAMPLE),
]


@pytest.mark.parametrize("script", LAME, ids=["refused", "servfail", "upwards", "without aa"])
async def test_a_lame_server_is_passed_over(lab: Lab, script: Script) -> None:
    lab.ns1.script = script
    answer = await lab.asker.authoritative(question("no.example.test"))
    assert (answer.outcome, answer.authoritative) == (Outcome.NX_DOMAIN, True)


@pytest.mark.parametrize(
    ("script", "outcome"),
    list(zip(LAME, ["Refused", "ServerFailure", "Refused", "Refused"], strict=True)),
    ids=["refused", "servfail", "upwards", "without aa"],
)
async def test_all_servers_lame_is_no_answer_but_what_the_resolver_keeps(
    lab: Lab, script: Script, outcome: str
) -> None:
    lab.both(script)
    answer = await lab.asker.authoritative(question("no.example.test"))
    assert (answer.outcome, answer.values) == (outcome, ())
    answer = await lab.asker.authoritative(question("txt.example.test"))
    kept = ("v=spf1 include:provider.test -all",)
    assert (answer.outcome, answer.values, answer.authoritative) == (Outcome.FOUND, kept, False)


async def test_a_silent_server_costs_little(lab: Lab) -> None:
    lab.ns1.script = silent
    started = asyncio.get_running_loop().time()
    answer = await lab.asker.authoritative(question("txt.example.test"))
    assert answer.outcome is Outcome.FOUND
    assert asyncio.get_running_loop().time() - started < 4 * TIMING.unknown


async def test_behind_a_blocked_port_the_resolver_decides(lab: Lab) -> None:
    lab.both(silent)
    answer = await lab.asker.authoritative(question("alias.example.test"))
    assert (answer.values, answer.authoritative) == (("p=key",), False)
    assert answer.aliases == ("target.provider.test",)


async def test_aliases_are_followed_into_other_zones(lab: Lab) -> None:
    lab.resolver.script = resolves(EXAMPLE, zone("provider.test", f"@ NS ns\nns A {PROVIDER}\n"))
    answer = await lab.asker.authoritative(question("inner.example.test"))
    assert (answer.values, answer.authoritative) == (("p=key",), True)
    assert answer.aliases == ("alias.example.test", "target.provider.test")


@pytest.mark.parametrize(
    ("name", "outcome"), [("dangling", "NXDomain"), ("loop", "Malformed"), ("odd", "NXDomain")]
)
async def test_aliases_that_lead_nowhere(lab: Lab, name: str, outcome: str) -> None:
    answer = await lab.asker.authoritative(question(f"{name}.example.test"))
    assert (answer.outcome, answer.values) == (outcome, ())


async def test_a_chain_that_is_too_long_is_malformed(lab: Lab) -> None:
    chain = "".join(f"c{n} CNAME c{n + 1}\n" for n in range(12))
    lab.both(serves(zone("example.test", f"@ NS ns1\n{chain}c12 TXT end\n")))
    answer = await lab.asker.authoritative(question("c0.example.test"))
    assert answer.outcome is Outcome.MALFORMED


async def test_a_delegation_that_the_resolver_does_not_know_is_followed(lab: Lab) -> None:
    answer = await lab.asker.authoritative(question("sub.example.test"))
    assert (answer.values, answer.authoritative) == (("deeper",), True)


async def test_a_server_without_edns_is_asked_without(lab: Lab) -> None:
    lab.both(without_edns(serves(EXAMPLE)))
    answer = await lab.asker.authoritative(question("txt.example.test"))
    assert answer.outcome is Outcome.FOUND


@pytest.mark.parametrize("name", ["many", "long"])
async def test_absurd_answers_are_too_large(lab: Lab, name: str) -> None:
    lab.both(serves(MANY))
    answer = await lab.asker.authoritative(question(f"{name}.example.test"))
    assert (answer.outcome, answer.values) == (Outcome.TOO_LARGE, ())


async def test_records_that_nobody_asked_for_are_ignored(lab: Lab) -> None:
    foreign = dns.rrset.from_text("other.test.", 300, "IN", "TXT", "foreign")
    lab.both(adds(serves(EXAMPLE), foreign))
    assert (await lab.asker.authoritative(question("no.example.test"))).values == ()


async def test_a_lost_datagram_is_sent_again(lab: Lab) -> None:
    lab.resolver.lose = 1
    answer = await lab.asker.recursive(question("txt.example.test"))
    assert answer.outcome is Outcome.FOUND


async def test_the_second_resolver_stands_in_for_a_dead_one(lab: Lab) -> None:
    asker = DnsAsker([(DEAD, lab.port), (RESOLVER, lab.port)], timing=TIMING)
    assert (await asker.recursive(question("txt.example.test"))).outcome is Outcome.FOUND


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        (silent, Outcome.TIMEOUT),
        (says(dns.rcode.SERVFAIL), Outcome.SERVER_FAILURE),
        (says(dns.rcode.REFUSED), Outcome.REFUSED),
    ],
    ids=["silent", "servfail", "refused"],
)
async def test_without_a_resolver_every_look_is_a_value(
    lab: Lab, script: Script, outcome: Outcome
) -> None:
    lab.resolver.script = script
    asked = question("txt.example.test")
    looks = (lab.asker.recursive(asked), lab.asker.authoritative(asked))
    assert {one.outcome for one in await asyncio.gather(*looks)} == {outcome}
    found = await lab.asker.zone_of("example.test")
    assert isinstance(found, Answer)
    assert found.outcome is outcome


@pytest.mark.parametrize("rcode", [dns.rcode.NXDOMAIN, dns.rcode.NOERROR])
async def test_who_denies_everything_proves_nothing(lab: Lab, rcode: dns.rcode.Rcode) -> None:
    """Such as the resolver of a network without a way out: it shows no zone that denies."""
    lab.resolver.script = says(rcode)
    for name in ("example.test", "no.example.test", "test"):
        answer = await lab.fresh_asker().zone_of(name)
        assert isinstance(answer, Answer)
        assert (answer.outcome, answer.conclusive) == (Outcome.SERVER_FAILURE, False)


async def test_what_the_root_denies_is_denied(lab: Lab) -> None:
    """Such as the target of an alias that is no name, but a value: `verify=1.` lies at the root."""

    def script(query: dns.message.Message) -> dns.message.Message:
        reply = dns.message.make_response(query)
        reply.set_rcode(dns.rcode.NXDOMAIN)
        soa = "a.root-servers.net. nstld.verisign-grs.com. 1 1800 900 604800 86400"
        reply.authority.append(dns.rrset.from_text(".", 86400, "IN", "SOA", soa))
        return reply

    lab.resolver.script = script
    answer = await lab.fresh_asker().zone_of("value=1")
    assert isinstance(answer, Answer)
    assert answer.outcome is Outcome.NX_DOMAIN


async def test_a_denial_shows_the_zone_that_it_comes_from(lab: Lab) -> None:
    found = await lab.fresh_asker().zone_of("never.registered.test")
    assert isinstance(found, Zone)
    assert found.apex == "test"


@pytest.mark.parametrize("name", ["a..test", f"{'x' * 64}.test", "a\\.b.test", "é.test", ""])
async def test_what_cannot_be_a_name_is_not_asked(lab: Lab, name: str) -> None:
    for look in (lab.asker.recursive, lab.asker.authoritative):
        assert (await look(question(name))).outcome is Outcome.NX_DOMAIN
    assert isinstance(await lab.asker.zone_of(name), Answer)
    assert lab.resolver.asked == []


async def test_the_place_of_a_zone_is_learnt_once(lab: Lab) -> None:
    asked = question("txt.example.test")
    await asyncio.gather(*(lab.asker.authoritative(asked) for _ in range(20)))
    await lab.asker.authoritative(asked)
    counts = [lab.resolver.count(kind) for kind in ("SOA", "NS", "A", "AAAA")]
    assert counts == [1, 1, 2, 2]


async def test_the_truth_is_asked_for_again_each_time(lab: Lab) -> None:
    asked = question("txt.example.test")
    await asyncio.gather(*(lab.asker.authoritative(asked) for _ in range(20)))
    await lab.asker.authoritative(asked)
    assert lab.ns1.count("TXT") + lab.ns2.count("TXT") == 2


async def test_one_server_gets_few_queries_at_a_time(lab: Lab) -> None:
    lab.ns1.delay = lab.ns2.delay = 0.05
    many = [question(f"n{n}.example.test") for n in range(60)]
    answers = await asyncio.gather(*map(lab.asker.authoritative, many))
    assert {answer.outcome for answer in answers} == {Outcome.NX_DOMAIN}
    for server in (lab.ns1, lab.ns2):
        assert 1 < server.most_at_once <= NAMESERVER_LIMITS.in_flight


async def test_the_addresses_of_a_host(lab: Lab) -> None:
    assert await lab.asker.addresses("Mail.provider.test.") == ("192.0.2.1", "2001:db8::1")
    assert not isinstance(await lab.asker.resolve_host("mx.provider.test"), AliasedAddresses)
    none = await lab.asker.addresses("target.provider.test")
    assert isinstance(none, Answer)
    assert none.outcome is Outcome.NO_DATA


async def test_the_addresses_of_an_alias_are_told_apart(lab: Lab) -> None:
    """So does the DNS of a cluster answer for a Service of type ExternalName."""
    names = "@ NS ns\nns A 127.0.0.1\nsmtp.mail.svc CNAME db.other.svc\ndb.other.svc A 10.0.0.7\n"
    lab.resolver.script = resolves(zone("cluster.test", names))
    alias = await lab.asker.resolve_host("smtp.mail.svc.cluster.test")
    assert alias == ("10.0.0.7",)
    assert isinstance(alias, AliasedAddresses)
    itself = await lab.asker.resolve_host("db.other.svc.cluster.test")
    assert itself == ("10.0.0.7",)
    assert not isinstance(itself, AliasedAddresses)

# SPDX-License-Identifier: Apache-2.0
"""Every point of view of the asker, against real DNS servers on loopback.

Covers: each server of a zone and its serials, lame and dead ones among them; the parent's word;
resolving without validation, extended errors, AD; zones at which the resolver fails; what is
remembered of shared names and what never is; the mode in which only the resolver can be asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from lab.asking_lab import EXAMPLE, NS1, NS2, TIMING, TOP, Lab, dns_lab, question
from lab.scripted_dns import (
    Message,
    Script,
    bogus,
    refers_upwards,
    resolves,
    says,
    serves,
    silent,
    silent_to_edns,
    without_edns,
    zone,
)
from postroom.dns.answers import Answer, Delegation, Outcome, Zone
from postroom.dns.asking.wire import View

NS1_NAME, NS2_NAME = "ns1.example.test", "ns2.example.test"


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with dns_lab() as running:
        yield running


async def outcomes(lab: Lab, name: str) -> dict[str, str]:
    found = await lab.asker.every_server(question(name))
    return {one.nameserver: one.answer.outcome.value for one in found}


async def test_every_server_is_asked_and_told_apart(lab: Lab) -> None:
    lab.ns2.script = serves(zone("example.test", "@ NS ns1\n"))
    expected = {NS1_NAME: "Found", NS2_NAME: "NXDomain"}
    assert await outcomes(lab, "txt.example.test") == expected


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        (says(dns.rcode.REFUSED), "Refused"),
        (says(dns.rcode.SERVFAIL), "ServerFailure"),
        (refers_upwards, "Refused"),
        (resolves(EXAMPLE), "Refused"),
        (silent, "Timeout"),
    ],
    ids=["refused", "servfail", "upwards", "without aa", "silent"],
)
async def test_a_bad_server_has_its_own_verdict(lab: Lab, script: Script, outcome: str) -> None:
    lab.ns1.script = script
    assert await outcomes(lab, "txt.example.test") == {NS1_NAME: outcome, NS2_NAME: "Found"}


async def test_a_server_without_address_fails(lab: Lab) -> None:
    known = zone("example.test", f"@ NS ns1\n@ NS gone\nns1 A {NS1}\n")
    lab.resolver.script = resolves(known)
    expected = {"gone.example.test": "ServerFailure", NS1_NAME: "Found"}
    assert await outcomes(lab, "txt.example.test") == expected


async def test_addresses_of_whole_networks_are_not_asked(lab: Lab) -> None:
    everywhere = "@ NS ns1\n@ NS mass\nmass A 224.0.0.1\nmass A 0.0.0.0\nmass A 255.255.255.255\n"
    lab.resolver.script = resolves(zone("example.test", f"{everywhere}ns1 A {NS1}\n"))
    assert (await outcomes(lab, "txt.example.test"))["mass.example.test"] == "ServerFailure"


async def test_every_server_of_a_zone_that_the_resolver_does_not_know(lab: Lab) -> None:
    assert await outcomes(lab, "sub.example.test") == {"ns.sub.example.test": "Found"}


async def test_a_zone_that_is_not_found_has_no_servers(lab: Lab) -> None:
    lab.resolver.script = says(dns.rcode.REFUSED)
    assert await lab.asker.every_server(question("txt.example.test")) == ()
    assert await lab.asker.serials("example.test") == ()
    assert await lab.asker.serials("a..test") == ()


async def test_serials_are_those_of_the_zone(lab: Lab) -> None:
    lab.ns2.script = says(dns.rcode.REFUSED)
    found = await lab.asker.serials("txt.example.test")
    assert [(one.nameserver, one.answer.values) for one in found] == [
        (NS1_NAME, ("1",)),
        (NS2_NAME, ()),
    ]
    assert {one.answer.question for one in found} == {question("example.test", "SOA")}


async def test_serials_are_asked_of_all_at_once(lab: Lab) -> None:
    await lab.asker.serials("example.test")
    lab.ns1.delay = lab.ns2.delay = 0.04
    await lab.asker.serials("example.test")
    # The second one is asked before the first one can have answered.
    assert abs(lab.ns1.times[-1] - lab.ns2.times[-1]) < 0.04


async def test_the_parent_names_servers_and_vouches(lab: Lab) -> None:
    expected = Delegation("test", (NS1_NAME, NS2_NAME), signed=True)
    assert await lab.asker.delegation("example.test") == expected
    unsigned = Delegation("test", ("ns.provider.test",), signed=False)
    assert await lab.asker.delegation("provider.test") == unsigned


@pytest.mark.parametrize(
    ("script", "outcome", "authoritative"),
    [
        (serves(zone("test", "@ NS ns\n")), "NXDomain", True),
        (serves(zone("test", "@ NS ns\nx.example A 192.0.2.1\n")), "NoData", True),
        (says(dns.rcode.REFUSED), "Refused", False),
        (says(dns.rcode.SERVFAIL), "ServerFailure", False),
        (silent, "Timeout", False),
        (resolves(zone("test", "@ NS ns\n")), "Refused", False),
    ],
    ids=["unregistered", "not delegated", "refused", "servfail", "silent", "without aa"],
)
async def test_a_parent_without_delegation(
    lab: Lab, script: Script, outcome: str, *, authoritative: bool
) -> None:
    lab.parent.script = script
    found = await lab.asker.delegation("example.test")
    assert isinstance(found, Answer)
    assert (found.outcome, found.authoritative) == (outcome, authoritative)


async def test_a_parent_that_serves_the_zone_itself(lab: Lab) -> None:
    lab.parent.script = serves(TOP, EXAMPLE)
    found = await lab.asker.delegation("example.test")
    assert isinstance(found, Delegation)
    assert found.nameservers == (NS1_NAME, NS2_NAME)


async def test_above_a_top_level_domain_nobody_is_asked(lab: Lab) -> None:
    found = await lab.asker.delegation("test")
    assert isinstance(found, Answer) and found.outcome is Outcome.REFUSED


async def test_what_validation_hides_is_seen_without(lab: Lab) -> None:
    lab.resolver.script = bogus(resolves(EXAMPLE, TOP), "example.test", 9, 6)
    asked = question("txt.example.test")
    failed = await lab.asker.recursive(asked)
    assert (failed.outcome, failed.errors) == (Outcome.SERVER_FAILURE, (6, 9))
    assert (await lab.asker.unvalidated(asked)).outcome is Outcome.FOUND


async def test_a_zone_at_which_the_resolver_fails_is_found_from_above(lab: Lab) -> None:
    lab.resolver.script = bogus(resolves(EXAMPLE, TOP), "example.test", 9)
    answer = await lab.asker.authoritative(question("txt.example.test"))
    assert (answer.outcome, answer.authoritative) == (Outcome.FOUND, True)
    zone = await lab.asker.zone_of("txt.example.test")
    assert isinstance(zone, Zone)
    assert (zone, zone.port) == (Zone("example.test", (NS1_NAME, NS2_NAME)), lab.port)
    assert zone.addresses == {NS1_NAME: NS1, NS2_NAME: NS2}
    assert await outcomes(lab, "txt.example.test") == {NS1_NAME: "Found", NS2_NAME: "Found"}


async def test_the_resolver_is_asked_for_the_truth_of_its_validation(lab: Lab) -> None:
    validating = resolves(EXAMPLE)

    def script(query: Message) -> Message | None:
        reply = validating(query)
        if reply is not None and query.flags & dns.flags.AD:
            reply.flags |= dns.flags.AD
        return reply

    lab.resolver.script = script
    assert (await lab.asker.recursive(question("txt.example.test"))).authenticated
    assert not (await lab.asker.authoritative(question("txt.example.test"))).authenticated


async def test_the_flags_of_queries(lab: Lab) -> None:
    await lab.asker.unvalidated(question("txt.example.test"))
    assert lab.resolver.flags == [View.UNVALIDATED.value]
    await lab.asker.authoritative(question("txt.example.test"))
    assert {*lab.ns1.flags, *lab.ns2.flags} == {0}


async def test_strings_are_kept_apart(lab: Lab) -> None:
    answer = await lab.asker.authoritative(question("txt.example.test"))
    assert answer.strings == (("v=spf1 include:", "provider.test -all"),)


async def test_shared_names_are_remembered_and_records_under_test_are_not(lab: Lab) -> None:
    shared, missing = question("target.provider.test"), question("gone.provider.test")
    for _ in range(3):
        assert (await lab.asker.shared(shared)).values == ("p=key",)
        assert (await lab.asker.shared(missing)).outcome is Outcome.NX_DOMAIN
    assert len(lab.resolver.asked) == 2
    await lab.asker.recursive(shared)
    assert len(lab.resolver.asked) == 3


async def test_a_failure_is_remembered_for_a_moment(lab: Lab) -> None:
    lab.resolver.script = says(dns.rcode.SERVFAIL)
    looks = [await lab.asker.shared(question("x.provider.test")) for _ in range(3)]
    assert {look.outcome for look in looks} == {Outcome.SERVER_FAILURE}
    assert len(lab.resolver.asked) == 1


async def test_many_names_of_a_domain_need_one_look_for_its_zone(lab: Lab) -> None:
    names = ["_dmarc", "k1._domainkey", "k2._domainkey", "a.b._domainkey"]
    await asyncio.gather(
        *(lab.asker.authoritative(question(f"{name}.example.test")) for name in names)
    )
    await lab.asker.authoritative(question("bounce.example.test"))
    assert lab.resolver.count("SOA") == 1


async def test_no_question_is_in_flight_twice(lab: Lab) -> None:
    lab.resolver.delay = lab.ns1.delay = lab.ns2.delay = 0.03
    asked = question("txt.example.test")
    looks = (lab.asker.authoritative, lab.asker.recursive, lab.asker.shared)
    await asyncio.gather(*(look(asked) for look in looks for _ in range(10)))
    for server in (lab.resolver, lab.ns1, lab.ns2):
        assert len(server.asked) == len(set(server.asked))


async def test_silence_of_two_zones_means_that_the_way_is_blocked(lab: Lab) -> None:
    lab.both(silent)
    lab.provider.script = silent
    first = await lab.asker.authoritative(question("txt.example.test"))
    assert (first.outcome, first.authoritative) == (Outcome.FOUND, False)
    known = [lab.asker.resolver_only]
    await lab.asker.authoritative(question("target.provider.test"))
    assert [*known, lab.asker.resolver_only] == [False, True]
    before = len(lab.ns1.asked)
    started = asyncio.get_running_loop().time()
    answer = await lab.asker.authoritative(question("example.test", "MX"))
    every = await lab.asker.every_server(question("example.test", "MX"))
    assert (answer.values, answer.authoritative) == (("10 mx.provider.test",), False)
    assert {one.answer.outcome for one in every} == {Outcome.TIMEOUT}
    assert asyncio.get_running_loop().time() - started < TIMING.unknown
    assert len(lab.ns1.asked) == before


async def test_one_silent_zone_among_others_is_only_that(lab: Lab) -> None:
    lab.provider.script = silent
    await lab.asker.authoritative(question("target.provider.test"))
    await lab.asker.authoritative(question("txt.example.test"))
    await lab.asker.authoritative(question("mx.provider.test"))
    assert not lab.asker.resolver_only


@pytest.mark.parametrize("wrapped", [without_edns, silent_to_edns], ids=["formerr", "silence"])
async def test_without_edns_is_learnt(lab: Lab, wrapped: Callable[[Script], Script]) -> None:
    lab.both(wrapped(serves(EXAMPLE)))
    for name in ("txt", "c", "txt"):
        answer = await lab.asker.authoritative(question(f"{name}.example.test"))
        assert answer.conclusive and answer.authoritative
    before = len(lab.ns1.asked) + len(lab.ns2.asked)
    await lab.asker.every_server(question("txt.example.test"))
    assert len(lab.ns1.asked) + len(lab.ns2.asked) - before <= 8

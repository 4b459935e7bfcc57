# SPDX-License-Identifier: Apache-2.0
"""A delegated ``_domainkey``: all servers, some, none, or those of others; each fix works."""

from __future__ import annotations

import pytest

from postroom.dns.answers import (
    Answer,
    Delegation,
    Outcome,
    Question,
    RecordType,
    ServerAnswer,
)
from postroom.dns.verifying.report import DomainReport
from unit.dns.domains import DOMAIN, HEALTHY, K1, S1, look, record
from unit.dns.fake_zone import FakeZone, Key


def codes(report: DomainReport) -> list[str]:
    return [finding.code for finding in report.findings]


DELEGATED = {"dkim": [], "dkimDelegation": ["ns1.provider.net", "ns2.provider.net"]}
DELEGATION: Key = (f"_domainkey.{DOMAIN}", "NS")


@pytest.mark.parametrize(
    ("servers", "state", "found"),
    [
        (["ns1.provider.net", "ns2.provider.net"], "Valid", []),
        (["ns2.provider.net"], "Valid", ["DKIM_DELEGATION_PARTIAL"]),
        ([], "Missing", ["DKIM_DELEGATION_MISSING"]),
        (["ns.other.net"], "Wrong", ["DKIM_DELEGATION_WRONG"]),
        (["ns.other.net", "ns1.provider.net"], "Wrong", ["DKIM_DELEGATION_WRONG"]),
    ],
)
def test_a_delegation(servers: list[str], state: str, found: list[str]) -> None:
    zone = FakeZone({**HEALTHY, S1: [], K1: [], DELEGATION: servers})
    report = look(zone, **DELEGATED)
    assert record(report, "dkim-delegation").state.value == state
    assert codes(report) == found
    for _ in servers, servers:
        for finding in look(zone, **DELEGATED).findings:
            assert finding.fix is not None
            zone.apply(finding.fix)
    assert look(zone, **DELEGATED).findings == ()


class HandedAway(FakeZone):
    """The zone above names servers for the keys, none of which answers for them."""

    def __init__(self, *servers: str) -> None:
        super().__init__({**HEALTHY, S1: [], K1: []})
        self.failing[DELEGATION[0]] = Outcome.REFUSED
        self._servers = servers

    async def delegation(self, apex: str) -> Delegation | Answer:
        if apex != DELEGATION[0]:
            return await super().delegation(apex)
        refused = Answer(Question(apex, RecordType.SOA), Outcome.REFUSED, server="192.0.2.53")
        lame = tuple(ServerAnswer(server, refused) for server in self._servers)
        return Delegation(DOMAIN, self._servers, signed=False, servers=lame)


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize(
    ("servers", "state", "found"),
    [
        # A provider that was left refuses to answer: that it was left is no doubt.
        (("ns.other.net",), "Wrong", "DKIM_DELEGATION_WRONG"),
        (("ns.other.net", "ns1.provider.net"), "Wrong", "DKIM_DELEGATION_WRONG"),
        (("ns1.provider.net", "ns2.provider.net"), "Unknown", "LAME"),
        (("ns2.provider.net",), "Unknown", "LAME"),
    ],
)
def test_where_nobody_answers_the_zone_above_tells_who_should(
    servers: tuple[str, ...], state: str, found: str, alone: bool
) -> None:
    zone = HandedAway(*servers)
    if alone:  # Nothing that is asked for is answered, as where it is all that is asked for.
        zone.failing |= {name: Outcome.REFUSED for name, _ in HEALTHY}
    report = look(zone, **DELEGATED)
    told = record(report, "dkim-delegation")
    assert told.state.value == state
    assert [each.code for each in report.findings if each.subject == "dkim-delegation"] == [found]
    assert told.judgement.cause is not None and told.judgement.cause.fix is not None


@pytest.mark.parametrize(("keys", "told"), [(["p="], True), ([], False)])
def test_what_a_delegation_hides_is_said_before_it_is_made(keys: list[str], told: bool) -> None:
    there = {key: keys if key == S1 else values for key, values in HEALTHY.items() if key != K1}
    report = look(FakeZone({key: values for key, values in there.items() if values}), **DELEGATED)
    (found,) = (each for each in report.findings if each.code == "DKIM_DELEGATION_MISSING")
    assert ("seen by nobody once it is delegated" in found.message) is told


@pytest.mark.parametrize("target", ["ns1.provider.net", "keys.provider.net"])
@pytest.mark.parametrize("servers", [[], ["ns9.provider.net"], DELEGATED["dkimDelegation"]])
def test_a_cname_in_the_place_of_a_delegation(target: str, servers: list[str]) -> None:
    zone = FakeZone({**HEALTHY, S1: [], K1: [], (DELEGATION[0], "CNAME"): [target]})
    zone.records[target, "NS"] = servers
    report = look(zone, **DELEGATED)
    assert record(report, "dkim-delegation").state.value == "Missing"
    (found,) = (each for each in report.findings if each.subject == "dkim-delegation")
    assert found.code == "TYPE_CNAME_FOR_OTHER"
    assert "TXT" not in found.message
    assert found.fix is not None
    assert [(one.type, one.value) for one in found.fix.remove] == [("CNAME", target)]
    assert (found.fix.type, found.fix.value) == ("NS", "ns1.provider.net")

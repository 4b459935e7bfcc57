# SPDX-License-Identifier: Apache-2.0
"""A delegated ``_domainkey``: all servers, some, none, or those of others; each fix works."""

from __future__ import annotations

import pytest

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

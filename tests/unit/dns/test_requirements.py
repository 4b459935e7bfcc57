# SPDX-License-Identifier: Apache-2.0
"""The plan of a domain: which of its records are exchanges of its own, and those of one purpose."""

from __future__ import annotations

from postroom.api.sendingdomain import Purpose
from postroom.dns.answers import RecordType
from postroom.dns.requirements import DomainPlan, MXWanted, PlannedRecord, TextWanted, Wanted

DOMAIN = "example.com"


def record(purpose: Purpose, name: str, wanted: Wanted) -> PlannedRecord:
    kind = RecordType.MX if isinstance(wanted, MXWanted) else RecordType.TXT
    return PlannedRecord(f"{purpose}-{name}", purpose, name, kind, "", True, wanted)


OWN = [MXWanted(20, "b.example.net"), MXWanted(10, "a.example.net")]
RECORDS = (
    record(Purpose.OWNERSHIP, DOMAIN, TextWanted("x=y")),
    record(Purpose.MX, DOMAIN, OWN[0]),
    record(Purpose.RETURN_PATH, f"bounce.{DOMAIN}", MXWanted(10, "c.example.net")),
    record(Purpose.MX, DOMAIN, OWN[1]),
)
PLAN = DomainPlan(DOMAIN, RECORDS)


def test_exchanges_of_the_return_path_are_not_the_domain_s() -> None:
    assert PLAN.exchanges == tuple(OWN)
    assert DomainPlan(f"bounce.{DOMAIN}", RECORDS).exchanges == (MXWanted(10, "c.example.net"),)
    assert DomainPlan(DOMAIN, ()).exchanges == ()


def test_the_records_of_one_purpose_in_their_order() -> None:
    assert PLAN.of(Purpose.MX) == (RECORDS[1], RECORDS[3])
    assert PLAN.of(Purpose.OWNERSHIP) == RECORDS[:1]
    assert PLAN.of(Purpose.BIMI) == ()

# SPDX-License-Identifier: Apache-2.0
"""More to take away than a fix has room for, and all that keeps a CNAME from being published."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.api.findings import REMOVED_LIMIT, FixAction
from postroom.api.sendingdomain import RecordState
from unit.dns.domains import DOMAIN, HEALTHY, look, record
from unit.dns.fake_zone import FakeZone, Key

CLICK = f"click.{DOMAIN}"
TRACKED: dict[str, Any] = {"tracking": {"name": "click", "cname": "t.provider.net"}}
TARGET: dict[Key, list[str]] = {("t.provider.net", "A"): ["192.0.2.80"]}


def test_more_than_a_fix_has_room_for_goes_in_rounds_and_each_says_so() -> None:
    many = [f"{5 + number} h{number}.localhost" for number in range(REMOVED_LIMIT + 20)]
    zone = FakeZone({**HEALTHY, (DOMAIN, "MX"): [*many, "10 mx.provider.net"]})
    told = list[bool]()
    for _ in range(2):
        report = look(zone)
        found = next(one for one in report.findings if one.subject == "mx-mx.provider.net")
        assert found.fix is not None
        assert len(found.fix.remove) <= REMOVED_LIMIT
        told.append("room for 64 of the 84 records that have to go" in found.message)
        zone.apply(found.fix)
    assert told == [True, False]
    assert zone.records[DOMAIN, "MX"] == ["10 mx.provider.net"]
    assert record(look(zone), "mx-mx.provider.net").state is RecordState.VALID


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("CAA", ['0 issue "letsencrypt.org"', '0 iodef "mailto:Security@example.com"']),
        ("HTTPS", ['1 . alpn="h2"']),
        ("TXT", [f"verify-{number}" for number in range(REMOVED_LIMIT + 6)]),
        ("MX", ["10 mx.elsewhere.net"]),
    ],
)
def test_all_that_stands_beside_a_cname_goes_with_one_fix(kind: str, values: list[str]) -> None:
    zone = FakeZone({**HEALTHY, **TARGET, (CLICK, kind): values})
    found = next(one for one in look(zone, **TRACKED).findings if one.subject == "tracking")
    assert found.fix is not None
    assert kind in found.message
    zone.apply(found.fix)
    assert zone.records[CLICK, kind] == []
    assert record(look(zone, **TRACKED), "tracking").state is RecordState.VALID


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ({(CLICK, "SRV"): ["0 0 443 web.example.net"]}, True),
        ({}, False),
        # That a name below makes it exist is not known.
        ({(f"_dmarc.{CLICK}", "TXT"): ["v=DMARC1; p=none"]}, True),
        ({(CLICK, "CAA"): ['0 issue "letsencrypt.org"']}, False),
    ],
)
def test_what_cannot_be_seen_beside_a_cname_is_named(
    there: dict[Key, list[str]], said: bool
) -> None:
    zone = FakeZone({**HEALTHY, **TARGET, **there})
    found = next(one for one in look(zone, **TRACKED).findings if one.subject == "tracking")
    assert found.fix is not None
    assert found.fix.action is (FixAction.REPLACE if (CLICK, "CAA") in there else FixAction.CREATE)
    assert (f"{CLICK} exists, without a record of type" in found.message) is said
    assert ("types that are not asked for" in found.message) is ((CLICK, "CAA") in there)

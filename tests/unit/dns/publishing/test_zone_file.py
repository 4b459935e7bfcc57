# SPDX-License-Identifier: Apache-2.0
"""Zone files denote the records of which they are made: read back by dnspython."""

from __future__ import annotations

import pytest
from hypothesis import example, given

from postroom.dns.answers import RecordType
from postroom.dns.publishing.records import PublishedRecord, ZoneRecords, record_sets
from postroom.dns.publishing.zone_file import zone_file
from postroom.dns.texts.presentation import CannotPublish
from unit.dns.published_zones import (
    ANY,
    CHECKED,
    NULL_MX,
    SPACE,
    SPF_WITH_MACRO,
    ZONE,
    record,
)
from unit.dns.publishing_readers import (
    facts,
    from_zone_file,
)


@CHECKED
@given(ANY)
@example(SPF_WITH_MACRO)
@example(SPACE)
@example(NULL_MX)
def test_a_zone_file(part: ZoneRecords) -> None:
    assert from_zone_file(zone_file([part])) == facts(part.records)
    whole = zone_file([ZoneRecords(ZONE, _without_apex_ns(part))], ["ns1.example.net"])
    expected = {fact for fact in facts(part.records) if fact[1] != "NS"}
    assert {one for one in from_zone_file(whole, whole=True) if one[1] != "NS"} == expected


def _without_apex_ns(part: ZoneRecords) -> tuple[PublishedRecord, ...]:
    return tuple(one for one in part.records if one.type is not RecordType.NS)


def test_a_whole_zone_needs_name_servers_that_can_be_found() -> None:
    inside = ["ns1.example.com"]
    with pytest.raises(CannotPublish, match="is inside the zone"):
        zone_file([SPACE], inside)
    address = record("ns1.example.com", RecordType.A, "192.0.2.53")
    part = ZoneRecords(ZONE, (*SPACE.records, address))
    assert from_zone_file(zone_file([part], inside), whole=True) == facts(part.records)


def test_a_set_shares_its_lowest_ttl() -> None:
    long, short = (PublishedRecord(ZONE, RecordType.TXT, f"{ttl}", ttl=ttl) for ttl in (3600, 300))
    assert [one.ttl for one in record_sets([long, short])] == [300]
    text = zone_file([ZoneRecords(ZONE, (long, short))])
    assert text.count("@ 300 IN TXT") == 2


def test_comments_stay_on_their_line() -> None:
    text = zone_file([SPACE])
    assert '; DKIM: odd "?; comment\n' in text

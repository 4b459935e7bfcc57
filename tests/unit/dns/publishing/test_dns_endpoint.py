# SPDX-License-Identifier: Apache-2.0
"""DNSEndpoints denote their records, and what external-dns cannot take is refused."""

from __future__ import annotations

import pytest
from hypothesis import example, given

from postroom.dns.answers import RecordType
from postroom.dns.publishing.dns_endpoint import dns_endpoints
from postroom.dns.publishing.records import ZoneRecords
from postroom.dns.texts.presentation import CannotPublish
from unit.dns.published_zones import (
    CHECKED,
    NO_TLSA,
    NULL_MX,
    SPACE,
    SPF_WITH_MACRO,
    ZONE,
    record,
)
from unit.dns.publishing_readers import (
    facts,
    from_dns_endpoints,
)


@CHECKED
@given(NO_TLSA)
@example(SPF_WITH_MACRO)
@example(SPACE)
def test_dns_endpoints(part: ZoneRecords) -> None:
    assert from_dns_endpoints(dns_endpoints([part])) == facts(part.records)


def test_the_hint_for_external_dns_names_each_type_once_in_a_flag_of_its_own() -> None:
    # A list with commas is taken for the name of one type, and nothing is published.
    header = [line for line in dns_endpoints([]).splitlines() if line.startswith("#")]
    words = [word for line in header for word in line.split()]
    flag = "--managed-record-types="
    named = [word.removeprefix(flag) for word in words if word.startswith(flag)]
    # As the flag stands in place of the default, the types of the default are among them.
    assert sorted(named) == ["A", "AAAA", "CNAME", "MX", "NS", "TXT"]


def test_what_external_dns_cannot_take_is_refused() -> None:
    with pytest.raises(CannotPublish, match="no null MX"):
        dns_endpoints([NULL_MX])
    tlsa = record(f"_25._tcp.mx.{ZONE}", RecordType.TLSA, "3 1 1 " + "ab" * 32)
    with pytest.raises(CannotPublish, match="no TLSA"):
        dns_endpoints([ZoneRecords(ZONE, (tlsa,))])

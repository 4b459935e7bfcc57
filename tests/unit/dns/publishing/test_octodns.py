# SPDX-License-Identifier: Apache-2.0
"""octoDNS reads its file as the records it is made of, and what it cannot take is refused."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from postroom.dns.answers import RecordType
from postroom.dns.publishing.octodns import natural_order, octodns
from postroom.dns.publishing.records import ZoneRecords
from postroom.dns.texts.presentation import CannotPublish
from unit.dns.published_zones import (
    ANY,
    CHECKED,
    NULL_MX,
    SPF_WITH_MACRO,
    ZONE,
    record,
)
from unit.dns.publishing_readers import (
    facts,
    from_octodns,
)


def _octodns_takes(part: ZoneRecords) -> bool:
    texts = [one.value for one in part.records if one.type is RecordType.TXT]
    return all(text.isascii() and "\\;" not in text for text in texts)


@CHECKED
@given(ANY)
@example(SPF_WITH_MACRO)
@example(NULL_MX)
@example(ZoneRecords(ZONE, (record(ZONE, RecordType.TXT, '" "" " "a" ";"'),)))
def test_octodns(part: ZoneRecords) -> None:
    if _octodns_takes(part):
        assert from_octodns(octodns(part), part) == facts(part.records)
    else:
        with pytest.raises(CannotPublish, match="octoDNS takes only ASCII"):
            octodns(part)


@given(st.lists(st.from_regex(r"[a-z0-9]{1,6}", fullmatch=True), min_size=2, max_size=8))
@settings(CHECKED, max_examples=30)
def test_octodns_finds_the_names_in_its_order(labels: list[str]) -> None:
    records = [record(f"{label}.{ZONE}", RecordType.TXT, "x") for label in labels]
    part = ZoneRecords(ZONE, tuple(records))
    # The provider refuses a file whose keys are in another order than its own.
    assert from_octodns(octodns(part), part) == facts(records)


def test_names_in_natural_order_go_by_the_number_in_them_and_digits_before_letters() -> None:
    ordered = ["", "1a", "2", "10", "a", "a2", "a2b", "a10", "ab", "b"]
    assert sorted(sorted(ordered), key=natural_order) == ordered

# SPDX-License-Identifier: Apache-2.0
"""What several records come to where they end differently, or have terms behind all."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.dns import spf
from postroom.dns.spf import Fetched, Requirement
from postroom.dns.spf.merge import merge
from unit.dns.spf.spf_zones import RECORDS, fetched, zones
from unit.dns.spf.test_merge_properties import REFUSES_BY_MESSAGE, Records, may_end, passing

NOBODY = Requirement((), (), "~all")


OTHERS = {
    name: Fetched((f"v=spf1 ip4:203.0.113.{n} -all",))
    for n, name in enumerate(("a.net", "b.net", "spf.provider.net"))
}


@pytest.mark.parametrize(
    ("records", "end", "told"),
    [
        (["v=spf1 a -all", "v=spf1 mx ~all"], "~all", "end in ~all and -all; the one in ~all."),
        (["v=spf1 a -all", "v=spf1 mx ?all"], "?all", "end in ?all and -all; the one in ?all."),
        (["v=spf1 a -all", "v=spf1 mx"], "-all", "end in -all and no all; the one in -all."),
        (["v=spf1 a -all", "v=spf1 mx -all"], "-all", ""),
        (["v=spf1 a", "v=spf1 mx"], "mx", ""),
        (["v=spf1 redirect=a.net", "v=spf1 mx -all"], "-all", "redirect=a.net as include:a.net:"),
        (["v=spf1 redirect=a.net", "v=spf1 redirect=b.net"], "-all", "redirect=a.net as include"),
        (["v=spf1 redirect=a.net", "v=spf1 mx ~all"], "~all", "end in ~all and -all; the one in ~"),
        (["v=spf1 a +all", "v=spf1 mx -all"], "~all", "It ends in ~all"),
    ],
)
def test_the_end_of_several_records_is_told(records: list[str], end: str, told: str) -> None:
    made = merge(records, NOBODY, OTHERS, "example.com")
    assert made.value is not None
    assert made.value.split()[-1] == end
    assert told in " ".join(made.doubts)
    assert bool(made.doubts) is bool(told)


def test_what_stood_behind_all_is_told_where_records_become_one() -> None:
    made = merge(["v=spf1 a -all ip4:192.0.2.9", "v=spf1 mx -all x=1", "v=spf1 x=2"], NOBODY, {})
    assert made.left_out == ("ip4:192.0.2.9, which stands after all",)
    assert "The fix leaves out x=2: there can be one only." in made.doubts


def test_whom_one_record_lets_pass_another_does_not_refuse_unsaid() -> None:
    refusing, letting = "v=spf1 -ip4:203.0.113.0 a -all", "v=spf1 include:a.net ~all"
    made = merge([refusing, letting], NOBODY, OTHERS, "example.com")
    assert made.value == "v=spf1 include:a.net -ip4:203.0.113.0 a ~all"
    both = ["v=spf1 -ip4:203.0.113.0 ip4:203.0.113.1 -all", "v=spf1 -ip4:203.0.113.1 include:a.net"]
    assert any("another refuses some" in doubt for doubt in merge(both, NOBODY, OTHERS).doubts)


@settings(max_examples=150, deadline=None)
@given(zones(), st.lists(RECORDS, min_size=2, max_size=3, unique=True))
def test_who_passes_by_one_record_passes_by_all_or_it_is_said(
    zone: Records, texts: list[str]
) -> None:
    others = fetched(zone)
    made = merge(texts, NOBODY, others, "example.com", keep_pass_all=True)
    said = made.left_out or any("another refuses some" in doubt for doubt in made.doubts)
    whole = " ".join([*texts, *map(str, zone.values())])
    if made.value is None or said or REFUSES_BY_MESSAGE.search(whole):
        return
    if not may_end(spf.reach(made.value, others, "example.com")):
        alone = [passing(zone, [text]) for text in texts]
        assert set().union(*alone) <= passing(zone, [made.value])

# SPDX-License-Identifier: Apache-2.0
"""Hostile SPF records: nothing raises, and the work is bounded, told by what is counted."""

from __future__ import annotations

import cProfile
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns import spf
from postroom.dns.spf import Fetched, Requirement
from postroom.dns.spf.budget import COUNT_LIMIT, Cost
from postroom.dns.spf.lint import lint
from postroom.dns.spf.merge import merge
from postroom.dns.spf.savings import savings
from unit.dns.spf.spf_zones import DOMAIN, result_for

WANTED = Requirement(("c.net",), (ipaddress.ip_network("192.0.2.7/32"),), "~all")
MANY = 10_000
OTHERS = {
    "c.net": Fetched(("v=spf1 ip4:198.51.100.0/24 -all",)),
    "big.net": Fetched(("v=spf1" + " ip4:203.0.113.1" * 4000,)),
    "fan.net": Fetched(("v=spf1" + " include:fan.net" * 4000,)),
    "loop.net": Fetched(("v=spf1 include:loop.net redirect=loop.net",)),
}
RECORDS = [
    "v=spf1" + " a" * MANY,
    "v=spf1" + " ip4:192.0.2.1" * MANY,
    "v=spf1" + " -ip4:192.0.2.1" * MANY,
    "v=spf1" + " include:big.net" * MANY,
    "v=spf1" + " include:fan.net" * MANY,
    "v=spf1" + " include:loop.net" * MANY,
    "v=spf1" + " redirect=x.net" * MANY,
    "v=spf1" + " foo" * MANY,
    "v=spf1" + " include:" * MANY,
    "v=spf1" + " include: x" * MANY,
    "v=spf1" + " include=c.net" * MANY,
    "v=spf1" + " -all" * MANY,
    "v=spf1 " + "include:" * MANY,
    "v=spf1 include:x." + "a-" * (3 * MANY),
    "v=spf1 include:x." + "%{d" * (2 * MANY),
    "v=spf1 exists:" + "%{s}" * (2 * MANY),
    "v=spf1 a:" + "1" * (6 * MANY),
    "v=spf1 a:" + "/1" * (3 * MANY),
    "v=spf1 ip4:" + "1." * (3 * MANY),
    "v=spf1 ip6:" + ":" * (6 * MANY),
    "v=spf1 x:%{d" + "9" * (6 * MANY) + "}",
    "v=spf1 " + "," * (6 * MANY),
    "v=spf1 " + "~all" * MANY,
    "v=spf1 " + "\xa0" * (6 * MANY),
]
IDS = [str(number) for number in range(len(RECORDS))]


class Steps:
    """Counts beginnings and ends of calls in the program, whatever the machine's pace."""

    def __init__(self) -> None:
        # In C: a function that is called at each of millions takes longer than what it counts.
        self._profile = cProfile.Profile()

    @property
    def count(self) -> int:
        return 2 * sum(each.callcount for each in self._profile.getstats())

    def __enter__(self) -> Steps:
        self._profile.enable()
        return self

    def __exit__(self, *_problem: object) -> None:
        self._profile.disable()


@pytest.mark.parametrize("text", RECORDS, ids=IDS)
def test_parsing_takes_linear_work(text: str) -> None:
    with Steps() as steps:
        record = spf.parse(text)
    assert len(record.terms) + len(record.problems) <= 2 * MANY
    assert steps.count < 150 * MANY


@pytest.mark.parametrize("text", RECORDS, ids=IDS)
def test_counting_and_merging_are_bounded(text: str) -> None:
    with Steps() as steps:
        found = spf.reach(text, OTHERS, DOMAIN)
        savings(text, OTHERS, DOMAIN)
        lint(text, OTHERS, DOMAIN)
        merge([text], WANTED, OTHERS, DOMAIN)
        merge([text, text], WANTED, OTHERS, DOMAIN)
    assert found.lookups <= COUNT_LIMIT + 1
    assert _size(found.costs) <= COUNT_LIMIT + 1
    assert steps.count < 1500 * MANY


def _size(costs: tuple[Cost, ...]) -> int:
    return len(costs) + sum(_size(cost.children) for cost in costs)


@pytest.mark.parametrize("text", RECORDS, ids=IDS)
def test_evaluating_ends_at_the_limits(text: str) -> None:
    zone = {f"{DOMAIN} TXT": [text]}
    zone |= {f"{name} TXT": list(there.texts) for name, there in OTHERS.items()}
    result = result_for(zone, "203.0.113.77")
    assert result.lookups <= spf.LOOKUP_LIMIT + 1


def test_no_record_is_descended_into_without_end() -> None:
    found = spf.reach("v=spf1 include:fan.net", OTHERS)
    assert found.lookups == COUNT_LIMIT + 1


BYTES = st.text(alphabet=st.characters(max_codepoint=255), max_size=200)


@given(BYTES, BYTES, BYTES)
def test_no_bytes_break_an_evaluation(first: str, second: str, third: str) -> None:
    zone = {
        f"{DOMAIN} TXT": [f"v=spf1 {first}"],
        f"{DOMAIN} A": [second],
        f"{DOMAIN} MX": [third],
        "1.2.0.192.in-addr.arpa PTR": [third],
        "c.net TXT": [f"v=spf1 {second}"],
    }
    assert result_for(zone).result in spf.ResultCode
    zone[f"{DOMAIN} TXT"] = ["v=spf1 a mx ptr include:c.net exp=c.net -all"]
    assert result_for(zone, sender=f"{third}@{DOMAIN}", helo=third).result in spf.ResultCode


@pytest.mark.parametrize("text", [f"{one[:4000]} -all" for one in RECORDS], ids=IDS)
def test_merging_the_longest_records_is_bounded(text: str) -> None:
    with Steps() as steps:
        made = merge([text], WANTED, OTHERS, DOMAIN)
    assert made.value is None or len(made.value) < 4200
    assert steps.count < 1500 * MANY


def test_what_is_absurdly_long_is_not_merged() -> None:
    made = merge([RECORDS[0]], WANTED, OTHERS, DOMAIN)
    assert (made.value, made.candidate) == (None, RECORDS[0])
    assert made.advice


@given(BYTES, BYTES)
def test_no_bytes_break_a_merge(first: str, second: str) -> None:
    others = {**OTHERS, "x.net": Fetched((f"v=spf1 {second}",))}
    made = merge([f"v=spf1 {first}", "v=spf1 include:x.net"], WANTED, others, DOMAIN)
    assert made.value is None or not spf.parse(made.value).errors

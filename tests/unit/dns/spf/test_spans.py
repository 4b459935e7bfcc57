# SPDX-License-Identifier: Apache-2.0
"""Spans of addresses are sets: united, without each other, and taken apart."""

from __future__ import annotations

from ipaddress import ip_network
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.spf.spans import Span, samples, take, united, without

NUMBERS = st.integers(0, 60)


SPANS = st.lists(st.tuples(NUMBERS, st.integers(0, 9)).map(lambda one: (one[0], sum(one))))


def members(spans: list[Span] | tuple[Span, ...]) -> set[int]:
    return {number for first, last in spans for number in range(first, last + 1)}


@given(SPANS, SPANS)
def test_spans_are_sets(some: list[Span], others: list[Span]) -> None:
    left, right = united(some), united(others)
    assert members(left) == members(some)
    assert all(one[1] + 1 < two[0] for one, two in pairwise(left))
    assert members(without(left, right)) == members(left) - members(right)
    for one in right:
        rest = list(left)
        taken = take(rest, one)
        assert members(taken) == members(left) & members((one,))
        assert members(rest) == members(left) - members((one,))


def test_of_networks_that_overlap_the_rest_of_the_wide_one_is_tried_as_well() -> None:
    blocks = ["2001:db8::/64", "192.0.2.0/28", "2001:db8::/32", "192.0.2.8/29", "192.0.2.0/27"]
    tried = dict.fromkeys(map(str, samples(map(ip_network, blocks))))
    assert list(tried) == [
        "2001:db8::",
        "192.0.2.0",
        "2001:db8:0:1::",
        "192.0.2.8",
        "192.0.2.16",
    ]

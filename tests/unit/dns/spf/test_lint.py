# SPDX-License-Identifier: Apache-2.0
"""Advice on lawful SPF records, each with its place."""

from __future__ import annotations

import pytest
from hypothesis import given

from postroom.dns.spf import Fetched
from postroom.dns.spf.lint import Rule, lint
from unit.dns.spf.spf_zones import SLIPPED

OTHERS = {
    "example.com": Fetched(ipv4=("192.0.2.1",), ipv6=(), exchanges=()),
    "x.net": Fetched(("v=spf1 include:y.net -all",)),
    "y.net": Fetched(("v=spf1 ip4:203.0.113.0/24 -all",)),
    "loop.net": Fetched(("v=spf1 include:loop.net",)),
    "gone.net": Fetched(missing=True),
    "four.net": Fetched(ipv4=("192.0.2.1",), ipv6=()),
}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("v=spf1 include:x.net -all", []),
        ("v=spf1 ip4:192.0.0.0/16 ip6:2001:db8::/32 ~all", []),
        ("v=spf1 redirect=x.net", []),
        ("v=spf1 +all", [(Rule.PASS_ALL, 7)]),
        ("v=spf1 ?all", [(Rule.NEUTRAL_ALL, 7)]),
        ("v=spf1 include:x.net", [(Rule.NO_DEFAULT, 0)]),
        ("v=spf1 -all ip4:192.0.2.1 x=y", [(Rule.AFTER_ALL, 12)]),
        ("v=spf1 -all redirect=x.net", [(Rule.REDIRECT_IGNORED, 12)]),
        ("v=spf1 include=x.net -all", [(Rule.MECHANISM_AS_MODIFIER, 7)]),
        ("v=spf1 ptr -all", [(Rule.PTR, 7)]),
        ("v=spf1 mx -all", [(Rule.UNUSED_HOST, 7)]),
        ("v=spf1 ip4:192.0.2.1 a -all", [(Rule.UNUSED_HOST, 21)]),
        ("v=spf1 include:x.net include:x.net -all", [(Rule.DUPLICATE, 21)]),
        ("v=spf1 include:x.net include:y.net -all", [(Rule.REACHED_TWICE, 21)]),
        ("v=spf1 include:gone.net -all", [(Rule.DEAD_INCLUDE, 7)]),
        ("v=spf1 include:loop.net -all", [(Rule.OVER_BUDGET, 0), (Rule.LOOP, 7)]),
        ("v=spf1 ip4:10.0.0.0/8 -all", [(Rule.WIDE_NETWORK, 7)]),
        ("v=spf1 -ip4:10.0.0.0/8 -all", []),
        ("v=spf1 ip6:2001::/16 -all", [(Rule.WIDE_NETWORK, 7)]),
        ("v=spf1 exp=gone.net -all", [(Rule.EXPLANATION_MISSING, 7)]),
        ("v=spf1 exp=other.net -all", []),
        (
            "v=spf1 a:four.net a:four.net/31 a:four.net/30 -all",
            [(Rule.VOIDS_FOR_ONE_FAMILY, 0), (Rule.UNUSED_HOST, 7), (Rule.UNUSED_HOST, 18)],
        ),
        (f"v=spf1 x={'y' * 450} -all", [(Rule.TOO_LONG, 0)]),
    ],
)
def test_advice(text: str, found: list[tuple[Rule, int]]) -> None:
    made = lint(text, OTHERS, "example.com")
    assert [(one.rule, one.start) for one in made] == found
    assert all(text[one.start :].startswith(one.term) for one in made)
    assert all(one.sentence for one in made)


def test_long_strings() -> None:
    text = "v=spf1 -all"
    assert [one.rule for one in lint(text, {}, strings=["x" * 256])] == [Rule.LONG_STRING]
    assert lint(text, {}, strings=["x" * 255]) == ()


@given(SLIPPED)
def test_no_record_breaks_it(text: str) -> None:
    made = lint(text, OTHERS, "example.com")
    assert list(made) == sorted(made, key=lambda one: (one.start, one.rule))

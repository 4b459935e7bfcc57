# SPDX-License-Identifier: Apache-2.0
"""What can go from a record that is too dear, and that nobody fails for what certainly can."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from postroom.dns.spf import Fetched
from postroom.dns.spf.savings import Worth, savings
from unit.dns.spf.spf_zones import DOMAIN, IPV4, IPV6, RECORDS, fetched, result_for, zones

HOSTS = {
    "x.net": Fetched(
        ("v=spf1 include:y.net -all",), ipv4=("192.0.2.1",), ipv6=(), exchanges=("x.net",)
    ),
    "y.net": Fetched(("v=spf1 ip4:203.0.113.0/24 -all",), ipv4=(), ipv6=(), exchanges=()),
    "gone.net": Fetched(missing=True),
}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("v=spf1 include:x.net include:X.net. -all", [("include:X.net.", 2, Worth.DUPLICATE)]),
        ("v=spf1 include:x.net include:y.net", [("include:y.net", 1, Worth.REACHED_TWICE)]),
        ("v=spf1 include:x.net ?include:y.net", []),
        (
            "v=spf1 ptr include:gone.net",
            [("include:gone.net", 1, Worth.DEAD_INCLUDE), ("ptr", 1, Worth.PTR)],
        ),
        (
            "v=spf1 a:y.net exists:y.net",
            [("a:y.net", 1, Worth.NO_ADDRESS), ("exists:y.net", 1, Worth.NO_ADDRESS)],
        ),
        ("v=spf1 mx ip4:192.0.2.0/24", [("mx", 1, Worth.COVERED)]),
        ("v=spf1 mx/24 ip4:192.0.2.1", [("mx/24", 1, Worth.HOST_THAT_MAY_NOT_SEND)]),
        ("v=spf1 -ip4:192.0.2.1 a ip4:192.0.2.0/24", [("a", 1, Worth.HOST_THAT_MAY_NOT_SEND)]),
        (
            "v=spf1 a:other.net exists:%{i}.x.net",
            [("a:other.net", 1, Worth.HOST_THAT_MAY_NOT_SEND)],
        ),
        ("v=spf1 ip4:192.0.2.1 ip4:192.0.2.1 -all a", []),
    ],
)
def test_what_can_go(text: str, found: list[tuple[str, int, Worth]]) -> None:
    made = savings(text, HOSTS, "x.net")
    assert [(one.term, one.lookups, one.worth) for one in made] == found
    assert all(text[one.start :].startswith(one.term) for one in made)


@settings(max_examples=200, deadline=None)
@given(zones(), RECORDS)
def test_nobody_fails_for_what_can_certainly_go(zone: dict[str, list[str]], text: str) -> None:
    for saving in savings(text, fetched(zone), DOMAIN):
        if not saving.certain:
            continue
        without = text[: saving.start] + text[saving.start + len(saving.term) :]
        for ip in (*IPV4, *IPV6):
            if result_for({**zone, f"{DOMAIN} TXT": [text]}, ip).result == "pass":
                assert result_for({**zone, f"{DOMAIN} TXT": [without]}, ip).result == "pass"

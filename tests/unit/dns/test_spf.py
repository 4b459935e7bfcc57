# SPDX-License-Identifier: Apache-2.0
"""SPF records: selection, syntax with places, lookup counts, and merging.

Covers RFC 7208 sections 4.5, 4.6.1, 4.6.4, 5, 6 and the eight steps of merging, among them as
properties: merging is a fixed point, and what was authorised stays authorised.
"""

from __future__ import annotations

import ipaddress
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns import spf
from postroom.dns.spf_merge import merge, without_dead_includes

WANTED = spf.Requirement(("spf.provider.net",), (ipaddress.ip_network("192.0.2.7/32"),), "~all")
OTHERS = {
    "spf.provider.net": spf.Fetched(("v=spf1 ip4:198.51.100.0/24 -all",)),
    "a.net": spf.Fetched(("v=spf1 include:b.net a mx -all",)),
    "b.net": spf.Fetched(("v=spf1 exists:%{i}.b.net -all",)),
    "loop.net": spf.Fetched(("v=spf1 include:loop.net -all",)),
    "gone.net": spf.Fetched(missing=True),
}


@pytest.mark.parametrize(
    ("text", "is_one"),
    [("v=spf1", True), ("V=SPF1 -all", True), ("v=spf10 -all", False), (" v=spf1", False)],
)
def test_selection(text: str, is_one: bool) -> None:
    assert spf.is_spf(text) is is_one


@pytest.mark.parametrize(
    "text",
    [
        "v=spf1 -all",
        "v=spf1  a  mx ",
        "v=spf1 a:example.com/24//64 mx/24 ip6:2001:db8::/32 ?all",
        "v=spf1 exists:%{ir}.%{l1r+-}._spf.%{d} redirect=_spf.example.com",
        "v=spf1 include:%{d2}.example.com unknown=x exp=e.example.com",
        "v=spf1 a:1.example-com -ptr",
    ],
)
def test_sound_records(text: str) -> None:
    assert spf.parse(text).problems == ()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("v=spf1 ipv4:1.2.3.4 -all", 7),
        ("v=spf1 mx include: x.net", 10),
        ("v=spf1 include=x.net", 7),
        ("v=spf1 ip4:1.2.3.400", 7),
        ("v=spf1 ip4:1.2.3.4/33", 7),
        ("v=spf1 a/33", 7),
        ("v=spf1 a/xx", 7),
        ("v=spf1 mx/024", 7),
        ("v=spf1 a//129", 7),
        ("v=spf1 ip4:192.0.2.0/255.255.255.0", 7),
        ("v=spf1 ip6:fe80::1%eth0", 7),
        ("v=spf1 foo=%", 7),
        ("v=spf1 exists:%{d0}.example.com", 7),
        ("v=spf1 exists:%{t}.example.com", 7),
        ("v=spf1 include:a.b-", 7),
        ("v=spf1 include:a.%%{d}", 7),
        ("v=spf1 all:x", 7),
        ("v=spf1 include:localhost", 7),
        ("v=spf1 -redirect=x.net", 7),
        ("v=spf1 redirect=x.net redirect=y.net", 22),
        ("v=spf1 mx\tall", 7),
        ("v=spf1 \xe4.net", 7),
    ],
)
def test_syntax_errors_name_their_place(text: str, place: int) -> None:
    assert spf.parse(text).problems[0].start == place


@pytest.mark.parametrize(
    ("text", "lookups", "voids"),
    [
        ("v=spf1 ip4:1.2.3.4 -all", 0, 0),
        ("v=spf1 a mx ptr exists:x.net -all", 4, 0),
        ("v=spf1 include:a.net -all", 5, 0),
        ("v=spf1 -all include:a.net", 0, 0),
        ("v=spf1 redirect=a.net", 5, 0),
        ("v=spf1 -all redirect=a.net", 0, 0),
        ("v=spf1 include:gone.net include:gone.net", 2, 2),
    ],
)
def test_lookups_are_counted(text: str, lookups: int, voids: int) -> None:
    found = spf.reach(text, OTHERS)
    assert (found.lookups, found.void_lookups) == (lookups, voids)


def test_a_loop_ends_above_the_limit() -> None:
    assert spf.reach("v=spf1 include:loop.net", OTHERS).lookups > spf.LOOKUP_LIMIT


@pytest.mark.parametrize(
    ("text", "lacking"),
    [
        ("v=spf1 include:spf.provider.net ip4:192.0.2.0/24 -all", ()),
        ("v=spf1 ip4:192.0.2.7 -all", ("include:spf.provider.net",)),
        ("v=spf1 -include:spf.provider.net ip4:192.0.2.7", ("include:spf.provider.net",)),
        ("v=spf1 include:SPF.provider.net. ip4:192.0.2.7", ()),
    ],
)
def test_what_is_missing(text: str, lacking: tuple[str, ...]) -> None:
    assert WANTED.missing_from(spf.reach(text, OTHERS)) == lacking


@pytest.mark.parametrize(
    ("existing", "merged"),
    [
        ([], "v=spf1 include:spf.provider.net ip4:192.0.2.7 ~all"),
        (
            ["v=spf1 include:a.net -all"],
            "v=spf1 include:a.net include:spf.provider.net ip4:192.0.2.7 -all",
        ),
        (["v=spf1 mx"], "v=spf1 include:spf.provider.net ip4:192.0.2.7 mx"),
        (
            ["v=spf1 redirect=a.net"],
            "v=spf1 include:spf.provider.net ip4:192.0.2.7 redirect=a.net",
        ),
        (
            ["v=spf1 a -all", "v=spf1 mx ~all"],
            "v=spf1 include:spf.provider.net ip4:192.0.2.7 a mx ~all",
        ),
        (
            ["v=spf1 ipv4:192.0.2.7 include=spf.provider.net, -all"],
            "v=spf1 ip4:192.0.2.7 include:spf.provider.net -all",
        ),
        (
            ["v=spf1 redirect=a.net", "v=spf1 mx"],
            "v=spf1 include:a.net include:spf.provider.net ip4:192.0.2.7 mx",
        ),
        (
            ["v=spf1 redirect=a.net", "v=spf1 redirect=b.net -all"],
            "v=spf1 include:a.net include:spf.provider.net ip4:192.0.2.7 -all",
        ),
        (["v=spf1 +all"], "v=spf1 include:spf.provider.net ip4:192.0.2.7 ~all"),
    ],
)
def test_merging(existing: list[str], merged: str) -> None:
    assert merge(existing, WANTED, OTHERS).split() == merged.split()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("v=spf1 include:gone.net -all", "v=spf1 -all"),
        ("v=spf1  mx  include:gone.net  include:b.net", "v=spf1  mx  include:b.net"),
        ("v=spf1 include:GONE.net. ?include:gone.net -all", "v=spf1 -all"),
        ("v=spf1 include:spf.provider.net -all", "v=spf1 include:spf.provider.net -all"),
        ("v=spf1 -all include:gone.net", "v=spf1 -all include:gone.net"),
    ],
)
def test_dead_includes_are_taken_out(text: str, left: str) -> None:
    assert without_dead_includes(text, WANTED, OTHERS) == left


def test_a_dead_include_that_is_required_stays() -> None:
    text = "v=spf1 include:gone.net -all"
    assert without_dead_includes(text, spf.Requirement(("gone.net",), (), "~all"), OTHERS) == text


NAMES = st.sampled_from(["a.net", "b.net", "spf.provider.net", "gone.net"])
TERMS = st.one_of(
    st.builds("{}include:{}".format, st.sampled_from(["", "+", "-", "?"]), NAMES),
    st.sampled_from(["a", "mx", "-ptr", "ip4:203.0.113.0/24", "ip6:2001:db8::/32", "exists:x.net"]),
    st.sampled_from(["-all", "~all", "?all", "redirect=a.net", "ipv4:1.2.3.4", "foo", "x=y"]),
)
RECORDS = st.lists(TERMS, max_size=6).map(lambda terms: " ".join(["v=spf1", *terms]))


@given(st.lists(RECORDS, max_size=3))
def test_merging_is_a_fixed_point_and_sound(existing: list[str]) -> None:
    merged = merge(existing, WANTED, OTHERS)
    assert spf.is_spf(merged)
    assert spf.parse(merged).problems == ()
    assert WANTED.missing_from(spf.reach(merged, OTHERS)) == ()
    assert merge([merged], WANTED, OTHERS) == merged


@given(RECORDS.filter(lambda text: not spf.parse(text).problems))
def test_what_was_authorised_stays_authorised(existing: str) -> None:
    before = spf.reach(existing, OTHERS)
    after = spf.reach(merge([existing], WANTED, OTHERS), OTHERS)
    assert before.includes <= after.includes
    assert set(before.networks) <= set(after.networks)


@given(st.one_of(st.text(), st.text(alphabet='%{}:/=.-+~ad4x1" \t', max_size=80)))
def test_no_text_breaks_the_parser(text: str) -> None:
    spf.parse(f"v=spf1 {text}")
    spf.is_spf(text)
    spf.looks_like_spf(text)
    merge([f"v=spf1 {text}"], WANTED, OTHERS)


@pytest.mark.parametrize("label", ["a" * 16000, "a-" * 8000, "%{d" * 5000, "1" * 16000])
def test_hostile_terms_take_little_time(label: str) -> None:
    started = time.process_time()
    spf.parse(f"v=spf1 include:x.{label}!")
    assert time.process_time() - started < 0.5

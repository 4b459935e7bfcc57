# SPDX-License-Identifier: Apache-2.0
"""Reading SPF records whole: selection, grammar, and the place of every mistake.

RFC 7208 sections 4.5, 4.6.1, 5, 6 and 12.
"""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns import spf
from postroom.dns.spf.record import network


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
    ("text", "name", "domain", "prefixes"),
    [
        ("a", "a", "", (32, 128)),
        ("-A:Host.Example.COM./24//64", "a", "host.example.com", (24, 64)),
        ("mx//0", "mx", "", (32, 0)),
        ("?mx/0", "mx", "", (0, 128)),
        ("a:b/c.example.com/8", "a", "b/c.example.com", (8, 128)),
        ("include:%{d/}.example.com", "include", "%{d/}.example.com", (32, 128)),
        ("redirect=_spf.Example.com.", "redirect", "_spf.example.com", (32, 128)),
    ],
)
def test_what_terms_say(text: str, name: str, domain: str, prefixes: tuple[int, int]) -> None:
    (term,) = spf.parse(f"v=spf1 {text}").terms
    assert (term.name, term.target, (term.prefix4, term.prefix6)) == (name, domain, prefixes)
    assert (term.start, term.end) == (7, 7 + len(text))


def test_networks_are_read() -> None:
    four, six = spf.parse("v=spf1 ip4:192.0.2.77/24 ip6:2001:DB8::1").terms
    assert four.network == ipaddress.ip_network("192.0.2.0/24")
    assert six.network == ipaddress.ip_network("2001:db8::1/128")


def test_positions_are_those_of_bytes() -> None:
    text = "v=spf1   a  foo  exists:%{i}.x.net bar -all"
    record = spf.parse(text)
    assert [text[term.start : term.end] for term in record.terms] == [
        term.text for term in record.terms
    ]
    assert [text.index(problem.term) for problem in record.problems] == [
        problem.start for problem in record.problems
    ]
    assert [problem.term for problem in record.problems] == ["foo", "bar"]


def test_a_mechanism_written_as_a_modifier_is_no_error_but_noted() -> None:
    record = spf.parse("v=spf1 include=x.net -all")
    assert record.errors == ()
    assert [problem.fatal for problem in record.problems] == [False]


def test_a_redirect_does_not_count_beside_all() -> None:
    record = spf.parse("v=spf1 redirect=x.net all=1 -all")
    assert record.redirect is None
    assert record.modifier("redirect") is not None
    assert spf.parse("v=spf1 all=1 redirect=x.net").redirect is not None


@pytest.mark.parametrize(
    ("name", "text", "made"),
    [
        ("ip4", "192.0.2.0/24", True),
        ("ip4", "192.0.2.0/24 ", False),
        ("ip4", "192.0.2.0/99", False),
        ("ip4", "0300.0.0.1", False),
        ("ip6", "::/0", True),
        ("ip6", "::192.0.2.1", True),
        ("ip6", "1::2::3", False),
    ],
)
def test_networks(name: str, text: str, made: bool) -> None:
    assert (network(name, text) is not None) is made


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ('"v=spf1 -all"', True),
        (" v=spf1 -all", True),
        ("\xef\xbb\xbfv=spf1", True),
        ("spf1 -all", True),
        ("v=spf 1 -all", True),
        ("v=spf1;-all", True),
        ("spf-verification=abc", False),
        ("v=DMARC1", False),
    ],
)
def test_what_was_meant_as_spf(text: str, meant: bool) -> None:
    assert spf.looks_like_spf(text) is meant


TEXTS = st.one_of(
    st.text(),
    st.text(alphabet='%{}:/=.-+~?ad4xim16 " \t\xe4', max_size=80),
    st.lists(
        st.sampled_from(["a", "mx/24", "include:x.net", "ip4:1.2.3.4", "x", "=", "-all", "%"])
    ).map(" ".join),
)


@given(TEXTS)
def test_no_text_breaks_the_parser(text: str) -> None:
    whole = f"v=spf1 {text}"
    record = spf.parse(whole)
    spf.is_spf(text)
    spf.looks_like_spf(text)
    words = [one for one in whole[6:].split(" ") if one]
    assert len(record.terms) + len(record.problems) >= len(words)
    for term in record.terms:
        assert whole[term.start : term.end] == term.text
    for problem in record.problems:
        assert whole[problem.start :].startswith(problem.term)

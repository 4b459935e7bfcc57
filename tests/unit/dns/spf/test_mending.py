# SPDX-License-Identifier: Apache-2.0
"""Slips in SPF terms: mended where they have one plain meaning, and else left out by name.

Covers: each kind of slip of addresses, names, prefix lengths, separators and of all; what is not
guessed; tokens that stray spaces have torn; that whatever is left out is told.
"""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postroom.dns import spf
from postroom.dns.spf import Fetched, Requirement
from postroom.dns.spf.mending import is_sound, read
from postroom.dns.spf.merge import Merged, merge

NOBODY = Requirement((), (), "~all")
OTHERS = {
    name: Fetched((f"v=spf1 ip4:203.0.113.{n} -all",))
    for n, name in enumerate(("a.net", "b.net", "spf.provider.net"))
}


def merged(text: str) -> Merged:
    return merge([text], NOBODY, OTHERS, "example.com")


@pytest.mark.parametrize(
    ("slip", "terms"),
    [
        # Addresses and networks.
        ("ip6:[2001:db8::1]", "ip6:2001:db8::1"),
        ("ip6:[2001:db8::]/32", "ip6:2001:db8::/32"),
        ("ip6:[2001:db8::1]:587", "ip6:2001:db8::1"),
        ("ip4:[203.0.113.9]", "ip4:203.0.113.9"),
        ("ip4:203.0.113.0/255.255.255.0", "ip4:203.0.113.0/24"),
        ("ip4:203.0.113.0/255.255.255.128", "ip4:203.0.113.0/25"),
        ("ip4:203.0.113.0/0.0.0.255", "ip4:203.0.113.0/24"),
        ("ip4:1.2.3.4:25", "ip4:1.2.3.4"),
        ("ip4:203.000.113.009", "ip4:203.0.113.9"),
        ("ip4:203.0.113.0/024", "ip4:203.0.113.0/24"),
        ("ip4:203.0.113.0//24", "ip4:203.0.113.0/24"),
        ("ip4:203.0.113.0\\24", "ip4:203.0.113.0/24"),
        ("ip4:203.0.113.*", "ip4:203.0.113.0/24"),
        ("ip4:203.0.113/24", "ip4:203.0.113.0/24"),
        ("ip4:203.0.113.9.", "ip4:203.0.113.9"),
        ("ip4:203.0.113.0-203.0.113.255", "ip4:203.0.113.0/24"),
        ("ip4:203.0.113.8-203.0.113.9", "ip4:203.0.113.8/31"),
        ("ip6:2001:db8::-2001:db8::1", "ip6:2001:db8::/127"),
        ("mx:1.2.3.4", "ip4:1.2.3.4"),
        ("~a:1.2.3.4", "~ip4:1.2.3.4"),
        ("include:1.2.3.4", "ip4:1.2.3.4"),
        ("include:2001:db8::1", "ip6:2001:db8::1"),
        ("ip-4:1.2.3.4", "ip4:1.2.3.4"),
        ("ip5:1.2.3.4", "ip4:1.2.3.4"),
        ("2001:db8::1", "ip6:2001:db8::1"),
        # Names.
        ("include:https://a.net/", "include:a.net"),
        ("include:https://a.net", "include:a.net"),
        ("include:http://a.net/spf", None),
        ("include:@a.net", "include:a.net"),
        ('include:"a.net"', "include:a.net"),
        ("(include:a.net)", "include:a.net"),
        ("include:a.net/", "include:a.net"),
        ("a:b\xc3\xbccher.example", "a:xn--bcher-kva.example"),
        # Misspelt, and separated by something else.
        ("includes:a.net", "include:a.net"),
        ("inclue:a.net", "include:a.net"),
        ("inlcude:a.net", "include:a.net"),
        ("?Includ:a.net", "?include:a.net"),
        ("include;a.net", "include:a.net"),
        ("include,a.net", "include:a.net"),
        ("include::a.net", "include:a.net"),
        ("include:=a.net", "include:a.net"),
        ("ip4;1.2.3.4", "ip4:1.2.3.4"),
        ("redirect:a.net", "redirect=a.net"),
        ("+redirect=a.net", "redirect=a.net"),
        ("exist:a.net", "exists:a.net"),
        # Prefix lengths.
        ("a/24/64", "a/24//64"),
        ("mx/024//64", "mx/24//64"),
        ("a:b.net/24/", "a:b.net/24"),
        # Stray spaces.
        ("ip4:203.0.113.0 /24", "ip4:203.0.113.0/24"),
        ("ip4:203.0.113.0/ 24", "ip4:203.0.113.0/24"),
        ("ip4:203.0.113.0 / 24", "ip4:203.0.113.0/24"),
        ("ip6:2001:db8:: /32", "ip6:2001:db8::/32"),
        ("mx /24", "mx/24"),
        ("a:b.net /24", "a:b.net/24"),
        ("ip4:203.0.113.0 /255.255.255.0", "ip4:203.0.113.0/24"),
        ("ip4 1.2.3.4", "ip4:1.2.3.4"),
        ("ip4 :1.2.3.4", "ip4:1.2.3.4"),
        ("include a.net", "include:a.net"),
        ("include : a.net", "include:a.net"),
        ("redirect= a.net", "redirect=a.net"),
        # Several terms in one.
        ("include:a.net;include:b.net", "include:a.net include:b.net"),
        ("include:a.net&include:b.net", "include:a.net include:b.net"),
        ("ip4:1.2.3.4|mx", "ip4:1.2.3.4 mx"),
        # What a name cannot have, and what stands there already.
        ("include:a.net:587", "include:a.net"),
        ("include:a.net/24", "include:a.net"),
        ("a:b.net:25", "a:b.net"),
        ("redirect=a.net:25", "redirect=a.net"),
        ("include:include:a.net", "include:a.net"),
        ("include:spf:a.net", "include:a.net"),
        ("*include:a.net", "include:a.net"),
        ("\xe2\x80\xa2ip4:1.2.3.4", "ip4:1.2.3.4"),
        ("ip4:[203.0.113.0/24]", "ip4:203.0.113.0/24"),
        ("ip6:[2001:db8::/32]", "ip6:2001:db8::/32"),
        ("ip4:203.0.113.0/24.", "ip4:203.0.113.0/24"),
        ("ip6:2001:db8::/32.", "ip6:2001:db8::/32"),
        ("pi4:1.2.3.4", "ip4:1.2.3.4"),
        ("p4:1.2.3.4", "ip4:1.2.3.4"),
        ("ip4:1.2.3.4,5.6.7.8", "ip4:1.2.3.4 ip4:5.6.7.8"),
    ],
)
def test_one_plain_meaning(slip: str, terms: str | None) -> None:
    made = merged(f"v=spf1 ip4:192.0.2.9 {slip}")
    assert made.value is not None
    if terms is None:
        assert made.left_out
        return
    assert made.value == f"v=spf1 ip4:192.0.2.9 {terms}"
    assert (made.left_out, made.doubts) == ((), ())
    assert merge([made.value], NOBODY, OTHERS, "example.com").value == made.value


@pytest.mark.parametrize(
    ("slip", "term"),
    [
        ("include=a.net", "include:a.net"),
        ("inclue=a.net", "include:a.net"),
        ("ip4=1.2.3.4", "ip4:1.2.3.4"),
        ("ipv4=1.2.3.4", "ip4:1.2.3.4"),
        ("a=mail.b.net", "a:mail.b.net"),
        ("redirct=a.net", "redirect=a.net"),
        # Nothing is known of the first, the others are lawful, whatever they are for.
        ("include=unknown.net", "include=unknown.net"),
        ("exp=why.net", "exp=why.net"),
        ("x=y", "x=y"),
        ("include=<your.net>", "include=<your.net>"),
    ],
)
def test_what_is_lawful_but_does_nothing(slip: str, term: str) -> None:
    """It stays as long as the record works."""
    assert merged(f"v=spf1 mx {slip}").value == f"v=spf1 mx {slip}"
    assert merged(f"v=spf1 mx {slip} foo").value == f"v=spf1 mx {term}"


@pytest.mark.parametrize(
    ("slip", "end"),
    [
        ("-all.", "-all"),
        ("-all,", "-all"),
        ("-all;", "-all"),
        ("~all.", "~all"),
        ("all-", "-all"),
        ("all~", "~all"),
        ("--all", "-all"),
        ("~-all", "~all"),
        ("-~all", "~all"),
        ("-?all", "?all"),
        ("- all", "-all"),
        ("~ all", "~all"),
        ("-al", "-all"),
        ("-alll", "-all"),
        ('"-all"', "-all"),
        ("-all:", "-all"),
        ("-all/", "-all"),
        (":-all", "-all"),
        ("mx-all", "mx -all"),
        ("ip4:1.2.3.4-all", "ip4:1.2.3.4 -all"),
        ("include:a.net~all", "include:a.net ~all"),
        ("ip4:1.2.3.4&-all", "ip4:1.2.3.4 -all"),
        ("<-all>", "-all"),
        ("{~all}", "~all"),
        ("-all/32", "-all"),
        ("~all:587", "~all"),
        ("-any", "-all"),
        ("~any", "~all"),
    ],
)
def test_the_end_is_never_lost(slip: str, end: str) -> None:
    made = merged(f"v=spf1 ip4:192.0.2.9 {slip}")
    assert made.value == f"v=spf1 ip4:192.0.2.9 {end}"
    several = slip in ("~-all", "-~all", "-?all")
    assert bool(made.doubts) is several
    assert all(f"reads {slip} as {end}:" in doubt for doubt in made.doubts)
    assert made.left_out == ()


@pytest.mark.parametrize(
    "slip",
    [
        "ip4:a-b",
        "ip4:host",
        "ip4:203.0.113.300",
        "ip4:203.0.113.0/33",
        "ip4:203.0.113.0/255.0.255.0",
        "ip4:203.*.113.0",
        "ip4:203.0.113",
        "ip4:203.0.113.9-203.0.113.1",
        "ip6:fe80::1%eth0",
        "exclude:a.net",
        "-redirect=a.net",
        "+-include:a.net",
        "ptr/24",
        "exists:a.net/24",
        "include:user@a.net",
        "include:<a.net>",
        "include:<your.net>",
        "spf.other.net",
        "foo",
        "-foo",
        "include:",
        "ip4:",
        "a:\xe4.net",
        "redirect=a.net redirect=b.net",
    ],
)
def test_what_is_not_clear_is_left_out_by_name(slip: str) -> None:
    made = merged(f"v=spf1 ip4:192.0.2.9 {slip} mx:b.net")
    assert made.value is not None
    assert {"ip4:192.0.2.9", "mx:b.net"} <= set(made.value.split())
    gone = slip.split()[-1].replace("\xe4", "\\228")
    assert [one for one in made.left_out if one.startswith(f"{gone}, which ")]


@pytest.mark.parametrize(
    ("slip", "kept"),
    [
        ("ip4:203.0.113.0/", "ip4:203.0.113.0"),
        ("a:b.net/", "a:b.net"),
        ("ip4:mail.b.net", "a:mail.b.net"),
        ("include:a.net;foo;mx", "include:a.net mx"),
    ],
)
def test_what_is_clear_in_part_is_kept_and_told(slip: str, kept: str) -> None:
    made = merged(f"v=spf1 {slip}")
    assert made.value == f"v=spf1 {kept}"
    assert made.left_out or made.doubts


def test_a_gap_with_spaces_is_left_out_whole() -> None:
    made = merged("v=spf1 include:<your mail provider> ip4:192.0.2.9 -all")
    assert made.value == "v=spf1 ip4:192.0.2.9 -all"
    assert made.left_out == (
        "include:<your mail provider>, which is a placeholder of the instructions",
    )


@pytest.mark.parametrize(
    ("records", "end", "told"),
    [
        (["v=spf1 a -all", "v=spf1 mx ~all"], "~all", "end in ~all and -all; the one in ~all."),
        (["v=spf1 a -all", "v=spf1 mx ?all"], "?all", "end in ?all and -all; the one in ?all."),
        (["v=spf1 a -all", "v=spf1 mx"], "-all", "end in -all and no all; the one in -all."),
        (["v=spf1 a -all", "v=spf1 mx -all"], "-all", ""),
        (["v=spf1 a", "v=spf1 mx"], "mx", ""),
        (["v=spf1 redirect=a.net", "v=spf1 mx -all"], "-all", "redirect=a.net as include:a.net:"),
        (["v=spf1 a +all", "v=spf1 mx -all"], "~all", "It ends in ~all"),
    ],
)
def test_the_end_of_several_records_is_told(records: list[str], end: str, told: str) -> None:
    made = merge(records, NOBODY, OTHERS, "example.com")
    assert made.value is not None
    assert made.value.split()[-1] == end
    assert told in " ".join(made.doubts)
    assert bool(made.doubts) is bool(told)


@pytest.mark.parametrize(
    ("terms", "value"),
    [
        ("redirect=a.net redirct=b.net foo", "redirect=a.net redirct=b.net"),
        ("redirect:a.net redirect=b.net", "redirect=b.net"),
        ("redirect:a.net redirect:b.net", "redirect=a.net"),
        ("redirect= a.net redirect:b.net", "redirect=a.net"),
        ("redirect=https://a.net redirect:b.net", "redirect=a.net"),
    ],
)
def test_no_mending_makes_a_second_redirect(terms: str, value: str) -> None:
    assert merged(f"v=spf1 {terms}").value == f"v=spf1 {value}"


def test_what_stood_behind_all_is_told_where_records_become_one() -> None:
    made = merge(["v=spf1 a -all ip4:192.0.2.9", "v=spf1 mx -all x=1", "v=spf1 x=2"], NOBODY, {})
    assert made.left_out == (
        "ip4:192.0.2.9, which stands after all",
        "x=2, of which there can be one only",
    )


PIECES = st.text(alphabet="includeip46amxl:=/.,;[]-+~?%{}<>@ 0123456789\xe4\xc2\xa0", max_size=30)


@example("ip4:" + "9" * 400)
@example("[" * 200)
@given(PIECES)
def test_any_text_is_read_as_sound_terms_or_left_out(text: str) -> None:
    made = read(text.replace(" ", ""))
    assert made is None or all(map(is_sound, made.text.split(" ")))
    whole = merged(f"v=spf1 {text}")
    assert spf.parse(whole.candidate).errors == ()

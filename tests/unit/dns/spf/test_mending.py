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
from rows import over

NOBODY = Requirement((), (), "~all")


OTHERS = {
    name: Fetched((f"v=spf1 ip4:203.0.113.{n} -all",))
    for n, name in enumerate(("a.net", "b.net", "spf.provider.net"))
}


def merged(text: str) -> Merged:
    return merge([text], NOBODY, OTHERS, "example.com")


@over(
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
        ("a:_s.m\xc3\xbcnchen.example", "a:_s.xn--mnchen-3ya.example"),
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
def test_one_plain_meaning(meant: tuple[str, str | None]) -> None:
    slip, terms = meant
    made = merged(f"v=spf1 ip4:192.0.2.9 {slip}")
    assert made.value is not None
    if terms is None:
        assert made.left_out
        return
    assert made.value == f"v=spf1 ip4:192.0.2.9 {terms}"
    assert (made.left_out, made.doubts) == ((), ())
    assert merge([made.value], NOBODY, OTHERS, "example.com").value == made.value


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


PIECES = st.text(alphabet="includeip46amxl:=/.,;[]-+~?%{}<>@ 0123456789\xe4\xc2\xa0", max_size=30)


@example("ip4:" + "9" * 400)
@example("[" * 200)
@given(PIECES)
def test_any_text_is_read_as_sound_terms_or_left_out(text: str) -> None:
    made = read(text.replace(" ", ""))
    assert made is None or all(map(is_sound, made.text.split(" ")))
    whole = merged(f"v=spf1 {text}")
    assert spf.parse(whole.candidate).errors == ()

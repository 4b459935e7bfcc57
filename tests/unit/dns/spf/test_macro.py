# SPDX-License-Identifier: Apache-2.0
"""Macros of SPF: the examples of RFC 7208 section 7.4, and what is cut, joined and escaped."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.spf.macro import (
    Variables,
    expand_beforehand,
    expand_explanation,
    expand_name,
    is_domain_spec,
    is_macro_string,
    reverse_name,
)

FOUR = Variables(
    ipaddress.ip_address("192.0.2.3"),
    "strong-bad@email.example.com",
    "email.example.com",
    "mx.example.org",
)
SIX = Variables(
    ipaddress.ip_address("2001:db8::cb01"), FOUR.sender, FOUR.domain, FOUR.helo, "mx.example.org"
)


@pytest.mark.parametrize(
    ("macro", "text"),
    [
        ("%{s}", "strong-bad@email.example.com"),
        ("%{o}", "email.example.com"),
        ("%{d}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d3}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{d1}", "com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{d02R}", "example.email"),
        ("%{l}", "strong-bad"),
        ("%{l-}", "strong.bad"),
        ("%{lr}", "strong-bad"),
        ("%{lr-}", "bad.strong"),
        ("%{l1r-}", "strong"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
        (
            "%{lr-}.lp.%{ir}.%{v}._spf.%{d2}",
            "bad.strong.lp.3.2.0.192.in-addr._spf.example.com",
        ),
        ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
        ("%{d2}.trusted.example.net.", "example.com.trusted.example.net"),
        ("%{h}", "mx.example.org"),
        ("%{p}.example.net", "unknown.example.net"),
        ("a%%b%_c%-d.example.com", "a%b c%20d.example.com"),
        (f"%{{d{'9' * 5000}}}", "email.example.com"),
    ],
)
def test_names(macro: str, text: str) -> None:
    assert is_domain_spec(macro)
    assert expand_name(macro, FOUR) == text


def test_ipv6_becomes_nibbles() -> None:
    nibbles = "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"
    assert expand_name("%{ir}.%{v}._spf.%{d2}", SIX) == f"{nibbles}.ip6._spf.example.com"
    assert reverse_name(SIX.ip) == f"{nibbles}.ip6.arpa"


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("%{c} %{r} %{t} %{p}", "2001:db8::cb01 unknown 0 mx.example.org"),
        ("%{S}", "strong-bad%40email.example.com"),
        ("a trailing dot stays.", "a trailing dot stays."),
        ("%{V}", "ip6"),
        ("%", None),
        ("%{q}", None),
        ("%{d0}", None),
        ("na\xefve", None),
        ("tab\there", None),
        ("", ""),
    ],
)
def test_explanations(text: str, expanded: str | None) -> None:
    assert expand_explanation(text, SIX) == expanded


def test_upper_case_escapes_all_but_unreserved_bytes() -> None:
    made = Variables(FOUR.ip, "~a&b=c-d_e.f/g@x.net", "x.net", "x")
    assert expand_explanation("%{L}", made) == "~a%26b%3Dc-d_e.f%2Fg"


def test_long_names_are_cut_from_the_left_by_labels() -> None:
    long = Variables(FOUR.ip, FOUR.sender, ".".join(["label"] * 40), FOUR.helo)
    name = expand_name("%{d}.%{d}.example.com", long)
    assert name.endswith(".label.example.com")
    assert 247 < len(name) <= 253
    assert name.startswith("label.")


def test_explanations_are_bounded() -> None:
    long = Variables(FOUR.ip, "a" * 1000 + "@x.net", "x.net", "x")
    assert len(expand_explanation("%{s}" * 10_000, long) or "") == 4096


MACROS = st.builds(
    "%{{{}{}{}{}}}".format,
    st.sampled_from("dosliphvDOSLIPHV"),
    st.sampled_from(("", "1", "2", "03", "99")),
    st.sampled_from(("", "r", "R")),
    st.text("-.+,/_=", max_size=2),
)
PIECES = st.lists(st.one_of(MACROS, st.sampled_from(("%%", "%_", "%-", "spf.", "x-", "."))))


@given(PIECES, st.sampled_from(("192.0.2.3", "2001:db8::1")), st.sampled_from(("a", "x-y+z")))
def test_what_is_known_beforehand_is_so_for_every_message(
    pieces: list[str], ip: str, local: str
) -> None:
    text = "".join([*pieces, "x.example.net"])
    known = expand_beforehand(text, "in-c_l.example.org", "my-own.example.com")
    client, sender = ipaddress.ip_address(ip), f"{local}@my-own.example.com"
    message = Variables(client, sender, "in-c_l.example.org", "helo.example.net", "name.net")
    letters = {piece[2].lower() for piece in pieces if piece.startswith("%{")}
    assert known == (expand_name(text, message) if letters <= {"d", "o"} else "")


@pytest.mark.parametrize(
    ("text", "domain", "sender", "known"),
    [
        ("%{d}.x", "", "a.net", ""),
        ("%{o}.x", "a.net", "", ""),
        ("%{o}.x", "a.net", "b.net", "b.net.x"),
        ("a%%b.%{D/}", "a.net", "", "a%b.a.net"),
        ("%{d}", "a.net", "b.net", "a.net"),
        ("%{d}.%{v}.x", "a.net", "b.net", ""),
    ],
)
def test_without_its_domain_a_macro_is_not_known(
    text: str, domain: str, sender: str, known: str
) -> None:
    assert expand_beforehand(text, domain, sender) == known


@pytest.mark.parametrize("letter", "crt")
def test_letters_for_explanations_make_no_name(letter: str) -> None:
    assert not is_domain_spec(f"%{{{letter}}}.example.com")
    assert is_macro_string(f"%{{{letter}}}")


TEXTS = st.text(alphabet="%{}slodiphcrtvSLR0129r.-+,/_= ax\t\xe4", max_size=60)


@given(TEXTS)
def test_no_text_breaks_expansion(text: str) -> None:
    assert is_macro_string(text) or not is_domain_spec(text)
    if is_domain_spec(text):
        name = expand_name(text, FOUR)
        assert len(name) <= 253 or "." not in name
    # Explanations are macro-strings that may also hold spaces.
    valid = is_macro_string(text.replace(" ", "x"))
    assert (expand_explanation(text, SIX) is not None) is valid

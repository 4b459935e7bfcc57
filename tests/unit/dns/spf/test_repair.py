# SPDX-License-Identifier: Apache-2.0
"""The repair of a record: the clear is mended, the rest left out by name, and all is told."""

from __future__ import annotations

import pytest

from postroom.dns.spf import Fetched, Requirement
from postroom.dns.spf.merge import Merged, merge

NOBODY = Requirement((), (), "~all")


OTHERS = {
    name: Fetched((f"v=spf1 ip4:203.0.113.{n} -all",))
    for n, name in enumerate(("a.net", "b.net", "spf.provider.net"))
}


def merged(text: str) -> Merged:
    return merge([text], NOBODY, OTHERS, "example.com")


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
    ("slip", "made"),
    [
        ("include:a.net,b.net", "include:a.net include:b.net"),
        ("include:a.net;b.net;mx", "include:a.net include:b.net mx"),
        ("~a:a.net,b.net", "~a:a.net ~a:b.net"),
        ("ip4:192.0.2.1,192.0.2.2,a:b.net", "ip4:192.0.2.1 ip4:192.0.2.2 a:b.net"),
        ("include:a.net,-all", "include:a.net -all"),
    ],
)
def test_what_is_listed_behind_a_mechanism_is_of_it(slip: str, made: str) -> None:
    assert merged(f"v=spf1 {slip}").value == f"v=spf1 {made}"
    assert merged(f"v=spf1 {slip}").left_out == ()


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

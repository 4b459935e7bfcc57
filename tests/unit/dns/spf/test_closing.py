# SPDX-License-Identifier: Apache-2.0
"""Records that let everyone pass without saying so: found by who passes, and closed."""

from __future__ import annotations

import ipaddress
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.dns import spf
from postroom.dns.spf.closing import SENDERS, open_terms
from postroom.dns.spf.merge import merge
from postroom.dns.spf.requirement import Requirement
from unit.dns.spf.spf_zones import DOMAIN, RECORDS, Zone, fetched, result_for, zones

ZONE: Zone = {
    "example.com A": ["192.0.2.1"],
    "example.com MX": ["10 a.net"],
    "a.net A": ["192.0.2.200"],
    "a.net AAAA": ["2001:db8::7"],
    "a.net TXT": ["v=spf1 ip4:192.0.2.0/24 -all"],
    "b.net TXT": ["v=spf1 +all"],
    "c.net TXT": ["v=spf1 include:b.net -all"],
    "d.net TXT": ["v=spf1 ip4:0.0.0.0/0 ?all"],
}
WANTED = Requirement(("a.net",), (), "~all")
#: What comes to +all, and what the fix has in its place.
OPEN = [
    ("ip4:0.0.0.0/0", ""),
    ("ip6:::/0", ""),
    ("ip6:2000::/3", ""),
    ("ip4:0.0.0.0/1 ip4:128.0.0.0/1", ""),
    ("ip4:0.0.0.0/2 ip4:64.0.0.0/2 ip4:128.0.0.0/2 ip4:192.0.0.0/2", ""),
    ("ip4:203.0.113.5/0", "ip4:203.0.113.5"),
    ("ip4:192.0.2.9/1 ip4:64.0.0.0/1", "ip4:192.0.2.9 ip4:64.0.0.0"),
    ("a/0", "a"),
    ("mx//0", "mx"),
    ("mx/24//0", "mx/24"),
    ("mx:example.com/0//64", "mx:example.com//64"),
    ("mx:example.com/0", "mx:example.com"),
    ("exists:a.net", ""),
    ("include:b.net", ""),
    ("include:c.net", ""),
    ("include:d.net", ""),
]


@pytest.mark.parametrize(("terms", "closed"), OPEN)
def test_what_comes_to_plus_all_is_closed(terms: str, closed: str) -> None:
    text = f"v=spf1 include:a.net {terms} -all"
    found = open_terms(spf.parse(text), fetched(ZONE), DOMAIN)
    assert [term.text for term in found] == terms.split()
    made = merge([text], WANTED, fetched(ZONE), DOMAIN)
    assert made.value == " ".join(["v=spf1 include:a.net", *closed.split(), "-all"])
    gone = [clause.partition(", ")[0] for clause in made.left_out]
    assert gone == ([] if closed else terms.split())


def test_a_redirect_to_an_open_record_leaves_the_end_that_the_spec_asks_for() -> None:
    made = merge(["v=spf1 include:a.net redirect=b.net"], WANTED, fetched(ZONE), DOMAIN)
    assert made.value == "v=spf1 include:a.net ~all"


@pytest.mark.parametrize(
    "text",
    [
        "v=spf1 ?ip4:0.0.0.0/0 -all",
        "v=spf1 -all ip4:0.0.0.0/0",
        "v=spf1 ip4:0.0.0.0/1 -all",
        "v=spf1 exists:%{i}.a.net exists:gone.net ptr -all",
        "v=spf1 include:gone.net a mx ip4:10.0.0.0/8 ~all",
        "v=spf1 all",
    ],
)
def test_what_does_not_admit_everyone_is_none(text: str) -> None:
    assert open_terms(spf.parse(text), fetched(ZONE), DOMAIN) == ()


def test_what_the_spec_requires_stays() -> None:
    wanted = Requirement(("B.net",), (ipaddress.ip_network("0.0.0.0/0"),), "~all")
    text = "v=spf1 include:b.net ip4:0.0.0.0/0 -all"
    assert merge([text], wanted, fetched(ZONE), DOMAIN).value == text


def _senders(version: int) -> list[str]:
    """Addresses all over the Internet, with those at its ends."""
    made, random = list[int](), Random(7)  # noqa: S311
    for first, last in SENDERS[version]:
        made += [first, last, *(random.randint(first, last) for _ in range(3))]
    address = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
    return [str(address(number)) for number in made]


_INSERTED = st.sampled_from([terms for terms, _ in OPEN] + ["ip4:10.0.0.0/8", "a", "ip6:2001::/16"])


@settings(max_examples=150, deadline=None)
@given(zones(), RECORDS, _INSERTED, st.integers(0, 3))
def test_whom_receivers_let_pass_decides(
    zone: dict[str, list[str]], text: str, inserted: str, place: int
) -> None:
    """Where everyone of an IP version passes, whatever the message is, that is seen; and closed."""
    words = text.split()
    text = " ".join([*words[:1], *words[1 : place + 1], inserted, *words[place + 1 :]])
    there = {**zone, **ZONE}
    others, record = fetched(there), spf.parse(text)
    if record.errors or (record.all_term is not None and record.all_term.passes):
        return

    def everyone_passes(record: str) -> bool:
        at = {**there, f"{DOMAIN} TXT": [record]}
        return any(
            all(result_for(at, sender).result == "pass" for sender in _senders(version))
            for version in SENDERS
        )

    assert open_terms(record, others, DOMAIN) or not everyone_passes(text)
    made = merge([text], WANTED, others, DOMAIN)
    if made.value is not None:
        assert open_terms(spf.parse(made.value), others, DOMAIN) == ()
        assert not everyone_passes(made.value)

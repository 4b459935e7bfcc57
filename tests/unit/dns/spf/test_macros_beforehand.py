# SPDX-License-Identifier: Apache-2.0
"""Names that macros of the domain alone make: judged as those that are written out.

Covers: includes, redirects and hosts, in the record itself and in those that it leads to; what
depends on the message stays unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import cycle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.dns import spf
from postroom.dns.spf import Fetched
from postroom.dns.spf.passing import EVERYONE, passed
from unit.dns.spf.spf_zones import DOMAIN, RECORDS, fetched, result_for, zones

Records = Mapping[str, list[str]]
#: Ways to write example.com in its own record, and in one that it leads to (a.example.com).
_OWN = ("%{d}", "%{o}", "%{D}", "%{d2}", "%{o9}", "%{d=.}")
_BELOW = ("%{d2}", "%{o}", "%{O}", "%{D2}", "%{o2.}", "%{d02}")


def _within(text: str) -> str:
    # No dot may stand behind a macro at the end of a name (RFC 7208 section 7.1).
    return text.replace(".NET.", ".net").replace(".net", f".{DOMAIN}")


def _with_macros(text: str, forms: Iterator[str]) -> str:
    """Write the domain as macros, as often as it stands in the record."""
    first, *rest = text.split(f".{DOMAIN}")
    return first + "".join(f".{next(forms)}{piece}" for piece in rest)


def _worlds(zone: Records, text: str, at: int) -> tuple[Records, Records]:
    plain = {
        _within(key): [_within(value) for value in values]
        for key, values in {**zone, f"{DOMAIN} TXT": [text]}.items()
    }
    own, below = cycle(_OWN[at:] + _OWN[:at]), cycle(_BELOW[at:] + _BELOW[:at])
    written = {
        key: [
            _with_macros(value, own if key == f"{DOMAIN} TXT" else below)
            if key.endswith(" TXT") and spf.is_spf(value)
            else value
            for value in values
        ]
        for key, values in plain.items()
    }
    return plain, written


@settings(max_examples=200, deadline=None)
@given(zones(), RECORDS, st.integers(0, 5))
def test_macros_of_the_domain_count_as_what_they_make(zone: Records, text: str, at: int) -> None:
    plain, written = _worlds(zone, text, at)
    records = [world[f"{DOMAIN} TXT"][0] for world in (plain, written)]
    others = [_fetched(world) for world in (plain, written)]
    expected, found = map(lambda record, known: spf.reach(record, known, DOMAIN), records, others)
    for field in ("lookups", "void_lookups", "family_voids", "dependent_voids", "includes"):
        assert getattr(found, field) == getattr(expected, field), field
    # The same text is listed once, but written with other macros it is another.
    assert set(found.networks) == set(expected.networks)
    for field in ("broken", "unknown", "loops", "overfull"):
        assert getattr(found, field) == getattr(expected, field), field
    for version in EVERYONE:
        by = [
            passed(spf.parse(record, DOMAIN), version, known, DOMAIN)
            for record, known in zip(records, others, strict=True)
        ]
        assert by[0] == by[1]


@settings(max_examples=100, deadline=None)
@given(zones(), RECORDS, st.integers(0, 5))
def test_receivers_decide_the_same(zone: Records, text: str, at: int) -> None:
    plain, written = (result_for(world) for world in _worlds(zone, text, at))
    assert (written.result, written.lookups) == (plain.result, plain.lookups)


def _fetched(zone: Records) -> dict[str, Fetched]:
    made = {**fetched(zone)}
    for host in "abcd":
        made.setdefault(f"{host}.{DOMAIN}", Fetched(missing=True, ipv4=(), ipv6=(), exchanges=()))
    made.setdefault(f"gone.{DOMAIN}", Fetched(missing=True, ipv4=(), ipv6=(), exchanges=()))
    return made


@pytest.mark.parametrize("macro", ["%{i}", "%{s}", "%{l}", "%{h}", "%{p}", "%{v}", "%{d}.%{ir}"])
def test_what_depends_on_the_message_stays_unknown(macro: str) -> None:
    found = spf.reach(f"v=spf1 include:{macro}.x.net -all", {}, DOMAIN)
    assert (found.dependent, found.broken) == ([f"include:{macro}.x.net"], [])
    assert spf.referred_names(f"v=spf1 include:{macro}.x.net -all", DOMAIN) == ()


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("%{i}.example.net", "example.net"),
        ("%{i}x.Example.NET.", "example.net"),
        ("%{ir}.%{v}.a.%{d}.b.example.net", "b.example.net"),
        ("%{i}.exmple", "exmple"),
        ("%{i}.%{d}", ""),
        ("%{i}", ""),
        ("%{i}x%-y.net", "net"),
        ("%{i}.a%_.net", "net"),
    ],
)
def test_what_every_name_of_a_macro_ends_in(name: str, end: str) -> None:
    ends = spf.referred_ends(f"v=spf1 include:{name} -all")
    assert [found for _, found in ends] == ([end] if end else [])
    text = f"v=spf1 a:%{{l}}.a.net a:b.net mx exists:{name} redirect={name}"
    assert {found for _, found in spf.referred_ends(text)} == {"a.net", end} - {""}


DEAD = "%{i}.nowhere.example"


@pytest.mark.parametrize(
    ("term", "broken", "voids"),
    [
        (f"include:{DEAD}", [DEAD], 1),
        (f"exists:{DEAD}", [], 1),
        (f"a:{DEAD}", [], 1),
        (f"mx:{DEAD}", [], 1),
        (f"redirect={DEAD}", [DEAD], 1),
    ],
)
def test_a_name_that_is_there_for_no_message_is_as_one_written_out(
    term: str, broken: list[str], voids: int
) -> None:
    nothing = Fetched(missing=True, ipv4=(), ipv6=(), exchanges=())
    known = spf.reach(f"v=spf1 ip4:192.0.2.1 {term}", {DEAD: nothing}, DOMAIN)
    plain = spf.reach(
        f"v=spf1 ip4:192.0.2.1 {term}".replace("%{i}", "x"),
        {DEAD.replace("%{i}", "x"): nothing},
        DOMAIN,
    )
    assert (known.broken, known.void_lookups, known.dependent) == (broken, voids, [])
    assert (known.most_voids, known.lookups) == (plain.most_voids, plain.lookups)
    unknown = spf.reach(f"v=spf1 ip4:192.0.2.1 {term}", {}, DOMAIN)
    assert (unknown.broken, unknown.void_lookups, unknown.dependent_voids) == ([], 0, 1)
    for version in EVERYONE:
        record = spf.parse(f"v=spf1 ip4:192.0.2.1 {term}", DOMAIN)
        assert not passed(record, version, {DEAD: nothing}, DOMAIN).unclear


def test_the_same_text_means_another_name_in_another_place() -> None:
    text = "v=spf1 include:x.%{d} -all"
    others = {
        "x.example.com": Fetched((text,)),
        "x.x.example.com": Fetched(("v=spf1 a:%{o} a:%{d1r} mx:%%.net -all",)),
    }
    found = spf.reach(text, others, DOMAIN)
    assert found.includes == {"x.example.com", "x.x.example.com"}
    (last,) = found.costs[0].children
    assert [cost.name for cost in last.children] == ["example.com", "x", "%.net"]

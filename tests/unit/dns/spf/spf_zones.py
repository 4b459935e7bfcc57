# SPDX-License-Identifier: Apache-2.0
"""Zones as dictionaries, for evaluating SPF records without DNS, and strategies that make them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations
from math import lcm

from hypothesis import strategies as st

from postroom.dns import spf
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.spf import Fetched, Limits, Result
from postroom.dns.spf.driving import drive
from postroom.dns.spf.evaluate import STANDARD_LIMITS, evaluate

#: Values by ``name TYPE``; None stands for a lookup that fails.
Zone = Mapping[str, Sequence[str] | None]

DOMAIN = "example.com"
HOSTS = ("a.net", "b.net", "c.net", "d.net")
IPV4 = ("192.0.2.1", "192.0.2.200", "198.51.100.7", "203.0.113.9")
IPV6 = ("2001:db8::1", "2001:db8:1::7")


def answer(zone: Zone, name: str, kind: RecordType) -> Answer:
    """Answer as a resolver does; a name that has nothing does not exist."""
    question = Question(name, kind)
    values = zone.get(f"{name} {kind}", ())
    if values is None:
        return Answer(question, Outcome.SERVER_FAILURE)
    if values:
        return Answer(question, Outcome.FOUND, tuple(values))
    exists = any(key.startswith(f"{name} ") for key in zone)
    return Answer(question, Outcome.NO_DATA if exists else Outcome.NX_DOMAIN)


def result_for(
    zone: Zone,
    ip: str = "192.0.2.1",
    sender: str = f"user@{DOMAIN}",
    helo: str = "mx.example.org",
    limits: Limits = STANDARD_LIMITS,
) -> Result:
    """Evaluate for a sender."""
    steps = evaluate(ip, sender, helo, limits=limits, receiver="mx.example.net", timestamp=1700)
    return drive(steps, lambda name, kind: answer(zone, name, kind))


def fetched(zone: Zone) -> dict[str, Fetched]:
    """Return all that the zone tells, in the form of the static budget."""
    made: dict[str, Fetched] = {}
    for name in {key.rpartition(" ")[0] for key in zone} | set(HOSTS) | {DOMAIN, "gone.net"}:
        texts = zone.get(f"{name} TXT", ()) or ()
        made[name] = Fetched(
            spf.select(texts),
            missing=not texts,
            ipv4=tuple(zone.get(f"{name} A", ()) or ()),
            ipv6=tuple(zone.get(f"{name} AAAA", ()) or ()),
            exchanges=tuple(one.rpartition(" ")[2] for one in zone.get(f"{name} MX", ()) or ()),
        )
    return made


_NAMES = (*HOSTS, "gone.net")
_QUALIFIERS = ("", "", "", "+", "-", "~", "?")
_NETWORKS = (
    *(f"ip4:{one}" for one in IPV4),
    "ip4:192.0.2.0/24",
    "ip4:198.51.0.0/16",
    "ip6:2001:db8::1",
    "ip6:2001:db8::/32",
)
#: As often each kind, whatever it has of texts.
_MECHANISMS = (
    _NETWORKS,
    _NETWORKS,
    *(
        tuple(written.format(one) for one in _NAMES)
        for written in (
            "include:{}",
            "include:{}",
            "a:{}",
            "mx:{}",
            "exists:{}",
            "exists:%{{i}}.{}",
        )
    ),
    tuple(f"include:{one.upper()}." for one in _NAMES),
    ("a", "mx", "a/24", "mx//48", "ptr", "ptr:a.net"),
)
_AS_OFTEN = lcm(*map(len, _MECHANISMS))
# One draw for each term, not one for each part: drawing them was most of what properties took.
TERMS = st.sampled_from(
    [
        f"{qualifier}{one}"
        for qualifier in _QUALIFIERS
        for kind in _MECHANISMS
        for one in kind * (_AS_OFTEN // len(kind))
    ]
)
ENDS = st.sampled_from(["", "-all", "~all", "?all", "all", "redirect=a.net", "redirect=gone.net"])
RECORDS = st.builds(
    lambda terms, end, more: " ".join(["v=spf1", *terms, end, *more]).strip(),
    st.lists(TERMS, max_size=6),
    ENDS,
    st.lists(TERMS, max_size=1),
)
#: Texts that people write instead.
SLIPS = st.sampled_from(
    [
        "ipv4:192.0.2.1",
        "include: a.net",
        "include=a.net",
        "include:a.net,",
        "a:192.0.2.1",
        "ip4:192.0.2.1~all",
        "foo",
        "x=y",
        "redirect=b.net",
        "-all",
        "mx\tptr",
        "a:\xe4.net",
        "192.0.2.1",
        "inclue:b.net",
        "include;c.net",
        "include:https://d.net/",
        "ip4:192.0.2.0 /24",
        "ip4:198.51.100.0/255.255.255.0",
        "ip6:[2001:db8::1]",
        "a:b.net/24/64",
        "a:d.net/",
        "ip4:c.net",
        "redirct=a.net",
        "ip4:host",
        "~-all",
        "all-",
        "- all",
    ]
)
SLIPPED = st.builds(
    lambda text, slips: " ".join([text, *slips]), RECORDS, st.lists(SLIPS, max_size=3)
)


def _some(values: Sequence[str], most: int) -> st.SearchStrategy[tuple[str, ...]]:
    """Up to so many of some values in any order, as often each number of them."""
    numbers = [list(permutations(values, number)) for number in range(most + 1)]
    as_often = lcm(*map(len, numbers))
    return st.sampled_from([one for each in numbers for one in each * (as_often // len(each))])


_IPV4, _IPV6, _EXCHANGES = _some(IPV4, 2), _some(IPV6, 1), _some(HOSTS, 2)
# Made once: Hypothesis looks anew at each that is made while it draws, a third of the time.
_HOST = st.sampled_from(HOSTS)
_TEXTS = st.one_of(
    RECORDS.map(lambda one: [one]),
    st.just(["v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all"]),
)


@st.composite
def zones(draw: st.DrawFn) -> dict[str, list[str]]:
    """Make a zone of hosts with records; the record of `DOMAIN` itself is left to the test."""
    zone: dict[str, list[str]] = {}
    for name in (*HOSTS, DOMAIN):
        zone[f"{name} A"] = list(draw(_IPV4))
        zone[f"{name} AAAA"] = list(draw(_IPV6))
        hosts = draw(_EXCHANGES)
        zone[f"{name} MX"] = [f"{n} {one}" for n, one in enumerate(hosts)]
        if name != DOMAIN:
            zone[f"{name} TXT"] = list(draw(_TEXTS))
    zone[f"192.0.2.1.{draw(_HOST)} A"] = ["127.0.0.2"]
    zone["1.2.0.192.in-addr.arpa PTR"] = [draw(_HOST)]
    return zone

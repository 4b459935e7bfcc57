# SPDX-License-Identifier: Apache-2.0
"""One slip in a record of real vendors: whoever was meant to pass passes, or the term is named.

What was meant is known, because the slip was made on purpose: the record before it is the reading
against which the fix is held, address by address, as receivers decide.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.api.findings import Finding, FixAction
from postroom.dns import spf
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.spf.mending import is_sound
from unit.dns.domains import APEX_TXT, DOMAIN, HEALTHY, OWNED, look
from unit.dns.fake_zone import FakeZone, Key

VENDORS = {
    "_spf.google.com": "v=spf1 ip4:203.0.113.0/28 ip6:2001:db8:a::/48 ~all",
    "spf.protection.outlook.com": "v=spf1 ip4:203.0.113.16/28 -all",
    "amazonses.com": "v=spf1 ip4:203.0.113.32/28 -all",
    "mailgun.org": "v=spf1 include:_spf1.mailgun.org ~all",
    "_spf1.mailgun.org": "v=spf1 ip4:203.0.113.48/28 ~all",
    "sendgrid.net": "v=spf1 ip4:203.0.113.64/28 ~all",
    "spf.your-server.de": "v=spf1 ip4:203.0.113.80/28 ?all",
}
ZONE: dict[Key, list[str]] = {
    **{(name, "TXT"): [text] for name, text in VENDORS.items()},
    (DOMAIN, "A"): ["203.0.113.100"],
    (DOMAIN, "MX"): ["10 mx.example.net"],
    ("mx.example.net", "A"): ["203.0.113.110"],
    ("mx.example.net", "AAAA"): ["2001:db8:b::1"],
    ("www.example.net", "A"): ["203.0.113.120"],
}
CLIENTS = (
    *(f"203.0.113.{n}" for n in (1, 17, 33, 49, 65, 81, 100, 101, 110, 120, 130, 131, 200)),
    "2001:db8:a::1",
    "2001:db8:b::1",
    "2001:db8:c::9",
    "9.9.9.9",
)
TERMS = st.sampled_from(
    [
        *(f"include:{name}" for name in VENDORS if not name.startswith("_spf1")),
        "ip4:203.0.113.130",
        "ip4:203.0.113.128/25",
        "ip6:2001:db8:c::9",
        "ip6:2001:db8:c::/48",
        "a",
        "mx",
        "a/31",
        "mx//64",
        "a:www.example.net",
        "mx:send.example.com/32",
    ]
)
Slip = Callable[[str], str]


def swapped(term: str) -> str:
    """Two letters of the mechanism's name change places."""
    name, colon, rest = term.partition(":")
    return f"{name[:2]}{name[3:4]}{name[2:3]}{name[4:]}{colon}{rest}"


def masked(term: str) -> str:
    """The prefix length as a netmask."""
    return term.replace("/25", "/255.255.255.128").replace("/31", "/255.255.255.254")


def bracketed(term: str) -> str:
    return re.sub(r"^(ip[46]):([^/]+)", r"\1:[\2]", term)


def padded(term: str) -> str:
    return re.sub(r"\b(\d{1,2})(?=[./]|$)", lambda one: one[1].zfill(3), term)


SLIPS: tuple[Slip, ...] = (
    swapped,
    masked,
    bracketed,
    padded,
    lambda term: term.replace("include", "includes"),
    lambda term: term.replace("include", "inclue"),
    lambda term: term.replace("include:", "include:https://") + "/",
    lambda term: term.replace(":", ";", 1),
    lambda term: term.replace(":", "=", 1),
    lambda term: term.replace(":", ": ", 1),
    lambda term: term.replace(":", " ", 1),
    lambda term: term.replace("/", " /", 1),
    lambda term: term.replace("//", "/"),
    lambda term: term.replace("ip", "ipv"),
    lambda term: f"{term}:25",
    lambda term: f"{term},",
    lambda term: f"{term}.",
    lambda term: f"{term}/",
    lambda term: f'"{term}"',
    lambda term: f"++{term}",
    lambda term: f"{term}.<your domain>",
    lambda term: f"x{term}",
    lambda term: term.replace(":", ":host-", 1),
)
ENDS = st.sampled_from([("-all", "-all"), ("~all", "~all"), ("-all.", "-all"), ("all-", "-all")])


def passing(zone: FakeZone, text: str) -> set[str]:
    """The clients that pass with a record, as receivers decide it."""

    def source(name: str, kind: RecordType) -> Answer:
        values = (text,) if (name, kind) == (DOMAIN, RecordType.TXT) else ()
        values = values or tuple(zone.records.get((name, kind.value), ()))
        outcome = Outcome.FOUND if values else Outcome.NX_DOMAIN
        return Answer(Question(name, kind), outcome, values)

    decided = {
        one: spf.check_host_with(one, f"a@{DOMAIN}", DOMAIN, source).result for one in CLIENTS
    }
    return {one for one, result in decided.items() if result is spf.ResultCode.PASS}


def told(zone: FakeZone) -> Finding | None:
    wanted = {"includes": ["spf.provider.net"]}
    found = [finding for finding in look(zone, spf=wanted).findings if finding.subject == "spf"]
    return found[0] if found else None


def named(slip: str, message: str) -> bool:
    """Whether a message says by name that a term, or a part of it, is left out or read anew."""
    said = re.search(r"(?:The fix leaves out|The fix reads|makes way).*", message)
    return said is not None and any(part in said[0] for part in slip.split())


@settings(max_examples=150, deadline=None)
@given(
    st.lists(TERMS, min_size=1, max_size=4, unique=True),
    st.integers(0, 3),
    st.sampled_from(SLIPS),
    ENDS,
)
def test_whoever_was_meant_to_pass_passes_or_is_named(
    terms: list[str], which: int, slip: Slip, end: tuple[str, str]
) -> None:
    at = which % len(terms)
    damaged = [*terms[:at], slip(terms[at]), *terms[at + 1 :]]
    if is_sound(damaged[at]):
        return  # What is lawful means what it says, such as ip6:2001:db8::9:25.
    zone = FakeZone({**HEALTHY, **ZONE})
    zone.records[APEX_TXT] = [OWNED, " ".join(["v=spf1", *damaged, end[0]])]
    meant = passing(zone, " ".join(["v=spf1", *terms, end[1]]))
    found = told(zone)
    assert found is not None
    assert found.fix is not None
    assert found.fix.action is FixAction.REPLACE, found
    after = passing(zone, found.fix.value)
    assert meant <= after or named(damaged[at], found.message), found
    # The strictness stays; nobody passes whom neither the record nor the spec names.
    assert found.fix.value.split()[-1] == end[1]
    # A host in the place of an address, and prefixes of one slash, are read anew.
    others = {"198.51.100.1", "198.51.100.7"}
    assert "9.9.9.9" not in after - others

# SPDX-License-Identifier: Apache-2.0
"""What a fix of a policy leaves out is named, and nothing is offered that takes away what worked.

Covers: addresses and tags of DMARC records; the end of a cut SPF record; SPF records at wrong names
that cannot be merged; includes that the spec requires and that are dead.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.api.findings import FixAction
from postroom.api.sendingdomain import RecordState
from postroom.dns import dmarc
from postroom.dns.verifying.report import DomainReport
from unit.dns.domains import look
from unit.dns.fake_zone import FakeZone, Key
from unit.dns.judging_looks import DOMAIN, Names, plan_of

DMARC: Key = (f"_dmarc.{DOMAIN}", "TXT")
APEX: Key = (DOMAIN, "TXT")
WANTED = {"policy": "quarantine", "rua": [f"mailto:dmarc@{DOMAIN}"]}


@pytest.mark.parametrize(
    ("texts", "named"),
    [
        (["v=DMARC1; p=none; rua=dmarc@"], ["dmarc@ of rua=, which is no valid report address"]),
        (["v=DMARC1; p=none; ruf=f.example"], ["f.example of ruf="]),
        (["v=DMARC1; p=none; pct=50"], ["pct=50, a tag that RFC 9989 removed"]),
        (["v=DMARC1; p=none; rf=afrf; ri=3600"], ["rf=afrf", "ri=3600"]),
        (["v=DMARC1; p=none; pct=50; rua=mailto:"], ["pct=50", "mailto: of rua="]),
        (["v=DMARC1; p=none; sp=block"], ["sp=block"]),
        (["v=DMARC1; p=none; adkim=strict"], ["adkim=strict"]),
        (["v=DMARC1; p=quarantine; t=y"], ["t=y"]),
        (
            ["v=DMARC1; p=reject", f"v=DMARC1; p=none; ruf=mailto:f@{DOMAIN}; adkim=s"],
            [f"mailto:f@{DOMAIN} of ruf=", "adkim=s"],
        ),
    ],
)
def test_what_the_fix_of_a_dmarc_record_leaves_out_is_named(
    texts: list[str], named: list[str]
) -> None:
    judged = Names({DMARC: texts}).judged(plan_of(dmarc=WANTED), "dmarc")
    assert judged.cause is not None
    assert judged.cause.fix is not None
    assert "The fix leaves out " in judged.message
    for one in named:
        assert one in judged.message
        assert one.partition(",")[0] not in judged.cause.fix.value


@pytest.mark.parametrize(
    "text",
    [
        f"v=DMARC1; p=none; rua=mailto:dmarc@{DOMAIN}",
        f"v=DMARC1; p=none; rua=mailto:a@{DOMAIN}; ruf=mailto:b@{DOMAIN}; adkim=s; sp=reject",
        f"v=DMARC1, p=reject, rua=mailto:dmarc@{DOMAIN}",
        f"v=DMARC1; p=none; rua=MAILTO:Dmarc@{DOMAIN}",
    ],
)
def test_nothing_is_named_where_nothing_is_left_out(text: str) -> None:
    judged = Names({DMARC: [text]}).judged(plan_of(dmarc=WANTED), "dmarc")
    assert judged.cause is not None
    assert "leaves out" not in judged.message


TAGS = st.sampled_from(
    [
        "rua=mailto:a@one.example",
        "rua=mailto:a@one.example,b@two",
        "rua=mailto:",
        "ruf=mailto:f@one.example",
        "ruf=ftp://one.example",
        "pct=20",
        "ri=3600",
        "rf=afrf",
        "sp=none",
        "np=reject",
        "sp=later",
        "adkim=s",
        "aspf=strict",
        "fo=1",
        "t=y",
        "x=more",
    ]
)


@settings(deadline=None)
@given(st.sampled_from(["none", "reject"]), st.lists(TAGS, max_size=4, unique=True))
def test_every_tag_and_address_is_kept_or_named(policy: str, tags: list[str]) -> None:
    text = "; ".join(["v=DMARC1", f"p={policy}", *tags])
    judged = Names({DMARC: [text]}).judged(plan_of(dmarc=WANTED), "dmarc")
    if judged.cause is None or judged.cause.fix is None:
        return
    value = judged.cause.fix.value
    for tag in tags:
        name, _, wanted = tag.partition("=")
        parts = wanted.split(",") if name in ("rua", "ruf") else [tag]
        for part in parts:
            assert part in value or part in judged.message, (text, value, judged.message)


def test_the_sentence_is_short_and_the_same_each_time() -> None:
    many = "; ".join(["v=DMARC1; p=none", *(f"x{at}=y" for at in "abcdefghijklmnopqrst")])
    said = dmarc.left_out([many], "v=DMARC1; p=none")
    assert said == dmarc.left_out([many], "v=DMARC1; p=none")
    assert said.endswith(" and 14 more.")


@pytest.mark.parametrize("end", ["-all", "~all"])
def test_the_all_that_was_cut_off_is_said_to_be_lost(end: str) -> None:
    networks = " ".join(f"ip4:203.0.113.{at}" for at in range(100, 120))
    text = f"v=spf1 {networks} {end}"[:255]
    assert len(text) == 255
    seen = Names({APEX: [text], ("spf.example.net", "TXT"): ["v=spf1 ip4:192.0.2.0/24 -all"]})
    judged = seen.judged(plan_of(spf={"includes": ["spf.example.net"]}), "spf")
    assert judged.state is RecordState.WRONG
    assert "the all at its end is lost" in judged.message
    whole = Names({**seen.records, APEX: [f"v=spf1 ip4:203.0.113.1 {end}"]})
    said = whole.judged(plan_of(spf={"includes": ["spf.example.net"]}), "spf").message
    assert "lost" not in said


def report(records: dict[Key, list[str]], **spec: object) -> DomainReport:
    return look(FakeZone(records), domain=DOMAIN, **spec)


MANY = {(f"n{at}.example.net", "TXT"): ["v=spf1 ip4:192.0.2.1 -all"] for at in range(12)}
DEAR = "v=spf1 include:spf.example.org " + " ".join(f"include:{name}" for name, _ in MANY) + " -all"


@pytest.mark.parametrize("place", [f"_spf.{DOMAIN}", f"{DOMAIN}.{DOMAIN}", f"spf.{DOMAIN}"])
def test_a_policy_at_a_wrong_name_that_cannot_be_merged_is_not_replaced(place: str) -> None:
    records = {
        **MANY,
        (place, "TXT"): [DEAR],
        ("spf.example.org", "TXT"): ["v=spf1 ip4:192.0.2.7 -all"],
    }
    made = report(records, spf={"includes": ["spf.example.org"]})
    found = next(finding for finding in made.findings if finding.subject == "spf")
    assert found.fix is not None
    assert found.fix.action is FixAction.EXTERNAL, found
    assert "No record is offered" in found.message


@pytest.mark.parametrize(
    ("records", "name"),
    [
        ({}, "dead.example.net"),
        ({APEX: ["other=1"]}, "dead.example.net"),
        ({("dead.example.net", "TXT"): ["v=spf1 a", "v=spf1 mx"]}, "dead.example.net"),
        ({("dead.example.net", "TXT"): ["v=spf1 include:gone.example.net"]}, "gone.example.net"),
    ],
)
def test_a_required_include_that_is_dead_is_named(records: dict[Key, list[str]], name: str) -> None:
    """The record that asks for it would make receivers give up."""
    judged = Names(records).judged(plan_of(spf={"includes": ["dead.example.net"]}), "spf")
    assert judged.cause is not None
    assert judged.cause.code == "SPF_DEAD_INCLUDE"
    assert name in judged.message
    assert judged.cause.fix is not None
    assert judged.cause.fix.action is FixAction.EXTERNAL

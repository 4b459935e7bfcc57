# SPDX-License-Identifier: Apache-2.0
"""What is offered for any SPF records whatever: applied, it is valid, and nobody lost by it.

Covers: the fix makes the record valid and settles it in one step; whoever passed before passes
after; a text that is no SPF record never breaks the judge.
"""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dnsworld.clock import run
from postroom.api.findings import FixAction
from postroom.api.names import Kind
from postroom.api.resource import parse_spec
from postroom.api.sendingdomain import RecordState, SendingDomainSpec
from postroom.dns import planning, spf
from postroom.dns.answers import Answer, Question, RecordType
from postroom.dns.verifying.report import DomainReport, RecordReport
from postroom.dns.verifying.verify import verify
from unit.dns.fake_zone import FakeZone, Key

DOMAIN = "example.com"
APEX: Key = (DOMAIN, "TXT")
OTHERS: dict[Key, list[str]] = {
    ("_dmarc.example.com", "TXT"): ["v=DMARC1; p=none"],
    ("ours.net", "TXT"): ["v=spf1 ip4:198.51.100.0/24 ip6:2001:db8::/32 -all"],
    ("nested.net", "TXT"): ["v=spf1 include:ours.net include:leaf.net ~all"],
    ("leaf.net", "TXT"): ["v=spf1 ip4:203.0.113.0/25 ?all"],
    ("refusing.net", "TXT"): ["v=spf1 -ip4:203.0.113.7 ip4:203.0.113.0/24 -all"],
    ("broken.net", "TXT"): ["v=spf1 ip5:1 -all"],
    ("twice.net", "TXT"): ["v=spf1 -all", "v=spf1 a -all"],
    ("back.net", "TXT"): ["v=spf1 ip4:203.0.113.94 include:example.com -all"],
    ("loop.net", "TXT"): ["v=spf1 include:loop.net -all"],
    ("crowd.net", "MX"): [f"10 mx{number}.host.net" for number in range(11)],
    ("full.net", "TXT"): ["v=spf1 ip4:203.0.113.93 mx:crowd.net ip4:9.9.9.9 -all"],
    ("crowd.net", "TXT"): ["v=spf1 ip4:203.0.113.95 mx ip4:9.9.9.9 -all"],
    ("half.net", "TXT"): ["v=spf1 ip4:203.0.113.90 include:gone.half.net ip4:9.9.9.9 -all"],
    ("round.net", "TXT"): ["v=spf1 ip4:203.0.113.91 include:two.round.net -all"],
    ("two.round.net", "TXT"): ["v=spf1 ip4:203.0.113.92 include:half.net redirect=round.net"],
    ("_spf.example.com", "TXT"): ["v=spf1 include:leaf.%{d1r}.net a:%{o} ip4:203.0.113.9 ?all"],
    ("leaf._spf.net", "TXT"): ["v=spf1 ip4:203.0.113.200 -all"],
    ("host.net", "A"): ["203.0.113.80"],
    ("host.net", "MX"): ["10 mx.host.net"],
    ("mx.host.net", "A"): ["203.0.113.81"],
    (DOMAIN, "A"): ["203.0.113.82"],
}
TERMS = (
    *(f"include:{name}" for name, kind in OTHERS if kind == "TXT" and name != "_dmarc.example.com"),
    "include:gone.net",
    "include:_spf.%{d}",
    "include:gone.%{D}",
    "redirect=_spf.%{o}",
    "a:%{d}",
    "-a:%{o}",
    "mx:%{d2}",
    "-include:ours.net",
    "?include:nested.net",
    "a",
    "mx",
    "a:host.net",
    "mx:host.net",
    "-a:host.net",
    "a:gone.net",
    "ptr",
    "exists:%{i}.list.net",
    "ip4:203.0.113.9",
    "ip4:198.51.100.0/28",
    "-ip4:198.51.100.0/24",
    "~ip6:2001:db8::/48",
    "ip6:2001:db8:1::/48",
    "ip4:0.0.0.0/1",
    "-all",
    "~all",
    "?all",
    "+all",
    "redirect=ours.net",
    "redirect=gone.net",
    "redirect=half.net",
    "-include:round.net",
    "mx:crowd.net",
    "exp=why.net",
    "ipv4:203.0.113.9",
    "include=ours.net",
    "include:",
    "ours.net",
    "ip4:203.0.113.900",
    "include:ours.net~all",
    "include:ours.net,",
    "include:leaf.netinclude:ours.net",
    "inclue:leaf.net",
    "include:https://nested.net/",
    "include:ours.net-all",
    "ip4:203.0.113.0 /24",
    "ip6:[2001:db8:1::5]",
    "a:host.net/24/64",
    "ip4:host.net",
    "redirct=ours.net",
    "~-all",
    "- all",
    "\u2013all".encode().decode("latin-1"),
)
INTACT = ("v=spf1 ", "V=SPF1 ", "v=spf1  ")
DAMAGED = ("spf1 ", "v=spf1", "v=spf1; ", ' "v=spf1 ', "v=spf 1 ")


def written(versions: Sequence[str]) -> st.SearchStrategy[str]:
    terms = st.lists(st.sampled_from(TERMS), max_size=8).map(" ".join)
    return st.builds(str.__add__, st.sampled_from(versions), terms)


RECORDS = st.lists(st.one_of(written(INTACT), written(DAMAGED)), max_size=3, unique=True)
REQUIRED = st.sampled_from(
    (
        {"includes": ["ours.net"]},
        {"includes": ["nested.net", "ours.net"], "all": "Fail"},
        {"ip4": ["203.0.113.9", "198.51.100.0/25"]},
        {"includes": ["refusing.net"], "ip6": ["2001:db8:1::/48"]},
    )
)
CLIENTS = (
    "198.51.100.3",
    "203.0.113.9",
    "203.0.113.80",
    "203.0.113.90",
    "203.0.113.91",
    "203.0.113.92",
    "203.0.113.93",
    "203.0.113.200",
    "2001:db8:1::5",
    "9.9.9.9",
)


def look(zone: FakeZone, required: dict[str, object]) -> tuple[DomainReport, RecordReport]:
    spec = parse_spec(Kind.SENDING_DOMAIN, {"domain": DOMAIN, "spf": required})
    assert isinstance(spec, SendingDomainSpec), spec
    report = run(verify(planning.plan(spec, "mail", b"key", {}), zone))
    return report, next(record for record in report.records if record.id == "spf")


def passing(zone: FakeZone) -> set[str]:
    """The clients that pass, as receivers decide it."""

    def source(name: str, kind: RecordType) -> Answer:
        # Nothing in it waits, so that no loop is needed.
        try:
            zone.recursive(Question(name, kind)).send(None)
        except StopIteration as done:
            answer: Answer = done.value
            return answer
        raise AssertionError("the fake zone waits")

    sender = f"someone@{DOMAIN}"
    decided = {one: spf.check_host_with(one, sender, DOMAIN, source).result for one in CLIENTS}
    return {one for one, result in decided.items() if result is spf.ResultCode.PASS}


@example(
    ["v=spf1 -include:ours.net redirect=ours.net redirct=ours.net"], {"includes": ["ours.net"]}
)
@settings(max_examples=150, deadline=None)
@given(RECORDS, REQUIRED)
def test_a_fix_makes_it_valid_and_takes_from_nobody(
    records: list[str], required: dict[str, object]
) -> None:
    zone = FakeZone({**OTHERS, APEX: records}, apex=DOMAIN)
    before = passing(zone)
    open_to_all = any(
        spf.parse(record).all_term is not None for record in records if "+all" in record
    )
    report, found = look(zone, required)
    if found.state is RecordState.VALID:
        return
    finding = next(one for one in report.findings if one.subject == "spf")
    assert finding.fix is not None
    if finding.fix.action in (FixAction.EXTERNAL, FixAction.WAIT):
        return
    zone.apply(finding.fix)
    after, mended = look(zone, required)
    assert mended.state is RecordState.VALID, (finding, after.findings)
    assert open_to_all or before <= passing(zone), finding


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(alphabet=st.characters(max_codepoint=255), max_size=60), max_size=3))
def test_no_text_breaks_the_judge(texts: list[str]) -> None:
    zone = FakeZone({**OTHERS, APEX: texts}, apex=DOMAIN)
    _, found = look(zone, {"includes": ["ours.net"]})
    assert len(found.value) <= 4096
